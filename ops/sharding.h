/* The shard rule of ops whose outputs keep the dims of their one input. */
#ifndef TENOR_OPS_SHARDING_H
#define TENOR_OPS_SHARDING_H

#include <tenor/op.h>

/* TNR_EDEVICE when `split`, the dim along which inputs are split, is `whole`, the dim that the op
 * needs whole on each device (-1: none). */
tnr_status tnr_sharding_check(int split, int whole, tnr_fault *fault) TNR_MUST_USE;

/* A shard rule: each element of the output depends on the same element of the input. */
tnr_status tnr_sharding_elementwise(const tnr_op_call *call, const int *in_dims,
                                    const tnr_desc *out, int out_count, int *out_dims,
                                    tnr_fault *fault) TNR_MUST_USE;

#endif
