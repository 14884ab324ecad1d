/* The runs of one device, or of all, in the order in which they began, from all workers. */
#ifndef TENOR_TRACE_WALK_H
#define TENOR_TRACE_WALK_H

#include "recording.h"

struct trace_walk {
  const struct trace_recording *recording;
  uint32_t device; /* NONE: all */
  struct trace_walk_lane {
    uint32_t next, end; /* in recording.by_lane */
  } * lanes;
  uint32_t count;
};

tnr_status trace_walk_init(const struct trace_recording *recording, uint32_t device,
                           struct trace_walk *out, tnr_fault *fault) TNR_MUST_USE;
void trace_walk_finish(struct trace_walk *walk);

/* What a worker ran before this; NONE. */
uint32_t trace_run_before(const struct trace_recording *recording, uint32_t run);

/* The op's run that ended last; NONE. */
uint32_t trace_last_run(const struct trace_recording *recording, uint32_t op);

/* The run whose end decided when an op that ran was complete: workers tell the dispatcher of
 * several at once, behind the last of them. NONE: it did not run. */
uint32_t trace_told_with(const struct trace_recording *recording, uint32_t op);

/* NULL behind the last. */
const struct trace_run *trace_walk_next(struct trace_walk *walk);

/* When it ended; of what never did, the end of the recording. */
static inline int64_t trace_run_end(const struct trace_recording *recording,
                                    const struct trace_run *run) {
  return run->ended == TRACE_NEVER ? recording->last : run->ended;
}

#endif
