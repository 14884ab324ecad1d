/* The times in which a limit kept threads from submitting: a call waited for room; or it was
 * refused, and there was no room until later. */
#ifndef TENOR_TRACE_HOLDS_H
#define TENOR_TRACE_HOLDS_H

#include "recording.h"

struct trace_hold {
  int64_t begin, end;
  uint32_t lane, device; /* device: of what was held up; NONE: not known */
};

struct trace_holds {
  struct trace_hold *at; /* by lane, then begin */
  uint32_t *first;       /* [lanes + 1] */
};

tnr_status trace_holds_init(const struct trace_recording *recording, struct trace_holds *out,
                            tnr_fault *fault) TNR_MUST_USE;
void trace_holds_finish(struct trace_holds *holds);

/* The first of the lane that ends after `time`, or trace_holds_end. */
uint32_t trace_holds_after(const struct trace_holds *holds, uint32_t lane, int64_t time);

/* Behind the last of the lane. */
static inline uint32_t trace_holds_end(const struct trace_holds *holds, uint32_t lane) {
  return lane == TRACE_NONE ? 0 : holds->first[lane + 1];
}

#endif
