/* The stretches in which a device had nothing to run, and why. */
#ifndef TENOR_TRACE_GAPS_H
#define TENOR_TRACE_GAPS_H

#include "hosts.h"

enum trace_cause {
  TRACE_NOTHING = 0,  /* nothing was submitted, and no thread waited for anything */
  TRACE_HOST,         /* the thread that would submit waited, or ran a callback; or an input that no
                       * op makes was not there yet */
  TRACE_OTHER_DEVICE, /* an input was still being made on another device */
  TRACE_LIMIT,        /* a limit held up the call or the worker */
  TRACE_DISPATCHING,  /* all was there, but the dispatcher had not launched it yet */
  TRACE_WAKING,       /* it was in the queue, but the worker had not taken it up yet */
  TRACE_CAUSES
};

extern const char *const trace_cause_names[TRACE_CAUSES]; /* "nothing submitted" */

struct trace_gap {
  int64_t begin, end;
  uint32_t device;
  uint32_t run;                /* what ended it; NONE: the end of the recording */
  int64_t times[TRACE_CAUSES]; /* ns: what it consists of */
  enum trace_cause cause;      /* the one that takes most of it */
  uint32_t waited_for;         /* an op: by the thread, or as an input; NONE */
  uint32_t lane;               /* the thread that submitted `run`; NONE */
};

typedef void trace_gap_fn(const struct trace_gap *gap, void *user);

/* All of one device in the order of time, from the recording's beginning to its end. *busy: ns that
 * it was not idle. */
tnr_status trace_gaps(const struct trace_recording *recording, const struct trace_hosts *hosts,
                      uint32_t device, trace_gap_fn *found, void *user, int64_t *busy,
                      tnr_fault *fault) TNR_MUST_USE;

#endif
