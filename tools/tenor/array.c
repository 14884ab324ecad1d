#include "array.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

#define FILE_MAX ((size_t)16 << 30)

enum { ALIGNMENT = 64 };

tnr_status array_init(struct array *out, const tnr_desc *desc, tnr_fault *fault) {
  *out = (struct array){0};
  size_t size;
  tnr_status status = tnr_desc_bytes(desc, &size, fault);
  if (status != TNR_OK)
    return status;
  /* aligned_alloc wants a multiple of the alignment, and an empty array a pointer too. */
  void *data = aligned_alloc(ALIGNMENT, (size / ALIGNMENT + 1) * ALIGNMENT);
  if (!data)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu bytes", size);
  *out = (struct array){*desc, size, data};
  return TNR_OK;
}

void array_finish(struct array *array) {
  free(array->data);
  *array = (struct array){0};
}

tnr_status format_init(struct array *out, const tnr_desc *desc, size_t have, tnr_fault *fault) {
  *out = (struct array){0};
  size_t size;
  tnr_status status = tnr_desc_bytes(desc, &size, fault);
  if (status != TNR_OK)
    return status;
  if (size == have)
    return array_init(out, desc, fault);
  char shape[TNR_SHAPE_TEXT_MAX];
  return tnr_fail(fault, TNR_EINVAL, "%s %s takes %zu bytes of data, but there are %zu",
                  tnr_dtype_name(desc->dtype), tnr_shape_format(&desc->shape, shape, sizeof(shape)),
                  size, have);
}

void format_normalize_bools(struct array *array) {
  if (array->desc.dtype != TNR_BOOL)
    return;
  uint8_t *bools = array->data;
  for (size_t i = 0; i < array->size; i++)
    bools[i] = bools[i] != 0;
}

static tnr_status parse(const struct bytes *file, struct array *out, tnr_fault *fault) {
  if (file->size == 0)
    return tnr_fail(fault, TNR_EINVAL, "the file is empty");
  if (npy_matches(file))
    return npy_parse(file, out, fault);
  if (idx_matches(file))
    return idx_parse(file, out, fault);
  return pb_parse(file, out, fault);
}

tnr_status array_load(const char *path, struct array *out, tnr_fault *fault) {
  struct bytes file;
  tnr_fault cause;
  *out = (struct array){0};
  tnr_status status = bytes_read(path, FILE_MAX, &file, &cause);
  if (status == TNR_OK)
    status = bytes_gunzip(&file, FILE_MAX, &cause);
  if (status == TNR_OK)
    status = parse(&file, out, &cause);
  bytes_finish(&file);
  return status == TNR_OK ? TNR_OK : file_fail(fault, path, &cause);
}

static bool write_parts(FILE *file, const struct bytes *header, const struct array *array) {
  return fwrite(header->data, 1, header->size, file) == header->size &&
         fwrite(array->data, 1, array->size, file) == array->size;
}

static tnr_status write_npy(const struct array *array, const char *path, tnr_fault *fault) {
  struct bytes header;
  tnr_status status = npy_header(&array->desc, &header, fault);
  if (status != TNR_OK)
    return status;
  FILE *file = fopen(path, "wbe");
  if (!file) {
    status = tnr_fail(fault, TNR_EINVAL, "%s", strerror(errno));
    goto free_header;
  }
  bool written = write_parts(file, &header, array);
  int error = errno;
  bool closed = fclose(file) == 0;
  if (!written || !closed)
    status = tnr_fail(fault, TNR_EINVAL, "%s", strerror(written ? errno : error));
free_header:
  bytes_finish(&header);
  return status;
}

tnr_status array_save_npy(const struct array *array, const char *path, tnr_fault *fault) {
  tnr_fault cause;
  tnr_status status = write_npy(array, path, &cause);
  return status == TNR_OK ? TNR_OK : file_fail(fault, path, &cause);
}
