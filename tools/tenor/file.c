#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { CHUNK = 64 * 1024, SHOWN_PATH_MAX = 100 };

static tnr_status grow(struct bytes *bytes, size_t *capacity, size_t limit, tnr_fault *fault) {
  if (bytes->size < *capacity)
    return TNR_OK;
  if (*capacity > limit)
    return tnr_fail(fault, TNR_EOVERFLOW, "more than %zu bytes, the most that is read", limit);
  /* One byte above the limit tells a file that ends there from a longer one. */
  size_t wanted = *capacity > limit / 2 ? limit + 1 : *capacity * 2;
  uint8_t *data = realloc(bytes->data, wanted);
  if (!data)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu bytes", wanted);
  bytes->data = data;
  *capacity = wanted;
  return TNR_OK;
}

static tnr_status start(struct bytes *out, size_t capacity, tnr_fault *fault) {
  out->size = 0;
  out->data = malloc(capacity);
  return out->data ? TNR_OK : tnr_fail(fault, TNR_ENOMEM, "no memory for %zu bytes", capacity);
}

static tnr_status read_all(int fd, size_t limit, size_t capacity, struct bytes *out,
                           tnr_fault *fault) {
  tnr_status status = start(out, capacity, fault);
  while (status == TNR_OK) {
    ssize_t got = read(fd, out->data + out->size, capacity - out->size);
    if (got == 0)
      return TNR_OK;
    if (got < 0 && errno != EINTR)
      status = tnr_fail(fault, TNR_EINVAL, "%s", strerror(errno));
    if (got > 0) {
      out->size += (size_t)got;
      status = grow(out, &capacity, limit, fault);
    }
  }
  bytes_finish(out);
  return status;
}

/* The file's length and one byte more, so that the end is met without growing. */
static size_t first_capacity(int fd, size_t limit) {
  struct stat info;
  bool known = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0;
  if (!known)
    return limit < CHUNK ? limit + 1 : CHUNK;
  return (uintmax_t)info.st_size > limit ? limit + 1 : (size_t)info.st_size + 1;
}

tnr_status bytes_read(const char *path, size_t limit, struct bytes *out, tnr_fault *fault) {
  *out = (struct bytes){0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return tnr_fail(fault, TNR_EINVAL, "%s", strerror(errno));
  tnr_status status = read_all(fd, limit, first_capacity(fd, limit), out, fault);
  close(fd);
  return status;
}

static bool is_gzip(const struct bytes *bytes) {
  return bytes->size >= 2 && bytes->data[0] == 0x1f && bytes->data[1] == 0x8b;
}

static uInt step_of(size_t left) {
  return left < CHUNK ? (uInt)left : CHUNK;
}

/* Unpacks one step. `stream` counts in 32 bits, hence the steps. */
static int inflate_step(z_stream *stream, const struct bytes *in, size_t *used, struct bytes *out,
                        size_t capacity) {
  uInt in_step = step_of(in->size - *used), out_step = step_of(capacity - out->size);
  stream->next_in = in->data + *used;
  stream->avail_in = in_step;
  stream->next_out = out->data + out->size;
  stream->avail_out = out_step;
  int result = inflate(stream, Z_NO_FLUSH);
  *used += in_step - stream->avail_in;
  out->size += out_step - stream->avail_out;
  return result;
}

/* A gzip file is one or more members in a row. */
static tnr_status inflate_all(z_stream *stream, const struct bytes *in, size_t limit,
                              struct bytes *out, tnr_fault *fault) {
  size_t used = 0, capacity = limit < CHUNK ? limit + 1 : CHUNK;
  tnr_status status = start(out, capacity, fault);
  while (status == TNR_OK) {
    int result = inflate_step(stream, in, &used, out, capacity);
    if (result == Z_STREAM_END && used == in->size)
      return out->size <= limit ? TNR_OK : grow(out, &capacity, limit, fault);
    if (result == Z_STREAM_END)
      result = inflateReset(stream);
    if (result == Z_MEM_ERROR)
      status = tnr_fail(fault, TNR_ENOMEM, "no memory to unpack the gzip data");
    else if (result == Z_BUF_ERROR && used == in->size)
      status = tnr_fail(fault, TNR_EINVAL, "the gzip data ends too early");
    else if (result != Z_OK && result != Z_BUF_ERROR)
      status = tnr_fail(fault, TNR_EINVAL, "the gzip data is damaged");
    else
      status = grow(out, &capacity, limit, fault);
  }
  return status;
}

tnr_status bytes_gunzip(struct bytes *bytes, size_t limit, tnr_fault *fault) {
  enum { GZIP_ONLY = 16 + MAX_WBITS };
  if (!is_gzip(bytes))
    return TNR_OK;
  z_stream stream = {0};
  if (inflateInit2(&stream, GZIP_ONLY) != Z_OK)
    return tnr_fail(fault, TNR_ENOMEM, "no memory to unpack the gzip data");
  struct bytes out = {0};
  tnr_status status = inflate_all(&stream, bytes, limit, &out, fault);
  inflateEnd(&stream);
  if (status != TNR_OK) {
    bytes_finish(&out);
    return status;
  }
  bytes_finish(bytes);
  *bytes = out;
  return TNR_OK;
}

void bytes_finish(struct bytes *bytes) {
  free(bytes->data);
  *bytes = (struct bytes){0};
}

static void mask_controls(char *text) {
  for (; *text; text++)
    if ((unsigned char)*text < ' ' || *text == 0x7f)
      *text = '?';
}

tnr_status file_fail(tnr_fault *fault, const char *path, const tnr_fault *cause) {
  size_t length = strlen(path);
  bool cut = length > SHOWN_PATH_MAX;
  const char *shown = cut ? path + length - SHOWN_PATH_MAX : path;
  tnr_status code =
      tnr_fail(fault, cause->code, "%s%s: %s", cut ? "..." : "", shown, cause->message);
  if (fault)
    mask_controls(fault->message);
  return code;
}
