#include "walk.h"

#include <stdlib.h>

#include "spill.h"

/* A worker runs for its device only; in recordings that are damaged it may say otherwise. */
tnr_status trace_walk_init(const struct trace_recording *recording, uint32_t device,
                           struct trace_walk *out, tnr_fault *fault) {
  *out = (struct trace_walk){.recording = recording, .device = device};
  out->lanes = malloc((recording->lanes.count + 1) * sizeof *out->lanes);
  if (!out->lanes)
    return spill_fail(fault, "the runs of a device");
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

/* ---- from one run to another ---- */

/* How many runs of the lane are before `time`, or at it and before the order-th of the lane. */
static uint32_t count_before(const struct trace_recording *recording, const struct trace_lane *lane,
                             int64_t time, uint32_t order) {
  uint32_t low = 0, high = lane->run_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const struct trace_run *run = &recording->runs.at[recording->by_lane[lane->first_run + middle]];
    if (run->began < time || (run->began == time && run->run_order < order))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

uint32_t trace_run_before(const struct trace_recording *recording, uint32_t run) {
  const struct trace_run *of = &recording->runs.at[run];
  const struct trace_lane *lane = &recording->lanes.at[of->lane];
  uint32_t before = count_before(recording, lane, of->began, of->run_order);
  return before > 0 ? recording->by_lane[lane->first_run + before - 1] : TRACE_NONE;
}

uint32_t trace_last_run(const struct trace_recording *recording, uint32_t op) {
  uint32_t last = TRACE_NONE;
  for (uint32_t i = recording->ops.at[op].runs; i != TRACE_NONE; i = recording->runs.at[i].next)
    if (recording->runs.at[i].ended != TRACE_NEVER &&
        (last == TRACE_NONE || recording->runs.at[i].ended > recording->runs.at[last].ended))
      last = i;
  return last;
}

/* When the lane's worker next told of what had ended by `time`; NEVER. */
static int64_t next_signal(const struct trace_recording *recording, const struct trace_lane *lane,
                           int64_t time) {
  uint32_t low = lane->first_mark, end = low + lane->mark_count, high = end;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (recording->marks.at[middle].time < time)
      low = middle + 1;
    else
      high = middle;
  }
  while (low < end && recording->marks.at[low].type != TNR_TRACE_SIGNAL)
    low++;
  return low < end ? recording->marks.at[low].time : TRACE_NEVER;
}

uint32_t trace_told_with(const struct trace_recording *recording, uint32_t op) {
  uint32_t last = trace_last_run(recording, op);
  if (last == TRACE_NONE)
    return TRACE_NONE;
  const struct trace_run *run = &recording->runs.at[last];
  const struct trace_lane *lane = &recording->lanes.at[run->lane];
  int64_t signal = next_signal(recording, lane, run->ended);
  if (signal == TRACE_NEVER || signal > recording->ops.at[op].completed)
    return last;
  uint32_t count = count_before(recording, lane, signal, 0);
  uint32_t told = count > 0 ? recording->by_lane[lane->first_run + count - 1] : last;
  const struct trace_run *with = &recording->runs.at[told];
  return with->ended >= run->ended && with->ended <= signal ? told : last;
}
