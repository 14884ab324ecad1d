/* Strided views of buffers, and the shape arithmetic that brings an op's shapes into the few forms
 * that kernels are fast at. */
#ifndef TENOR_CPU_VIEW_H
#define TENOR_CPU_VIEW_H

#include <tenor/shape.h>

typedef struct tnr_own_layout tnr_own_layout;

/* How one step of a chain looks at a buffer. */
typedef struct tnr_view {
  int buffer; /* an index of the chain: its inputs, then its outputs, then its temporaries */
  tnr_dtype dtype;
  int rank; /* 1 to TNR_MAX_RANK */
  int64_t dims[TNR_MAX_RANK];
  int64_t strides[TNR_MAX_RANK]; /* elements */
  const tnr_own_layout *layout;  /* where it is not NULL the strides mean nothing */
} tnr_view;

/* A dense row-major view. */
tnr_view tnr_view_dense(int buffer, tnr_dtype dtype, int rank, const int64_t *dims);

/* The dense view of a tensor as one dimension. */
tnr_view tnr_view_flat(int buffer, const tnr_desc *desc);

/* The size of a dense view in bytes. */
size_t tnr_view_bytes(const tnr_view *view);

/* Joins neighbouring dimensions that are contiguous in both views and drops those of size 1. The
 * views have equal dims. */
void tnr_view_join(tnr_view *a, tnr_view *b);

/* Writes `from` (dims 1 where it is broadcast, else those of `to`) into the dense `to`. */
void tnr_view_expand(const tnr_view *from, const void *from_data, const tnr_view *to,
                     void *to_data);

/* NumPy broadcasting of two shapes, with as few dimensions as possible: neighbours in which the
 * same operands vary are joined. Rank 0 when neither has more than one element. */
typedef struct tnr_broadcast {
  int rank;
  int64_t dims[TNR_MAX_RANK];
  bool a_varies[TNR_MAX_RANK], b_varies[TNR_MAX_RANK]; /* never both false */
} tnr_broadcast;

/* Broadcasts all but the last `trailing` dimensions of `a` and `b`, whose ranks are at least that.
 */
tnr_broadcast tnr_broadcast_of(const tnr_shape *a, const tnr_shape *b, int trailing);

bool tnr_broadcast_varies_everywhere(const bool *varies, int rank);

#endif
