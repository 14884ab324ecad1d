#include "primitives.h"

#include <string.h>

#include "exit_gate.h"

/* A chain that is being made. */
typedef struct job {
  tnr_chain *chain;
  const tnr_program_spec *spec;
  int in[TNR_CPU_INPUTS]; /* the buffer of each input, or of its dense copy */
  const tnr_own_layout *layouts[TNR_CPU_INPUTS]; /* how that lies; NULL: dense */
  bool pack_weights;
} job;

/* In a chain's numbering the outputs follow the inputs. */
static int out_buffer(const tnr_program_spec *spec) {
  return spec->in_count;
}

static tnr_view view_of_input(const job *job, int input) {
  const tnr_desc *desc = &job->spec->in[input];
  return tnr_view_dense(job->in[input], desc->dtype, (int)desc->shape.rank, desc->shape.dims);
}

static tnr_view view_of_output(const tnr_program_spec *spec) {
  const tnr_shape *shape = &spec->out[0].shape;
  return tnr_view_dense(out_buffer(spec), spec->out[0].dtype, (int)shape->rank, shape->dims);
}

/* As one dimension, in the order in which the elements lie. */
static tnr_view flat_input(const job *job, int input) {
  return tnr_view_flat(job->in[input], &job->spec->in[input]);
}

static tnr_view flat_output(const job *job) {
  return tnr_view_flat(out_buffer(job->spec), &job->spec->out[0]);
}

static tnr_view broadcast_view(int buffer, tnr_dtype dtype, const tnr_broadcast *broadcast,
                               const bool *varies) {
  int64_t dims[TNR_MAX_RANK];
  for (int i = 0; i < broadcast->rank; i++)
    dims[i] = varies == NULL || varies[i] ? broadcast->dims[i] : 1;
  return tnr_view_dense(buffer, dtype, broadcast->rank, dims);
}

static tnr_status expand(tnr_chain *chain, tnr_view *view, const tnr_view *full) {
  tnr_view small = *view, like = *full;
  like.dtype = small.dtype;
  *view = tnr_chain_temporary(chain, &like);
  return tnr_chain_add_expand(chain, &small, view);
}

static bool commutes(tnr_primitive_kind kind) {
  return kind == TNR_PRIMITIVE_ADD || kind == TNR_PRIMITIVE_MUL;
}

static void swap(tnr_view *a, tnr_view *b) {
  tnr_view kept = *a;
  *a = *b;
  *b = kept;
}

/* Both operands lie in one layout. */
static tnr_status add_flat_binary(const job *job) {
  tnr_view a = flat_input(job, 0), b = flat_input(job, 1), out = flat_output(job);
  tnr_chain_keep_layout(job->chain, job->layouts[0]);
  return tnr_chain_add_binary(job->chain, job->spec->primitive.kind, &a, &b, &out);
}

/* oneDNN broadcasts only its second operand well, and that in few patterns only: swap where the
 * order does not matter, else write the first one out in full, and the second one too if need be.
 */
static tnr_status add_binary(const job *job) {
  const tnr_program_spec *spec = job->spec;
  if (job->layouts[0] != NULL)
    return add_flat_binary(job);
  tnr_broadcast shape = tnr_broadcast_of(&spec->in[0].shape, &spec->in[1].shape, 0);
  tnr_primitive_kind kind = spec->primitive.kind;
  tnr_view a = broadcast_view(job->in[0], spec->in[0].dtype, &shape, shape.a_varies);
  tnr_view b = broadcast_view(job->in[1], spec->in[1].dtype, &shape, shape.b_varies);
  tnr_view out = broadcast_view(out_buffer(spec), spec->out[0].dtype, &shape, NULL);
  bool a_full = tnr_broadcast_varies_everywhere(shape.a_varies, shape.rank);
  bool b_full = tnr_broadcast_varies_everywhere(shape.b_varies, shape.rank);
  tnr_status status = TNR_OK;
  if (!a_full && b_full && commutes(kind)) {
    swap(&a, &b);
    b_full = false;
  } else if (!a_full) {
    status = expand(job->chain, &a, &out);
  }
  if (status == TNR_OK)
    status = tnr_chain_add_binary(job->chain, kind, &a, &b, &out);
  if (status != TNR_EUNSUPPORTED || b_full)
    return status;
  status = expand(job->chain, &b, &out);
  return status == TNR_OK ? tnr_chain_add_binary(job->chain, kind, &a, &b, &out) : status;
}

static tnr_status add_relu(const job *job) {
  tnr_view in = flat_input(job, 0), out = flat_output(job);
  tnr_chain_keep_layout(job->chain, job->layouts[0]);
  return tnr_chain_add_relu(job->chain, &in, &out);
}

static tnr_status add_cast(const job *job) {
  tnr_view in = flat_input(job, 0), out = flat_output(job);
  return tnr_chain_add_reorder(job->chain, &in, &out);
}

static int64_t product(const int64_t *dims, int64_t from, int64_t to) {
  int64_t result = 1;
  for (int64_t i = from; i < to; i++)
    result *= dims[i];
  return result;
}

static tnr_view swapped_inner(const tnr_view *view) {
  tnr_view swapped = *view;
  swapped.dims[1] = view->dims[2];
  swapped.dims[2] = view->dims[1];
  swapped.strides[1] = view->strides[2];
  swapped.strides[2] = view->strides[1];
  return swapped;
}

/* Over an axis that is not the last one oneDNN has reference code only: going through a transposed
 * copy is a hundred times as fast. In bf16 it rounds twice: the copy is f32. */
static tnr_status add_copying_softmax(tnr_chain *chain, const tnr_view *in, const tnr_view *out) {
  tnr_view in_turned = swapped_inner(in), out_turned = swapped_inner(out), like = in_turned;
  like.dtype = TNR_F32;
  tnr_view copy = tnr_chain_temporary(chain, &like);
  tnr_status status = tnr_chain_add_reorder(chain, &in_turned, &copy);
  if (status == TNR_OK)
    status = tnr_chain_add_softmax(chain, &copy, &copy, 2);
  return status == TNR_OK ? tnr_chain_add_reorder(chain, &copy, &out_turned) : status;
}

static tnr_status add_softmax(const job *job) {
  const tnr_program_spec *spec = job->spec;
  const tnr_shape *shape = &spec->in[0].shape;
  int64_t axis = spec->primitive.axis;
  const int64_t dims[3] = {product(shape->dims, 0, axis), shape->dims[axis],
                           product(shape->dims, axis + 1, shape->rank)};
  bool direct = dims[2] == 1 && spec->in[0].dtype == TNR_F32;
  tnr_view in = tnr_view_dense(job->in[0], spec->in[0].dtype, direct ? 2 : 3, dims);
  tnr_view out = tnr_view_dense(out_buffer(spec), spec->out[0].dtype, direct ? 2 : 3, dims);
  return direct ? tnr_chain_add_softmax(job->chain, &in, &out, 1)
                : add_copying_softmax(job->chain, &in, &out);
}

static tnr_status add_transpose(const job *job) {
  const tnr_program_spec *spec = job->spec;
  tnr_view in = view_of_input(job, 0), out = view_of_output(spec), turned = in;
  for (int i = 0; i < in.rank && spec->in[0].shape.rank > 0; i++) {
    turned.dims[i] = in.dims[spec->primitive.permutation[i]];
    turned.strides[i] = in.strides[spec->primitive.permutation[i]];
  }
  tnr_view_join(&turned, &out);
  return tnr_chain_add_reorder(job->chain, &turned, &out);
}

/* The last two dims as the product needs them. A row or column is dense either way, and oneDNN
 * likes the ordinary strides better. */
static void transpose_matrix(tnr_view *view) {
  int row = view->rank - 2, column = view->rank - 1;
  int64_t rows = view->dims[column], columns = view->dims[row];
  bool vector = rows == 1 || columns == 1;
  view->dims[row] = rows;
  view->dims[column] = columns;
  view->strides[row] = vector ? columns : 1;
  view->strides[column] = vector ? 1 : rows;
}

static tnr_view matrix_view(int buffer, const tnr_desc *desc, const tnr_broadcast *batch,
                            const bool *varies, bool transpose) {
  int64_t dims[TNR_MAX_RANK];
  for (int i = 0; i < batch->rank; i++)
    dims[i] = varies == NULL || varies[i] ? batch->dims[i] : 1;
  memcpy(&dims[batch->rank], &desc->shape.dims[desc->shape.rank - 2], 2 * sizeof *dims);
  tnr_view view = tnr_view_dense(buffer, desc->dtype, batch->rank + 2, dims);
  if (transpose)
    transpose_matrix(&view);
  return view;
}

/* [batch, m, k] as [batch * m, k]. */
static tnr_view one_matrix(const tnr_view *view) {
  int64_t columns = view->dims[view->rank - 1];
  const int64_t dims[2] = {product(view->dims, 0, view->rank - 1), columns};
  return tnr_view_dense(view->buffer, view->dtype, 2, dims);
}

static bool varies_somewhere(const bool *varies, int rank) {
  for (int i = 0; i < rank; i++)
    if (varies[i])
      return true;
  return false;
}

/* As a matrix of one row, of as many dims as the product. */
static tnr_view bias_view(int buffer, const tnr_desc *desc, int rank) {
  int64_t dims[TNR_MAX_RANK];
  for (int i = 0; i < rank; i++)
    dims[i] = i == rank - 1 ? desc->shape.dims[0] : 1;
  return tnr_view_dense(buffer, desc->dtype, rank, dims);
}

static tnr_status add_matmul(const job *job) {
  const tnr_program_spec *spec = job->spec;
  const tnr_primitive *primitive = &spec->primitive;
  if (spec->in[0].shape.rank < 2 || spec->in[1].shape.rank < 2)
    return TNR_EUNSUPPORTED;
  tnr_broadcast batch = tnr_broadcast_of(&spec->in[0].shape, &spec->in[1].shape, 2);
  tnr_view a =
      matrix_view(job->in[0], &spec->in[0], &batch, batch.a_varies, primitive->transpose_a);
  tnr_view b =
      matrix_view(job->in[1], &spec->in[1], &batch, batch.b_varies, primitive->transpose_b);
  tnr_view out = matrix_view(out_buffer(spec), &spec->out[0], &batch, NULL, false);
  if (batch.rank > 0 && !primitive->transpose_a && !varies_somewhere(batch.b_varies, batch.rank)) {
    const int64_t *matrix = &b.dims[b.rank - 2], *strides = &b.strides[b.rank - 2];
    memmove(b.dims, matrix, 2 * sizeof *matrix);
    memmove(b.strides, strides, 2 * sizeof *strides);
    b.rank = 2;
    a = one_matrix(&a);
    out = one_matrix(&out);
  }
  tnr_view bias;
  tnr_chain_matmul op = {
      .a = &a, .b = &b, .out = &out, .relu = primitive->relu, .pack = job->pack_weights};
  if (spec->in_count > 2) {
    bias = bias_view(job->in[2], &spec->in[2], out.rank);
    op.bias = &bias;
  }
  return tnr_chain_add_matmul(job->chain, &op);
}

static tnr_window window_of(const tnr_primitive *primitive, const int64_t *kernel) {
  tnr_window window;
  memcpy(window.kernel, kernel, sizeof window.kernel);
  memcpy(window.stride, primitive->stride, sizeof window.stride);
  memcpy(window.dilation, primitive->dilation, sizeof window.dilation);
  memcpy(window.pad_before, primitive->pad_before, sizeof window.pad_before);
  memcpy(window.pad_after, primitive->pad_after, sizeof window.pad_after);
  return window;
}

static tnr_view grouped(const tnr_view *weights, int64_t groups) {
  const int64_t *w = weights->dims;
  const int64_t dims[5] = {groups, w[0] / groups, w[1], w[2], w[3]};
  return tnr_view_dense(weights->buffer, weights->dtype, 5, dims);
}

static tnr_status add_convolution(const job *job) {
  const tnr_program_spec *spec = job->spec;
  tnr_view in = view_of_input(job, 0), weights = view_of_input(job, 1);
  tnr_view out = view_of_output(spec), bias;
  tnr_chain_convolution op = {.in = &in,
                              .weights = &weights,
                              .out = &out,
                              .window = window_of(&spec->primitive, &spec->in[1].shape.dims[2]),
                              .relu = spec->primitive.relu};
  in.layout = job->layouts[0];
  if (spec->primitive.groups > 1)
    weights = grouped(&weights, spec->primitive.groups);
  if (spec->in_count > 2) {
    bias = view_of_input(job, 2);
    op.bias = &bias;
  }
  return tnr_chain_add_convolution(job->chain, &op);
}

/* Channels and images are alike to pooling, and oneDNN is slow with few channels: all of them are
 * channels of one image. */
static tnr_view planes(int buffer, const tnr_desc *desc) {
  const int64_t *dims = desc->shape.dims;
  const int64_t joined[4] = {1, dims[0] * dims[1], dims[2], dims[3]};
  return tnr_view_dense(buffer, desc->dtype, 4, joined);
}

/* A window that lies in the padding altogether has no maximum that oneDNN and we agree on. */
static bool every_window_meets_the_image(const tnr_window *window) {
  for (int i = 0; i < 2; i++) {
    int64_t reach = (window->kernel[i] - 1) * window->dilation[i];
    if (window->pad_before[i] > reach || window->pad_after[i] > reach)
      return false;
  }
  return true;
}

static tnr_status add_max_pool(const job *job) {
  const tnr_program_spec *spec = job->spec;
  tnr_window window = window_of(&spec->primitive, spec->primitive.kernel);
  if (!every_window_meets_the_image(&window))
    return TNR_EUNSUPPORTED;
  tnr_view in = planes(job->in[0], &spec->in[0]), out = planes(out_buffer(spec), &spec->out[0]);
  if (job->layouts[0] != NULL) {
    in = view_of_input(job, 0);
    out = view_of_output(spec);
    in.layout = job->layouts[0];
  }
  return tnr_chain_add_max_pool(job->chain, &in, &out, &window);
}

static tnr_status add_primitive(const job *job) {
  switch (job->spec->primitive.kind) {
  case TNR_PRIMITIVE_MATMUL:
    return add_matmul(job);
  case TNR_PRIMITIVE_ADD:
  case TNR_PRIMITIVE_SUB:
  case TNR_PRIMITIVE_MUL:
  case TNR_PRIMITIVE_DIV:
    return add_binary(job);
  case TNR_PRIMITIVE_RELU:
    return add_relu(job);
  case TNR_PRIMITIVE_SOFTMAX:
    return add_softmax(job);
  case TNR_PRIMITIVE_CONV2D:
    return add_convolution(job);
  case TNR_PRIMITIVE_MAX_POOL2D:
    return add_max_pool(job);
  case TNR_PRIMITIVE_CAST:
    return add_cast(job);
  case TNR_PRIMITIVE_TRANSPOSE:
    return add_transpose(job);
  case TNR_PRIMITIVE_NONE:
    break;
  }
  return TNR_EUNSUPPORTED;
}

/* ---- inputs in layouts ---- */

static bool is_image_in(const tnr_own_layout *layout, const tnr_desc *desc) {
  return desc->shape.rank == 4 && tnr_own_layout_has_dims(layout, desc->shape.dims, 4);
}

/* Does the primitive work on the input as it lies? */
static bool takes(const tnr_program_spec *spec, const tnr_cpu_way *way, int input) {
  switch (spec->primitive.kind) {
  case TNR_PRIMITIVE_RELU:
    return true;
  case TNR_PRIMITIVE_CONV2D:
  case TNR_PRIMITIVE_MAX_POOL2D:
    return input == 0 && is_image_in(way->in[0], &spec->in[0]);
  case TNR_PRIMITIVE_ADD:
  case TNR_PRIMITIVE_SUB:
  case TNR_PRIMITIVE_MUL:
  case TNR_PRIMITIVE_DIV:
    return way->in[0] == way->in[1] && tnr_shape_equal(&spec->in[0].shape, &spec->in[1].shape);
  default:
    return false;
  }
}

static tnr_status take_inputs(job *job, const tnr_cpu_way *way) {
  tnr_status status = TNR_OK;
  for (int i = 0; i < job->spec->in_count && status == TNR_OK; i++) {
    job->in[i] = i;
    if (way->in[i] != NULL && takes(job->spec, way, i))
      job->layouts[i] = way->in[i];
    else if (way->in[i] != NULL)
      status = tnr_chain_add_dense(job->chain, i, way->in[i], &job->in[i]);
  }
  return status;
}

static bool suits(const tnr_desc *desc) {
  return (desc->dtype == TNR_F32 || desc->dtype == TNR_BF16) &&
         tnr_shape_elements(&desc->shape) > 0;
}

/* Of empty tensors oneDNN accepts some and refuses others; plain kernels do them all. */
static bool all_suit(const tnr_program_spec *spec) {
  if (spec->in_count < 1 || spec->in_count > TNR_CPU_INPUTS || spec->out_count != 1)
    return false;
  for (int i = 0; i < spec->in_count; i++)
    if (!suits(&spec->in[i]))
      return false;
  return suits(&spec->out[0]);
}

unsigned tnr_cpu_kind_of(const tnr_program_spec *spec, const tnr_cpu_way *way) {
  enum { TAKES_LAYOUTS = TNR_PRIMITIVE_TRANSPOSE + 1 };
  bool lies = way->in[0] != NULL || way->in[1] != NULL || way->in[2] != NULL;
  unsigned dtypes = 2u * (spec->in[0].dtype == TNR_BF16) + (spec->out[0].dtype == TNR_BF16);
  _Static_assert(4 * TAKES_LAYOUTS + 3 < TNR_EXIT_GATE_KINDS, "a kind each");
  return 4u * (lies ? TAKES_LAYOUTS : (unsigned)spec->primitive.kind) + dtypes;
}

static tnr_status fill_chain(tnr_chain *chain, const tnr_program_spec *spec,
                             const tnr_cpu_way *way) {
  job job = {.chain = chain, .spec = spec, .pack_weights = way->pack_weights};
  if (way->free_result)
    tnr_chain_free_result(chain);
  tnr_status status = take_inputs(&job, way);
  if (status == TNR_OK)
    status = add_primitive(&job);
  return status == TNR_OK ? tnr_chain_finish(chain) : status;
}

static tnr_status chain_of(tnr_onednn *onednn, const tnr_program_spec *spec, const tnr_cpu_way *way,
                           tnr_chain **out) {
  tnr_chain *chain;
  tnr_status status = tnr_chain_create(onednn, spec->in_count, spec->out_count, &chain);
  if (status != TNR_OK)
    return status;
  status = fill_chain(chain, spec, way);
  if (status != TNR_OK) {
    tnr_chain_destroy(chain);
    return status;
  }
  *out = chain;
  return TNR_OK;
}

tnr_status tnr_cpu_chain_of(tnr_onednn *onednn, const tnr_program_spec *spec,
                            const tnr_cpu_way *way, tnr_chain **out) {
  if (spec->primitive.kind == TNR_PRIMITIVE_NONE || !all_suit(spec) || !tnr_exit_gate_enter())
    return TNR_EUNSUPPORTED;
  tnr_status status = chain_of(onednn, spec, way, out);
  tnr_exit_gate_did(way->pack_weights ? TNR_EXIT_GATE_MAKE_PACKED : TNR_EXIT_GATE_MAKE,
                    tnr_cpu_kind_of(spec, way));
  tnr_exit_gate_leave();
  return status;
}
