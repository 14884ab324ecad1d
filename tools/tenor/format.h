/* What each array format gives to array.c: does it own these bytes, and what do they hold.
 * A reader fails as array_load does, with a sentence that does not name the file, and leaves
 * `out` all zero. */
#ifndef TENOR_TOOL_FORMAT_H
#define TENOR_TOOL_FORMAT_H

#include <stdbool.h>

#include "array.h"
#include "file.h"

bool npy_matches(const struct bytes *file);
tnr_status npy_parse(const struct bytes *file, struct array *out, tnr_fault *fault) TNR_MUST_USE;

/* The file's beginning up to the data; TNR_EDTYPE when the format lacks the dtype. */
tnr_status npy_header(const tnr_desc *desc, struct bytes *out, tnr_fault *fault) TNR_MUST_USE;

bool idx_matches(const struct bytes *file);
tnr_status idx_parse(const struct bytes *file, struct array *out, tnr_fault *fault) TNR_MUST_USE;

/* TensorProto has no mark of its own: what no other format owns is tried as one. */
tnr_status pb_parse(const struct bytes *file, struct array *out, tnr_fault *fault) TNR_MUST_USE;

/* array_init for an array whose data is `have` bytes of the file; TNR_EINVAL when that is not what
 * it takes. Nothing is allocated before the sizes agree. */
tnr_status format_init(struct array *out, const tnr_desc *desc, size_t have,
                       tnr_fault *fault) TNR_MUST_USE;

/* Makes every bool that is not 0 a 1; other dtypes are left alone. */
void format_normalize_bools(struct array *array);

#endif
