/* NumPy's `.npy`: a magic string, a version, the length of a header, a header that is a Python
 * dictionary, and the elements. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

static const char magic[] = "\x93NUMPY";

enum { MAGIC_SIZE = 6, PREFIX_V1 = 10, PREFIX_V2 = 12 };

static const struct {
  const char *descr;
  tnr_dtype dtype;
} dtypes[] = {
    {"<f4", TNR_F32}, {"<f2", TNR_F16}, {"|i1", TNR_I8},   {"|u1", TNR_U8},
    {"<i4", TNR_I32}, {"<i8", TNR_I64}, {"|b1", TNR_BOOL},
};

enum { DTYPES_COUNT = sizeof(dtypes) / sizeof(dtypes[0]) };

struct header {
  char descr[16];
  bool fortran;
  tnr_shape shape;
  bool has_descr, has_fortran, has_shape;
};

/* The part of the header's text that is not read yet. */
struct text {
  const char *at, *end;
};

bool npy_matches(const struct bytes *file) {
  return file->size >= MAGIC_SIZE && memcmp(file->data, magic, MAGIC_SIZE) == 0;
}

static void skip_space(struct text *text) {
  while (text->at < text->end && (*text->at == ' ' || *text->at == '\t' || *text->at == '\n'))
    text->at++;
}

static bool peek(struct text *text, char next) {
  skip_space(text);
  return text->at < text->end && *text->at == next;
}

static bool take(struct text *text, const char *word) {
  skip_space(text);
  size_t length = strlen(word);
  if ((size_t)(text->end - text->at) < length || memcmp(text->at, word, length) != 0)
    return false;
  text->at += length;
  return true;
}

/* 'text' or "text", of fewer than `size` bytes. */
static bool take_string(struct text *text, char *out, size_t size) {
  skip_space(text);
  if (text->at == text->end || (*text->at != '\'' && *text->at != '"'))
    return false;
  const char *from = text->at + 1;
  const char *to = memchr(from, *text->at, (size_t)(text->end - from));
  if (!to || (size_t)(to - from) >= size)
    return false;
  memcpy(out, from, (size_t)(to - from));
  out[to - from] = '\0';
  text->at = to + 1;
  return true;
}

static bool take_dim(struct text *text, int64_t *out) {
  const char *from = text->at;
  int64_t dim = 0;
  for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++)
    if (__builtin_mul_overflow(dim, 10, &dim) || __builtin_add_overflow(dim, *text->at - '0', &dim))
      return false;
  *out = dim;
  return text->at > from;
}

/* (), (3,), (2, 3), (2, 3,) */
static bool take_shape(struct text *text, tnr_shape *out) {
  *out = (tnr_shape){0};
  if (!take(text, "("))
    return false;
  while (!take(text, ")")) {
    int64_t dim;
    if (!take_dim(text, &dim))
      return false;
    if (out->rank < TNR_MAX_RANK)
      out->dims[out->rank] = dim;
    out->rank++;
    if (!take(text, ",") && !peek(text, ')'))
      return false;
  }
  return true;
}

static bool take_bool(struct text *text, bool *out) {
  *out = take(text, "True");
  return *out || take(text, "False");
}

static bool take_entry(struct text *text, struct header *out) {
  char key[16];
  if (!take_string(text, key, sizeof(key)) || !take(text, ":"))
    return false;
  if (strcmp(key, "descr") == 0)
    return out->has_descr = take_string(text, out->descr, sizeof(out->descr));
  if (strcmp(key, "fortran_order") == 0)
    return out->has_fortran = take_bool(text, &out->fortran);
  if (strcmp(key, "shape") == 0)
    return out->has_shape = take_shape(text, &out->shape);
  return false;
}

static bool parse_dictionary(struct text *text, struct header *out) {
  *out = (struct header){0};
  if (!take(text, "{"))
    return false;
  while (!take(text, "}")) {
    if (!take_entry(text, out))
      return false;
    if (!take(text, ",") && !peek(text, '}'))
      return false;
  }
  skip_space(text);
  return text->at == text->end && out->has_descr && out->has_fortran && out->has_shape;
}

/* Where the header's text lies; the elements follow it. */
static tnr_status find_text(const struct bytes *file, struct text *out, tnr_fault *fault) {
  const uint8_t *data = file->data;
  *out = (struct text){0};
  if (file->size < PREFIX_V1)
    return tnr_fail(fault, TNR_EINVAL, "the .npy header ends too early");
  int version = data[MAGIC_SIZE];
  if (version < 1 || version > 3)
    return tnr_fail(fault, TNR_EINVAL, ".npy version %d; known are 1 to 3", version);
  size_t prefix = version == 1 ? PREFIX_V1 : PREFIX_V2;
  if (file->size < prefix)
    return tnr_fail(fault, TNR_EINVAL, "the .npy header ends too early");
  size_t length = data[8] | (size_t)data[9] << 8;
  if (version > 1)
    length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
  if (length > file->size - prefix)
    return tnr_fail(fault, TNR_EINVAL, "the .npy header ends too early");
  out->at = (const char *)data + prefix;
  out->end = out->at + length;
  return TNR_OK;
}

static tnr_status find_dtype(const char *descr, tnr_dtype *out, tnr_fault *fault) {
  for (int i = 0; i < DTYPES_COUNT; i++)
    if (strcmp(descr, dtypes[i].descr) == 0) {
      *out = dtypes[i].dtype;
      return TNR_OK;
    }
  return tnr_fail(fault, TNR_EDTYPE,
                  "elements are of NumPy type '%s'; known are f4, f2, i1, u1, i4, i8, b1, "
                  "little-endian",
                  descr);
}

/* In Fortran order the first dimension is the contiguous one. */
static void copy_fortran(const uint8_t *from, struct array *out) {
  const tnr_shape *shape = &out->desc.shape;
  size_t element = tnr_dtype_size(out->desc.dtype), strides[TNR_MAX_RANK], source = 0;
  int64_t index[TNR_MAX_RANK] = {0};
  size_t stride = 1; /* wraps for an empty array of huge dims, and is not used then */
  for (int64_t i = 0; i < shape->rank; i++) {
    strides[i] = stride;
    stride *= (size_t)shape->dims[i];
  }
  for (size_t done = 0; done < out->size; done += element) {
    memcpy((uint8_t *)out->data + done, from + source * element, element);
    for (int64_t i = shape->rank - 1; i >= 0; i--) {
      source += strides[i];
      if (++index[i] < shape->dims[i])
        break;
      source -= strides[i] * (size_t)index[i];
      index[i] = 0;
    }
  }
}

static tnr_status parse_header(const struct text *text, struct header *out, tnr_dtype *dtype,
                               tnr_fault *fault) {
  struct text rest = *text;
  if (!parse_dictionary(&rest, out))
    return tnr_fail(fault, TNR_EINVAL, "the .npy header is damaged, or of a structured dtype");
  return find_dtype(out->descr, dtype, fault);
}

tnr_status npy_parse(const struct bytes *file, struct array *out, tnr_fault *fault) {
  struct text text;
  struct header header;
  tnr_desc desc;
  tnr_status status = find_text(file, &text, fault);
  if (status == TNR_OK)
    status = parse_header(&text, &header, &desc.dtype, fault);
  if (status != TNR_OK)
    return status;
  desc.shape = header.shape;
  const uint8_t *data = (const uint8_t *)text.end;
  size_t have = file->size - (size_t)(data - file->data);
  status = format_init(out, &desc, have, fault);
  if (status != TNR_OK)
    return status;
  if (header.fortran)
    copy_fortran(data, out);
  else
    memcpy(out->data, data, out->size);
  format_normalize_bools(out);
  return TNR_OK;
}

static const char *descr_of(tnr_dtype dtype) {
  for (int i = 0; i < DTYPES_COUNT; i++)
    if (dtypes[i].dtype == dtype)
      return dtypes[i].descr;
  return NULL;
}

/* To the letter as NumPy writes it: (), (3,), (2, 3). */
static int print_dictionary(const tnr_desc *desc, char *out, size_t size) {
  char dims[TNR_MAX_RANK * 24] = "";
  size_t used = 0;
  for (int64_t i = 0; i < desc->shape.rank; i++)
    used += (size_t)snprintf(dims + used, sizeof(dims) - used, "%s%" PRId64, i > 0 ? ", " : "",
                             desc->shape.dims[i]);
  return snprintf(out, size, "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }",
                  descr_of(desc->dtype), dims, desc->shape.rank == 1 ? "," : "");
}

/* The elements begin at a multiple of 64 bytes; blanks and a line feed fill the gap. */
tnr_status npy_header(const tnr_desc *desc, struct bytes *out, tnr_fault *fault) {
  enum { ALIGNMENT = 64, HEADER_MAX = 320 };
  *out = (struct bytes){0};
  if (!descr_of(desc->dtype))
    return tnr_fail(fault, TNR_EDTYPE, ".npy has no %s", tnr_dtype_name(desc->dtype));
  if (!tnr_shape_valid(&desc->shape))
    return tnr_fail(fault, TNR_ESHAPE, "the shape is not valid");
  char text[HEADER_MAX];
  int length = print_dictionary(desc, text, sizeof(text));
  size_t size = ((size_t)(PREFIX_V1 + length) / ALIGNMENT + 1) * ALIGNMENT;
  uint8_t *data = malloc(size);
  if (!data)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu bytes", size);
  memset(data, ' ', size);
  memcpy(data, magic, MAGIC_SIZE);
  data[6] = 1;
  data[7] = 0;
  data[8] = (uint8_t)(size - PREFIX_V1);
  data[9] = (uint8_t)((size - PREFIX_V1) >> 8);
  memcpy(data + PREFIX_V1, text, (size_t)length);
  data[size - 1] = '\n';
  *out = (struct bytes){data, size};
  return TNR_OK;
}
