/* Steps through the index space of a shape, row by row, with where that is in two operands. */
#ifndef TENOR_OPS_WALK_H
#define TENOR_OPS_WALK_H

#include <tenor/shape.h>

enum { TNR_WALK_OPERANDS = 2 };

/* Row-major. A row is as long as both operands allow: dims that follow each other evenly in both
 * are taken as one, so that dense operands give a single row. */
typedef struct tnr_walk {
  int64_t offset[TNR_WALK_OPERANDS]; /* elements: where the row begins in each operand */
  int64_t count;                     /* elements in a row */
  int64_t step[TNR_WALK_OPERANDS];   /* elements: from one to the next */

  int rank; /* of what is left around the row */
  int64_t dims[TNR_MAX_RANK], index[TNR_MAX_RANK];
  int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK];
} tnr_walk;

/* Stands on the first row. The shape has elements; strides[o][d] is how many elements apart
 * neighbours along dim d are in operand o. */
void tnr_walk_start(tnr_walk *walk, const tnr_shape *shape,
                    int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK]);

/* Goes to the next row; false after the last. */
bool tnr_walk_next(tnr_walk *walk);

/* The strides of a dense row-major tensor. */
void tnr_walk_dense_strides(const tnr_shape *shape, int64_t strides[TNR_MAX_RANK]);

#endif
