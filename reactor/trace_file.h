/* A recording's file: what is in it beside the tapes, and the tapes piece by piece. Nothing here
 * takes locks or memory; all but tnr_trace_file_open may be called in a signal handler. */
#ifndef TENOR_REACTOR_TRACE_FILE_H
#define TENOR_REACTOR_TRACE_FILE_H

#include <limits.h>
#include <stdbool.h>

#include <tenor/status.h>

#include "tape.h"

typedef struct tnr_recorder tnr_recorder;

/* One thread at a time. */
typedef struct tnr_trace_out {
  int fd;                 /* -1: not open */
  int error;              /* the errno that has ended the writing; nothing is written after it */
  _Atomic uint64_t bytes; /* atomic, relaxed: written so far; read by whoever asks */
} tnr_trace_out;

static inline uint64_t tnr_trace_file_bytes(const tnr_trace_out *out) {
  return atomic_load_explicit(&out->bytes, memory_order_relaxed);
}

/* `path` with %p as the number of the process, and ".number" behind it if that is above 1. False
 * when it gets too long. */
bool tnr_trace_path(const char *path, int number, char out[PATH_MAX]);

/* Creates or empties the file, and locks it against other recordings. TNR_ESYSTEM; *in_use: because
 * another recording writes to it. */
tnr_status tnr_trace_file_open(const char *path, tnr_trace_out *out, bool *in_use,
                               tnr_fault *fault);

/* The same without lock and sentence. */
bool tnr_trace_file_open_raw(const char *path, tnr_trace_out *out);

/* False when not all could be written: see error. */
bool tnr_trace_file_close(tnr_trace_out *out);

/* The beginning: the header, and the names of the devices. `flags`, `start`: as in the header. */
void tnr_trace_file_begin(tnr_trace_out *out, const tnr_recorder *recorder, uint32_t flags,
                          uint64_t start);

/* What is new on tape `index`. `open_too`: also in the chunk that is being written to. */
void tnr_trace_file_drain(tnr_trace_out *out, tnr_recorder *recorder, int index, bool open_too);

/* All that is on tape `index` and not older than `from`, in ticks. It stays there. */
void tnr_trace_file_copy(tnr_trace_out *out, tnr_recorder *recorder, int index, uint64_t from);

/* The end. `drained`: as in tnr_trace_total. */
void tnr_trace_file_end(tnr_trace_out *out, tnr_recorder *recorder, bool drained);

#endif
