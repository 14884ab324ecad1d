/* Arrays in host memory, and the files that hold one: `.npy`, IDX and ONNX TensorProto, each
 * plain or gzipped. Little-endian hosts only. */
#ifndef TENOR_TOOL_ARRAY_H
#define TENOR_TOOL_ARRAY_H

#include <stddef.h>

#include <tenor/shape.h>

struct array {
  tnr_desc desc;
  size_t size; /* bytes: the elements times the dtype's size */
  void *data;  /* heap, owned: dense, row-major, aligned to 64 bytes; never NULL */
};

/* Makes an array of uninitialised elements. Fails with TNR_ESHAPE, TNR_EOVERFLOW, TNR_ENOMEM. */
tnr_status array_init(struct array *out, const tnr_desc *desc, tnr_fault *fault) TNR_MUST_USE;

/* Frees the data. All zero is fine, and what is left. */
void array_finish(struct array *array);

/* Reads the array in a file; the format is told from the content, never from the name. Files
 * of up to 16 GiB, after unpacking too. Big-endian IDX numbers and Fortran order are
 * converted; a bool other than 0 becomes 1.
 * Fails with TNR_EINVAL (no such file, none of the formats, damaged, cut short or too long),
 * TNR_EDTYPE (elements that tenor has no dtype for), TNR_ESHAPE, TNR_EOVERFLOW, TNR_ENOMEM;
 * the sentence begins with the path. `out` is then all zero. */
tnr_status array_load(const char *path, struct array *out, tnr_fault *fault) TNR_MUST_USE;

/* Writes a `.npy` file of version 1.0, over what was there. Fails with TNR_EDTYPE for bf16, which
 * the format lacks, TNR_EINVAL when the file cannot be written; the sentence begins with the path.
 * What was written of it stays. */
tnr_status array_save_npy(const struct array *array, const char *path,
                          tnr_fault *fault) TNR_MUST_USE;

#endif
