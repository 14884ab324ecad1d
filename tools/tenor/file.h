/* Files as bytes in memory. */
#ifndef TENOR_TOOL_FILE_H
#define TENOR_TOOL_FILE_H

#include <stddef.h>
#include <stdint.h>

#include <tenor/status.h>

/* Heap memory, owned; `data` is not NULL even when `size` is 0. All zero: nothing held. */
struct bytes {
  uint8_t *data;
  size_t size; /* bytes */
};

/* Reads the whole file (a pipe is fine) of at most `limit` bytes. Fails with TNR_EINVAL when it
 * cannot be read, TNR_EOVERFLOW above the limit, TNR_ENOMEM; the sentence does not name the file.
 */
tnr_status bytes_read(const char *path, size_t limit, struct bytes *out,
                      tnr_fault *fault) TNR_MUST_USE;

/* Replaces gzip data by what it unpacks to, at most `limit` bytes; other data is left as it is.
 * Fails as bytes_read does; `bytes` is then as before. */
tnr_status bytes_gunzip(struct bytes *bytes, size_t limit, tnr_fault *fault) TNR_MUST_USE;

void bytes_finish(struct bytes *bytes);

/* Fills `fault` with the code and the sentence of `cause` behind the file's name, and returns the
 * code. What could confuse a terminal becomes '?', and of a long path the end is shown. */
tnr_status file_fail(tnr_fault *fault, const char *path, const tnr_fault *cause);

#endif
