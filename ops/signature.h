/* What an op asks of the number and the dtypes of its inputs. */
#ifndef TENOR_OPS_SIGNATURE_H
#define TENOR_OPS_SIGNATURE_H

#include <tenor/op.h>

/* A set of dtypes: bit d stands for dtype d. */
enum {
  TNR_DTYPES_FLOAT = 1 << TNR_F32 | 1 << TNR_BF16,
  TNR_DTYPES_WIDE_INTEGER = 1 << TNR_I32 | 1 << TNR_I64,
  TNR_DTYPES_INTEGER = TNR_DTYPES_WIDE_INTEGER | 1 << TNR_I8 | 1 << TNR_U8,
  TNR_DTYPES_ANY = (1 << TNR_DTYPE_COUNT) - 1
};

/* Fails with TNR_EINVAL unless there are exactly `inputs`, and with TNR_EDTYPE unless all of them
 * are of one dtype, and that is in `dtypes`. */
tnr_status tnr_signature_check(const tnr_op_call *call, int inputs, unsigned dtypes,
                               tnr_fault *fault) TNR_MUST_USE;

#endif
