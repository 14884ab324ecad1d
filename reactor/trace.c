#include "trace.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher.h"
#include "error.h"

/* ---- the environment ---- */

/* The environment is the process's, and so is the number of files that it has named: each recording
 * gets a name of its own. */
static _Atomic int files_named;

static tnr_status begin_by_environment(tnr_runtime *runtime, tnr_fault *fault) {
  static const char flight[] = "flight:";
  const char *path = getenv("TENOR_TRACE");
  if (!path || !path[0])
    return TNR_OK;
  tnr_trace_options options = {.path = path};
  if (strncmp(path, flight, strlen(flight)) == 0) {
    options = (tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT,
                                  .path = path + strlen(flight),
                                  .on_failure = true,
                                  .on_crash = true,
                                  .signal = SIGUSR2};
  }
  tnr_fault reason;
  int number = atomic_fetch_add(&files_named, 1) + 1;
  tnr_status status = tnr_recorder_start(&runtime->recorder, &options, number, &reason);
  return status == TNR_OK ? TNR_OK : tnr_fail(fault, status, "TENOR_TRACE: %s", reason.message);
}

/* ---- with a runtime ---- */

static uint64_t virtual_now(void *machine) {
  return (uint64_t)tnr_machine_now(machine);
}

void tnr_trace_prepare(tnr_runtime *runtime) {
  tnr_recorder *recorder = &runtime->recorder;
  recorder->threadless = runtime->mode != TNR_THREADS;
  if (runtime->mode == TNR_DETERMINISTIC) {
    const tnr_ticker ticker = tnr_ticker_made(virtual_now, &runtime->machine);
    tnr_recorder_set_ticker(recorder, &ticker);
  }
  if (runtime->timeline.write)
    tnr_recorder_hear_timeline(recorder);
}

tnr_status tnr_trace_begin(tnr_runtime *runtime, const tnr_trace_options *options,
                           tnr_fault *fault) {
  if (options)
    return tnr_recorder_start(&runtime->recorder, options, 0, fault);
  return begin_by_environment(runtime, fault);
}

static tnr_status result(const char *what, tnr_status status, const tnr_fault *fault) {
  return status == TNR_OK ? TNR_OK : tnr_error_raise(status, "%s: %s", what, fault->message);
}

tnr_status tnr_trace_end(tnr_runtime *runtime) {
  tnr_fault fault;
  if (!tnr_recorder_is_on(&runtime->recorder))
    return TNR_OK;
  return result("runtime_destroy", tnr_recorder_stop(&runtime->recorder, true, &fault), &fault);
}

/* ---- calls ---- */

static tnr_status missing(const char *call, const char *what) {
  return tnr_error_raise(TNR_EINVAL, "%s: the %s is NULL", call, what);
}

tnr_status tnr_trace_start(tnr_runtime *runtime, const tnr_trace_options *options) {
  static const char call[] = "trace_start";
  tnr_fault fault;
  if (!runtime || !options)
    return missing(call, runtime ? "options" : "runtime");
  if (!tnr_dispatcher_takes(runtime))
    return tnr_error_raise(TNR_ECLOSED, "the runtime has been closed");
  return result(call, tnr_recorder_start(&runtime->recorder, options, 0, &fault), &fault);
}

tnr_status tnr_trace_stop(tnr_runtime *runtime) {
  static const char call[] = "trace_stop";
  tnr_fault fault;
  if (!runtime)
    return missing(call, "runtime");
  return result(call, tnr_recorder_stop(&runtime->recorder, false, &fault), &fault);
}

tnr_status tnr_trace_dump(tnr_runtime *runtime, const char *path) {
  static const char call[] = "trace_dump";
  tnr_fault fault;
  if (!runtime || !path)
    return missing(call, runtime ? "path" : "runtime");
  return result(call, tnr_recorder_dump(&runtime->recorder, path, &fault), &fault);
}

tnr_trace_stats tnr_trace_get_stats(const tnr_runtime *runtime) {
  if (!runtime)
    return (tnr_trace_stats){0};
  return tnr_recorder_stats((tnr_recorder *)&runtime->recorder);
}
