#include "regroup.h"

/* Unsigned, as shapes without elements may have dims whose product does not fit; any dim will do
 * for those, as no element can be in the wrong piece. */
static uint64_t product_before(const tnr_shape *shape, int dim) {
  uint64_t product = 1;
  for (int d = 0; d < dim; d++)
    product *= (uint64_t)shape->dims[d];
  return product;
}

static int matching_dim(const tnr_shape *in, int in_dim, const tnr_shape *out) {
  uint64_t before = product_before(in, in_dim);
  for (int d = 0; d < out->rank; d++)
    if (product_before(out, d) == before && (out->dims[d] != 1 || in->dims[in_dim] == 1))
      return d;
  return -1;
}

static int empty_dim(const tnr_shape *shape) {
  for (int d = 0; d < shape->rank; d++)
    if (shape->dims[d] == 0)
      return d;
  return -1;
}

tnr_status tnr_regroup_shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                             int out_count, int *out_dims, tnr_fault *fault) {
  (void)out_count;
  out_dims[0] = matching_dim(&call->in[0].shape, in_dims[0], &out->shape);
  if (out_dims[0] < 0)
    out_dims[0] = empty_dim(&out->shape);
  if (out_dims[0] < 0)
    return tnr_fail(fault, TNR_EDEVICE,
                    "the input is split over devices along dim %d, which is within a dim of the "
                    "output: gather it first",
                    in_dims[0]);
  return TNR_OK;
}
