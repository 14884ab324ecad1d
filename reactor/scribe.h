/* Who writes the tapes to a file while the program goes on: a thread of its own, which sleeps most
 * of the time; in flight, until it is told to. */
#ifndef TENOR_REACTOR_SCRIBE_H
#define TENOR_REACTOR_SCRIBE_H

#include <pthread.h>
#include <stdatomic.h>

#include <tenor/trace.h>

#include "../devices/parker.h"
#include "../devices/spin.h"
#include "trace_file.h"

/* In its recorder. */
typedef struct tnr_scribe {
  /* Guarded by the recorder's lock. */
  tnr_trace_mode mode;
  bool running; /* there is a thread */
  pthread_t thread;

  /* Written before the thread starts and before alarms can come. */
  char path[PATH_MAX]; /* empty: none */
  int64_t window_ns;   /* 0: all there is */
  bool on_failure;

  tnr_parker parker;  /* the scribe sleeps, anybody wakes */
  atomic_bool stop;   /* atomic: to end */
  atomic_bool wanted; /* atomic: in flight, to write a file */
  atomic_bool failed; /* atomic: in flight, an op has failed */

  tnr_spin writing;  /* without threads: whoever writes */
  tnr_trace_out out; /* the thread's while it runs, else guarded by `writing` and the lock */
  _Atomic int files; /* atomic: in flight, how many have been begun */
  _Atomic uint64_t flight_bytes; /* atomic: of these */
} tnr_scribe;

/* With the recorder's lock held. Opens the file, starts what thread is needed. On failure nothing
 * is left behind. `number`: see tnr_recorder_start. */
tnr_status tnr_scribe_start(tnr_recorder *recorder, const tnr_trace_options *options, int number,
                            tnr_fault *fault);

/* With the lock held, when nothing is recorded any more: writes the rest. */
tnr_status tnr_scribe_stop(tnr_recorder *recorder, bool drained, tnr_fault *fault);

/* In flight: a file with the last moments, now. False, with errno: it was not written. Any thread,
 * also in a signal handler. */
bool tnr_scribe_write(tnr_recorder *recorder, const char *path, uint64_t *bytes);

/* In flight: has the thread do that soon; without threads, does it. Any thread, also in a signal
 * handler. */
void tnr_scribe_want(tnr_recorder *recorder);

/* In flight: does it on this thread. */
void tnr_scribe_write_numbered(tnr_recorder *recorder);

/* To file, without threads: when a chunk is full, who has filled it writes it. */
void tnr_scribe_drain_here(tnr_tape *tape);

/* An op has failed. Any thread. */
void tnr_scribe_failed(tnr_recorder *recorder);

#endif
