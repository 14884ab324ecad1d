#include <tenor/ops.h>

#include "dim.h"
#include "element.h"
#include "sharding.h"
#include "signature.h"
#include "words.h"

static int axis_of(const void *attrs, const tnr_desc *in) {
  return dim_index(((const tnr_argmax_attrs *)attrs)->axis, in->shape.rank);
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  const tnr_argmax_attrs *attrs = call->attrs;
  tnr_status status = tnr_signature_check(call, 1, TNR_DTYPES_ANY & ~(1u << TNR_F16), fault);
  if (status == TNR_OK)
    status = tnr_dim_check(attrs->axis, call->in[0].shape.rank, fault);
  if (status != TNR_OK)
    return status;
  int axis = axis_of(attrs, &call->in[0]);
  if (call->in[0].shape.dims[axis] == 0)
    return tnr_fail(fault, TNR_ESHAPE, "dim %d has size 0 and so no greatest element", axis);
  return TNR_OK;
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  const tnr_argmax_attrs *attrs = call->attrs;
  const tnr_shape *in = &call->in[0].shape;
  int axis = axis_of(attrs, &call->in[0]);
  tnr_shape shape = {0};
  for (int d = 0; d < in->rank; d++)
    if (d != axis)
      shape.dims[shape.rank++] = in->dims[d];
    else if (attrs->keep_dims)
      shape.dims[shape.rank++] = 1;
  tnr_op_add_output(outputs, TNR_I64, shape);
  return TNR_OK;
}

/* Elements first, first + step, … of one line along the axis. */
typedef struct line {
  tnr_dtype dtype;
  const void *data;
  int64_t first, step, count;
} line;

static int64_t greatest_float(const line *line) {
  int64_t best = 0;
  float greatest = load_float(line->dtype, line->data, line->first);
  for (int64_t i = 1; i < line->count && greatest == greatest; i++) {
    float x = load_float(line->dtype, line->data, line->first + i * line->step);
    if (x > greatest || x != x) {
      greatest = x;
      best = i;
    }
  }
  return best;
}

static int64_t greatest_integer(const line *line) {
  int64_t best = 0, greatest = load_integer(line->dtype, line->data, line->first);
  for (int64_t i = 1; i < line->count; i++) {
    int64_t x = load_integer(line->dtype, line->data, line->first + i * line->step);
    if (x > greatest) {
      greatest = x;
      best = i;
    }
  }
  return best;
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  if (tnr_shape_elements(&call->out[0].shape) == 0)
    return TNR_OK;
  int64_t *out = call->out_data[0];
  tnr_dim_view view = tnr_dim_view_of(&call->in[0].shape, axis_of(call->attrs, &call->in[0]));
  line line = {
      .dtype = call->in[0].dtype, .data = call->in_data[0], .step = view.inner, .count = view.size};
  bool floats = dtype_is_float(line.dtype);
  for (int64_t outer = 0; outer < view.outer; outer++)
    for (int64_t inner = 0; inner < view.inner; inner++) {
      line.first = outer * view.size * view.inner + inner;
      *out++ = floats ? greatest_float(&line) : greatest_integer(&line);
    }
  return TNR_OK;
}

static double flops(const tnr_op_call *call, const tnr_desc *out, int out_count) {
  (void)out;
  (void)out_count;
  return (double)tnr_shape_elements(&call->in[0].shape);
}

static tnr_status shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                        int out_count, int *out_dims, tnr_fault *fault) {
  (void)out_count;
  int axis = axis_of(call->attrs, &call->in[0]);
  bool shifted = out->shape.rank < call->in[0].shape.rank && in_dims[0] > axis;
  out_dims[0] = in_dims[0] - (shifted ? 1 : 0);
  return tnr_sharding_check(in_dims[0], axis, fault);
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_argmax_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_number(&words, "axis", attrs->axis);
  tnr_words_flag(&words, "keep_dims", attrs->keep_dims != 0);
}

const tnr_op_def tnr_op_argmax = {
    .name = "argmax",
    .attrs_size = sizeof(tnr_argmax_attrs),
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .flops = flops,
    .shard = shard,
    .describe = describe,
};
