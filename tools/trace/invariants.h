/* Whether what the design promises holds in a recording. */
#ifndef TENOR_TRACE_INVARIANTS_H
#define TENOR_TRACE_INVARIANTS_H

#include "recording.h"

enum trace_rule {
  TRACE_RULE_JOURNEY = 0, /* submitted, resolved, launched, run: in this order */
  TRACE_RULE_CREATED,     /* created and run before it is complete */
  TRACE_RULE_ENDS,        /* every op ends, and once */
  TRACE_RULE_RUNS,        /* it is submitted, launched and run once on each of its devices */
  TRACE_RULE_INPUTS,      /* nothing runs before its inputs are there */
  TRACE_RULE_QUEUE,       /* a device runs in the order of its queue */
  TRACE_RULE_FAILURE,     /* what has failed, or has an input that has, does not end well */
  TRACE_RULE_RECORDS,     /* the file holds the records that it says */
  TRACE_RULES
};

extern const char *const trace_rule_names[TRACE_RULES]; /* "created before complete" */

struct trace_violation {
  enum trace_rule rule;
  uint32_t op, other; /* NONE where there is none; other: an input, or who came before */
  uint32_t device;    /* NONE: it is not of one */
  int64_t time,
      against;      /* the two moments that are in the wrong order; NEVER where there are none */
  const char *what; /* what is wrong with `op` */
};

typedef void trace_violation_fn(const struct trace_violation *violation, void *user);

struct trace_checked {
  uint64_t ops;        /* that were looked at */
  uint64_t unfinished; /* ops whose end is not in the recording, which is no violation where the
                        * recording is partial, or the program had not ended them */
  uint64_t counts[TRACE_RULES]; /* violations */
  bool queues_skipped;          /* devices with several workers have no one order */
};

/* What is missing from a partial recording is no violation; what is there must hold. Times may
 * contradict the order by `slack` ns. */
tnr_status trace_check(const struct trace_recording *recording, int64_t slack,
                       trace_violation_fn *found, void *user, struct trace_checked *out,
                       tnr_fault *fault) TNR_MUST_USE;

#endif
