#include "primitives.h"

#include <string.h>

#include "exit_gate.h"

/* In a chain's numbering the outputs follow the inputs. */
static int out_buffer(const tnr_program_spec *spec) {
  return spec->in_count;
}

static tnr_view view_of_input(const tnr_program_spec *spec, int input) {
  const tnr_shape *shape = &spec->in[input].shape;
  return tnr_view_dense(input, spec->in[input].dtype, (int)shape->rank, shape->dims);
}

static tnr_view view_of_output(const tnr_program_spec *spec) {
  const tnr_shape *shape = &spec->out[0].shape;
  return tnr_view_dense(out_buffer(spec), spec->out[0].dtype, (int)shape->rank, shape->dims);
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

/* oneDNN broadcasts only its second operand well, and that in few patterns only: swap where the
 * order does not matter, else write the first one out in full, and the second one too if need be.
 */
static tnr_status add_binary(tnr_chain *chain, const tnr_program_spec *spec) {
  tnr_broadcast shape = tnr_broadcast_of(&spec->in[0].shape, &spec->in[1].shape, 0);
  tnr_primitive_kind kind = spec->primitive.kind;
  tnr_view a = broadcast_view(0, spec->in[0].dtype, &shape, shape.a_varies);
  tnr_view b = broadcast_view(1, spec->in[1].dtype, &shape, shape.b_varies);
  tnr_view out = broadcast_view(out_buffer(spec), spec->out[0].dtype, &shape, NULL);
  bool a_full = tnr_broadcast_varies_everywhere(shape.a_varies, shape.rank);
  bool b_full = tnr_broadcast_varies_everywhere(shape.b_varies, shape.rank);
  tnr_status status = TNR_OK;
  if (!a_full && b_full && commutes(kind)) {
    swap(&a, &b);
    b_full = false;
  } else if (!a_full) {
    status = expand(chain, &a, &out);
  }
  if (status == TNR_OK)
    status = tnr_chain_add_binary(chain, kind, &a, &b, &out);
  if (status != TNR_EUNSUPPORTED || b_full)
    return status;
  status = expand(chain, &b, &out);
  return status == TNR_OK ? tnr_chain_add_binary(chain, kind, &a, &b, &out) : status;
}

static tnr_status add_relu(tnr_chain *chain, const tnr_program_spec *spec) {
  tnr_view in = tnr_view_flat(0, &spec->in[0]);
  tnr_view out = tnr_view_flat(out_buffer(spec), &spec->out[0]);
  return tnr_chain_add_relu(chain, &in, &out);
}

static tnr_status add_cast(tnr_chain *chain, const tnr_program_spec *spec) {
  tnr_view in = tnr_view_flat(0, &spec->in[0]);
  tnr_view out = tnr_view_flat(out_buffer(spec), &spec->out[0]);
  return tnr_chain_add_reorder(chain, &in, &out);
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

static tnr_status add_softmax(tnr_chain *chain, const tnr_program_spec *spec) {
  const tnr_shape *shape = &spec->in[0].shape;
  int64_t axis = spec->primitive.axis;
  const int64_t dims[3] = {product(shape->dims, 0, axis), shape->dims[axis],
                           product(shape->dims, axis + 1, shape->rank)};
  bool direct = dims[2] == 1 && spec->in[0].dtype == TNR_F32;
  tnr_view in = tnr_view_dense(0, spec->in[0].dtype, direct ? 2 : 3, dims);
  tnr_view out = tnr_view_dense(out_buffer(spec), spec->out[0].dtype, direct ? 2 : 3, dims);
  return direct ? tnr_chain_add_softmax(chain, &in, &out, 1)
                : add_copying_softmax(chain, &in, &out);
}

static tnr_status add_transpose(tnr_chain *chain, const tnr_program_spec *spec) {
  tnr_view in = view_of_input(spec, 0), out = view_of_output(spec), turned = in;
  for (int i = 0; i < in.rank && spec->in[0].shape.rank > 0; i++) {
    turned.dims[i] = in.dims[spec->primitive.permutation[i]];
    turned.strides[i] = in.strides[spec->primitive.permutation[i]];
  }
  tnr_view_join(&turned, &out);
  return tnr_chain_add_reorder(chain, &turned, &out);
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

static tnr_status add_matmul(tnr_chain *chain, const tnr_program_spec *spec, bool pack) {
  const tnr_primitive *primitive = &spec->primitive;
  if (spec->in[0].shape.rank < 2 || spec->in[1].shape.rank < 2)
    return TNR_EUNSUPPORTED;
  tnr_broadcast batch = tnr_broadcast_of(&spec->in[0].shape, &spec->in[1].shape, 2);
  tnr_view a = matrix_view(0, &spec->in[0], &batch, batch.a_varies, primitive->transpose_a);
  tnr_view b = matrix_view(1, &spec->in[1], &batch, batch.b_varies, primitive->transpose_b);
  tnr_view out = matrix_view(out_buffer(spec), &spec->out[0], &batch, NULL, false);
  if (batch.rank > 0 && !primitive->transpose_a && !varies_somewhere(batch.b_varies, batch.rank)) {
    const int64_t *matrix = &b.dims[b.rank - 2], *strides = &b.strides[b.rank - 2];
    memmove(b.dims, matrix, 2 * sizeof *matrix);
    memmove(b.strides, strides, 2 * sizeof *strides);
    b.rank = 2;
    a = one_matrix(&a);
    out = one_matrix(&out);
  }
  return tnr_chain_add_matmul(chain, &a, &b, &out, pack);
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

static tnr_status add_convolution(tnr_chain *chain, const tnr_program_spec *spec) {
  tnr_window window = window_of(&spec->primitive, &spec->in[1].shape.dims[2]);
  tnr_view in = view_of_input(spec, 0), weights = view_of_input(spec, 1);
  tnr_view out = view_of_output(spec), bias;
  int64_t groups = spec->primitive.groups;
  if (groups > 1) {
    const int64_t dims[5] = {groups, weights.dims[0] / groups, weights.dims[1], weights.dims[2],
                             weights.dims[3]};
    weights = tnr_view_dense(1, weights.dtype, 5, dims);
  }
  if (spec->in_count > 2)
    bias = view_of_input(spec, 2);
  return tnr_chain_add_convolution(chain, &in, &weights, spec->in_count > 2 ? &bias : NULL, &out,
                                   &window);
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

static tnr_status add_max_pool(tnr_chain *chain, const tnr_program_spec *spec) {
  tnr_window window = window_of(&spec->primitive, spec->primitive.kernel);
  if (!every_window_meets_the_image(&window))
    return TNR_EUNSUPPORTED;
  tnr_view in = planes(0, &spec->in[0]), out = planes(out_buffer(spec), &spec->out[0]);
  return tnr_chain_add_max_pool(chain, &in, &out, &window);
}

static tnr_status add_primitive(tnr_chain *chain, const tnr_program_spec *spec, bool pack_weights) {
  switch (spec->primitive.kind) {
  case TNR_PRIMITIVE_MATMUL:
    return add_matmul(chain, spec, pack_weights);
  case TNR_PRIMITIVE_ADD:
  case TNR_PRIMITIVE_SUB:
  case TNR_PRIMITIVE_MUL:
  case TNR_PRIMITIVE_DIV:
    return add_binary(chain, spec);
  case TNR_PRIMITIVE_RELU:
    return add_relu(chain, spec);
  case TNR_PRIMITIVE_SOFTMAX:
    return add_softmax(chain, spec);
  case TNR_PRIMITIVE_CONV2D:
    return add_convolution(chain, spec);
  case TNR_PRIMITIVE_MAX_POOL2D:
    return add_max_pool(chain, spec);
  case TNR_PRIMITIVE_CAST:
    return add_cast(chain, spec);
  case TNR_PRIMITIVE_TRANSPOSE:
    return add_transpose(chain, spec);
  case TNR_PRIMITIVE_NONE:
    break;
  }
  return TNR_EUNSUPPORTED;
}

static bool suits(const tnr_desc *desc) {
  return (desc->dtype == TNR_F32 || desc->dtype == TNR_BF16) &&
         tnr_shape_elements(&desc->shape) > 0;
}

/* Of empty tensors oneDNN accepts some and refuses others; plain kernels do them all. */
static bool all_suit(const tnr_program_spec *spec) {
  for (int i = 0; i < spec->in_count; i++)
    if (!suits(&spec->in[i]))
      return false;
  for (int i = 0; i < spec->out_count; i++)
    if (!suits(&spec->out[i]))
      return false;
  return spec->in_count > 0 && spec->out_count == 1;
}

unsigned tnr_cpu_kind_of(const tnr_program_spec *spec) {
  unsigned dtypes = 2u * (spec->in[0].dtype == TNR_BF16) + (spec->out[0].dtype == TNR_BF16);
  _Static_assert(4 * TNR_PRIMITIVE_TRANSPOSE + 3 < TNR_EXIT_GATE_KINDS, "a kind each");
  return 4u * (unsigned)spec->primitive.kind + dtypes;
}

static tnr_status chain_of(tnr_onednn *onednn, const tnr_program_spec *spec, bool pack_weights,
                           tnr_chain **out) {
  tnr_chain *chain;
  tnr_status status = tnr_chain_create(onednn, spec->in_count, spec->out_count, &chain);
  if (status != TNR_OK)
    return status;
  status = add_primitive(chain, spec, pack_weights);
  if (status == TNR_OK)
    status = tnr_chain_finish(chain);
  if (status != TNR_OK) {
    tnr_chain_destroy(chain);
    return status;
  }
  *out = chain;
  return TNR_OK;
}

tnr_status tnr_cpu_chain_of(tnr_onednn *onednn, const tnr_program_spec *spec, bool pack_weights,
                            tnr_chain **out) {
  if (spec->primitive.kind == TNR_PRIMITIVE_NONE || !all_suit(spec) || !tnr_exit_gate_enter())
    return TNR_EUNSUPPORTED;
  tnr_status status = chain_of(onednn, spec, pack_weights, out);
  tnr_exit_gate_did(pack_weights ? TNR_EXIT_GATE_MAKE_PACKED : TNR_EXIT_GATE_MAKE,
                    tnr_cpu_kind_of(spec));
  tnr_exit_gate_leave();
  return status;
}
