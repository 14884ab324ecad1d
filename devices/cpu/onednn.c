#include "chain.h"

#include <stdlib.h>
#include <string.h>

#include "exit_gate.h"

enum { STRIDED = -1 }; /* beside oneDNN's format tags: the layout of the view itself */

tnr_status tnr_onednn_status(dnnl_status_t status) {
  if (status == dnnl_success)
    return TNR_OK;
  return status == dnnl_out_of_memory ? TNR_ENOMEM : TNR_EUNSUPPORTED;
}

/* Strict, so that the environment can not make f32 programs compute in bf16. */
static dnnl_status_t create_attr(dnnl_primitive_attr_t *out) {
  dnnl_status_t status = dnnl_primitive_attr_create(out);
  if (status == dnnl_success)
    status = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
  if (status == dnnl_success)
    status = dnnl_primitive_attr_set_fpmath_mode(*out, dnnl_fpmath_mode_strict);
  return status;
}

static tnr_status create_engine(tnr_onednn **out, tnr_fault *fault) {
  tnr_onednn *onednn = calloc(1, sizeof *onednn);
  if (onednn == NULL)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory");
  atomic_init(&onednn->references, 1);
  dnnl_status_t status = dnnl_engine_create(&onednn->engine, dnnl_cpu, 0);
  if (status == dnnl_success)
    status = create_attr(&onednn->attr);
  if (status != dnnl_success) {
    tnr_onednn_release(onednn);
    return tnr_fail(fault, TNR_ESYSTEM, "oneDNN gives no CPU engine (dnnl_status_t %d)",
                    (int)status);
  }
  *out = onednn;
  return TNR_OK;
}

tnr_status tnr_onednn_create(tnr_onednn **out, tnr_fault *fault) {
  if (!tnr_exit_gate_enter())
    return tnr_fail(fault, TNR_ESYSTEM, "the process ends, and oneDNN with it");
  tnr_status status = create_engine(out, fault);
  tnr_exit_gate_did(TNR_EXIT_GATE_MAKE, TNR_EXIT_GATE_KINDS - 1);
  tnr_exit_gate_leave();
  return status;
}

tnr_onednn *tnr_onednn_retain(tnr_onednn *onednn) {
  atomic_fetch_add_explicit(&onednn->references, 1, memory_order_relaxed);
  return onednn;
}

void tnr_onednn_release(tnr_onednn *onednn) {
  /* Acquire and release: whoever frees sees what the other holders did. */
  if (atomic_fetch_sub_explicit(&onednn->references, 1, memory_order_acq_rel) > 1)
    return;
  dnnl_primitive_attr_destroy(onednn->attr);
  dnnl_engine_destroy(onednn->engine);
  free(onednn);
}

static dnnl_data_type_t data_type(tnr_dtype dtype) {
  if (dtype == TNR_F32)
    return dnnl_f32;
  return dtype == TNR_BF16 ? dnnl_bf16 : dnnl_data_type_undef;
}

/* oneDNN's functions take arrays of its own length. */
static void widen(const int64_t *from, int count, dnnl_dims_t out) {
  memcpy(out, from, (size_t)count * sizeof *from);
}

/* Fails on dtypes that oneDNN lacks. */
static bool layout_of(const tnr_view *view, int tag, dnnl_memory_desc_t *out) {
  dnnl_data_type_t type = data_type(view->dtype);
  dnnl_dims_t dims, strides;
  if (type == dnnl_data_type_undef)
    return false;
  widen(view->dims, view->rank, dims);
  widen(view->strides, view->rank, strides);
  dnnl_status_t status =
      tag == STRIDED
          ? dnnl_memory_desc_init_by_strides(out, view->rank, dims, type, strides)
          : dnnl_memory_desc_init_by_tag(out, view->rank, dims, type, (dnnl_format_tag_t)tag);
  return status == dnnl_success;
}

/* A window as oneDNN has it: its dilation counts the elements that are left out. */
typedef struct wide_window {
  dnnl_dims_t kernel, stride, dilation, before, after;
} wide_window;

static wide_window widen_window(const tnr_window *window) {
  wide_window wide = {.dilation = {window->dilation[0] - 1, window->dilation[1] - 1}};
  widen(window->kernel, 2, wide.kernel);
  widen(window->stride, 2, wide.stride);
  widen(window->pad_before, 2, wide.before);
  widen(window->pad_after, 2, wide.after);
  return wide;
}

static bool is_reference(const_dnnl_primitive_desc_t primitive) {
  const char *name = "";
  dnnl_primitive_desc_query(primitive, dnnl_query_impl_info_str, 0, &name);
  return strncmp(name, "ref", 3) == 0;
}

static tnr_status describe(const tnr_chain *chain, const void *op, dnnl_primitive_desc_t *out) {
  dnnl_status_t status =
      dnnl_primitive_desc_create(out, op, chain->onednn->attr, chain->onednn->engine, NULL);
  if (status != dnnl_success)
    return tnr_onednn_status(status);
  /* oneDNN's reference code takes some 80 ns for an element: our plain kernels are faster. */
  if (is_reference(*out)) {
    dnnl_primitive_desc_destroy(*out);
    return TNR_EUNSUPPORTED;
  }
  return TNR_OK;
}

static tnr_status fill_step(tnr_chain *chain, const_dnnl_primitive_desc_t primitive,
                            const dnnl_exec_arg_t *args, int count) {
  for (int i = 0; i < count; i++)
    if (args[i].memory == NULL)
      return TNR_ENOMEM;
  tnr_chain_step *step = tnr_chain_step_add(chain);
  if (step == NULL)
    return TNR_EUNSUPPORTED;
  memcpy(step->args, args, (size_t)count * sizeof *args);
  step->arg_count = count;
  const dnnl_memory_desc_t *scratch =
      dnnl_primitive_desc_query_md(primitive, dnnl_query_scratchpad_md, 0);
  size_t bytes = scratch == NULL ? 0 : dnnl_memory_desc_get_size(scratch);
  if (bytes > 0) {
    dnnl_memory_t memory = tnr_chain_memory_of(chain, scratch, tnr_chain_reserve(chain, bytes));
    if (memory == NULL)
      return TNR_ENOMEM;
    step->args[step->arg_count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, memory};
  }
  return tnr_onednn_status(dnnl_primitive_create(&step->primitive, primitive));
}

/* Takes `primitive` over. */
static tnr_status add_step(tnr_chain *chain, dnnl_primitive_desc_t primitive,
                           const dnnl_exec_arg_t *args, int count) {
  tnr_status status = fill_step(chain, primitive, args, count);
  dnnl_primitive_desc_destroy(primitive);
  return status;
}

static tnr_status add_layout_change(tnr_chain *chain, dnnl_memory_t from, dnnl_memory_t to) {
  const dnnl_memory_desc_t *from_layout, *to_layout;
  dnnl_engine_t engine = chain->onednn->engine;
  dnnl_primitive_desc_t primitive;
  if (from == NULL || to == NULL)
    return TNR_ENOMEM;
  dnnl_memory_get_memory_desc(from, &from_layout);
  dnnl_memory_get_memory_desc(to, &to_layout);
  dnnl_status_t status = dnnl_reorder_primitive_desc_create(&primitive, from_layout, engine,
                                                            to_layout, engine, chain->onednn->attr);
  if (status != dnnl_success)
    return tnr_onednn_status(status);
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
  return add_step(chain, primitive, args, 2);
}

static dnnl_memory_t memory_of_view(tnr_chain *chain, const tnr_view *view) {
  dnnl_memory_desc_t layout;
  return layout_of(view, STRIDED, &layout) ? tnr_chain_memory_of(chain, &layout, view->buffer)
                                           : NULL;
}

static dnnl_memory_t temporary_of(tnr_chain *chain, const dnnl_memory_desc_t *layout) {
  return tnr_chain_memory_of(chain, layout,
                             tnr_chain_reserve(chain, dnnl_memory_desc_get_size(layout)));
}

static bool view_has_layout(const tnr_view *view, const dnnl_memory_desc_t *wanted) {
  dnnl_memory_desc_t own;
  return layout_of(view, STRIDED, &own) && dnnl_memory_desc_equal(&own, wanted);
}

/* The source operand in the layout that a primitive wants, brought there by a step of its own when
 * it is in another. */
static tnr_status source_in(tnr_chain *chain, const tnr_view *view,
                            const dnnl_memory_desc_t *wanted, dnnl_memory_t *out) {
  dnnl_memory_t own = memory_of_view(chain, view);
  *out = own;
  if (view_has_layout(view, wanted))
    return TNR_OK;
  *out = temporary_of(chain, wanted);
  return add_layout_change(chain, own, *out);
}

/* The same for weights, whose changed layout can be kept. They go to the next step's args[1]. */
static tnr_status weights_in(tnr_chain *chain, const tnr_view *view,
                             const dnnl_memory_desc_t *wanted, dnnl_memory_t *out) {
  int steps = chain->step_count;
  tnr_status status = source_in(chain, view, wanted, out);
  if (status == TNR_OK && chain->step_count > steps && view->buffer < chain->in_count)
    chain->packing = (tnr_chain_packing){.input = view->buffer,
                                         .step = steps,
                                         .user_step = chain->step_count,
                                         .user_arg = 1,
                                         .on_each_run = *out};
  return status;
}

tnr_status tnr_chain_add_reorder(tnr_chain *chain, const tnr_view *from, const tnr_view *to) {
  dnnl_memory_desc_t layout;
  if (!layout_of(from, STRIDED, &layout) || !layout_of(to, STRIDED, &layout))
    return TNR_EUNSUPPORTED;
  return add_layout_change(chain, memory_of_view(chain, from), memory_of_view(chain, to));
}

static dnnl_alg_kind_t binary_algorithm(tnr_primitive_kind kind) {
  switch (kind) {
  case TNR_PRIMITIVE_ADD:
    return dnnl_binary_add;
  case TNR_PRIMITIVE_SUB:
    return dnnl_binary_sub;
  case TNR_PRIMITIVE_MUL:
    return dnnl_binary_mul;
  default:
    return dnnl_binary_div;
  }
}

tnr_status tnr_chain_add_binary(tnr_chain *chain, tnr_primitive_kind kind, const tnr_view *a,
                                const tnr_view *b, const tnr_view *out) {
  dnnl_memory_desc_t layouts[3];
  dnnl_binary_desc_t op;
  dnnl_primitive_desc_t primitive;
  if (!layout_of(a, STRIDED, &layouts[0]) || !layout_of(b, STRIDED, &layouts[1]) ||
      !layout_of(out, STRIDED, &layouts[2]))
    return TNR_EUNSUPPORTED;
  dnnl_status_t status =
      dnnl_binary_desc_init(&op, binary_algorithm(kind), &layouts[0], &layouts[1], &layouts[2]);
  if (status != dnnl_success)
    return tnr_onednn_status(status);
  tnr_status described = describe(chain, &op, &primitive);
  if (described != TNR_OK)
    return described;
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC_0, memory_of_view(chain, a)},
                                  {DNNL_ARG_SRC_1, memory_of_view(chain, b)},
                                  {DNNL_ARG_DST, memory_of_view(chain, out)}};
  return add_step(chain, primitive, args, 3);
}

/* For primitives with one source and one result, both in their own layouts. */
static tnr_status add_unary(tnr_chain *chain, const void *op, const tnr_view *in,
                            const tnr_view *out) {
  dnnl_primitive_desc_t primitive;
  tnr_status described = describe(chain, op, &primitive);
  if (described != TNR_OK)
    return described;
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, memory_of_view(chain, in)},
                                  {DNNL_ARG_DST, memory_of_view(chain, out)}};
  return add_step(chain, primitive, args, 2);
}

tnr_status tnr_chain_add_relu(tnr_chain *chain, const tnr_view *in, const tnr_view *out) {
  dnnl_memory_desc_t layout;
  dnnl_eltwise_desc_t op;
  if (in->dtype != out->dtype || !layout_of(in, STRIDED, &layout))
    return TNR_EUNSUPPORTED;
  dnnl_status_t status = dnnl_eltwise_forward_desc_init(&op, dnnl_forward_inference,
                                                        dnnl_eltwise_relu, &layout, 0.0F, 0.0F);
  return status == dnnl_success ? add_unary(chain, &op, in, out) : tnr_onednn_status(status);
}

tnr_status tnr_chain_add_softmax(tnr_chain *chain, const tnr_view *in, const tnr_view *out,
                                 int axis) {
  dnnl_memory_desc_t layout;
  dnnl_softmax_desc_t op;
  if (in->dtype != out->dtype || !layout_of(in, STRIDED, &layout))
    return TNR_EUNSUPPORTED;
  dnnl_status_t status = dnnl_softmax_forward_desc_init(&op, dnnl_forward_inference, &layout, axis);
  return status == dnnl_success ? add_unary(chain, &op, in, out) : tnr_onednn_status(status);
}

tnr_status tnr_chain_add_max_pool(tnr_chain *chain, const tnr_view *in, const tnr_view *out,
                                  const tnr_window *window) {
  dnnl_memory_desc_t source, result;
  dnnl_pooling_v2_desc_t op;
  if (!layout_of(in, STRIDED, &source) || !layout_of(out, STRIDED, &result))
    return TNR_EUNSUPPORTED;
  wide_window wide = widen_window(window);
  dnnl_status_t status = dnnl_pooling_v2_forward_desc_init(
      &op, dnnl_forward_inference, dnnl_pooling_max, &source, &result, wide.stride, wide.kernel,
      wide.dilation, wide.before, wide.after);
  return status == dnnl_success ? add_unary(chain, &op, in, out) : tnr_onednn_status(status);
}

static tnr_status add_described_matmul(tnr_chain *chain, dnnl_primitive_desc_t primitive,
                                       const tnr_view *a, const tnr_view *b, const tnr_view *out) {
  dnnl_memory_t weights;
  tnr_status status = weights_in(
      chain, b, dnnl_primitive_desc_query_md(primitive, dnnl_query_weights_md, 0), &weights);
  if (status != TNR_OK) {
    dnnl_primitive_desc_destroy(primitive);
    return status;
  }
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, memory_of_view(chain, a)},
                                  {DNNL_ARG_WEIGHTS, weights},
                                  {DNNL_ARG_DST, memory_of_view(chain, out)}};
  return add_step(chain, primitive, args, 3);
}

tnr_status tnr_chain_add_matmul(tnr_chain *chain, const tnr_view *a, const tnr_view *b,
                                const tnr_view *out, bool pack) {
  dnnl_memory_desc_t source, weights, result;
  dnnl_matmul_desc_t op;
  dnnl_primitive_desc_t primitive;
  if (!layout_of(a, STRIDED, &source) || !layout_of(out, STRIDED, &result) ||
      !layout_of(b, pack ? (int)dnnl_format_tag_any : STRIDED, &weights))
    return TNR_EUNSUPPORTED;
  dnnl_status_t status = dnnl_matmul_desc_init(&op, &source, &weights, NULL, &result);
  if (status != dnnl_success)
    return tnr_onednn_status(status);
  tnr_status described = describe(chain, &op, &primitive);
  return described == TNR_OK ? add_described_matmul(chain, primitive, a, b, out) : described;
}

/* The layouts that a convolution is asked to use: format tags, or STRIDED. */
typedef struct convolution_layouts {
  int in, out;
} convolution_layouts;

typedef struct convolution {
  const tnr_view *in, *weights, *bias, *out;
  const tnr_window *window;
} convolution;

static int64_t channel_block(void) {
  dnnl_cpu_isa_t wide = dnnl_cpu_isa_avx512_core;
  return (dnnl_get_effective_cpu_isa() & wide) == wide ? 16 : 8;
}

/* Left to itself oneDNN takes channels last for f32, which is as fast itself; but bringing the
 * result back takes up to four times as long as from channels in blocks. Images of up to three
 * channels need not be brought into blocks at all. In bf16 channels last is far ahead. */
static bool blocked_layouts(const convolution *op, convolution_layouts *out) {
  int64_t block = channel_block(), in_channels = op->in->dims[1];
  bool few_channels = in_channels <= 3 && op->weights->rank == 4;
  if (op->in->dtype != TNR_F32 || op->out->dims[1] % block != 0)
    return false;
  if (in_channels % block != 0 && !few_channels)
    return false;
  out->out = block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
  out->in = few_channels ? STRIDED : out->out;
  return true;
}

static tnr_status describe_convolution(const tnr_chain *chain, const convolution *op,
                                       convolution_layouts layouts, dnnl_primitive_desc_t *out) {
  dnnl_memory_desc_t in, weights, bias, result;
  dnnl_convolution_desc_t desc;
  wide_window window = widen_window(op->window);
  if (!layout_of(op->in, layouts.in, &in) || !layout_of(op->out, layouts.out, &result) ||
      !layout_of(op->weights, dnnl_format_tag_any, &weights) ||
      (op->bias != NULL && !layout_of(op->bias, STRIDED, &bias)))
    return TNR_EUNSUPPORTED;
  dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
      &desc, dnnl_forward_inference, dnnl_convolution_direct, &in, &weights,
      op->bias != NULL ? &bias : NULL, &result, window.stride, window.dilation, window.before,
      window.after);
  return status == dnnl_success ? describe(chain, &desc, out) : tnr_onednn_status(status);
}

static bool is_jit(const_dnnl_primitive_desc_t primitive) {
  const char *name = "";
  dnnl_primitive_desc_query(primitive, dnnl_query_impl_info_str, 0, &name);
  return strncmp(name, "jit", 3) == 0;
}

static tnr_status choose_convolution(const tnr_chain *chain, const convolution *op,
                                     dnnl_primitive_desc_t *out) {
  convolution_layouts layouts;
  if (blocked_layouts(op, &layouts) && describe_convolution(chain, op, layouts, out) == TNR_OK) {
    if (is_jit(*out))
      return TNR_OK;
    dnnl_primitive_desc_destroy(*out);
  }
  layouts = (convolution_layouts){dnnl_format_tag_any, dnnl_format_tag_any};
  return describe_convolution(chain, op, layouts, out);
}

static tnr_status add_convolution_operands(tnr_chain *chain, const convolution *op,
                                           const_dnnl_primitive_desc_t primitive,
                                           dnnl_exec_arg_t *args) {
  args[0].arg = DNNL_ARG_SRC;
  args[1].arg = DNNL_ARG_WEIGHTS;
  tnr_status status =
      source_in(chain, op->in, dnnl_primitive_desc_query_md(primitive, dnnl_query_src_md, 0),
                &args[0].memory);
  if (status != TNR_OK)
    return status;
  return weights_in(chain, op->weights,
                    dnnl_primitive_desc_query_md(primitive, dnnl_query_weights_md, 0),
                    &args[1].memory);
}

static tnr_status add_described_convolution(tnr_chain *chain, const convolution *op,
                                            dnnl_primitive_desc_t primitive) {
  dnnl_exec_arg_t args[4];
  int count = 3;
  tnr_status status = add_convolution_operands(chain, op, primitive, args);
  if (status != TNR_OK) {
    dnnl_primitive_desc_destroy(primitive);
    return status;
  }
  const dnnl_memory_desc_t *wanted = dnnl_primitive_desc_query_md(primitive, dnnl_query_dst_md, 0);
  dnnl_memory_t plain = memory_of_view(chain, op->out), result = plain;
  if (!view_has_layout(op->out, wanted))
    result = temporary_of(chain, wanted);
  args[2] = (dnnl_exec_arg_t){DNNL_ARG_DST, result};
  if (op->bias != NULL)
    args[count++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, memory_of_view(chain, op->bias)};
  status = add_step(chain, primitive, args, count);
  if (status == TNR_OK && result != plain)
    status = add_layout_change(chain, result, plain);
  return status;
}

tnr_status tnr_chain_add_convolution(tnr_chain *chain, const tnr_view *in, const tnr_view *weights,
                                     const tnr_view *bias, const tnr_view *out,
                                     const tnr_window *window) {
  const convolution op = {in, weights, bias, out, window};
  dnnl_primitive_desc_t primitive;
  tnr_status status = choose_convolution(chain, &op, &primitive);
  return status == TNR_OK ? add_described_convolution(chain, &op, primitive) : status;
}
