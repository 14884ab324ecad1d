#include "strided.h"

#include <string.h>

/* One copy. */
typedef struct strided {
  const tnr_shape *shape;
  const int64_t *strides;
  size_t size;                /* of an element, in bytes */
  size_t steps[TNR_MAX_RANK]; /* in the copy, in bytes */
  int dense_from;             /* the dims from here on lie dense */
} strided;

/* The first dim from which on the elements lie dense; a dim of one element lies as one likes. */
static int first_dense_dim(const tnr_shape *shape, const int64_t *strides) {
  int64_t step = 1;
  int dim = (int)shape->rank;
  for (; dim > 0; dim--) {
    if (shape->dims[dim - 1] != 1 && strides[dim - 1] != step)
      break;
    step *= shape->dims[dim - 1];
  }
  return dim;
}

bool tnr_strided_is_dense(const tnr_shape *shape, const int64_t *strides) {
  return tnr_shape_elements(shape) == 0 || first_dense_dim(shape, strides) == 0;
}

/* `size` is a constant at each call, so that each element is one move. */
static inline void copy_line_of(char *to, const char *from, int64_t count, int64_t stride,
                                size_t size) {
  for (int64_t i = 0; i < count; i++)
    memcpy(to + (size_t)i * size, from + i * stride * (int64_t)size, size);
}

static void copy_line(char *to, const char *from, int64_t count, int64_t stride, size_t size) {
  switch (size) {
  case 1:
    copy_line_of(to, from, count, stride, 1);
    break;
  case 2:
    copy_line_of(to, from, count, stride, 2);
    break;
  case 4:
    copy_line_of(to, from, count, stride, 4);
    break;
  default:
    copy_line_of(to, from, count, stride, 8);
  }
}

static void copy_from_dim(const strided *all, int dim, char *to, const char *from) {
  int64_t count = all->shape->dims[dim], stride = all->strides[dim];
  if (dim + 1 == all->shape->rank) {
    copy_line(to, from, count, stride, all->size);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    char *line = to + (size_t)i * all->steps[dim];
    const char *first = from + i * stride * (int64_t)all->size;
    if (dim + 1 == all->dense_from)
      memcpy(line, first, all->steps[dim]);
    else
      copy_from_dim(all, dim + 1, line, first);
  }
}

void tnr_strided_copy(const tnr_desc *desc, const void *from, const int64_t *strides, void *to) {
  strided all = {.shape = &desc->shape, .strides = strides, .size = tnr_dtype_size(desc->dtype)};
  size_t bytes = all.size;
  if (tnr_shape_elements(&desc->shape) == 0)
    return;
  all.dense_from = first_dense_dim(&desc->shape, strides);
  for (int64_t i = desc->shape.rank; i-- > 0; bytes *= (size_t)desc->shape.dims[i])
    all.steps[i] = bytes;
  if (all.dense_from == 0)
    memcpy(to, from, bytes);
  else
    copy_from_dim(&all, 0, to, from);
}
