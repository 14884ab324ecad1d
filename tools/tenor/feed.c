#include "feed.h"

#include <stdio.h>

#include "file.h"

char *feed_wants(const struct onnx_value *input, char out[FEED_WANTS_MAX]) {
  size_t used = (size_t)snprintf(out, FEED_WANTS_MAX, "%s", tnr_dtype_name(input->dtype));
  for (int i = 0; i < input->shape.rank && used < FEED_WANTS_MAX; i++) {
    int64_t dim = input->shape.dims[i];
    const char *before = i ? ", " : " [";
    if (dim >= 0)
      used += (size_t)snprintf(out + used, FEED_WANTS_MAX - used, "%s%lld", before, (long long)dim);
    else
      used += (size_t)snprintf(out + used, FEED_WANTS_MAX - used, "%s%s", before, i ? "?" : "N");
  }
  if (used < FEED_WANTS_MAX && input->shape.rank >= 0)
    snprintf(out + used, FEED_WANTS_MAX - used, "%s", input->shape.rank ? "]" : " []");
  return out;
}

static tnr_shape with_channel(const tnr_shape *shape) {
  tnr_shape result = {.rank = shape->rank + 1, .dims = {shape->dims[0], 1}};
  for (int64_t i = 1; i < shape->rank; i++)
    result.dims[i + 1] = shape->dims[i];
  return result;
}

/* How many rows there are, and how many go at a time, is another question. */
static bool fit_shape(const tnr_shape *wants, const tnr_shape *have, tnr_shape *out) {
  *out = *have;
  if (have->rank > 0 && wants->rank == have->rank + 1 && wants->dims[1] == 1)
    *out = with_channel(have);
  if (wants->rank == -1) /* the model does not say */
    return have->rank > 0;
  for (int64_t i = 1; i < wants->rank; i++)
    if (wants->dims[i] >= 0 && wants->dims[i] != out->dims[i])
      return false;
  return wants->rank == out->rank && out->rank > 0;
}

static tnr_status fit(struct feed *feed, tnr_fault *fault) {
  char wants[FEED_WANTS_MAX], has[TNR_SHAPE_TEXT_MAX];
  const tnr_desc *desc = &feed->array.desc;
  feed->scaled = desc->dtype == TNR_U8 && feed->input->dtype == TNR_F32;
  tnr_status code = TNR_OK;
  if (!fit_shape(&feed->input->shape, &desc->shape, &feed->shape))
    code = TNR_ESHAPE;
  else if (desc->dtype != feed->input->dtype && !feed->scaled)
    code = TNR_EDTYPE;
  else
    return TNR_OK;
  return tnr_fail(fault, code, "input '%.60s' takes %s, and this is %s %s", feed->input->name,
                  feed_wants(feed->input, wants), tnr_dtype_name(desc->dtype),
                  tnr_shape_format(&desc->shape, has, sizeof has));
}

tnr_status feed_init(const struct onnx_value *input, const char *path, struct feed *out,
                     tnr_fault *fault) {
  tnr_fault cause;
  *out = (struct feed){.input = input};
  tnr_status status = array_load(path, &out->array, fault);
  if (status == TNR_OK && fit(out, &cause) != TNR_OK)
    status = file_fail(fault, path, &cause);
  if (status != TNR_OK)
    feed_finish(out);
  return status;
}

void feed_finish(struct feed *feed) {
  array_finish(&feed->array);
  *feed = (struct feed){0};
}

int64_t feed_rows(const struct feed *feed) {
  return feed->shape.dims[0];
}

int64_t feed_fixed_batch(const struct feed *feed) {
  const tnr_shape *wants = &feed->input->shape;
  return wants->rank > 0 && wants->dims[0] > 0 ? wants->dims[0] : 0;
}

/* The array lives until the runtime is gone. */
static void keep_array(void *array) {
  (void)array;
}

tnr_value feed_submit(const struct feed *feed, tnr_device *device, tnr_tensor *full, int64_t first,
                      int64_t count, bool async) {
  size_t row = feed->array.size / (size_t)feed_rows(feed);
  const char *data = (const char *)feed->array.data + row * (size_t)first;
  tnr_shape shape = feed->shape;
  shape.dims[0] = count;
  tnr_tensor *tensor =
      tnr_tensor_borrow(device, feed->array.desc.dtype, shape, data, keep_array, NULL);
  tnr_value value = tnr_value_of_tensor(tensor);
  if (tensor && async)
    value = tnr_to_async(value);
  if (!feed->scaled)
    return value;
  return tnr_div(tnr_cast(value, .dtype = TNR_F32), full);
}
