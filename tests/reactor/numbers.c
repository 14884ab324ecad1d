#include "numbers.h"

#include <stdlib.h>
#include <string.h>

static const numbers nothing;

static int64_t count_of(const numbers *array) {
  return tnr_shape_elements(&array->desc.shape);
}

numbers numbers_new(tnr_dtype dtype, tnr_shape shape) {
  numbers made = {.desc = {.shape = shape, .dtype = dtype}};
  made.at = calloc((size_t)tnr_shape_elements(&shape) + 1, sizeof *made.at);
  return made;
}

numbers numbers_copy(const numbers *of) {
  numbers made = numbers_new(of->desc.dtype, of->desc.shape);
  memcpy(made.at, of->at, (size_t)count_of(of) * sizeof *made.at);
  return made;
}

void numbers_free(numbers *array) {
  free(array->at);
  array->at = NULL;
}

/* ---- elements ---- */

/* Integers wrap; false when a float would not be exact. */
static bool fit(tnr_dtype dtype, int64_t *number) {
  if (dtype == TNR_I32)
    *number = (int32_t)(uint32_t)(uint64_t)*number;
  return dtype != TNR_F32 || (*number < 1 << 24 && *number > -(1 << 24));
}

/* Frees the array and gives nothing unless every element fits. */
static numbers checked(numbers array) {
  for (int64_t i = 0; i < count_of(&array); i++)
    if (!fit(array.desc.dtype, &array.at[i])) {
      numbers_free(&array);
      return nothing;
    }
  return array;
}

static int64_t wrapping_mul(int64_t x, int64_t y) {
  return (int64_t)((uint64_t)x * (uint64_t)y);
}

static int64_t wrapping_add(int64_t x, int64_t y) {
  return (int64_t)((uint64_t)x + (uint64_t)y);
}

static int64_t combine(const tnr_op_def *def, int64_t x, int64_t y) {
  if (def == &tnr_op_add)
    return wrapping_add(x, y);
  if (def == &tnr_op_sub)
    return wrapping_add(x, wrapping_mul(-1, y));
  if (def == &tnr_op_mul)
    return wrapping_mul(x, y);
  return y == -1 ? wrapping_mul(-1, x) : x / y;
}

/* ---- places of elements ---- */

/* The position in `in` of what stands at `position` of a shape that `in` broadcasts to. */
static int64_t broadcast_position(const tnr_shape *in, const tnr_shape *out, int64_t position) {
  int64_t at = 0, stride = 1;
  for (int64_t back = 1; back <= out->rank; back++) {
    int64_t index = position % out->dims[out->rank - back];
    position /= out->dims[out->rank - back];
    if (back > in->rank)
      continue;
    int64_t size = in->dims[in->rank - back];
    at += size == 1 ? 0 : index * stride;
    stride *= size;
  }
  return at;
}

static bool broadcast(const tnr_shape *a, const tnr_shape *b, tnr_shape *out) {
  *out = a->rank > b->rank ? *a : *b;
  for (int64_t back = 1; back <= out->rank; back++) {
    int64_t x = back > a->rank ? 1 : a->dims[a->rank - back];
    int64_t y = back > b->rank ? 1 : b->dims[b->rank - back];
    if (x != y && x != 1 && y != 1)
      return false;
    out->dims[out->rank - back] = x == 1 ? y : x;
  }
  return true;
}

/* How many elements lie between neighbours along `dim`. */
static int64_t stride_of(const tnr_shape *shape, int dim) {
  int64_t stride = 1;
  for (int64_t i = dim + 1; i < shape->rank; i++)
    stride *= shape->dims[i];
  return stride;
}

/* ---- operations ---- */

numbers numbers_binary(const tnr_op_def *def, const numbers *a, const numbers *b) {
  tnr_shape shape;
  if (a->desc.dtype != b->desc.dtype || !broadcast(&a->desc.shape, &b->desc.shape, &shape))
    return nothing;
  numbers out = numbers_new(a->desc.dtype, shape);
  for (int64_t i = 0; i < count_of(&out); i++) {
    int64_t x = a->at[broadcast_position(&a->desc.shape, &shape, i)];
    int64_t y = b->at[broadcast_position(&b->desc.shape, &shape, i)];
    if (def == &tnr_op_div && y == 0) {
      numbers_free(&out);
      return nothing;
    }
    out.at[i] = combine(def, x, y);
  }
  return checked(out);
}

numbers numbers_relu(const numbers *x) {
  numbers out = numbers_copy(x);
  for (int64_t i = 0; i < count_of(&out); i++)
    out.at[i] = out.at[i] > 0 ? out.at[i] : 0;
  return out;
}

numbers numbers_cast(const numbers *x, tnr_dtype dtype) {
  numbers out = numbers_copy(x);
  out.desc.dtype = dtype;
  return checked(out);
}

/* False when a partial sum might not be exact. */
static bool dot(const numbers *a, const numbers *b, int64_t row, int64_t column, int64_t *out) {
  int64_t k = a->desc.shape.dims[1], n = b->desc.shape.dims[1], most = 0;
  *out = 0;
  for (int64_t i = 0; i < k; i++) {
    int64_t product = wrapping_mul(a->at[row * k + i], b->at[i * n + column]);
    *out = wrapping_add(*out, product);
    most += a->desc.dtype == TNR_F32 ? llabs(product) : 0;
  }
  return fit(a->desc.dtype, &most);
}

numbers numbers_matmul(const numbers *a, const numbers *b) {
  const tnr_shape *x = &a->desc.shape, *y = &b->desc.shape;
  if (a->desc.dtype != b->desc.dtype || x->rank != 2 || y->rank != 2 || x->dims[1] != y->dims[0])
    return nothing;
  numbers out = numbers_new(a->desc.dtype, TNR_SHAPE(x->dims[0], y->dims[1]));
  for (int64_t i = 0; i < count_of(&out); i++)
    if (!dot(a, b, i / y->dims[1], i % y->dims[1], &out.at[i])) {
      numbers_free(&out);
      return nothing;
    }
  return checked(out);
}

numbers numbers_slice(const numbers *x, int dim, int64_t parts, int64_t index) {
  tnr_shape shape = x->desc.shape;
  int64_t size = shape.dims[dim] / parts, stride = stride_of(&shape, dim);
  shape.dims[dim] = size;
  numbers out = numbers_new(x->desc.dtype, shape);
  for (int64_t i = 0; i < count_of(&out); i++) {
    int64_t outer = i / (size * stride), inner = i % (size * stride);
    out.at[i] = x->at[(outer * parts + index) * size * stride + inner];
  }
  return out;
}

static bool joins(const numbers *a, const numbers *b, int dim) {
  if (a->desc.dtype != b->desc.dtype || a->desc.shape.rank != b->desc.shape.rank)
    return false;
  for (int i = 0; i < a->desc.shape.rank; i++)
    if (i != dim && a->desc.shape.dims[i] != b->desc.shape.dims[i])
      return false;
  return dim < a->desc.shape.rank;
}

/* Copies a piece to where it stands in the whole, `before` rows along `dim` behind the beginning.
 */
static void put_piece(numbers *out, const numbers *piece, int dim, int64_t before) {
  int64_t stride = stride_of(&out->desc.shape, dim), size = piece->desc.shape.dims[dim];
  for (int64_t i = 0; i < count_of(piece); i++) {
    int64_t outer = i / (size * stride), inner = i % (size * stride);
    out->at[(outer * out->desc.shape.dims[dim] + before) * stride + inner] = piece->at[i];
  }
}

numbers numbers_concat(const numbers *const *x, int count, int dim) {
  tnr_shape shape = x[0]->desc.shape;
  shape.dims[dim] = 0;
  for (int i = 0; i < count; i++) {
    if (!joins(x[0], x[i], dim))
      return nothing;
    shape.dims[dim] += x[i]->desc.shape.dims[dim];
  }
  numbers out = numbers_new(x[0]->desc.dtype, shape);
  int64_t before = 0;
  for (int i = 0; i < count; i++) {
    put_piece(&out, x[i], dim, before);
    before += x[i]->desc.shape.dims[dim];
  }
  return out;
}

numbers numbers_reshape(const numbers *x, tnr_shape shape) {
  numbers out = numbers_copy(x);
  out.desc.shape = shape;
  return out;
}

numbers numbers_transpose(const numbers *x) {
  tnr_shape shape = x->desc.shape;
  for (int64_t i = 0; i < shape.rank; i++)
    shape.dims[i] = x->desc.shape.dims[shape.rank - 1 - i];
  numbers out = numbers_new(x->desc.dtype, shape);
  for (int64_t i = 0; i < count_of(&out); i++) {
    int64_t rest = i, from = 0;
    for (int64_t d = shape.rank - 1; d >= 0; d--) {
      from += rest % shape.dims[d] * stride_of(&x->desc.shape, (int)(shape.rank - 1 - d));
      rest /= shape.dims[d];
    }
    out.at[i] = x->at[from];
  }
  return out;
}

/* ---- memory ---- */

static void store(tnr_dtype dtype, int64_t number, void *out) {
  int32_t i32 = (int32_t)number;
  float f32 = (float)number;
  if (dtype == TNR_I64)
    memcpy(out, &number, sizeof number);
  else
    memcpy(out, dtype == TNR_I32 ? (void *)&i32 : (void *)&f32, sizeof i32);
}

void numbers_store(const numbers *array, void *out) {
  size_t size = tnr_dtype_size(array->desc.dtype);
  for (int64_t i = 0; i < count_of(array); i++)
    store(array->desc.dtype, array->at[i], (char *)out + (size_t)i * size);
}

/* Minus zero, which a product of floats may be, is zero. */
static bool is(tnr_dtype dtype, int64_t number, const void *stored) {
  char right[8];
  float f32;
  store(dtype, number, right);
  if (dtype != TNR_F32)
    return memcmp(right, stored, tnr_dtype_size(dtype)) == 0;
  memcpy(&f32, stored, sizeof f32);
  return f32 == (float)number;
}

bool numbers_are(const numbers *array, const void *stored) {
  size_t size = tnr_dtype_size(array->desc.dtype);
  for (int64_t i = 0; i < count_of(array); i++)
    if (!is(array->desc.dtype, array->at[i], (const char *)stored + (size_t)i * size))
      return false;
  return true;
}
