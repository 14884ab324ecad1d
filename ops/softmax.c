#include <math.h>

#include <tenor/ops.h>

#include "dim.h"
#include "element.h"
#include "sharding.h"
#include "signature.h"
#include "words.h"

static int axis_of(const void *attrs, const tnr_desc *in) {
  return dim_index(((const tnr_softmax_attrs *)attrs)->axis, in->shape.rank);
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  const tnr_softmax_attrs *attrs = call->attrs;
  tnr_status status = tnr_signature_check(call, 1, TNR_DTYPES_FLOAT, fault);
  if (status != TNR_OK)
    return status;
  return tnr_dim_check(attrs->axis, call->in[0].shape.rank, fault);
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  tnr_op_add_output(outputs, call->in[0].dtype, call->in[0].shape);
  return TNR_OK;
}

/* One line along the axis: elements first, first + step, …. */
typedef struct line {
  tnr_dtype dtype;
  const void *in;
  void *out;
  int64_t first, step, count;
} line;

static float at(const line *line, int64_t i) {
  return load_float(line->dtype, line->in, line->first + i * line->step);
}

static void softmax_line(const line *line) {
  float greatest = at(line, 0);
  for (int64_t i = 1; i < line->count; i++)
    greatest = at(line, i) > greatest ? at(line, i) : greatest;
  double sum = 0;
  for (int64_t i = 0; i < line->count; i++)
    sum += expf(at(line, i) - greatest);
  for (int64_t i = 0; i < line->count; i++)
    store_float(line->dtype, line->out, line->first + i * line->step,
                (float)(expf(at(line, i) - greatest) / sum));
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  if (tnr_shape_elements(&call->out[0].shape) == 0)
    return TNR_OK;
  tnr_dim_view view = tnr_dim_view_of(&call->in[0].shape, axis_of(call->attrs, &call->in[0]));
  line line = {.dtype = call->in[0].dtype,
               .in = call->in_data[0],
               .out = call->out_data[0],
               .step = view.inner,
               .count = view.size};
  for (int64_t outer = 0; outer < view.outer; outer++)
    for (int64_t inner = 0; inner < view.inner; inner++) {
      line.first = outer * view.size * view.inner + inner;
      softmax_line(&line);
    }
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  out->kind = TNR_PRIMITIVE_SOFTMAX;
  out->axis = axis_of(call->attrs, &call->in[0]);
}

/* A subtraction, an exponential, an addition and a division for each element. */
static double flops(const tnr_op_call *call, const tnr_desc *out, int out_count) {
  (void)call;
  (void)out_count;
  return 4.0 * (double)tnr_shape_elements(&out[0].shape);
}

static tnr_status shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                        int out_count, int *out_dims, tnr_fault *fault) {
  (void)out;
  (void)out_count;
  out_dims[0] = in_dims[0];
  return tnr_sharding_check(in_dims[0], axis_of(call->attrs, &call->in[0]), fault);
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_softmax_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_number(&words, "axis", attrs->axis);
}

const tnr_op_def tnr_op_softmax = {
    .name = "softmax",
    .attrs_size = sizeof(tnr_softmax_attrs),
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .primitive = primitive,
    .flops = flops,
    .shard = shard,
    .describe = describe,
};
