#include "view.h"

#include <string.h>

static void set_dense_strides(tnr_view *view) {
  int64_t stride = 1;
  for (int i = view->rank - 1; i >= 0; i--) {
    view->strides[i] = stride;
    stride *= view->dims[i];
  }
}

tnr_view tnr_view_dense(int buffer, tnr_dtype dtype, int rank, const int64_t *dims) {
  tnr_view view = {.buffer = buffer, .dtype = dtype, .rank = rank > 0 ? rank : 1};
  view.dims[0] = 1;
  memcpy(view.dims, dims, (size_t)rank * sizeof *dims);
  set_dense_strides(&view);
  return view;
}

tnr_view tnr_view_flat(int buffer, const tnr_desc *desc) {
  int64_t elements = tnr_shape_elements(&desc->shape);
  return tnr_view_dense(buffer, desc->dtype, 1, &elements);
}

size_t tnr_view_bytes(const tnr_view *view) {
  size_t bytes = tnr_dtype_size(view->dtype);
  for (int i = 0; i < view->rank; i++)
    bytes *= (size_t)view->dims[i];
  return bytes;
}

static bool contiguous(const tnr_view *view, int outer, int inner) {
  return view->strides[outer] == view->strides[inner] * view->dims[inner];
}

static void move_dim(tnr_view *view, int to, int from) {
  view->dims[to] = view->dims[from];
  view->strides[to] = view->strides[from];
}

static void join_dim(tnr_view *view, int outer, int inner) {
  view->dims[outer] *= view->dims[inner];
  view->strides[outer] = view->strides[inner];
}

void tnr_view_join(tnr_view *a, tnr_view *b) {
  int rank = 0;
  for (int i = 0; i < a->rank; i++) {
    if (a->dims[i] == 1)
      continue;
    move_dim(a, rank, i);
    move_dim(b, rank, i);
    if (rank > 0 && contiguous(a, rank - 1, rank) && contiguous(b, rank - 1, rank)) {
      join_dim(a, rank - 1, rank);
      join_dim(b, rank - 1, rank);
    } else {
      rank++;
    }
  }
  if (rank == 0) {
    a->dims[0] = b->dims[0] = 1;
    a->strides[0] = b->strides[0] = 1;
    rank = 1;
  }
  a->rank = b->rank = rank;
}

/* Doubling copies, because the pattern may be as small as one element. */
static void repeat(char *data, size_t pattern, size_t total) {
  for (size_t done = pattern; done < total; done *= 2)
    memcpy(data + done, data, done < total - done ? done : total - done);
}

static void expand_dim(const tnr_view *from, const char *source, const tnr_view *to, char *target,
                       int dim) {
  size_t size = tnr_dtype_size(to->dtype), slice = (size_t)to->strides[dim] * size;
  size_t total = slice * (size_t)to->dims[dim];
  bool last = dim == to->rank - 1;
  if (last && from->dims[dim] == to->dims[dim]) {
    memcpy(target, source, total);
    return;
  }
  for (int64_t i = 0; i < from->dims[dim]; i++) {
    if (last)
      memcpy(target, source, size);
    else
      expand_dim(from, source + (size_t)(i * from->strides[dim]) * size, to,
                 target + (size_t)i * slice, dim + 1);
  }
  if (from->dims[dim] != to->dims[dim])
    repeat(target, slice, total);
}

void tnr_view_expand(const tnr_view *from, const void *from_data, const tnr_view *to,
                     void *to_data) {
  expand_dim(from, from_data, to, to_data, 0);
}

static int64_t dim_from_end(const tnr_shape *shape, int64_t from_end) {
  return from_end <= shape->rank ? shape->dims[shape->rank - from_end] : 1;
}

static void append(tnr_broadcast *broadcast, int64_t dim, bool a_varies, bool b_varies) {
  int last = broadcast->rank - 1;
  if (last >= 0 && broadcast->a_varies[last] == a_varies && broadcast->b_varies[last] == b_varies) {
    broadcast->dims[last] *= dim;
    return;
  }
  broadcast->dims[last + 1] = dim;
  broadcast->a_varies[last + 1] = a_varies;
  broadcast->b_varies[last + 1] = b_varies;
  broadcast->rank++;
}

tnr_broadcast tnr_broadcast_of(const tnr_shape *a, const tnr_shape *b, int trailing) {
  tnr_broadcast broadcast = {0};
  int64_t rank = a->rank > b->rank ? a->rank : b->rank;
  for (int64_t i = rank; i > trailing; i--) {
    int64_t a_dim = dim_from_end(a, i), b_dim = dim_from_end(b, i);
    if (a_dim != 1 || b_dim != 1)
      append(&broadcast, a_dim != 1 ? a_dim : b_dim, a_dim != 1, b_dim != 1);
  }
  return broadcast;
}

bool tnr_broadcast_varies_everywhere(const bool *varies, int rank) {
  for (int i = 0; i < rank; i++)
    if (!varies[i])
      return false;
  return true;
}
