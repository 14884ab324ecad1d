/* Shapes, and descriptions of tensors that may not exist yet. */
#ifndef TENOR_SHAPE_H
#define TENOR_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenor/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TNR_MAX_RANK = 8 };

typedef struct tnr_shape {
  int64_t rank;               /* 0 (a scalar) to TNR_MAX_RANK */
  int64_t dims[TNR_MAX_RANK]; /* elements; row-major: the last one is contiguous; 0 beyond rank */
} tnr_shape;

/* TNR_SHAPE(2, 3) is the shape [2, 3]; TNR_SCALAR is the shape []. */
#define TNR_SCALAR (tnr_shape_of(0, NULL))
#ifdef __cplusplus
#define TNR_SHAPE(...) (tnr_shape_list({__VA_ARGS__}))
#else
#define TNR_SHAPE(...)                                                                             \
  (tnr_shape_of((int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                   \
                (const int64_t[]){__VA_ARGS__}))
#endif

/* A shape of `rank` dims copied from `dims`. A rank out of range is kept: what uses the shape
 * reports it. */
TNR_API tnr_shape tnr_shape_of(int rank, const int64_t *dims);

/* True when rank and dims are in range and the number of elements fits into 63 bits. */
TNR_API bool tnr_shape_valid(const tnr_shape *shape);
TNR_API bool tnr_shape_equal(const tnr_shape *a, const tnr_shape *b);

/* The number of elements of a valid shape; 1 for a scalar. */
TNR_API int64_t tnr_shape_elements(const tnr_shape *shape);

enum { TNR_SHAPE_TEXT_MAX = 200 };

/* Writes "[2, 3]" into `out` (at most `size` bytes with the final 0) and returns `out`. */
TNR_API char *tnr_shape_format(const tnr_shape *shape, char *out, size_t size);

/* What can be known of a tensor before it exists. */
typedef struct tnr_desc {
  tnr_shape shape;
  tnr_dtype dtype;
} tnr_desc;

/* The size in bytes; fails with TNR_EOVERFLOW, TNR_ESHAPE or TNR_EDTYPE. */
TNR_API tnr_status tnr_desc_bytes(const tnr_desc *desc, size_t *out, tnr_fault *fault) TNR_MUST_USE;

#ifdef __cplusplus
}

#include <initializer_list>
inline tnr_shape tnr_shape_list(std::initializer_list<int64_t> dims) {
  return tnr_shape_of((int)dims.size(), dims.begin());
}
#endif
#endif
