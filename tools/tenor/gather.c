#include "gather.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"

tnr_status gather_init(size_t results, int64_t batches, struct gather *out, tnr_fault *fault) {
  *out = (struct gather){results, batches, calloc((size_t)batches, results * sizeof(struct array))};
  if (out->pieces)
    return TNR_OK;
  *out = (struct gather){0};
  return tnr_fail(fault, TNR_ENOMEM, "no memory for the results of %lld batches",
                  (long long)batches);
}

void gather_finish(struct gather *gather) {
  for (size_t i = 0; i < gather->results * (size_t)gather->batches; i++)
    array_finish(&gather->pieces[i]);
  free(gather->pieces);
  *gather = (struct gather){0};
}

static tnr_status take_piece(tnr_tuple *tuple, int index, struct array *out, tnr_fault *fault) {
  tnr_tensor *tensor = tnr_at(tuple, index);
  if (!tensor)
    return command_take_error(fault);
  const tnr_desc desc = {tnr_tensor_shape(tensor), tnr_tensor_dtype(tensor)};
  tnr_status status = array_init(out, &desc, fault);
  if (status == TNR_OK && tnr_tensor_read(tensor, out->data, out->size) != TNR_OK)
    status = command_take_error(fault);
  tnr_release(tensor);
  return status;
}

tnr_status gather_take(struct gather *gather, int64_t batch, tnr_value results, tnr_fault *fault) {
  tnr_value got = tnr_get(results);
  tnr_tuple *tuple = tnr_value_tuple(got);
  if (!tuple)
    return command_take_error(fault);
  tnr_status status = TNR_OK;
  struct array *pieces = gather->pieces + (size_t)batch * gather->results;
  for (size_t i = 0; status == TNR_OK && i < gather->results; i++)
    status = take_piece(tuple, (int)i, &pieces[i], fault);
  tnr_release(tuple);
  return status;
}

static const struct array *piece_at(const struct gather *gather, int64_t batch, size_t result) {
  return &gather->pieces[(size_t)batch * gather->results + result];
}

static bool differ_in_rows_only(const tnr_desc *a, const tnr_desc *b) {
  tnr_shape same = a->shape;
  if (same.rank > 0)
    same.dims[0] = b->shape.dims[0];
  return same.rank > 0 && a->dtype == b->dtype && tnr_shape_equal(&same, &b->shape);
}

static tnr_status join_desc(const struct gather *gather, size_t result, tnr_desc *out,
                            tnr_fault *fault) {
  *out = piece_at(gather, 0, result)->desc;
  for (int64_t i = 1; i < gather->batches; i++) {
    char first[TNR_SHAPE_TEXT_MAX], other[TNR_SHAPE_TEXT_MAX];
    const tnr_desc *piece = &piece_at(gather, i, result)->desc;
    if (!differ_in_rows_only(out, piece))
      return tnr_fail(fault, TNR_ESHAPE,
                      "batches give %.80s and %.80s, which do not join to one: try a --batch of "
                      "all rows",
                      tnr_shape_format(&out->shape, first, sizeof first),
                      tnr_shape_format(&piece->shape, other, sizeof other));
    out->shape.dims[0] += piece->shape.dims[0];
  }
  return TNR_OK;
}

tnr_status gather_join(const struct gather *gather, size_t result, struct array *out,
                       tnr_fault *fault) {
  tnr_desc desc;
  *out = (struct array){0};
  tnr_status status = join_desc(gather, result, &desc, fault);
  if (status == TNR_OK)
    status = array_init(out, &desc, fault);
  char *to = out->data;
  for (int64_t i = 0; status == TNR_OK && i < gather->batches; i++) {
    const struct array *piece = piece_at(gather, i, result);
    memcpy(to, piece->data, piece->size);
    to += piece->size;
  }
  return status;
}
