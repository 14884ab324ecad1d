#include <inttypes.h>

#include <tenor/ops.h>

#include "element.h"
#include "signature.h"
#include "window.h"
#include "words.h"

static tnr_window window_of(const void *attrs) {
  const tnr_max_pool2d_attrs *pool = attrs;
  tnr_window window;
  for (int axis = 0; axis < 2; axis++) {
    window.kernel[axis] = pool->kernel[axis];
    window.stride[axis] = pool->stride[axis] == 0 ? pool->kernel[axis] : pool->stride[axis];
    window.dilation[axis] = pool->dilation[axis] == 0 ? 1 : pool->dilation[axis];
    window.pad_before[axis] = pool->pad_before[axis];
    window.pad_after[axis] = pool->pad_after[axis];
  }
  return window;
}

static bool all_padding(const tnr_window *window, int axis, int64_t index, int64_t size) {
  tnr_window_taps taps = tnr_window_taps_at(window, axis, index, size);
  return taps.first == taps.end;
}

/* Only windows that begin before the image, and the last one, can miss it. */
static tnr_status check_padding(const tnr_window *window, int axis, int64_t size,
                                tnr_fault *fault) {
  int64_t last = tnr_window_count(window, axis, size) - 1;
  bool missed = all_padding(window, axis, last, size);
  for (int64_t i = 0; i < last && i * window->stride[axis] < window->pad_before[axis]; i++)
    missed = missed || all_padding(window, axis, i, size);
  if (missed)
    return tnr_fail(fault, TNR_ESHAPE,
                    "a window of %" PRId64 " along dim %d would lie in padding alone",
                    window->kernel[axis], 2 + axis);
  return TNR_OK;
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  tnr_status status = tnr_signature_check(call, 1, TNR_DTYPES_FLOAT, fault);
  if (status != TNR_OK)
    return status;
  const tnr_shape *x = &call->in[0].shape;
  if (x->rank != 4)
    return tnr_fail(fault, TNR_ESHAPE, "x has rank %" PRId64 ", but needs to be [n, c, h, w]",
                    x->rank);
  tnr_window window = window_of(call->attrs);
  status = tnr_window_check(&window, x->dims + 2, fault);
  for (int axis = 0; axis < 2 && status == TNR_OK; axis++)
    status = check_padding(&window, axis, x->dims[2 + axis], fault);
  return status;
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  tnr_window window = window_of(call->attrs);
  tnr_shape shape = call->in[0].shape;
  for (int axis = 0; axis < 2; axis++)
    shape.dims[2 + axis] = tnr_window_count(&window, axis, shape.dims[2 + axis]);
  tnr_op_add_output(outputs, call->in[0].dtype, shape);
  return TNR_OK;
}

/* One channel of one image: element `first` and those behind it. */
typedef struct plane {
  tnr_dtype dtype;
  const void *data;
  int64_t first, width;
  const tnr_window *window;
} plane;

/* NaN counts as greatest. */
static float greatest(const plane *p, tnr_window_taps rows, tnr_window_taps columns) {
  bool found = false;
  float best = 0;
  for (int64_t row = rows.first; row < rows.end; row++) {
    int64_t y = rows.start + row * p->window->dilation[0];
    for (int64_t column = columns.first; column < columns.end; column++) {
      int64_t x = columns.start + column * p->window->dilation[1];
      float value = load_float(p->dtype, p->data, p->first + y * p->width + x);
      if (!found || value > best || value != value)
        best = value;
      found = true;
    }
  }
  return best;
}

static void pool_plane(const plane *p, int64_t height, const tnr_shape *out_shape, void *out,
                       int64_t first) {
  for (int64_t i = 0; i < out_shape->dims[2]; i++) {
    tnr_window_taps rows = tnr_window_taps_at(p->window, 0, i, height);
    for (int64_t j = 0; j < out_shape->dims[3]; j++) {
      tnr_window_taps columns = tnr_window_taps_at(p->window, 1, j, p->width);
      store_float(p->dtype, out, first + i * out_shape->dims[3] + j, greatest(p, rows, columns));
    }
  }
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  const tnr_shape *x = &call->in[0].shape, *out = &call->out[0].shape;
  if (tnr_shape_elements(out) == 0)
    return TNR_OK;
  tnr_window window = window_of(call->attrs);
  plane p = {
      .dtype = call->in[0].dtype, .data = call->in_data[0], .width = x->dims[3], .window = &window};
  for (int64_t i = 0; i < x->dims[0] * x->dims[1]; i++) {
    p.first = i * x->dims[2] * x->dims[3];
    pool_plane(&p, x->dims[2], out, call->out_data[0], i * out->dims[2] * out->dims[3]);
  }
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  tnr_window window = window_of(call->attrs);
  out->kind = TNR_PRIMITIVE_MAX_POOL2D;
  for (int axis = 0; axis < 2; axis++) {
    out->kernel[axis] = window.kernel[axis];
    out->stride[axis] = window.stride[axis];
    out->dilation[axis] = window.dilation[axis];
    out->pad_before[axis] = window.pad_before[axis];
    out->pad_after[axis] = window.pad_after[axis];
  }
}

/* A comparison for each tap of each output element. */
static double flops(const tnr_op_call *call, const tnr_desc *out, int out_count) {
  (void)out_count;
  const tnr_max_pool2d_attrs *attrs = call->attrs;
  return (double)attrs->kernel[0] * (double)attrs->kernel[1] *
         (double)tnr_shape_elements(&out[0].shape);
}

static tnr_status shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                        int out_count, int *out_dims, tnr_fault *fault) {
  (void)call;
  (void)out;
  (void)out_count;
  if (in_dims[0] > 1)
    return tnr_fail(fault, TNR_EDEVICE,
                    "the input is split over devices along dim %d, where windows cross from piece "
                    "to piece: gather it first",
                    in_dims[0]);
  out_dims[0] = in_dims[0];
  return TNR_OK;
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_max_pool2d_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_list(&words, "kernel", attrs->kernel, 2);
  tnr_words_list(&words, "stride", attrs->stride, 2);
  tnr_words_list(&words, "dilation", attrs->dilation, 2);
  tnr_words_list(&words, "pad_before", attrs->pad_before, 2);
  tnr_words_list(&words, "pad_after", attrs->pad_after, 2);
}

const tnr_op_def tnr_op_max_pool2d = {
    .name = "max_pool2d",
    .attrs_size = sizeof(tnr_max_pool2d_attrs),
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .primitive = primitive,
    .flops = flops,
    .shard = shard,
    .describe = describe,
};
