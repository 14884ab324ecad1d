#include <tenor/shape.h>

#include <stdio.h>
#include <string.h>

tnr_shape tnr_shape_of(int rank, const int64_t *dims) {
  tnr_shape shape = {.rank = rank};
  if (rank > 0 && rank <= TNR_MAX_RANK)
    memcpy(shape.dims, dims, (size_t)rank * sizeof *dims);
  return shape;
}

/* -1 when rank or a dim is out of range, -2 when the product does not fit. */
static int64_t elements_or_fault(const tnr_shape *shape) {
  if (shape->rank < 0 || shape->rank > TNR_MAX_RANK)
    return -1;
  int64_t elements = 1;
  bool overflow = false, empty = false;
  for (int i = 0; i < shape->rank; i++) {
    if (shape->dims[i] < 0)
      return -1;
    empty |= shape->dims[i] == 0;
    overflow |= __builtin_mul_overflow(elements, shape->dims[i], &elements);
  }
  if (empty)
    return 0;
  return overflow ? -2 : elements;
}

bool tnr_shape_valid(const tnr_shape *shape) {
  return elements_or_fault(shape) >= 0;
}

bool tnr_shape_equal(const tnr_shape *a, const tnr_shape *b) {
  if (a->rank != b->rank)
    return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dims[i] != b->dims[i])
      return false;
  return true;
}

int64_t tnr_shape_elements(const tnr_shape *shape) {
  int64_t elements = elements_or_fault(shape);
  return elements > 0 ? elements : 0;
}

char *tnr_shape_format(const tnr_shape *shape, char *out, size_t size) {
  if (shape->rank < 0 || shape->rank > TNR_MAX_RANK) {
    snprintf(out, size, "[rank %lld]", (long long)shape->rank);
    return out;
  }
  size_t used = (size_t)snprintf(out, size, "[");
  for (int i = 0; i < shape->rank && used < size; i++)
    used +=
        (size_t)snprintf(out + used, size - used, i ? ", %lld" : "%lld", (long long)shape->dims[i]);
  if (used < size)
    snprintf(out + used, size - used, "]");
  return out;
}

tnr_status tnr_desc_bytes(const tnr_desc *desc, size_t *out, tnr_fault *fault) {
  char text[TNR_SHAPE_TEXT_MAX];
  size_t size = tnr_dtype_size(desc->dtype);
  if (size == 0)
    return tnr_fail(fault, TNR_EDTYPE, "%d is not a dtype", (int)desc->dtype);
  if (desc->shape.rank < 0 || desc->shape.rank > TNR_MAX_RANK)
    return tnr_fail(fault, TNR_ESHAPE, "a tensor has 0 to %d dimensions, not %lld", TNR_MAX_RANK,
                    (long long)desc->shape.rank);
  int64_t elements = elements_or_fault(&desc->shape);
  if (elements == -1)
    return tnr_fail(fault, TNR_ESHAPE, "shape %s has a negative dimension",
                    tnr_shape_format(&desc->shape, text, sizeof text));
  int64_t bytes;
  if (elements < 0 || __builtin_mul_overflow(elements, (int64_t)size, &bytes))
    return tnr_fail(fault, TNR_EOVERFLOW, "the size of a tensor of shape %s does not fit 63 bits",
                    tnr_shape_format(&desc->shape, text, sizeof text));
  *out = (size_t)bytes;
  return TNR_OK;
}
