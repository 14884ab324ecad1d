#include <inttypes.h>

#include <tenor/ops.h>

#include "binary.h"
#include "element.h"

static inline float div_float(float x, float y) {
  return x / y;
}

/* INT64_MIN / -1 traps on some machines; the negation wraps. */
static inline int64_t div_integer(int64_t x, int64_t y) {
  return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

TNR_BINARY_ROWS(div)

static tnr_status refuse_zeros(const tnr_desc *divisor, const void *data, tnr_fault *fault) {
  int64_t elements = tnr_shape_elements(&divisor->shape);
  for (int64_t i = 0; i < elements; i++)
    if (load_integer(divisor->dtype, data, i) == 0)
      return tnr_fail(fault, TNR_EKERNEL,
                      "integer division by zero: element %" PRId64 " of the divisor", i);
  return TNR_OK;
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  bool integer = !dtype_is_float(call->out[0].dtype);
  if (integer && tnr_shape_elements(&call->out[0].shape) > 0) {
    tnr_status status = refuse_zeros(&call->in[1], call->in_data[1], fault);
    if (status != TNR_OK)
      return status;
  }
  tnr_binary_run(call, div_rows);
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  (void)call;
  out->kind = TNR_PRIMITIVE_DIV;
}

const tnr_op_def tnr_op_div = {
    .name = "div",
    .validate = tnr_binary_validate,
    .infer = tnr_binary_infer,
    .kernel = kernel,
    .primitive = primitive,
    .shard = tnr_binary_shard,
};
