#include "score.h"

#include <stdbool.h>

#include "file.h"

static bool is_whole(tnr_dtype dtype) {
  return dtype == TNR_U8 || dtype == TNR_I8 || dtype == TNR_I32 || dtype == TNR_I64;
}

static tnr_status check(const tnr_desc *desc, int64_t rows, tnr_fault *fault) {
  char shape[TNR_SHAPE_TEXT_MAX];
  if (!is_whole(desc->dtype))
    return tnr_fail(fault, TNR_EDTYPE, "labels are whole numbers, and these are %s",
                    tnr_dtype_name(desc->dtype));
  if (desc->shape.rank == 0 || desc->shape.dims[0] != rows)
    return tnr_fail(fault, TNR_ESHAPE, "labels of shape %s do not go with %lld rows of input",
                    tnr_shape_format(&desc->shape, shape, sizeof shape), (long long)rows);
  return TNR_OK;
}

tnr_status score_load(const char *path, int64_t rows, struct array *out, tnr_fault *fault) {
  tnr_fault cause;
  tnr_status status = array_load(path, out, fault);
  if (status != TNR_OK)
    return status;
  status = check(&out->desc, rows, &cause);
  if (status == TNR_OK)
    return TNR_OK;
  array_finish(out);
  return file_fail(fault, path, &cause);
}

static int64_t label_at(const struct array *labels, int64_t i) {
  switch (labels->desc.dtype) {
  case TNR_U8:
    return ((const uint8_t *)labels->data)[i];
  case TNR_I8:
    return ((const int8_t *)labels->data)[i];
  case TNR_I32:
    return ((const int32_t *)labels->data)[i];
  default:
    return ((const int64_t *)labels->data)[i];
  }
}

tnr_status score_share(const struct array *predictions, const struct array *labels, double *out,
                       tnr_fault *fault) {
  char predicted[TNR_SHAPE_TEXT_MAX], labelled[TNR_SHAPE_TEXT_MAX];
  const int64_t *values = predictions->data;
  int64_t count = tnr_shape_elements(&predictions->desc.shape), right = 0;
  if (count != tnr_shape_elements(&labels->desc.shape) || count == 0)
    return tnr_fail(fault, TNR_ESHAPE,
                    "labels of shape %.80s do not go with predictions of shape %.80s",
                    tnr_shape_format(&labels->desc.shape, labelled, sizeof labelled),
                    tnr_shape_format(&predictions->desc.shape, predicted, sizeof predicted));
  for (int64_t i = 0; i < count; i++)
    right += values[i] == label_at(labels, i);
  *out = (double)right / (double)count;
  return TNR_OK;
}
