#include <tenor/ops.h>

#include "element.h"
#include "sharding.h"
#include "signature.h"

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  return tnr_signature_check(call, 1, TNR_DTYPES_FLOAT | TNR_DTYPES_WIDE_INTEGER | 1u << TNR_I8,
                             fault);
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  tnr_op_add_output(outputs, call->in[0].dtype, call->in[0].shape);
  return TNR_OK;
}

/* Comparisons with NaN are false, so NaN passes. */
static void relu_f32(const float *restrict in, float *restrict out, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    out[i] = in[i] <= 0 ? 0 : in[i];
}

/* Below zero, as bits: from -0 to -infinity. What is behind that is NaN. */
static void relu_bf16(const uint16_t *restrict in, uint16_t *restrict out, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    out[i] = in[i] >= 0x8000 && in[i] <= 0xff80 ? 0 : in[i];
}

static void relu_integers(tnr_dtype dtype, const void *in, void *out, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    int64_t x = load_integer(dtype, in, i);
    store_integer(dtype, out, i, x < 0 ? 0 : x);
  }
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  const void *in = call->in_data[0];
  void *out = call->out_data[0];
  int64_t count = tnr_shape_elements(&call->out[0].shape);
  switch (call->out[0].dtype) {
  case TNR_F32:
    relu_f32(in, out, count);
    break;
  case TNR_BF16:
    relu_bf16(in, out, count);
    break;
  default:
    relu_integers(call->out[0].dtype, in, out, count);
  }
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  (void)call;
  out->kind = TNR_PRIMITIVE_RELU;
}

const tnr_op_def tnr_op_relu = {
    .name = "relu",
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .primitive = primitive,
    .shard = tnr_sharding_elementwise,
};
