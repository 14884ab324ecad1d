/* One dim of a shape, and what lies before and behind it. */
#ifndef TENOR_OPS_DIM_H
#define TENOR_OPS_DIM_H

#include <tenor/shape.h>

/* TNR_EINVAL unless -rank <= dim < rank. */
tnr_status tnr_dim_check(int64_t dim, int64_t rank, tnr_fault *fault) TNR_MUST_USE;

/* The index of a dim that was checked and may count from the end. */
static inline int dim_index(int64_t dim, int64_t rank) {
  return (int)(dim < 0 ? dim + rank : dim);
}

/* A shape that has elements, seen as [outer, size, inner]: the products of the dims before `dim`,
 * the dim, the product of those behind it. */
typedef struct tnr_dim_view {
  int64_t outer, size, inner;
} tnr_dim_view;
tnr_dim_view tnr_dim_view_of(const tnr_shape *shape, int dim);

/* The product of `count` dims; TNR_EOVERFLOW when it does not fit. A 0 among them makes it 0. */
tnr_status tnr_dim_product(const int64_t *dims, int count, int64_t *out,
                           tnr_fault *fault) TNR_MUST_USE;

#endif
