/* The shard rule of ops that group the same elements into other dims. */
#ifndef TENOR_OPS_REGROUP_H
#define TENOR_OPS_REGROUP_H

#include <tenor/op.h>

/* The output is split along the dim that has as many elements before it as the split dim of the
 * input has. Both are then cut at the same places whenever both divide by the number of devices. */
tnr_status tnr_regroup_shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                             int out_count, int *out_dims, tnr_fault *fault) TNR_MUST_USE;

#endif
