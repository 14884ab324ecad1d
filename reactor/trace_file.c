#define _GNU_SOURCE /* program_invocation_short_name */

#include "trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime.h"

/* ---- names ---- */

static bool add(char out[PATH_MAX], size_t *length, const char *text, size_t bytes) {
  if (*length + bytes >= PATH_MAX)
    return false;
  memcpy(out + *length, text, bytes);
  *length += bytes;
  out[*length] = '\0';
  return true;
}

/* Not by snprintf, which signal handlers must not call. */
static bool add_number(char out[PATH_MAX], size_t *length, unsigned number) {
  char digits[16];
  size_t at = sizeof digits;
  do
    digits[--at] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  return add(out, length, digits + at, sizeof digits - at);
}

bool tnr_trace_path(const char *path, int number, char out[PATH_MAX]) {
  size_t length = 0;
  for (const char *at = path; *at; at++) {
    bool is_pid = at[0] == '%' && at[1] == 'p';
    if (!(is_pid ? add_number(out, &length, (unsigned)getpid()) : add(out, &length, at, 1)))
      return false;
    at += is_pid;
  }
  return number < 2 || (add(out, &length, ".", 1) && add_number(out, &length, (unsigned)number));
}

/* ---- opening and closing ---- */

enum { MODE = 0666, FLAGS = O_WRONLY | O_CREAT | O_CLOEXEC };

bool tnr_trace_file_open_raw(const char *path, tnr_trace_out *out) {
  *out = (tnr_trace_out){.fd = open(path, FLAGS | O_TRUNC, MODE)};
  return out->fd != -1;
}

/* Emptied only once it is locked: else another recording would lose what it has written. */
tnr_status tnr_trace_file_open(const char *path, tnr_trace_out *out, bool *in_use,
                               tnr_fault *fault) {
  *in_use = false;
  *out = (tnr_trace_out){.fd = open(path, FLAGS, MODE)};
  if (out->fd == -1)
    return tnr_fail(fault, TNR_ESYSTEM, "cannot write to '%.150s': %s", path, strerror(errno));
  if (flock(out->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    *in_use = true;
    tnr_fail(fault, TNR_ESYSTEM, "'%.150s' is being written by another recording", path);
  } else if (ftruncate(out->fd, 0) == 0 || errno == EINVAL) { /* EINVAL: no file, but a pipe */
    return TNR_OK;
  } else {
    tnr_fail(fault, TNR_ESYSTEM, "cannot empty '%.150s': %s", path, strerror(errno));
  }
  close(out->fd);
  out->fd = -1;
  return TNR_ESYSTEM;
}

bool tnr_trace_file_close(tnr_trace_out *out) {
  if (out->fd != -1 && close(out->fd) != 0 && !out->error)
    out->error = errno;
  out->fd = -1;
  return !out->error;
}

/* ---- writing ---- */

static void put(tnr_trace_out *out, const void *head, size_t head_bytes, const void *body,
                size_t body_bytes) {
  struct iovec parts[2] = {{(void *)head, head_bytes}, {(void *)body, body_bytes}};
  struct iovec *part = parts;
  int left = body_bytes ? 2 : 1;
  while (left > 0 && !out->error) {
    ssize_t done = writev(out->fd, part, left);
    if (done < 0 && errno != EINTR)
      out->error = errno;
    if (done <= 0)
      continue;
    atomic_store_explicit(&out->bytes, tnr_trace_file_bytes(out) + (uint64_t)done,
                          memory_order_relaxed);
    for (; left > 0 && (size_t)done >= part->iov_len; part++, left--)
      done -= (ssize_t)part->iov_len;
    if (left > 0) {
      part->iov_base = (char *)part->iov_base + done;
      part->iov_len -= (size_t)done;
    }
  }
}

static void put_records(tnr_trace_out *out, uint32_t kind, const void *records, size_t bytes,
                        uint32_t count) {
  tnr_trace_piece piece = {
      .magic = TNR_TRACE_PIECE_MAGIC,
      .bytes = (uint32_t)bytes,
      .kind = kind,
      .records = count,
      .device = TNR_TRACE_NO_DEVICE,
  };
  put(out, &piece, sizeof piece, records, bytes);
}

static void put_device(tnr_trace_out *out, const tnr_device *device) {
  struct {
    tnr_trace_device record;
    char name[TNR_DEVICE_NAME_MAX];
  } place = {0};
  size_t length = strnlen(device->name, sizeof place.name), words = (length + 7) / 8 + 2;
  memcpy(place.name, device->name, length);
  place.record = (tnr_trace_device){
      .head = tnr_trace_head(TNR_TRACE_DEVICE, 0, (unsigned)words, 0),
      .index = tnr_device_is_host(device) ? TNR_TRACE_NO_DEVICE : (uint16_t)device->index,
      .name_bytes = (uint16_t)length,
      .host_memory = device->driver->host_memory,
  };
  put_records(out, TNR_TRACE_PLACES, &place, words * 8, 1);
}

static void put_piece(tnr_trace_out *out, const tnr_recorder *recorder, int index,
                      const tnr_tape_held *held, uint64_t taken) {
  const tnr_tape *tape = &recorder->tapes[index];
  const tnr_tape_chunk *chunk = held->chunk;
  uint32_t from = (uint32_t)taken;
  tnr_trace_piece piece = {
      .magic = TNR_TRACE_PIECE_MAGIC,
      .bytes = held->bytes - from,
      .tape = (uint32_t)index,
      .kind = chunk->writer.kind,
      .sequence = held->sequence,
      .base = chunk->base,
      .lost = chunk->lost - tape->lost_before,
      .offset = from,
      .records = held->records - (uint32_t)(taken >> 32),
      .tid = recorder->ticker.made ? 0 : chunk->writer.tid,
      .device = chunk->writer.device,
  };
  memcpy(piece.name, chunk->writer.name, sizeof piece.name);
  if (piece.bytes > 0)
    put(out, &piece, sizeof piece, (const char *)chunk->words + from, piece.bytes);
}

void tnr_trace_file_begin(tnr_trace_out *out, const tnr_recorder *recorder, uint32_t flags,
                          uint64_t start) {
  const tnr_machine *machine = &recorder->runtime->machine;
  const tnr_ticker *ticker = &recorder->ticker;
  tnr_trace_file file = {
      .byte_order = TNR_TRACE_BYTE_ORDER,
      .version = TNR_TRACE_VERSION,
      .mult = ticker->mult,
      .shift = ticker->shift,
      .flags = flags | (ticker->made ? TNR_TRACE_MADE_TIME : 0u),
      .start = start,
      .devices = (uint32_t)machine->count,
  };
  memcpy(file.magic, TNR_TRACE_MAGIC, sizeof file.magic);
  if (!ticker->made) {
    file.pid = (uint32_t)getpid();
    file.start_realtime =
        recorder->started_realtime + (int64_t)tnr_ticker_to_ns(ticker, start - recorder->started);
  }
  memcpy(file.program, program_invocation_short_name,
         strnlen(program_invocation_short_name, sizeof file.program - 1));
  memcpy(file.library, TENOR_VERSION, strnlen(TENOR_VERSION, sizeof file.library - 1));
  put(out, &file, sizeof file, NULL, 0);
  put_device(out, machine->host);
  for (int i = 0; i < machine->count; i++)
    put_device(out, machine->devices[i]);
}

/* ---- tapes ---- */

void tnr_trace_file_drain(tnr_trace_out *out, tnr_recorder *recorder, int index, bool open_too) {
  tnr_tape *tape = &recorder->tapes[index];
  tnr_tape_held held;
  bool goes_on = true;
  while (goes_on && !out->error && tnr_tape_hold_next(tape, tape->drained, &held)) {
    goes_on = !held.open;
    if (!held.open)
      tape->drained = held.sequence;
    if (!held.open || open_too) {
      put_piece(out, recorder, index, &held, held.chunk->taken);
      if (!out->error)
        held.chunk->taken = (uint64_t)held.records << 32 | held.bytes;
    }
    tnr_tape_let_go(&held);
  }
}

void tnr_trace_file_copy(tnr_trace_out *out, tnr_recorder *recorder, int index, uint64_t from) {
  tnr_tape *tape = &recorder->tapes[index];
  tnr_tape_held held;
  uint64_t after = tape->drained;
  bool goes_on = true;
  while (goes_on && !out->error && tnr_tape_hold_next(tape, after, &held)) {
    goes_on = !held.open;
    after = held.sequence;
    /* its last record is not much older than the first of the chunk behind it */
    tnr_tape_held behind;
    bool old = !held.open && tnr_tape_hold_next(tape, after, &behind);
    if (old) {
      old = behind.chunk->base < from;
      tnr_tape_let_go(&behind);
    }
    if (!old)
      put_piece(out, recorder, index, &held, 0);
    tnr_tape_let_go(&held);
  }
}

void tnr_trace_file_end(tnr_trace_out *out, tnr_recorder *recorder, bool drained) {
  uint64_t records = 0;
  for (int i = 0; i < recorder->tape_count; i++)
    records += tnr_tape_recorded(&recorder->tapes[i]) - recorder->tapes[i].recorded_before;
  tnr_trace_total total = {
      .head = tnr_trace_head(TNR_TRACE_TOTAL, 0, sizeof total / 8, 0),
      .records = records,
      .lost = tnr_recorder_lost(recorder),
      .strangers = atomic_load_explicit(&recorder->strangers, memory_order_relaxed),
      .drained = drained,
  };
  put_records(out, TNR_TRACE_LAST, &total, sizeof total, 1);
}
