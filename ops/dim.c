#include "dim.h"

#include <inttypes.h>

tnr_status tnr_dim_check(int64_t dim, int64_t rank, tnr_fault *fault) {
  if (dim < -rank || dim >= rank)
    return tnr_fail(fault, TNR_EINVAL, "dim %" PRId64 " is out of range for rank %" PRId64, dim,
                    rank);
  return TNR_OK;
}

tnr_dim_view tnr_dim_view_of(const tnr_shape *shape, int dim) {
  tnr_dim_view view = {.outer = 1, .size = shape->dims[dim], .inner = 1};
  for (int d = 0; d < dim; d++)
    view.outer *= shape->dims[d];
  for (int d = dim + 1; d < shape->rank; d++)
    view.inner *= shape->dims[d];
  return view;
}

tnr_status tnr_dim_product(const int64_t *dims, int count, int64_t *out, tnr_fault *fault) {
  int64_t product = 1;
  bool overflow = false;
  for (int d = 0; d < count; d++) {
    if (dims[d] == 0) {
      *out = 0;
      return TNR_OK;
    }
    overflow = overflow || __builtin_mul_overflow(product, dims[d], &product);
  }
  if (overflow)
    return tnr_fail(fault, TNR_EOVERFLOW, "the product of %d dims does not fit into 63 bits",
                    count);
  *out = product;
  return TNR_OK;
}
