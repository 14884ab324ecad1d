#include "signature.h"

#include <stdio.h>

static tnr_status refuse_dtype(tnr_dtype dtype, unsigned dtypes, tnr_fault *fault) {
  char list[100] = "";
  size_t length = 0;
  for (int d = 0; d < TNR_DTYPE_COUNT; d++)
    if (dtypes & 1u << d)
      length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", length ? ", " : "",
                                 tnr_dtype_name((tnr_dtype)d));
  return tnr_fail(fault, TNR_EDTYPE, "%s is not among the dtypes it takes: %s",
                  tnr_dtype_name(dtype), list);
}

tnr_status tnr_signature_check(const tnr_op_call *call, int inputs, unsigned dtypes,
                               tnr_fault *fault) {
  if (call->in_count != inputs)
    return tnr_fail(fault, TNR_EINVAL, "takes %d input%s, got %d", inputs, inputs == 1 ? "" : "s",
                    call->in_count);
  for (int i = 1; i < inputs; i++)
    if (call->in[i].dtype != call->in[0].dtype)
      return tnr_fail(fault, TNR_EDTYPE, "dtypes differ: input 0 is %s and input %d is %s",
                      tnr_dtype_name(call->in[0].dtype), i, tnr_dtype_name(call->in[i].dtype));
  if (!(dtypes & 1u << call->in[0].dtype))
    return refuse_dtype(call->in[0].dtype, dtypes, fault);
  return TNR_OK;
}
