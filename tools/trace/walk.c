#include "walk.h"

#include <stdlib.h>

/* A worker runs for its device only; in recordings that are damaged it may say otherwise. */
tnr_status trace_walk_init(const struct trace_recording *recording, uint32_t device,
                           struct trace_walk *out, tnr_fault *fault) {
  *out = (struct trace_walk){.recording = recording, .device = device};
  out->lanes = malloc((recording->lanes.count + 1) * sizeof *out->lanes);
  if (!out->lanes)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for the runs of a device");
  for (size_t i = 0; i < recording->lanes.count; i++) {
    const struct trace_lane *lane = &recording->lanes.at[i];
    bool other = device != TRACE_NONE && lane->kind == TNR_TRACE_WORKER && lane->device != device;
    if (lane->run_count > 0 && !other)
      out->lanes[out->count++] =
          (struct trace_walk_lane){lane->first_run, lane->first_run + lane->run_count};
  }
  return TNR_OK;
}

void trace_walk_finish(struct trace_walk *walk) {
  free(walk->lanes);
}

/* The lane's next run on this device, or NULL. */
static const struct trace_run *peek(struct trace_walk *walk, struct trace_walk_lane *lane) {
  for (; lane->next < lane->end; lane->next++) {
    const struct trace_run *run = &walk->recording->runs.at[walk->recording->by_lane[lane->next]];
    if (walk->device == TRACE_NONE || run->device == walk->device)
      return run;
  }
  return NULL;
}

const struct trace_run *trace_walk_next(struct trace_walk *walk) {
  const struct trace_run *first = NULL;
  struct trace_walk_lane *from = NULL;
  for (uint32_t i = 0; i < walk->count; i++) {
    const struct trace_run *run = peek(walk, &walk->lanes[i]);
    if (run && (!first || run->began < first->began)) {
      first = run;
      from = &walk->lanes[i];
    }
  }
  if (from)
    from->next++;
  return first;
}
