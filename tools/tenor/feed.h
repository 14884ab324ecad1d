/* A file's array made to fit an input of a model, and cut into batches of rows (slices along
 * dimension 0). */
#ifndef TENOR_TOOL_FEED_H
#define TENOR_TOOL_FEED_H

#include <tenor.h>

#include "onnx.h"

struct feed {
  const struct onnx_value *input; /* borrowed */
  struct array array;             /* as in the file */
  tnr_shape shape;                /* of all rows, as the model takes it */
  bool scaled;                    /* the file has bytes, the model takes f32: bytes / 255 */
};

enum { FEED_WANTS_MAX = 128 };

/* Writes what an input takes, such as "f32 [N, 1, 28, 28]", and returns `out`. */
char *feed_wants(const struct onnx_value *input, char out[FEED_WANTS_MAX]);

/* Reads the file and fits it: bytes for an input that takes f32 are scaled to 0..1; where only a
 * dimension 1 of size 1 is missing, it is put in. Fails as array_load does, and with TNR_EDTYPE or
 * TNR_ESHAPE and a sentence that names the file, the input, and what it takes and is given. `out`
 * is then all zero. */
tnr_status feed_init(const struct onnx_value *input, const char *path, struct feed *out,
                     tnr_fault *fault) TNR_MUST_USE;

/* All zero is fine, and what is left. Nothing may use tensors of feed_rows any more. */
void feed_finish(struct feed *feed);

/* How many rows there are; how many the model takes at a time, or 0 for any number. */
int64_t feed_rows(const struct feed *feed);
int64_t feed_fixed_batch(const struct feed *feed);

/* Submits rows [first, first + count) to the device, as the model takes them: a future if `async`,
 * else a tensor. The memory is the feed's own, not a copy. `full` is the f32 scalar 255 on that
 * device. Of kind NONE with tnr_error() on failure. In an open scope, which owns all handles. */
tnr_value feed_submit(const struct feed *feed, tnr_device *device, tnr_tensor *full, int64_t first,
                      int64_t count, bool async);

#endif
