/* NumPy broadcasting of two shapes: dims are aligned from the right; a dim of size 1, or one that
 * is not there, is repeated. Source: https://numpy.org/doc/stable/user/basics.broadcasting.html */
#ifndef TENOR_OPS_BROADCAST_H
#define TENOR_OPS_BROADCAST_H

#include <tenor/op.h>

/* The shape that a and b broadcast to, but for the last `trailing` dims, which the caller sets;
 * both have at least that rank. TNR_ESHAPE when they do not fit. */
tnr_status tnr_broadcast_shapes(const tnr_shape *a, const tnr_shape *b, int trailing,
                                tnr_shape *out, tnr_fault *fault) TNR_MUST_USE;

/* The strides with which a dense tensor of shape `in` is read along the dims of an output of rank
 * `rank` that has elements: 0 where it is repeated. */
void tnr_broadcast_strides(const tnr_shape *in, int64_t rank, int64_t strides[TNR_MAX_RANK]);

/* The shard rule of inputs that broadcast: all that are not repeated along the split dim of the
 * output are split along it, those that are repeated are replicated. */
tnr_status tnr_broadcast_shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                               int *out_dim, tnr_fault *fault) TNR_MUST_USE;

#endif
