#define _GNU_SOURCE /* MAP_ANONYMOUS, gettid */

#include "recorder.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"
#include "thread.h"

enum {
  BYTES_DEFAULT = 2 << 20,
  BYTES_MIN = TNR_TAPE_CHUNKS * TNR_TAPE_CHUNK_MIN,
  BYTES_MAX = TNR_TAPE_CHUNKS * (TNR_TRACE_CHUNK_MAX / 2),
  THREADS_DEFAULT = 32,
  THREADS_MAX = 4096,
  PAGE = 4096
};

void tnr_recorder_init(tnr_recorder *recorder, tnr_runtime *runtime) {
  memset(recorder, 0, sizeof *recorder);
  recorder->runtime = runtime;
  recorder->scribe.out.fd = -1;
  pthread_mutex_init(&recorder->lock, NULL);
}

void tnr_recorder_finish(tnr_recorder *recorder) {
  if (recorder->memory)
    munmap(recorder->memory, recorder->memory_bytes);
  free(recorder->tapes);
  pthread_mutex_destroy(&recorder->lock);
}

/* Ops have the timeline's numbers then; what is none counts from far above. */
void tnr_recorder_hear_timeline(tnr_recorder *recorder) {
  atomic_store_explicit(&recorder->ids, UINT32_C(1) << 31, memory_order_relaxed);
  atomic_store_explicit(&recorder->on, TNR_RECORDS_TIMELINE, memory_order_relaxed);
}

void tnr_recorder_set_ticker(tnr_recorder *recorder, const tnr_ticker *ticker) {
  recorder->ticker = *ticker;
  recorder->has_ticker = true;
}

/* ---- tapes ---- */

/* The pages of tapes that are sure to be used are taken now; others come when they are first
 * written to, and what no thread needs costs an address only. */
static tnr_status map_memory(tnr_recorder *recorder, size_t bytes, size_t used, tnr_fault *fault) {
  void *memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return tnr_fail(fault, TNR_ENOMEM, "no memory of %zu bytes to record in: %s", bytes,
                    strerror(errno));
  recorder->memory = memory;
  recorder->memory_bytes = bytes;
  (void)madvise(memory, used, MADV_POPULATE_WRITE); /* a wish; without it they come later, too */
  return TNR_OK;
}

static void init_tapes(tnr_recorder *recorder, int count, size_t chunk_bytes) {
  for (int i = 0; i < count; i++) {
    tnr_tape *tape = &recorder->tapes[i];
    tnr_tape_init(tape, (char *)recorder->memory + (size_t)i * TNR_TAPE_CHUNKS * chunk_bytes,
                  chunk_bytes);
    tape->user = recorder;
    if (recorder->threadless)
      tape->on_full = tnr_scribe_drain_here;
  }
}

static tnr_status make_tapes(tnr_recorder *recorder, const tnr_trace_options *options,
                             tnr_fault *fault) {
  size_t bytes = options->bytes_per_thread ? options->bytes_per_thread : BYTES_DEFAULT;
  size_t chunk_bytes = bytes / TNR_TAPE_CHUNKS / PAGE * PAGE;
  int own = recorder->runtime->machine.count + 1;
  int count = own + (options->max_threads ? options->max_threads : THREADS_DEFAULT);
  size_t tapes_bytes = (size_t)count * sizeof *recorder->tapes;
  tnr_tape *tapes = aligned_alloc(64, tapes_bytes);
  if (!tapes)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for %d threads to record", count);
  size_t tape_bytes = TNR_TAPE_CHUNKS * chunk_bytes;
  tnr_status status =
      map_memory(recorder, (size_t)count * tape_bytes, (size_t)(own + 1) * tape_bytes, fault);
  if (status != TNR_OK) {
    free(tapes);
    return status;
  }
  recorder->tapes = tapes;
  recorder->own_tapes = own;
  recorder->tape_count = count;
  init_tapes(recorder, count, chunk_bytes);
  return TNR_OK;
}

static bool claim(tnr_tape *tape, uint32_t from, uint32_t tid) {
  /* acquire: pairs with nothing but the system's word that `from` is no thread any more; what that
   * one wrote comes with `written` of its chunk */
  return atomic_compare_exchange_strong_explicit(&tape->owner, &from, tid, memory_order_acquire,
                                                 memory_order_relaxed);
}

/* The system has no such thread in this process any more. */
static bool has_ended(uint32_t tid) {
  return syscall(SYS_tgkill, getpid(), tid, 0) == -1 && errno == ESRCH;
}

/* One that was this thread's already, else one that is nobody's, else one of a thread that has
 * ended. */
static tnr_tape *find_tape(tnr_tape *tapes, int count, uint32_t tid) {
  for (int i = 0; i < count; i++)
    if (atomic_load_explicit(&tapes[i].owner, memory_order_relaxed) == tid)
      return &tapes[i];
  for (int i = 0; i < count; i++)
    if (claim(&tapes[i], 0, tid))
      return &tapes[i];
  for (int i = 0; i < count; i++) {
    uint32_t owner = atomic_load_explicit(&tapes[i].owner, memory_order_relaxed);
    if (has_ended(owner) && claim(&tapes[i], owner, tid))
      return &tapes[i];
  }
  return NULL;
}

static tnr_tape_writer describe(const tnr_recorder *recorder) {
  tnr_tape_writer writer = {.tid = (uint32_t)syscall(SYS_gettid), .device = TNR_TRACE_NO_DEVICE};
  if (tnr_this_thread.group != recorder->runtime) {
    (void)prctl(PR_GET_NAME, writer.name);
  } else if (tnr_this_thread.index == 0) {
    writer.kind = TNR_TRACE_DISPATCHER;
    memcpy(writer.name, "dispatcher", sizeof "dispatcher");
  } else {
    writer.kind = TNR_TRACE_WORKER;
    writer.device = (uint32_t)tnr_this_thread.index - 1;
    const char *name = recorder->runtime->machine.devices[writer.device]->name;
    memcpy(writer.name, name, strnlen(name, sizeof writer.name));
  }
  return writer;
}

/* The first tapes are kept for the runtime's own threads. */
tnr_tape *tnr_recorder_claim(tnr_recorder *recorder) {
  tnr_tape_writer writer = describe(recorder);
  int first = recorder->own_tapes;
  tnr_tape *tape;
  if (writer.kind == TNR_TRACE_APPLICATION) {
    tape = find_tape(recorder->tapes + first, recorder->tape_count - first, writer.tid);
  } else {
    tape = &recorder->tapes[tnr_this_thread.index];
    atomic_store_explicit(&tape->owner, writer.tid, memory_order_relaxed);
  }
  if (tape)
    tnr_tape_adopt(tape, &writer, tnr_recorder_serial(recorder), &recorder->ticker);
  return tape;
}

/* ---- starting and stopping ---- */

static tnr_status check(const tnr_recorder *recorder, const tnr_trace_options *options,
                        tnr_fault *fault) {
  size_t bytes = options->bytes_per_thread;
  bool to_file = options->mode == TNR_TRACE_TO_FILE;
  if (tnr_recorder_is_on(recorder))
    return tnr_fail(fault, TNR_EINVAL, "the runtime is recording already");
  if (!to_file && options->mode != TNR_TRACE_IN_FLIGHT)
    return tnr_fail(fault, TNR_EINVAL, "there is no mode %d", (int)options->mode);
  if (bytes && (bytes < BYTES_MIN || bytes > BYTES_MAX))
    return tnr_fail(fault, TNR_EINVAL, "bytes_per_thread is %zu, not %d to %d", bytes, BYTES_MIN,
                    BYTES_MAX);
  if (options->max_threads < 0 || options->max_threads > THREADS_MAX)
    return tnr_fail(fault, TNR_EINVAL, "max_threads is %d, not 1 to %d", options->max_threads,
                    THREADS_MAX);
  if (options->window_ns < 0)
    return tnr_fail(fault, TNR_EINVAL, "window_ns is negative");
  if (to_file &&
      (options->window_ns || options->on_failure || options->on_crash || options->signal))
    return tnr_fail(fault, TNR_EINVAL,
                    "window_ns, on_failure, on_crash and signal are for "
                    "recordings in flight");
  bool writes = to_file || options->on_failure || options->on_crash || options->signal;
  if (writes && (!options->path || !options->path[0]))
    return tnr_fail(fault, TNR_EINVAL, "there is no path to write the recording to");
  return TNR_OK;
}

static int64_t realtime_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void begin(tnr_recorder *recorder) {
  int64_t serial = tnr_now_ns(), before = tnr_recorder_serial(recorder);
  /* relaxed: the release of `on` makes it visible; a hook that is late may see either */
  atomic_store_explicit(&recorder->serial, serial > before ? serial : before + 1,
                        memory_order_relaxed);
  atomic_store_explicit(&recorder->strangers, 0, memory_order_relaxed);
  for (int i = 0; i < recorder->tape_count; i++)
    tnr_tape_forget(&recorder->tapes[i]);
  recorder->started_realtime = realtime_now();
  recorder->started = tnr_ticker_ticks(&recorder->ticker);
}

/* With the lock held. */
static tnr_status start(tnr_recorder *recorder, const tnr_trace_options *options, int number,
                        tnr_fault *fault) {
  tnr_status status = check(recorder, options, fault);
  if (status != TNR_OK)
    return status;
  if (!recorder->has_ticker) {
    const tnr_ticker ticker = tnr_ticker_machine();
    tnr_recorder_set_ticker(recorder, &ticker);
  }
  if (!recorder->tapes && (status = make_tapes(recorder, options, fault)) != TNR_OK)
    return status;
  begin(recorder);
  status = tnr_scribe_start(recorder, options, number, fault);
  if (status == TNR_OK) /* release: pairs with the acquire in tnr_recording; all this is visible */
    atomic_fetch_or_explicit(&recorder->on, TNR_RECORDS_TAPES, memory_order_release);
  return status;
}

tnr_status tnr_recorder_start(tnr_recorder *recorder, const tnr_trace_options *options, int number,
                              tnr_fault *fault) {
  pthread_mutex_lock(&recorder->lock);
  tnr_status status = start(recorder, options, number, fault);
  pthread_mutex_unlock(&recorder->lock);
  return status;
}

static void add_up(tnr_recorder *recorder) {
  bool in_flight = recorder->scribe.mode == TNR_TRACE_IN_FLIGHT;
  *(in_flight ? &recorder->forgotten : &recorder->lost) += tnr_recorder_lost(recorder);
  recorder->lost += atomic_load_explicit(&recorder->strangers, memory_order_relaxed);
  recorder->written +=
      tnr_trace_file_bytes(&recorder->scribe.out) + atomic_load(&recorder->scribe.flight_bytes);
}

tnr_status tnr_recorder_stop(tnr_recorder *recorder, bool drained, tnr_fault *fault) {
  pthread_mutex_lock(&recorder->lock);
  tnr_status status;
  if (tnr_recorder_is_on(recorder)) {
    atomic_fetch_and_explicit(&recorder->on, ~(uint32_t)TNR_RECORDS_TAPES, memory_order_release);
    status = tnr_scribe_stop(recorder, drained, fault);
    add_up(recorder);
  } else {
    status = tnr_fail(fault, TNR_EINVAL, "the runtime is not recording");
  }
  pthread_mutex_unlock(&recorder->lock);
  return status;
}

/* With the lock held. */
static tnr_status dump(tnr_recorder *recorder, const char *path, tnr_fault *fault) {
  uint64_t bytes;
  if (!tnr_recorder_is_on(recorder))
    return tnr_fail(fault, TNR_EINVAL, "the runtime is not recording");
  if (recorder->scribe.mode != TNR_TRACE_IN_FLIGHT)
    return tnr_fail(fault, TNR_EINVAL, "all is being recorded to a file already");
  if (!tnr_scribe_write(recorder, path, &bytes))
    return tnr_fail(fault, TNR_ESYSTEM, "cannot write to '%.150s': %s", path, strerror(errno));
  atomic_fetch_add(&recorder->scribe.flight_bytes, bytes);
  return TNR_OK;
}

tnr_status tnr_recorder_dump(tnr_recorder *recorder, const char *path, tnr_fault *fault) {
  pthread_mutex_lock(&recorder->lock);
  tnr_status status = dump(recorder, path, fault);
  pthread_mutex_unlock(&recorder->lock);
  return status;
}

/* With the lock held. */
static const char *copy(tnr_recorder *recorder, const char *path, uint64_t *bytes) {
  if (!tnr_recorder_is_on(recorder) || recorder->scribe.mode != TNR_TRACE_IN_FLIGHT)
    return "the runtime does not record in flight";
  return tnr_scribe_write(recorder, path, bytes) ? NULL : strerrordesc_np(errno);
}

bool tnr_recorder_copy(tnr_recorder *recorder, const char *path, uint64_t *bytes,
                       const char **reason) {
  if (pthread_mutex_trylock(&recorder->lock) != 0) {
    *reason = "the recording is being started or stopped";
    return false;
  }
  *reason = copy(recorder, path, bytes);
  pthread_mutex_unlock(&recorder->lock);
  return *reason == NULL;
}

/* ---- asking ---- */

uint64_t tnr_recorder_lost(tnr_recorder *recorder) {
  uint64_t sum = 0;
  for (int i = 0; i < recorder->tape_count; i++) {
    tnr_tape *tape = &recorder->tapes[i];
    sum += atomic_load_explicit(&tape->lost, memory_order_relaxed) - tape->lost_before;
  }
  return sum;
}

tnr_trace_stats tnr_recorder_stats(tnr_recorder *recorder) {
  pthread_mutex_lock(&recorder->lock);
  bool on = tnr_recorder_is_on(recorder);
  tnr_trace_stats stats = {
      .recording = on,
      .lost = recorder->lost,
      .forgotten = recorder->forgotten,
      .written = recorder->written,
  };
  if (on) {
    bool in_flight = recorder->scribe.mode == TNR_TRACE_IN_FLIGHT;
    *(in_flight ? &stats.forgotten : &stats.lost) += tnr_recorder_lost(recorder);
    stats.lost += atomic_load_explicit(&recorder->strangers, memory_order_relaxed);
    stats.written +=
        tnr_trace_file_bytes(&recorder->scribe.out) + atomic_load(&recorder->scribe.flight_bytes);
  }
  for (int i = 0; i < recorder->tape_count; i++)
    stats.recorded += tnr_tape_recorded(&recorder->tapes[i]);
  pthread_mutex_unlock(&recorder->lock);
  return stats;
}
