#include "broadcast.h"

#include <inttypes.h>

#include "walk.h"

/* The size of the dim that stands `back` places from the end: 1 for the last. */
static int64_t size_from_end(const tnr_shape *shape, int64_t back) {
  return back > shape->rank ? 1 : shape->dims[shape->rank - back];
}

tnr_status tnr_broadcast_shapes(const tnr_shape *a, const tnr_shape *b, int trailing,
                                tnr_shape *out, tnr_fault *fault) {
  *out = (tnr_shape){.rank = a->rank > b->rank ? a->rank : b->rank};
  for (int64_t back = trailing + 1; back <= out->rank; back++) {
    int64_t x = size_from_end(a, back), y = size_from_end(b, back);
    if (x != y && x != 1 && y != 1)
      return tnr_fail(fault, TNR_ESHAPE,
                      "dim -%" PRId64 " does not broadcast: %" PRId64 " and %" PRId64, back, x, y);
    out->dims[out->rank - back] = x == 1 ? y : x;
  }
  return TNR_OK;
}

void tnr_broadcast_strides(const tnr_shape *in, int64_t rank, int64_t strides[TNR_MAX_RANK]) {
  int64_t dense[TNR_MAX_RANK];
  tnr_walk_dense_strides(in, dense);
  int64_t missing = rank - in->rank;
  for (int64_t d = 0; d < rank; d++)
    strides[d] = d < missing || in->dims[d - missing] == 1 ? 0 : dense[d - missing];
}

static tnr_status find_split(const tnr_op_call *call, const int *in_dims, int64_t rank,
                             int *out_dim, tnr_fault *fault) {
  *out_dim = -1;
  for (int i = 0; i < call->in_count; i++) {
    if (in_dims[i] < 0)
      continue;
    int dim = (int)(in_dims[i] + rank - call->in[i].shape.rank);
    if (*out_dim >= 0 && *out_dim != dim)
      return tnr_fail(fault, TNR_EDEVICE,
                      "inputs are split over devices along different dims of the output: %d and "
                      "%d; gather one and shard it like the other",
                      *out_dim, dim);
    *out_dim = dim;
  }
  return TNR_OK;
}

tnr_status tnr_broadcast_shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                               int *out_dim, tnr_fault *fault) {
  int64_t rank = out->shape.rank;
  tnr_status status = find_split(call, in_dims, rank, out_dim, fault);
  if (status != TNR_OK)
    return status;
  for (int i = 0; i < call->in_count; i++) {
    bool repeated = size_from_end(&call->in[i].shape, rank - *out_dim) == 1;
    if (in_dims[i] < 0 && !repeated)
      return tnr_fail(fault, TNR_EDEVICE,
                      "input %d is whole on each device, but the other is split along dim %d of "
                      "the output: shard it likewise",
                      i, *out_dim);
    if (in_dims[i] >= 0 && repeated && out->shape.dims[*out_dim] != 1)
      return tnr_fail(
          fault, TNR_EDEVICE,
          "input %d is split over devices along a dim that is repeated: gather it first", i);
  }
  return TNR_OK;
}
