#include "walk.h"

#include <string.h>

static bool evenly_followed(const tnr_walk *walk, int64_t size,
                            int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK], int dim) {
  if (walk->rank == 0)
    return false;
  for (int o = 0; o < TNR_WALK_OPERANDS; o++)
    if (walk->strides[o][walk->rank - 1] != strides[o][dim] * size)
      return false;
  return true;
}

static void append_dim(tnr_walk *walk, int64_t size,
                       int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK], int dim) {
  if (size == 1)
    return;
  if (evenly_followed(walk, size, strides, dim))
    walk->dims[walk->rank - 1] *= size;
  else
    walk->dims[walk->rank++] = size;
  for (int o = 0; o < TNR_WALK_OPERANDS; o++)
    walk->strides[o][walk->rank - 1] = strides[o][dim];
}

void tnr_walk_start(tnr_walk *walk, const tnr_shape *shape,
                    int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK]) {
  memset(walk, 0, sizeof *walk);
  walk->count = 1;
  for (int d = 0; d < shape->rank; d++)
    append_dim(walk, shape->dims[d], strides, d);
  if (walk->rank == 0)
    return;
  walk->rank--;
  walk->count = walk->dims[walk->rank];
  for (int o = 0; o < TNR_WALK_OPERANDS; o++)
    walk->step[o] = walk->strides[o][walk->rank];
}

bool tnr_walk_next(tnr_walk *walk) {
  for (int d = walk->rank - 1; d >= 0; d--) {
    bool carry = ++walk->index[d] == walk->dims[d];
    for (int o = 0; o < TNR_WALK_OPERANDS; o++)
      walk->offset[o] += walk->strides[o][d] * (carry ? 1 - walk->dims[d] : 1);
    if (!carry)
      return true;
    walk->index[d] = 0;
  }
  return false;
}

void tnr_walk_dense_strides(const tnr_shape *shape, int64_t strides[TNR_MAX_RANK]) {
  int64_t stride = 1;
  for (int d = (int)shape->rank - 1; d >= 0; d--) {
    strides[d] = stride;
    stride *= shape->dims[d];
  }
}
