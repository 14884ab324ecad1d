/* Orders of a recording that some need: who depends on an op, and what a thread submitted. */
#ifndef TENOR_TRACE_LINKS_H
#define TENOR_TRACE_LINKS_H

#include "recording.h"

/* 12 bytes an op and 4 an input. */
struct trace_links {
  uint32_t *dependents_at; /* [ops + 1] */
  uint32_t *dependents;    /* of op i: from dependents_at[i] up to dependents_at[i + 1] */
  uint32_t *submits_at;    /* [lanes + 1] */
  uint32_t *submits;       /* ops that lane i submitted, in the order of time */
};

tnr_status trace_links_init(const struct trace_recording *recording, struct trace_links *out,
                            tnr_fault *fault) TNR_MUST_USE;
void trace_links_finish(struct trace_links *links);

#endif
