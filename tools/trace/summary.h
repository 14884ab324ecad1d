/* Where the time of a recording went: by op, by device, by thread. */
#ifndef TENOR_TRACE_SUMMARY_H
#define TENOR_TRACE_SUMMARY_H

#include "gaps.h"

/* Ops of one name. Times are of their runs, from when a worker takes one up to its end, in ns. */
struct trace_op_row {
  uint32_t name;         /* a string */
  uint64_t runs, failed; /* failed: ops */
  int64_t total, p50, p99, longest;
  uint64_t bytes; /* allocated for outputs, or copied */
};

struct trace_device_row {
  uint64_t runs;
  int64_t busy, idle;
  int64_t causes[TRACE_CAUSES]; /* of what is idle */
  int64_t longest_gap;
};

struct trace_thread_row {
  uint32_t lane;
  uint64_t submits, wakes; /* wakes: system calls that wake others */
  uint64_t refused;        /* calls, by a limit; again and again without room counts once */
  int64_t waited;          /* in calls that wait */
  int64_t held;            /* in calls, by a limit */
  int64_t callbacks, bodies, creates;
  int64_t rested; /* without work; of the dispatcher and workers */
  int64_t slept;  /* of that */
  int64_t cpu;    /* TRACE_NEVER: not known */
  int64_t hidden; /* devices ran while it did not wait */
};

struct trace_summary {
  TRACE_ROWS(trace_op_row) ops;     /* the most time first */
  struct trace_device_row *devices; /* [file.devices] */
  struct trace_thread_row *threads; /* [lanes] */
  uint64_t op_count, composites, failed, unfinished;
  int64_t running; /* ns in which at least one device ran something */
};

/* 16 bytes a run meanwhile. */
tnr_status trace_summary_make(const struct trace_recording *recording,
                              const struct trace_hosts *hosts, struct trace_summary *out,
                              tnr_fault *fault) TNR_MUST_USE;
void trace_summary_finish(struct trace_summary *summary);

/* The row of that name; NULL: there is none. */
const struct trace_op_row *trace_summary_find(const struct trace_recording *recording,
                                              const struct trace_summary *summary,
                                              const char *name);

#endif
