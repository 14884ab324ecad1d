/* A runtime's recording: the tapes of its threads, and whether they are written to. */
#ifndef TENOR_REACTOR_RECORDER_H
#define TENOR_REACTOR_RECORDER_H

#include "scribe.h"
#include "tape.h"
#include "ticker.h"

/* Who hears of what happens; bits. */
enum {
  TNR_RECORDS_TAPES = 1,   /* between start and stop */
  TNR_RECORDS_TIMELINE = 2 /* the runtime has one, and writes it as long as it lives */
};

/* In its runtime. */
struct tnr_recorder {
  /* Read by every hook; written when recording starts and stops. */
  _Alignas(64) _Atomic uint32_t on; /* atomic: TNR_RECORDS_… */
  _Atomic int64_t serial; /* atomic, relaxed: written before on; of the recording, never twice
                           * the same for one recorder */
  tnr_tape *tapes;        /* [tape_count]; written before on first is, then immutable */
  int tape_count;         /* likewise */
  int own_tapes;          /* likewise: the first so many are for the runtime's own threads */
  tnr_ticker ticker;      /* likewise */
  tnr_runtime *runtime;   /* immutable after create */
  bool threadless;        /* immutable after create: who records also writes the file */

  _Alignas(64) _Atomic uint32_t ids; /* atomic: the last number of an op that a thread has taken */
  _Atomic uint64_t strangers;        /* atomic: records of threads that found no tape free */

  pthread_mutex_t lock;
  tnr_scribe scribe;
  uint64_t started;                  /* guarded by lock: ticks */
  int64_t started_realtime;          /* guarded by lock: ns since 1970 */
  void *memory;                      /* guarded by lock: all chunks */
  size_t memory_bytes;               /* guarded by lock */
  bool has_ticker;                   /* guarded by lock: `ticker` is set */
  uint64_t lost, forgotten, written; /* guarded by lock: in recordings that have ended */
};

/* Nothing is allocated. */
void tnr_recorder_init(tnr_recorder *recorder, tnr_runtime *runtime);

/* Before any thread runs: the runtime has a timeline, which numbers ops. */
void tnr_recorder_hear_timeline(tnr_recorder *recorder);

static inline bool tnr_recorder_is_on(const tnr_recorder *recorder) {
  /* relaxed: those who start and stop hold the lock; to others it is a hint */
  return atomic_load_explicit(&recorder->on, memory_order_relaxed) & TNR_RECORDS_TAPES;
}

/* Before the first start: the time to write. One that the runtime makes itself: all that differs
 * from run to run is left out then. */
void tnr_recorder_set_ticker(tnr_recorder *recorder, const tnr_ticker *ticker);

/* As tnr_trace_start, stop and dump. `number`: 0, or, for the environment's, where to begin to look
 * for a name that is not in use. `drained`: nothing runs any more, and all is complete. */
tnr_status tnr_recorder_start(tnr_recorder *recorder, const tnr_trace_options *options, int number,
                              tnr_fault *fault);
tnr_status tnr_recorder_stop(tnr_recorder *recorder, bool drained, tnr_fault *fault);
tnr_status tnr_recorder_dump(tnr_recorder *recorder, const char *path, tnr_fault *fault);

/* As dump, but does not wait for who starts or stops it even now. False, with a reason that lives
 * for ever. */
bool tnr_recorder_copy(tnr_recorder *recorder, const char *path, uint64_t *bytes,
                       const char **reason);

tnr_trace_stats tnr_recorder_stats(tnr_recorder *recorder);

/* With the last handle. It does not record. */
void tnr_recorder_finish(tnr_recorder *recorder);

static inline int64_t tnr_recorder_serial(const tnr_recorder *recorder) {
  return atomic_load_explicit(&recorder->serial, memory_order_relaxed);
}

/* The calling thread's tape: as long as the thread lives and the recording goes on, it is its own;
 * the dispatcher's and the workers' belong to whoever plays them. NULL when none is free. */
tnr_tape *tnr_recorder_claim(tnr_recorder *recorder);

/* Over all tapes; may be a moment old. */
uint64_t tnr_recorder_lost(tnr_recorder *recorder);

#endif
