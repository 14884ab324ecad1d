#include <tenor/ops.h>

#include "binary.h"

static inline float sub_float(float x, float y) {
  return x - y;
}

static inline int64_t sub_integer(int64_t x, int64_t y) {
  return (int64_t)((uint64_t)x - (uint64_t)y);
}

TNR_BINARY_ROWS(sub)

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  tnr_binary_run(call, sub_rows);
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  (void)call;
  out->kind = TNR_PRIMITIVE_SUB;
}

const tnr_op_def tnr_op_sub = {
    .name = "sub",
    .validate = tnr_binary_validate,
    .infer = tnr_binary_infer,
    .kernel = kernel,
    .primitive = primitive,
    .shard = tnr_binary_shard,
};
