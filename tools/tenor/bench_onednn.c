#include "bench_onednn.h"

#include "bench.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 64, MEMORIES = 512, ARGS = 5 };

struct call {
  dnnl_primitive_t primitive;
  int count;
  dnnl_exec_arg_t args[ARGS];
};

struct direct {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_attr_t attr, relu_attr;
  dnnl_data_type_t type;
  int call_count, memory_count;
  struct call calls[CALLS];
  dnnl_memory_t memories[MEMORIES];
  dnnl_memory_t input, last; /* `last`: what the layers so far give */
  int rank;                  /* of `last` */
  dnnl_dims_t dims;
};

static void check(dnnl_status_t status, const char *what) {
  if (status != dnnl_success)
    bench_die("oneDNN: %s failed with status %d", what, (int)status);
}

/* oneDNN's functions take arrays of its own length. */
static void widen(const int64_t *from, int count, dnnl_dims_t out) {
  memcpy(out, from, (size_t)count * sizeof *from);
}

/* --- memory ----------------------------------------------------------------------------------- */

static dnnl_memory_t keep_memory(struct direct *direct, const dnnl_memory_desc_t *layout,
                                 void *data) {
  if (direct->memory_count == MEMORIES)
    bench_die("too many layers");
  dnnl_memory_t *memory = &direct->memories[direct->memory_count];
  check(dnnl_memory_create(memory, layout, direct->engine, data), "making memory");
  direct->memory_count++;
  return *memory;
}

static dnnl_memory_t new_memory(struct direct *direct, const dnnl_memory_desc_t *layout) {
  return keep_memory(direct, layout, DNNL_MEMORY_ALLOCATE);
}

static void *data_of(dnnl_memory_t memory) {
  void *data = NULL;
  check(dnnl_memory_get_data_handle(memory, &data), "finding memory");
  return data;
}

static const dnnl_memory_desc_t *layout_of(dnnl_memory_t memory) {
  const dnnl_memory_desc_t *layout = NULL;
  check(dnnl_memory_get_memory_desc(memory, &layout), "finding a layout");
  return layout;
}

static dnnl_memory_desc_t described(const struct direct *direct, int rank, const int64_t *dims,
                                    dnnl_format_tag_t tag) {
  dnnl_memory_desc_t layout;
  dnnl_dims_t wide;
  widen(dims, rank, wide);
  check(dnnl_memory_desc_init_by_tag(&layout, rank, wide, direct->type, tag), "a layout");
  return layout;
}

static dnnl_memory_desc_t dense(const struct direct *direct, int rank, const int64_t *dims) {
  static const dnnl_format_tag_t tags[] = {0, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd};
  return described(direct, rank, dims, tags[rank]);
}

static dnnl_memory_t dense_copy(struct direct *direct, int rank, const int64_t *dims,
                                const void *data) {
  dnnl_memory_desc_t layout = dense(direct, rank, dims);
  dnnl_memory_t memory = new_memory(direct, &layout);
  memcpy(data_of(memory), data, dnnl_memory_desc_get_size(&layout));
  return memory;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void init_call(struct direct *direct, struct call *call, dnnl_primitive_desc_t primitive,
                      const dnnl_exec_arg_t *args, int count) {
  memcpy(call->args, args, (size_t)count * sizeof *args);
  call->count = count;
  const dnnl_memory_desc_t *scratch =
      dnnl_primitive_desc_query_md(primitive, dnnl_query_scratchpad_md, 0);
  if (scratch != NULL && dnnl_memory_desc_get_size(scratch) > 0)
    call->args[call->count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, new_memory(direct, scratch)};
  check(dnnl_primitive_create(&call->primitive, primitive), "making a primitive");
  dnnl_primitive_desc_destroy(primitive);
}

static void execute(const struct direct *direct, const struct call *call) {
  check(dnnl_primitive_execute(call->primitive, direct->stream, call->count, call->args),
        "running a layer");
}

/* Takes `primitive` over. */
static void add_call(struct direct *direct, dnnl_primitive_desc_t primitive,
                     const dnnl_exec_arg_t *args, int count) {
  if (direct->call_count == CALLS)
    bench_die("too many layers");
  init_call(direct, &direct->calls[direct->call_count++], primitive, args, count);
}

static dnnl_primitive_desc_t describe_with(const struct direct *direct, const void *op, bool relu) {
  dnnl_primitive_desc_t primitive;
  check(dnnl_primitive_desc_create(&primitive, op, relu ? direct->relu_attr : direct->attr,
                                   direct->engine, NULL),
        "describing a layer");
  return primitive;
}

static dnnl_primitive_desc_t describe(const struct direct *direct, const void *op) {
  return describe_with(direct, op, false);
}

static dnnl_primitive_desc_t describe_reorder(const struct direct *direct, dnnl_memory_t from,
                                              dnnl_memory_t to) {
  dnnl_primitive_desc_t primitive;
  check(dnnl_reorder_primitive_desc_create(&primitive, layout_of(from), direct->engine,
                                           layout_of(to), direct->engine, direct->attr),
        "describing a reorder");
  return primitive;
}

static void add_reorder(struct direct *direct, dnnl_memory_t from, dnnl_memory_t to) {
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
  add_call(direct, describe_reorder(direct, from, to), args, 2);
}

/* `from` in the layout that a primitive wants, on every run. */
static dnnl_memory_t in_layout(struct direct *direct, dnnl_memory_t from,
                               const dnnl_memory_desc_t *wanted) {
  if (dnnl_memory_desc_equal(layout_of(from), wanted))
    return from;
  dnnl_memory_t to = new_memory(direct, wanted);
  add_reorder(direct, from, to);
  return to;
}

/* The same, once and for all. */
static dnnl_memory_t packed(struct direct *direct, dnnl_memory_t from,
                            const dnnl_memory_desc_t *wanted) {
  if (dnnl_memory_desc_equal(layout_of(from), wanted))
    return from;
  dnnl_memory_t to = new_memory(direct, wanted);
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
  struct call call;
  init_call(direct, &call, describe_reorder(direct, from, to), args, 2);
  execute(direct, &call);
  dnnl_primitive_destroy(call.primitive);
  return to;
}

static const dnnl_memory_desc_t *wanted_by(const_dnnl_primitive_desc_t primitive,
                                           dnnl_query_t what) {
  return dnnl_primitive_desc_query_md(primitive, what, 0);
}

/* `last` becomes a new tensor in that layout. */
static dnnl_memory_t new_last(struct direct *direct, const dnnl_memory_desc_t *layout) {
  memcpy(direct->dims, layout->dims, (size_t)layout->ndims * sizeof *layout->dims);
  direct->rank = layout->ndims;
  direct->last = new_memory(direct, layout);
  return direct->last;
}

static dnnl_memory_t new_dense_last(struct direct *direct, int rank, const int64_t *dims) {
  dnnl_memory_desc_t layout = dense(direct, rank, dims);
  return new_last(direct, &layout);
}

/* --- layers ----------------------------------------------------------------------------------- */

struct wide_window {
  dnnl_dims_t kernel, stride, before, after;
};

static struct wide_window widen_window(const struct direct_window *window) {
  struct wide_window wide;
  widen(window->kernel, 2, wide.kernel);
  widen(window->stride, 2, wide.stride);
  widen(window->pad_before, 2, wide.before);
  widen(window->pad_after, 2, wide.after);
  return wide;
}

static void window_result(const struct direct *direct, int64_t channels,
                          const struct direct_window *window, int64_t out[4]) {
  out[0] = direct->dims[0];
  out[1] = channels;
  for (int i = 0; i < 2; i++)
    out[2 + i] =
        (direct->dims[2 + i] + window->pad_before[i] + window->pad_after[i] - window->kernel[i]) /
            window->stride[i] +
        1;
}

/* Left to itself oneDNN takes channels last for f32, which is slower here than channels in blocks;
 * images of few channels need not be brought into blocks. */
static dnnl_format_tag_t image_tag(const struct direct *direct, int64_t channels, bool source) {
  if (source && channels <= 3)
    return dnnl_nchw;
  bool wide = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
  if (direct->type != dnnl_f32 || !wide || channels % 16 != 0)
    return dnnl_format_tag_any;
  return dnnl_nChw16c;
}

static dnnl_primitive_desc_t describe_convolution(const struct direct *direct,
                                                  const struct direct_convolution *layer,
                                                  const int64_t *result) {
  dnnl_memory_desc_t source, weights, bias, target;
  dnnl_convolution_desc_t op;
  struct wide_window wide = widen_window(&layer->window);
  source = described(direct, 4, direct->dims, image_tag(direct, direct->dims[1], true));
  target = described(direct, 4, result, image_tag(direct, result[1], false));
  weights = described(direct, 4, layer->shape.dims, dnnl_format_tag_any);
  bias = dense(direct, 1, layer->shape.dims);
  check(dnnl_convolution_forward_desc_init(&op, dnnl_forward_inference, dnnl_convolution_direct,
                                           &source, &weights, &bias, &target, wide.stride,
                                           wide.before, wide.after),
        "a convolution");
  return describe_with(direct, &op, layer->relu);
}

void direct_add_convolution(struct direct *direct, const struct direct_convolution *layer) {
  int64_t result[4];
  const int64_t *dims = layer->shape.dims;
  window_result(direct, dims[0], &layer->window, result);
  dnnl_primitive_desc_t primitive = describe_convolution(direct, layer, result);
  dnnl_memory_t source = in_layout(direct, direct->last, wanted_by(primitive, dnnl_query_src_md));
  dnnl_memory_t kept = packed(direct, dense_copy(direct, 4, dims, layer->weights),
                              wanted_by(primitive, dnnl_query_weights_md));
  const dnnl_exec_arg_t args[] = {
      {DNNL_ARG_SRC, source},
      {DNNL_ARG_WEIGHTS, kept},
      {DNNL_ARG_BIAS, dense_copy(direct, 1, dims, layer->bias)},
      {DNNL_ARG_DST, new_last(direct, wanted_by(primitive, dnnl_query_dst_md))}};
  add_call(direct, primitive, args, 4);
}

void direct_add_max_pool(struct direct *direct, const struct direct_window *window) {
  int64_t result[4];
  dnnl_pooling_desc_t op;
  struct wide_window wide = widen_window(window);
  window_result(direct, direct->dims[1], window, result);
  dnnl_memory_t source = direct->last;
  dnnl_memory_desc_t any = described(direct, 4, result, dnnl_format_tag_any);
  check(dnnl_pooling_forward_desc_init(&op, dnnl_forward_inference, dnnl_pooling_max,
                                       layout_of(source), &any, wide.stride, wide.kernel,
                                       wide.before, wide.after),
        "a pooling");
  dnnl_primitive_desc_t primitive = describe(direct, &op);
  const dnnl_exec_arg_t args[] = {
      {DNNL_ARG_SRC, source},
      {DNNL_ARG_DST, new_last(direct, wanted_by(primitive, dnnl_query_dst_md))}};
  add_call(direct, primitive, args, 2);
}

void direct_add_relu(struct direct *direct) {
  dnnl_eltwise_desc_t op;
  check(dnnl_eltwise_forward_desc_init(&op, dnnl_forward_inference, dnnl_eltwise_relu,
                                       layout_of(direct->last), 0, 0),
        "a relu");
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, direct->last}, {DNNL_ARG_DST, direct->last}};
  add_call(direct, describe(direct, &op), args, 2);
}

void direct_add_dense(struct direct *direct) {
  dnnl_memory_desc_t layout = dense(direct, direct->rank, direct->dims);
  direct->last = in_layout(direct, direct->last, &layout);
}

void direct_add_flatten(struct direct *direct) {
  direct_add_dense(direct);
  int64_t flat[2] = {direct->dims[0], 1};
  for (int i = 1; i < direct->rank; i++)
    flat[1] *= direct->dims[i];
  dnnl_memory_desc_t layout = dense(direct, 2, flat);
  direct->last = keep_memory(direct, &layout, data_of(direct->last));
  direct->rank = 2;
  memcpy(direct->dims, flat, sizeof flat);
}

static dnnl_memory_t given_weights(struct direct *direct, const void *weights, const int64_t *dims,
                                   bool transposed) {
  dnnl_memory_desc_t layout = described(direct, 2, dims, transposed ? dnnl_ba : dnnl_ab);
  dnnl_memory_t memory = new_memory(direct, &layout);
  memcpy(data_of(memory), weights, dnnl_memory_desc_get_size(&layout));
  return memory;
}

void direct_add_linear(struct direct *direct, const struct direct_linear *layer) {
  const int64_t weight_dims[2] = {direct->dims[1], layer->n}, bias_dims[2] = {1, layer->n};
  const int64_t result[2] = {direct->dims[0], layer->n};
  dnnl_memory_t source = direct->last, out = new_dense_last(direct, 2, result);
  dnnl_memory_desc_t any = described(direct, 2, weight_dims, dnnl_format_tag_any);
  dnnl_memory_desc_t bias = dense(direct, 2, bias_dims);
  dnnl_matmul_desc_t op;
  check(dnnl_matmul_desc_init(&op, layout_of(source), &any, layer->bias != NULL ? &bias : NULL,
                              layout_of(out)),
        "a matrix product");
  dnnl_primitive_desc_t primitive = describe_with(direct, &op, layer->relu);
  dnnl_memory_t given = given_weights(direct, layer->weights, weight_dims, layer->transposed);
  dnnl_exec_arg_t args[4] = {
      {DNNL_ARG_SRC, source},
      {DNNL_ARG_WEIGHTS, packed(direct, given, wanted_by(primitive, dnnl_query_weights_md))},
      {DNNL_ARG_DST, out}};
  if (layer->bias != NULL)
    args[3] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, dense_copy(direct, 2, bias_dims, layer->bias)};
  add_call(direct, primitive, args, layer->bias != NULL ? 4 : 3);
}

static dnnl_primitive_attr_t new_attr(bool relu) {
  dnnl_primitive_attr_t attr;
  dnnl_post_ops_t after;
  check(dnnl_primitive_attr_create(&attr), "making attributes");
  check(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user),
        "choosing scratchpads");
  if (!relu)
    return attr;
  check(dnnl_post_ops_create(&after), "making a post-op");
  check(dnnl_post_ops_append_eltwise(after, 1, dnnl_eltwise_relu, 0, 0), "choosing a post-op");
  check(dnnl_primitive_attr_set_post_ops(attr, after), "setting a post-op");
  dnnl_post_ops_destroy(after);
  return attr;
}

/* --- the sequence ----------------------------------------------------------------------------- */

struct direct *direct_create(tnr_dtype dtype, const tnr_shape *input) {
  struct direct *direct = calloc(1, sizeof *direct);
  if (direct == NULL)
    bench_die("out of memory");
  direct_use_thread();
  direct->type = dtype == TNR_BF16 ? dnnl_bf16 : dnnl_f32;
  check(dnnl_engine_create(&direct->engine, dnnl_cpu, 0), "making an engine");
  check(dnnl_stream_create(&direct->stream, direct->engine, dnnl_stream_default_flags),
        "making a stream");
  direct->attr = new_attr(false);
  direct->relu_attr = new_attr(true);
  direct->input = new_dense_last(direct, (int)input->rank, input->dims);
  return direct;
}

void direct_use_thread(void) {
  omp_set_num_threads(1);
}

void direct_destroy(struct direct *direct) {
  for (int i = 0; i < direct->call_count; i++)
    dnnl_primitive_destroy(direct->calls[i].primitive);
  for (int i = 0; i < direct->memory_count; i++)
    dnnl_memory_destroy(direct->memories[i]);
  dnnl_primitive_attr_destroy(direct->attr);
  dnnl_primitive_attr_destroy(direct->relu_attr);
  dnnl_stream_destroy(direct->stream);
  dnnl_engine_destroy(direct->engine);
  free(direct);
}

void *direct_input(struct direct *direct) {
  return data_of(direct->input);
}

const void *direct_output(const struct direct *direct) {
  return data_of(direct->last);
}

size_t direct_output_bytes(const struct direct *direct) {
  return dnnl_memory_desc_get_size(layout_of(direct->last));
}

void direct_run(struct direct *direct) {
  for (int i = 0; i < direct->call_count; i++)
    execute(direct, &direct->calls[i]);
  check(dnnl_stream_wait(direct->stream), "waiting");
}
