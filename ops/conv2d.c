#include <inttypes.h>

#include <tenor/ops.h>

#include "element.h"
#include "signature.h"
#include "window.h"
#include "words.h"

enum { X, WEIGHTS, BIAS };

static int64_t or_one(int64_t value) {
  return value == 0 ? 1 : value;
}

static int64_t groups_of(const void *attrs) {
  return or_one(((const tnr_conv2d_attrs *)attrs)->groups);
}

static tnr_window window_of(const void *attrs, const tnr_shape *weights) {
  const tnr_conv2d_attrs *conv = attrs;
  tnr_window window;
  for (int axis = 0; axis < 2; axis++) {
    window.kernel[axis] = weights->dims[2 + axis];
    window.stride[axis] = or_one(conv->stride[axis]);
    window.dilation[axis] = or_one(conv->dilation[axis]);
    window.pad_before[axis] = conv->pad_before[axis];
    window.pad_after[axis] = conv->pad_after[axis];
  }
  return window;
}

static tnr_status check_ranks(const tnr_op_call *call, tnr_fault *fault) {
  static const struct {
    const char *name, *dims;
    int64_t rank;
  } inputs[] = {
      {"x", "[n, c, h, w]", 4}, {"weights", "[o, c / groups, kh, kw]", 4}, {"bias", "[o]", 1}};
  for (int i = 0; i < 3; i++)
    if (call->in[i].shape.rank != inputs[i].rank)
      return tnr_fail(fault, TNR_ESHAPE, "%s has rank %" PRId64 ", but needs to be %s",
                      inputs[i].name, call->in[i].shape.rank, inputs[i].dims);
  return TNR_OK;
}

static tnr_status check_channels(const tnr_op_call *call, tnr_fault *fault) {
  int64_t groups = groups_of(call->attrs);
  int64_t channels = call->in[X].shape.dims[1], outputs = call->in[WEIGHTS].shape.dims[0];
  int64_t per_group = call->in[WEIGHTS].shape.dims[1], biases = call->in[BIAS].shape.dims[0];
  if (groups < 1)
    return tnr_fail(fault, TNR_EINVAL, "groups is %" PRId64, groups);
  if (channels % groups != 0 || channels / groups != per_group)
    return tnr_fail(fault, TNR_ESHAPE,
                    "x has %" PRId64 " channels, but weights are for %" PRId64
                    " groups of %" PRId64,
                    channels, groups, per_group);
  if (outputs % groups != 0)
    return tnr_fail(fault, TNR_ESHAPE,
                    "%" PRId64 " output channels do not divide into %" PRId64 " groups", outputs,
                    groups);
  if (biases != outputs)
    return tnr_fail(fault, TNR_ESHAPE,
                    "bias has %" PRId64 " elements for %" PRId64 " output channels", biases,
                    outputs);
  return TNR_OK;
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  tnr_status status = tnr_signature_check(call, 3, TNR_DTYPES_FLOAT, fault);
  if (status == TNR_OK)
    status = check_ranks(call, fault);
  if (status == TNR_OK)
    status = check_channels(call, fault);
  if (status != TNR_OK)
    return status;
  const tnr_shape *weights = &call->in[WEIGHTS].shape;
  if (weights->dims[2] == 0 || weights->dims[3] == 0)
    return tnr_fail(fault, TNR_ESHAPE, "weights have an empty window, %" PRId64 " by %" PRId64,
                    weights->dims[2], weights->dims[3]);
  tnr_window window = window_of(call->attrs, weights);
  return tnr_window_check(&window, call->in[X].shape.dims + 2, fault);
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  const tnr_shape *x = &call->in[X].shape, *weights = &call->in[WEIGHTS].shape;
  tnr_window window = window_of(call->attrs, weights);
  tnr_shape shape = {.rank = 4, .dims = {x->dims[0], weights->dims[0]}};
  for (int axis = 0; axis < 2; axis++)
    shape.dims[2 + axis] = tnr_window_count(&window, axis, x->dims[2 + axis]);
  tnr_op_add_output(outputs, call->in[X].dtype, shape);
  return TNR_OK;
}

/* The channels of one image that one filter sees, and the filter. */
typedef struct patch {
  tnr_dtype dtype;
  const void *x, *weights;
  int64_t image, filter;      /* the first element of each */
  int64_t channels, sizes[2]; /* channels, height and width of the image's part */
  const tnr_window *window;
} patch;

static float dot(const patch *p, int64_t channel, tnr_window_taps rows, tnr_window_taps columns) {
  const tnr_window *window = p->window;
  float sum = 0;
  for (int64_t row = rows.first; row < rows.end; row++) {
    int64_t y = rows.start + row * window->dilation[0];
    int64_t line = p->image + (channel * p->sizes[0] + y) * p->sizes[1] + columns.start;
    int64_t taps = p->filter + (channel * window->kernel[0] + row) * window->kernel[1];
    for (int64_t column = columns.first; column < columns.end; column++)
      sum += load_float(p->dtype, p->x, line + column * window->dilation[1]) *
             load_float(p->dtype, p->weights, taps + column);
  }
  return sum;
}

/* One filter over one image: a plane of the output, from element `first` on. */
static void convolve(const patch *p, const tnr_shape *out_shape, float bias, void *out,
                     int64_t first) {
  for (int64_t i = 0; i < out_shape->dims[2]; i++) {
    tnr_window_taps rows = tnr_window_taps_at(p->window, 0, i, p->sizes[0]);
    for (int64_t j = 0; j < out_shape->dims[3]; j++) {
      tnr_window_taps columns = tnr_window_taps_at(p->window, 1, j, p->sizes[1]);
      float sum = bias;
      for (int64_t channel = 0; channel < p->channels; channel++)
        sum += dot(p, channel, rows, columns);
      store_float(p->dtype, out, first + i * out_shape->dims[3] + j, sum);
    }
  }
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  const tnr_shape *x = &call->in[X].shape, *weights = &call->in[WEIGHTS].shape;
  const tnr_shape *out = &call->out[0].shape;
  if (tnr_shape_elements(out) == 0)
    return TNR_OK;
  tnr_window window = window_of(call->attrs, weights);
  patch p = {.dtype = call->in[X].dtype,
             .x = call->in_data[X],
             .weights = call->in_data[WEIGHTS],
             .channels = weights->dims[1],
             .sizes = {x->dims[2], x->dims[3]},
             .window = &window};
  int64_t filters_per_group = out->dims[1] / groups_of(call->attrs);
  int64_t plane = x->dims[2] * x->dims[3];
  for (int64_t n = 0; n < out->dims[0]; n++)
    for (int64_t o = 0; o < out->dims[1]; o++) {
      p.image = (n * x->dims[1] + o / filters_per_group * p.channels) * plane;
      p.filter = o * p.channels * window.kernel[0] * window.kernel[1];
      convolve(&p, out, load_float(p.dtype, call->in_data[BIAS], o), call->out_data[0],
               (n * out->dims[1] + o) * out->dims[2] * out->dims[3]);
    }
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  tnr_window window = window_of(call->attrs, &call->in[WEIGHTS].shape);
  out->kind = TNR_PRIMITIVE_CONV2D;
  out->groups = groups_of(call->attrs);
  for (int axis = 0; axis < 2; axis++) {
    out->stride[axis] = window.stride[axis];
    out->dilation[axis] = window.dilation[axis];
    out->pad_before[axis] = window.pad_before[axis];
    out->pad_after[axis] = window.pad_after[axis];
  }
}

/* A multiplication and an addition for each tap of each output element, and the bias. */
static double flops(const tnr_op_call *call, const tnr_desc *out, int out_count) {
  (void)out_count;
  const int64_t *weights = call->in[WEIGHTS].shape.dims;
  double taps = (double)weights[1] * (double)weights[2] * (double)weights[3];
  return (2.0 * taps + 1.0) * (double)tnr_shape_elements(&out[0].shape);
}

static tnr_status shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                        int out_count, int *out_dims, tnr_fault *fault) {
  (void)out;
  (void)out_count;
  bool images = in_dims[X] == 0 && in_dims[WEIGHTS] < 0 && in_dims[BIAS] < 0;
  bool filters = in_dims[X] < 0 && in_dims[WEIGHTS] == 0 && in_dims[BIAS] == 0;
  if (!images && !(filters && groups_of(call->attrs) == 1))
    return tnr_fail(fault, TNR_EDEVICE,
                    "only x can be split over devices along dim 0 (n), or, with 1 group, weights "
                    "and bias along dim 0 (o): gather or replicate the others first");
  out_dims[0] = images ? 0 : 1;
  return TNR_OK;
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_conv2d_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_list(&words, "stride", attrs->stride, 2);
  tnr_words_list(&words, "dilation", attrs->dilation, 2);
  tnr_words_list(&words, "pad_before", attrs->pad_before, 2);
  tnr_words_list(&words, "pad_after", attrs->pad_after, 2);
  if (attrs->groups > 1)
    tnr_words_number(&words, "groups", attrs->groups);
}

const tnr_op_def tnr_op_conv2d = {
    .name = "conv2d",
    .attrs_size = sizeof(tnr_conv2d_attrs),
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .primitive = primitive,
    .flops = flops,
    .shard = shard,
    .describe = describe,
};
