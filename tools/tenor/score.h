/* How many of a model's predictions are what the labels say. */
#ifndef TENOR_TOOL_SCORE_H
#define TENOR_TOOL_SCORE_H

#include "array.h"

/* Reads labels: whole numbers, one for each of `rows` rows. Fails as array_load does, and with
 * TNR_EDTYPE or TNR_ESHAPE; `out` is then all zero. */
tnr_status score_load(const char *path, int64_t rows, struct array *out,
                      tnr_fault *fault) TNR_MUST_USE;

/* The share of `predictions` (i64) that equal the labels, 0 to 1. Fails with TNR_ESHAPE when there
 * are not as many. */
tnr_status score_share(const struct array *predictions, const struct array *labels, double *out,
                       tnr_fault *fault) TNR_MUST_USE;

#endif
