/* IDX, the format of the MNIST family: two zero bytes, a byte for the element type, a byte for the
 * rank, the dims, the elements; all numbers big-endian. */
#include <string.h>

#include "format.h"

enum { PREFIX = 4, DIM_SIZE = 4 };

static const struct {
  uint8_t code;
  const char *name;
  tnr_dtype dtype; /* TNR_DTYPE_COUNT: none of ours */
} types[] = {
    {0x08, "u8", TNR_U8},   {0x09, "i8", TNR_I8},   {0x0b, "i16", TNR_DTYPE_COUNT},
    {0x0c, "i32", TNR_I32}, {0x0d, "f32", TNR_F32}, {0x0e, "f64", TNR_DTYPE_COUNT},
};

static int find_type(uint8_t code) {
  for (int i = 0; i < (int)(sizeof(types) / sizeof(types[0])); i++)
    if (types[i].code == code)
      return i;
  return -1;
}

bool idx_matches(const struct bytes *file) {
  const uint8_t *data = file->data;
  return file->size >= PREFIX && data[0] == 0 && data[1] == 0 && find_type(data[2]) >= 0;
}

static uint32_t big_endian(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void copy(const uint8_t *from, struct array *out) {
  if (tnr_dtype_size(out->desc.dtype) == 1) {
    memcpy(out->data, from, out->size);
    return;
  }
  uint32_t *words = out->data;
  for (size_t i = 0; i < out->size / sizeof(*words); i++)
    words[i] = big_endian(from + i * sizeof(*words));
}

tnr_status idx_parse(const struct bytes *file, struct array *out, tnr_fault *fault) {
  int type = find_type(file->data[2]), rank = file->data[3];
  if (types[type].dtype == TNR_DTYPE_COUNT)
    return tnr_fail(fault, TNR_EDTYPE, "elements are %s; known in IDX files are u8, i8, i32, f32",
                    types[type].name);
  if (rank > TNR_MAX_RANK)
    return tnr_fail(fault, TNR_ESHAPE, "%d dimensions; the most is %d", rank, TNR_MAX_RANK);
  size_t header = PREFIX + (size_t)rank * DIM_SIZE;
  if (file->size < header)
    return tnr_fail(fault, TNR_EINVAL, "the IDX header ends too early");
  tnr_desc desc = {.dtype = types[type].dtype, .shape.rank = rank};
  for (int i = 0; i < rank; i++)
    desc.shape.dims[i] = big_endian(file->data + PREFIX + i * DIM_SIZE);
  tnr_status status = format_init(out, &desc, file->size - header, fault);
  if (status == TNR_OK)
    copy(file->data + header, out);
  return status;
}
