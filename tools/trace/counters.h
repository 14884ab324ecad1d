/* Numbers over time: what was sampled, and what the ops themselves tell. */
#ifndef TENOR_TRACE_COUNTERS_H
#define TENOR_TRACE_COUNTERS_H

#include "recording.h"

struct trace_counter {
  const char *name, *unit; /* "memory", "bytes" */
  uint32_t device;         /* NONE: the host, or none */
  uint32_t lane;           /* of a thread's CPU time; else NONE */
};

typedef void trace_counter_begin_fn(const struct trace_counter *counter, void *user);
typedef void trace_counter_point_fn(int64_t time, double value, void *user);

struct trace_counter_sink {
  trace_counter_begin_fn *begin;
  trace_counter_point_fn *point; /* in the order of time; of the counter that has begun last */
  void *user;
};

/* All of them: memory and reserved of each device, handles, CPU time of each thread as percents of
 * the time between two looks; and ops in flight, queued on and running on each device, of which
 * changes closer to each other than the `points`-th part of the recording are left out. 16 bytes an
 * op meanwhile. */
tnr_status trace_counters(const struct trace_recording *recording, int64_t points,
                          const struct trace_counter_sink *sink, tnr_fault *fault) TNR_MUST_USE;

#endif
