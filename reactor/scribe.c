#include "scribe.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "runtime.h"
#include "trace_signal.h"

enum { FILES_MAX = 99 };

/* ---- in flight ---- */

bool tnr_scribe_write(tnr_recorder *recorder, const char *path, uint64_t *bytes) {
  tnr_trace_out out;
  const tnr_ticker *ticker = &recorder->ticker;
  uint64_t now = tnr_ticker_ticks(ticker), from = recorder->started;
  int64_t window = recorder->scribe.window_ns;
  if (window > 0 && tnr_ticker_to_ns(ticker, now - from) > (uint64_t)window)
    from = now - tnr_ticker_from_ns(ticker, (uint64_t)window);
  *bytes = 0;
  if (!tnr_trace_file_open_raw(path, &out))
    return false;
  tnr_trace_file_begin(&out, recorder, TNR_TRACE_FLIGHT, from);
  for (int i = 0; i < recorder->tape_count; i++)
    tnr_trace_file_copy(&out, recorder, i, from);
  tnr_trace_file_end(&out, recorder, false);
  *bytes = tnr_trace_file_bytes(&out);
  bool whole = tnr_trace_file_close(&out);
  errno = out.error;
  return whole;
}

void tnr_scribe_write_numbered(tnr_recorder *recorder) {
  tnr_scribe *scribe = &recorder->scribe;
  char path[PATH_MAX];
  int number = 1 + atomic_fetch_add(&scribe->files, 1);
  uint64_t bytes = 0;
  if (number > FILES_MAX || !tnr_trace_path(scribe->path, number, path))
    return;
  (void)tnr_scribe_write(recorder, path, &bytes); /* there is nobody to tell */
  atomic_fetch_add(&scribe->flight_bytes, bytes);
}

void tnr_scribe_want(tnr_recorder *recorder) {
  if (recorder->threadless) {
    tnr_scribe_write_numbered(recorder);
    return;
  }
  /* release: pairs with the exchange in fly */
  atomic_store_explicit(&recorder->scribe.wanted, true, memory_order_release);
  tnr_parker_wake(&recorder->scribe.parker);
}

void tnr_scribe_failed(tnr_recorder *recorder) {
  tnr_scribe *scribe = &recorder->scribe;
  if (scribe->on_failure && !atomic_exchange(&scribe->failed, true))
    tnr_scribe_want(recorder);
}

/* ---- the thread ---- */

static bool is_stopping(const tnr_scribe *scribe) {
  /* acquire: pairs with the release in stop_thread */
  return atomic_load_explicit(&scribe->stop, memory_order_acquire);
}

static void rest(tnr_scribe *scribe, int64_t ns) {
  tnr_parker_prepare(&scribe->parker);
  if (is_stopping(scribe) || atomic_load_explicit(&scribe->wanted, memory_order_acquire))
    tnr_parker_cancel(&scribe->parker);
  else
    (void)tnr_parker_sleep(&scribe->parker, ns);
}

static void fly(tnr_recorder *recorder) {
  tnr_scribe *scribe = &recorder->scribe;
  for (;;) {
    bool stopping = is_stopping(scribe);
    if (atomic_exchange_explicit(&scribe->wanted, false, memory_order_acquire))
      tnr_scribe_write_numbered(recorder);
    else if (stopping)
      return;
    else
      rest(scribe, INT64_MAX);
  }
}

static void drain(tnr_recorder *recorder, bool open_too) {
  for (int i = 0; i < recorder->tape_count; i++)
    tnr_trace_file_drain(&recorder->scribe.out, recorder, i, open_too);
}

/* Often enough that tapes are far from full when they fill up at their present pace. What is not in
 * a full chunk yet is written now and then, so that not much is missing when the program is killed.
 */
static void stream(tnr_recorder *recorder) {
  enum { REST_MIN_NS = 1000000, REST_MAX_NS = 16000000, OPEN_EVERY_NS = 128000000 };
  tnr_scribe *scribe = &recorder->scribe;
  int64_t nap = REST_MIN_NS, since_open = 0;
  while (!is_stopping(scribe)) {
    uint64_t before = tnr_trace_file_bytes(&scribe->out);
    bool open_too = since_open >= OPEN_EVERY_NS;
    drain(recorder, open_too);
    uint64_t quarter = recorder->memory_bytes / (uint64_t)recorder->tape_count / 4;
    bool busy = tnr_trace_file_bytes(&scribe->out) - before > quarter;
    nap = busy ? nap / 2 : nap * 2;
    nap = nap < REST_MIN_NS ? REST_MIN_NS : nap > REST_MAX_NS ? REST_MAX_NS : nap;
    since_open = open_too ? 0 : since_open + nap;
    rest(scribe, nap);
  }
}

static void *scribe_main(void *argument) {
  tnr_recorder *recorder = argument;
  (void)prctl(PR_SET_NAME, "recorder");
  if (recorder->scribe.mode == TNR_TRACE_TO_FILE)
    stream(recorder);
  else
    fly(recorder);
  return NULL;
}

/* Signals are for the program's own threads. */
static tnr_status start_thread(tnr_recorder *recorder, tnr_fault *fault) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&recorder->scribe.thread, NULL, scribe_main, recorder);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  recorder->scribe.running = error == 0;
  return error == 0 ? TNR_OK
                    : tnr_fail(fault, TNR_ESYSTEM, "no thread to write the recording: %s",
                               strerror(error));
}

static void stop_thread(tnr_scribe *scribe) {
  if (!scribe->running)
    return;
  /* release: pairs with the acquire in is_stopping */
  atomic_store_explicit(&scribe->stop, true, memory_order_release);
  tnr_parker_wake(&scribe->parker);
  pthread_join(scribe->thread, NULL);
  scribe->running = false;
}

/* ---- starting and stopping ---- */

static tnr_status open_file(tnr_scribe *scribe, const char *path, int number, tnr_fault *fault) {
  bool in_use;
  tnr_status status;
  int last = number > 0 ? FILES_MAX : 0;
  do {
    if (!tnr_trace_path(path, number, scribe->path))
      return tnr_fail(fault, TNR_EINVAL, "the path of the recording's file is too long");
    status = tnr_trace_file_open(scribe->path, &scribe->out, &in_use, fault);
  } while (status != TNR_OK && in_use && ++number <= last);
  return status;
}

void tnr_scribe_drain_here(tnr_tape *tape) {
  tnr_recorder *recorder = tape->user;
  tnr_scribe *scribe = &recorder->scribe;
  tnr_spin_lock(&scribe->writing);
  if (scribe->mode == TNR_TRACE_TO_FILE && scribe->out.fd != -1)
    tnr_trace_file_drain(&scribe->out, recorder, (int)(tape - recorder->tapes), false);
  tnr_spin_unlock(&scribe->writing);
}

static tnr_status start_stream(tnr_recorder *recorder, const char *path, int number,
                               tnr_fault *fault) {
  tnr_scribe *scribe = &recorder->scribe;
  tnr_status status = open_file(scribe, path, number, fault);
  if (status != TNR_OK)
    return status;
  tnr_trace_file_begin(&scribe->out, recorder, 0, recorder->started);
  if (!recorder->threadless)
    status = start_thread(recorder, fault);
  if (status != TNR_OK)
    (void)tnr_trace_file_close(&scribe->out);
  return status;
}

static tnr_status start_flight(tnr_recorder *recorder, const tnr_trace_options *options, int number,
                               tnr_fault *fault) {
  tnr_scribe *scribe = &recorder->scribe;
  scribe->path[0] = '\0';
  if (options->path && !tnr_trace_path(options->path, number, scribe->path))
    return tnr_fail(fault, TNR_EINVAL, "the path of the recording's file is too long");
  tnr_status status = TNR_OK;
  if (!recorder->threadless && (options->on_failure || options->signal))
    status = start_thread(recorder, fault);
  if (status == TNR_OK && (options->on_crash || options->signal)) {
    status = tnr_trace_signals_watch(recorder, options->on_crash, options->signal, fault);
    if (status != TNR_OK)
      stop_thread(scribe);
  }
  return status;
}

tnr_status tnr_scribe_start(tnr_recorder *recorder, const tnr_trace_options *options, int number,
                            tnr_fault *fault) {
  tnr_scribe *scribe = &recorder->scribe;
  scribe->mode = options->mode;
  scribe->window_ns = options->window_ns;
  scribe->on_failure = options->on_failure;
  atomic_store(&scribe->stop, false);
  atomic_store(&scribe->wanted, false);
  atomic_store(&scribe->failed, false);
  atomic_store(&scribe->files, 0);
  atomic_store(&scribe->flight_bytes, 0);
  scribe->out = (tnr_trace_out){.fd = -1};
  return options->mode == TNR_TRACE_TO_FILE ? start_stream(recorder, options->path, number, fault)
                                            : start_flight(recorder, options, number, fault);
}

tnr_status tnr_scribe_stop(tnr_recorder *recorder, bool drained, tnr_fault *fault) {
  tnr_scribe *scribe = &recorder->scribe;
  tnr_trace_signals_leave(recorder);
  stop_thread(scribe);
  if (scribe->mode == TNR_TRACE_IN_FLIGHT)
    return TNR_OK;
  tnr_spin_lock(&scribe->writing);
  drain(recorder, true);
  tnr_trace_file_end(&scribe->out, recorder, drained);
  bool whole = tnr_trace_file_close(&scribe->out);
  tnr_spin_unlock(&scribe->writing);
  if (whole)
    return TNR_OK;
  return tnr_fail(fault, TNR_ESYSTEM, "cannot write all of '%.150s': %s", scribe->path,
                  strerror(scribe->out.error));
}
