#include "holds.h"

#include <stdlib.h>

#include "rows.h"

/* ---- when there was room ---- */

static int compare_times(const void *left, const void *right, void *user) {
  (void)user;
  const int64_t *a = left, *b = right;
  return (*a > *b) - (*a < *b);
}

static size_t count_rooms(const struct trace_recording *recording) {
  size_t count = 0;
  for (size_t i = 0; i < recording->marks.count; i++)
    count += recording->marks.at[i].type == TNR_TRACE_ROOM;
  return count;
}

/* False: no room to sort them. */
static bool collect_rooms(const struct trace_recording *recording, int64_t *out) {
  size_t count = 0;
  for (size_t i = 0; i < recording->marks.count; i++)
    if (recording->marks.at[i].type == TNR_TRACE_ROOM)
      out[count++] = recording->marks.at[i].time;
  return rows_sort(out, count, sizeof *out, compare_times, NULL);
}

static int64_t room_after(const struct trace_recording *recording, const int64_t *rooms,
                          size_t count, int64_t time) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (rooms[middle] < time)
      low = middle + 1;
    else
      high = middle;
  }
  return low < count ? rooms[low] : recording->last;
}

/* ---- holds ---- */

static bool is_refusal(const struct trace_mark *mark) {
  return mark->type == TNR_TRACE_HELD;
}

static bool is_held_call(const struct trace_span *span) {
  return span->type == TNR_TRACE_HELD && span->what == TNR_TRACE_CALL_HELD;
}

static size_t count_holds(const struct trace_recording *recording) {
  size_t count = 0;
  for (size_t i = 0; i < recording->spans.count; i++)
    count += is_held_call(&recording->spans.at[i]);
  for (size_t i = 0; i < recording->marks.count; i++)
    count += is_refusal(&recording->marks.at[i]);
  return count;
}

static int compare_holds(const void *left, const void *right, void *user) {
  (void)user;
  const struct trace_hold *a = left, *b = right;
  if (a->lane != b->lane)
    return a->lane < b->lane ? -1 : 1;
  return (a->begin > b->begin) - (a->begin < b->begin);
}

/* What waited is a runtime's own op, or, of a composite's call, not known. */
static uint32_t device_of(const struct trace_recording *recording, const struct trace_span *span) {
  uint32_t run = span->op == TRACE_NONE ? TRACE_NONE : recording->ops.at[span->op].runs;
  bool one = run != TRACE_NONE && recording->runs.at[run].next == TRACE_NONE;
  return one ? recording->runs.at[run].device : TRACE_NONE;
}

/* False: no room to sort them. */
static bool collect_holds(const struct trace_recording *recording, const int64_t *rooms,
                          size_t room_count, struct trace_hold *out) {
  size_t count = 0;
  for (size_t i = 0; i < recording->spans.count; i++) {
    const struct trace_span *span = &recording->spans.at[i];
    if (is_held_call(span))
      out[count++] =
          (struct trace_hold){span->begin, span->end, span->lane, device_of(recording, span)};
  }
  for (size_t i = 0; i < recording->marks.count; i++) {
    const struct trace_mark *mark = &recording->marks.at[i];
    if (is_refusal(mark))
      out[count++] = (struct trace_hold){
          mark->time, room_after(recording, rooms, room_count, mark->time), mark->lane,
          mark->device == TNR_TRACE_NO_DEVICE ? TRACE_NONE : mark->device};
  }
  return rows_sort(out, count, sizeof *out, compare_holds, NULL);
}

static void index_lanes(const struct trace_recording *recording, size_t count,
                        struct trace_holds *holds) {
  for (size_t lane = 0, i = 0; lane <= recording->lanes.count; lane++) {
    while (i < count && holds->at[i].lane < lane)
      i++;
    holds->first[lane] = (uint32_t)i;
  }
}

/* False: no room. */
static bool fill(const struct trace_recording *recording, size_t count, struct trace_holds *out) {
  size_t room_count = count_rooms(recording);
  int64_t *rooms = spill_resize(NULL, (room_count + 1) * sizeof *rooms);
  bool fine = rooms && collect_rooms(recording, rooms) &&
              collect_holds(recording, rooms, room_count, out->at);
  spill_free(rooms);
  if (fine)
    index_lanes(recording, count, out);
  return fine;
}

tnr_status trace_holds_init(const struct trace_recording *recording, struct trace_holds *out,
                            tnr_fault *fault) {
  size_t count = count_holds(recording);
  out->at = spill_resize(NULL, (count + 1) * sizeof *out->at);
  out->first = calloc(recording->lanes.count + 1, sizeof *out->first);
  if (out->at && out->first && (count == 0 || fill(recording, count, out)))
    return TNR_OK;
  tnr_status status = spill_fail(fault, "the calls that limits held up");
  trace_holds_finish(out);
  return status;
}

void trace_holds_finish(struct trace_holds *holds) {
  spill_free(holds->at);
  free(holds->first);
  *holds = (struct trace_holds){0};
}

/* A lane's ends are in the order of its begins. */
uint32_t trace_holds_after(const struct trace_holds *holds, uint32_t lane, int64_t time) {
  if (lane == TRACE_NONE)
    return 0;
  uint32_t low = holds->first[lane], high = holds->first[lane + 1];
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (holds->at[middle].end <= time)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}
