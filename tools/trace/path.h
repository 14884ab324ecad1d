/* The chain of ops and waits that decided when the last op was complete, and what the end would
 * gain if parts of it took no time. */
#ifndef TENOR_TRACE_PATH_H
#define TENOR_TRACE_PATH_H

#include "hosts.h"

enum trace_what {
  TRACE_EXECUTE = 0,
  TRACE_CREATE,
  TRACE_COPY,
  TRACE_DISPATCH,  /* the dispatcher: from a submission or completion to the launch; from the end of
                    * a run to its completion */
  TRACE_TAKE_UP,   /* the worker: from the launch, or the run before, to the beginning */
  TRACE_HELD_BACK, /* a limit */
  TRACE_HOST_CODE, /* the program, from a wait's end to the submission; or an input of its own */
  TRACE_THREAD_WAKE, /* from the moment that a thread waited for until it went on */
  TRACE_IN_CALLBACK,
  TRACE_BEFORE, /* the program, before it ever waited */
  TRACE_WHATS
};

extern const char *const trace_what_names[TRACE_WHATS]; /* "execute" */

struct trace_step {
  int64_t begin, end;
  uint32_t op, lane; /* NONE where there is none; lane: of the thread on which it passed */
  enum trace_what what;
};

struct trace_path {
  TRACE_ROWS(trace_step) steps; /* in the order of time, without holes, from 0 to the end */
  int64_t end;                  /* when the last op was complete */
};

/* No steps: nothing was ever complete. */
tnr_status trace_path_find(const struct trace_recording *recording, const struct trace_hosts *hosts,
                           struct trace_path *out, tnr_fault *fault) TNR_MUST_USE;
void trace_path_finish(struct trace_path *path);

/* What would take no time: ops of a name, or one sort of steps; or threads would not wait at all,
 * but submit the rest at once. */
enum trace_free { TRACE_FREE_NAME, TRACE_FREE_WHAT, TRACE_FREE_WAITS };

struct trace_gain {
  enum trace_free sort;
  uint32_t name;        /* FREE_NAME: a string */
  enum trace_what what; /* FREE_WHAT */
  int64_t time;         /* ns of the path that it takes; FREE_WAITS: that threads waited, in all */
  uint32_t steps;
  int64_t gain; /* ns: how much earlier the end would come */
};

struct trace_gains {
  TRACE_ROWS(trace_gain) rows; /* the longest of the path first */
};

/* What the path consists of, and what each would gain: everything is moved forward as far as
 * inputs, queues and threads allow. Of names, the `names_max` that take most. 28 bytes an op
 * meanwhile. */
tnr_status trace_gains_find(const struct trace_recording *recording,
                            const struct trace_hosts *hosts, const struct trace_path *path,
                            size_t names_max, struct trace_gains *out,
                            tnr_fault *fault) TNR_MUST_USE;
void trace_gains_finish(struct trace_gains *gains);

#endif
