#include <tenor/ops.h>

#include "binary.h"

static inline float add_float(float x, float y) {
  return x + y;
}

static inline int64_t add_integer(int64_t x, int64_t y) {
  return (int64_t)((uint64_t)x + (uint64_t)y);
}

TNR_BINARY_ROWS(add)

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  tnr_binary_run(call, add_rows);
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  (void)call;
  out->kind = TNR_PRIMITIVE_ADD;
}

const tnr_op_def tnr_op_add = {
    .name = "add",
    .validate = tnr_binary_validate,
    .infer = tnr_binary_infer,
    .kernel = kernel,
    .primitive = primitive,
    .shard = tnr_binary_shard,
};
