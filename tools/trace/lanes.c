#define _GNU_SOURCE /* qsort_r */

#include "lanes.h"

#include <stdlib.h>

static int rank_of(uint32_t kind) {
  return kind == TNR_TRACE_APPLICATION ? 0 : kind == TNR_TRACE_DISPATCHER ? 1 : 2;
}

static int compare_lanes(const void *left, const void *right, void *lanes) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  const struct trace_lane *first = (const struct trace_lane *)lanes + a;
  const struct trace_lane *second = (const struct trace_lane *)lanes + b;
  int order = rank_of(first->kind) - rank_of(second->kind);
  if (order == 0 && rank_of(first->kind) == 2)
    order = (first->device > second->device) - (first->device < second->device);
  return order ? order : (a > b) - (a < b);
}

uint32_t *trace_lanes_order(const struct trace_recording *recording) {
  size_t count = recording->lanes.count;
  uint32_t *order = malloc((count + 1) * sizeof *order);
  for (uint32_t i = 0; order && i < count; i++)
    order[i] = i;
  if (order && count > 1)
    qsort_r(order, count, sizeof *order, compare_lanes, recording->lanes.at);
  return order;
}

void trace_lane_title(const struct trace_recording *recording, uint32_t lane, char *out,
                      size_t room) {
  const struct trace_lane *of = &recording->lanes.at[lane];
  if (of->kind == TNR_TRACE_WORKER)
    snprintf(out, room, "worker of %s", trace_device_name(recording, of->device));
  else if (of->kind == TNR_TRACE_DISPATCHER)
    snprintf(out, room, "dispatcher");
  else if (of->name[0])
    snprintf(out, room, "%s", of->name);
  else
    snprintf(out, room, "thread %u", of->tid);
}

const char *trace_span_kind(const struct trace_span *span) {
  switch (span->type) {
  case TNR_TRACE_CREATE:
    return "create";
  case TNR_TRACE_BODY:
    return "body";
  case TNR_TRACE_CALLBACK:
    return "callback";
  case TNR_TRACE_HELD:
    return "held";
  case TNR_TRACE_WAIT:
    return "wait";
  default:
    return "rest";
  }
}

const char *trace_span_why(const struct trace_span *span) {
  if (span->type == TNR_TRACE_HELD)
    return "limit reached";
  switch (span->what) {
  case TNR_TRACE_FOR_CREATED:
    return "created";
  case TNR_TRACE_FOR_COMPLETE:
    return "complete";
  case TNR_TRACE_FOR_DEVICE:
    return "device";
  case TNR_TRACE_LOOKED:
    return "looks";
  case TNR_TRACE_SLEPT:
    return "sleeps";
  default:
    return "";
  }
}

void trace_run_title(const struct trace_recording *recording, const struct trace_run *run,
                     char *out, size_t room) {
  const char *name = trace_string(recording, trace_run_name(recording, run));
  if (run->flags & TRACE_RUN_MOVE) {
    const struct trace_move *move = &recording->moves.at[run->plan];
    snprintf(out, room, "copy %s → %s", trace_device_name(recording, move->from),
             trace_device_name(recording, move->to));
  } else {
    snprintf(out, room, "%s", *name ? name : "?");
  }
}
