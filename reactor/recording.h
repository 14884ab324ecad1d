/* What all that record share: the calling thread's tape, and what several put on it. */
#ifndef TENOR_REACTOR_RECORDING_H
#define TENOR_REACTOR_RECORDING_H

#include <string.h>

#include "op.h"
#include "recorder.h"
#include "runtime.h"
#include "thread.h"

/* ---- the tape ---- */

/* The tape that this thread has had last, but for the dispatcher and workers, and who plays them:
 * theirs go with their place. */
typedef struct tnr_kept_tape {
  tnr_tape *tape;         /* NULL: none was free */
  const tnr_recorder *of; /* only to be compared: it may be gone */
  int64_t serial;         /* of the recording */
  uint32_t refused;       /* times that it was not looked for again since */
} tnr_kept_tape;

/* initial-exec: read for every record, also in the shared library */
extern _Thread_local tnr_kept_tape tnr_own_tape __attribute__((tls_model("initial-exec")));

/* For a thread of the application that has no tape of this recording yet. NULL: none is free. */
tnr_tape *tnr_claim_own_tape(tnr_recorder *recorder, int64_t serial);

/* The calling thread's; NULL: none is free. */
static inline tnr_tape *tnr_tape_here(tnr_recorder *recorder) {
  int64_t serial = tnr_recorder_serial(recorder);
  if (tnr_this_thread.group == recorder->runtime) {
    tnr_tape *tape = &recorder->tapes[tnr_this_thread.index];
    return __builtin_expect(tape->recording == serial, 1) ? tape : tnr_recorder_claim(recorder);
  }
  if (__builtin_expect(tnr_own_tape.of == recorder && tnr_own_tape.serial == serial &&
                           tnr_own_tape.tape != NULL,
                       1))
    return tnr_own_tape.tape;
  return tnr_claim_own_tape(recorder, serial);
}

/* That of who plays the dispatcher, for itself. */
static inline tnr_tape *tnr_dispatcher_tape(tnr_recorder *recorder) {
  tnr_tape *tape = recorder->tapes;
  bool is_known = tape->recording == tnr_recorder_serial(recorder);
  return __builtin_expect(is_known, 1) ? tape : tnr_tape_here(recorder);
}

/* That of who plays this device's worker, for itself. */
static inline tnr_tape *tnr_worker_tape(tnr_recorder *recorder, const tnr_device *device) {
  tnr_tape *tape = &recorder->tapes[1 + device->index];
  bool is_known = tape->recording == tnr_recorder_serial(recorder);
  return __builtin_expect(is_known, 1) ? tape : tnr_tape_here(recorder);
}

/* ---- numbers ---- */

/* 0: none. */
static inline uint32_t tnr_recorded_op(const tnr_op *op) {
  return op->future.numbered ? tnr_op_number(op) : 0;
}

/* How records call it. */
static inline uint16_t tnr_recorded_device(const tnr_device *device) {
  return tnr_device_is_host(device) ? TNR_TRACE_NO_DEVICE : (uint16_t)device->index;
}

static inline unsigned tnr_record_words(size_t bytes) {
  return (unsigned)((bytes + 7) / 8);
}

/* Of an op that is not submitted yet; it gets one if it has none. */
uint32_t tnr_recording_number(tnr_op *op, tnr_tape *tape);

/* A worker takes up what it had been held back from: see tape->held_since. */
void tnr_recording_let_go(tnr_tape *tape, tnr_lane *lane, tnr_op_item item);

/* ---- texts ---- */

enum { TNR_TEXT_MAX = 240 }; /* bytes of a name, of attributes or of an error */

static inline size_t tnr_cut_text(const char *text, size_t max) {
  return text ? strnlen(text, max) : 0;
}

/* Copies a text behind a record, filled up with 0 by who begins it. */
static inline char *tnr_append_text(char *to, const char *text, size_t bytes) {
  if (bytes > 0)
    memcpy(to, text, bytes);
  return to + bytes;
}

/* Begins a record of so many words, in a chunk that has room for it, with 0 behind its head. */
void *tnr_put_texts(tnr_tape *tape, unsigned type, unsigned words);

/* ---- records of several kinds ---- */

/* `op` 0: submitted before the recording began; nothing is said of it. */
void tnr_put_short(tnr_tape *tape, unsigned type, uint32_t op, unsigned what, unsigned part);

/* On the calling thread's tape. Ends now; `since`: ticks. */
void tnr_put_span(tnr_recorder *recorder, unsigned type, uint32_t op, unsigned what,
                  uint64_t since);

#endif
