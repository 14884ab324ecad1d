#include <stdlib.h>

#include "chrome_parts.h"
#include "composites.h"
#include "counters.h"
#include "export.h"
#include "lanes.h"
#include "spill.h"
#include "walk.h"

/* ---- events ---- */

void chrome_begin_event(struct chrome *c, const char *phase, const char *name, const char *category,
                        int64_t time, uint32_t pid, uint32_t tid) {
  json_put_line(&c->json);
  json_put_open(&c->json, NULL, '{');
  json_put_text(&c->json, "ph", phase);
  json_put_text(&c->json, "name", name);
  if (category)
    json_put_text(&c->json, "cat", category);
  json_put_time(&c->json, "ts", time + c->shift);
  json_put_integer(&c->json, "pid", pid);
  json_put_integer(&c->json, "tid", tid);
}

void chrome_end_event(struct chrome *c) {
  json_put_close(&c->json, '}');
}

/* A stretch of a thread's or device's time, left open for more. Programs that read it nest
 * stretches by their ends, so that those without any length must be moments. */
static void begin_slice(struct chrome *c, const char *name, const char *category, int64_t begin,
                        int64_t end, uint32_t pid, uint32_t tid) {
  chrome_begin_event(c, end > begin ? "X" : "i", name, category, begin, pid, tid);
  if (end > begin)
    json_put_length(&c->json, "dur", begin + c->shift, end + c->shift);
  else
    json_put_text(&c->json, "s", "t");
}

static void put_meta(struct chrome *c, const char *what, uint32_t pid, uint32_t tid,
                     const char *name) {
  chrome_begin_event(c, "M", what, NULL, -c->shift, pid, tid);
  json_put_open(&c->json, "args", '{');
  json_put_text(&c->json, "name", name);
  json_put_close(&c->json, '}');
  chrome_end_event(c);
}

static void put_sort_index(struct chrome *c, const char *what, uint32_t pid, uint32_t tid,
                           int64_t index) {
  chrome_begin_event(c, "M", what, NULL, -c->shift, pid, tid);
  json_put_open(&c->json, "args", '{');
  json_put_integer(&c->json, "sort_index", index);
  json_put_close(&c->json, '}');
  chrome_end_event(c);
}

/* ---- arguments ---- */

static void put_site(struct chrome *c, uint32_t index) {
  struct trace_site site = trace_site_at(c->recording, index);
  char place[4200];
  if (index == TRACE_NONE)
    return;
  snprintf(place, sizeof place, "%s:%u", trace_string(c->recording, site.file), site.line);
  json_put_text(&c->json, "site", place);
  if (*trace_string(c->recording, site.composite))
    json_put_text(&c->json, "composite", trace_string(c->recording, site.composite));
}

static void put_moment(struct chrome *c, const char *key, int64_t time) {
  if (time != TRACE_NEVER)
    json_put_micros(&c->json, key, time + c->shift);
}

static void put_op(struct chrome *c, uint32_t index) {
  const struct trace_op *op = &c->recording->ops.at[index];
  json_put_integer(&c->json, "op", op->number);
  put_site(c, op->site);
  if (op->parent != TRACE_NONE)
    json_put_integer(&c->json, "parent", c->recording->ops.at[op->parent].number);
  if (op->group != TRACE_NONE)
    json_put_text(&c->json, "group", trace_string(c->recording, op->group));
  if (op->priority)
    json_put_integer(&c->json, "priority", op->priority);
  put_moment(c, "submitted", op->submitted);
  put_moment(c, "resolved", op->resolved);
  put_moment(c, "completed", op->completed);
  if (op->completed != TRACE_NEVER && op->status != TNR_OK)
    json_put_text(&c->json, "status", tnr_status_name((tnr_status)op->status));
  if (op->error != TRACE_NONE)
    json_put_text(&c->json, "error",
                  trace_string(c->recording, c->recording->errors.at[op->error].message));
}

static void put_plan(struct chrome *c, const struct trace_run *run) {
  const struct trace_recording *recording = c->recording;
  struct trace_plan plan = trace_plan_at(recording, run->plan);
  if (*trace_string(recording, plan.attrs))
    json_put_text(&c->json, "attrs", trace_string(recording, plan.attrs));
  json_put_text(&c->json, "inputs", trace_string(recording, plan.inputs));
  json_put_text(&c->json, "outputs", trace_string(recording, plan.outputs));
}

static void put_run_arguments(struct chrome *c, const struct trace_run *run) {
  json_put_open(&c->json, "args", '{');
  if (run->op != TRACE_NONE)
    put_op(c, run->op);
  put_moment(c, "launched", run->launched);
  if (!(run->flags & TRACE_RUN_TOGETHER))
    put_moment(c, "executes", run->executed);
  json_put_integer(&c->json, "bytes", (int64_t)(trace_run_bytes(c->recording, run) & INT64_MAX));
  if (run->flags & TRACE_RUN_MISS)
    json_put_bool(&c->json, "cache_miss", true);
  if (run->plan != TRACE_NONE && !(run->flags & TRACE_RUN_MOVE))
    put_plan(c, run);
  json_put_close(&c->json, '}');
}

/* ---- threads ---- */

static void put_run(struct chrome *c, const struct trace_run *run) {
  char title[160];
  trace_run_title(c->recording, run, title, sizeof title);
  if (c->brief && trace_run_end(c->recording, run) <= run->began)
    return;
  if (!c->brief)
    chrome_put_arrows_in(c, run);
  begin_slice(c, title, run->flags & TRACE_RUN_MOVE ? "copy" : "op", run->began,
              trace_run_end(c->recording, run), CHROME_THREADS, run->lane + 1);
  if (!c->brief)
    put_run_arguments(c, run);
  chrome_end_event(c);
  if (!c->brief)
    chrome_put_arrows_out(c, run);
}

static void put_span_arguments(struct chrome *c, const struct trace_span *span, const char *why) {
  json_put_open(&c->json, "args", '{');
  if (*why)
    json_put_text(&c->json, "for", why);
  if (span->op != TRACE_NONE)
    put_op(c, span->op);
  json_put_close(&c->json, '}');
}

static void put_span(struct chrome *c, const struct trace_span *span) {
  const char *kind = trace_span_kind(span), *why = trace_span_why(span);
  const char *name = span->op == TRACE_NONE
                         ? why
                         : trace_string(c->recording, trace_op_name(c->recording, span->op));
  char title[300];
  snprintf(title, sizeof title, "%s%s%.240s", kind, *name ? " " : "", name);
  if (c->brief && span->end <= span->begin)
    return;
  begin_slice(c, title, kind, span->begin, span->end, CHROME_THREADS, span->lane + 1);
  if (!c->brief)
    put_span_arguments(c, span, why);
  chrome_end_event(c);
}

static void put_submit(struct chrome *c, uint32_t index, uint32_t lane) {
  char title[300];
  const struct trace_op *op = &c->recording->ops.at[index];
  if (c->brief)
    return;
  snprintf(title, sizeof title, "submit %.240s",
           trace_string(c->recording, trace_op_name(c->recording, index)));
  chrome_begin_event(c, "i", title, "submit", op->submitted, CHROME_THREADS, lane + 1);
  json_put_text(&c->json, "s", "t");
  json_put_open(&c->json, "args", '{');
  json_put_integer(&c->json, "op", op->number);
  put_site(c, op->site);
  json_put_close(&c->json, '}');
  chrome_end_event(c);
}

static void put_mark(struct chrome *c, const struct trace_mark *mark) {
  char title[100];
  bool no_device = mark->device == TNR_TRACE_NO_DEVICE;
  const char *device = no_device ? "" : trace_device_name(c->recording, mark->device);
  if (c->brief)
    return;
  if (mark->type == TNR_TRACE_WAKE)
    snprintf(title, sizeof title, "wake %s", no_device ? "dispatcher" : device);
  else if (mark->type == TNR_TRACE_HELD)
    snprintf(title, sizeof title, "refused: limit reached%s%s", no_device ? "" : " on ", device);
  else
    return;
  chrome_begin_event(c, "i", title, mark->type == TNR_TRACE_WAKE ? "wake" : "held", mark->time,
                     CHROME_THREADS, mark->lane + 1);
  json_put_text(&c->json, "s", "t");
  chrome_end_event(c);
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* What there is of a lane, in the order of time; outer slices before those within them. */
static void put_lane(struct chrome *c, uint32_t lane) {
  const struct trace_recording *recording = c->recording;
  const struct trace_lane *of = &recording->lanes.at[lane];
  uint32_t run = of->first_run, runs = run + of->run_count;
  uint32_t span = of->first_span, spans = span + of->span_count;
  uint32_t mark = of->first_mark, marks = mark + of->mark_count;
  uint32_t submit = c->links.submits_at[lane], submits = c->links.submits_at[lane + 1];
  while (run < runs || span < spans || mark < marks || submit < submits) {
    int64_t at_run = run < runs ? recording->runs.at[recording->by_lane[run]].began : INT64_MAX;
    int64_t at_span = span < spans ? recording->spans.at[span].begin : INT64_MAX;
    int64_t at_mark = mark < marks ? recording->marks.at[mark].time : INT64_MAX;
    int64_t at_submit =
        submit < submits ? recording->ops.at[c->links.submits[submit]].submitted : INT64_MAX;
    int64_t first = least(least(at_run, at_span), least(at_mark, at_submit));
    if (at_span == first)
      put_span(c, &recording->spans.at[span++]);
    else if (at_run == first)
      put_run(c, &recording->runs.at[recording->by_lane[run++]]);
    else if (at_submit == first)
      put_submit(c, c->links.submits[submit++], lane);
    else
      put_mark(c, &recording->marks.at[mark++]);
  }
}

static tnr_status put_threads(struct chrome *c, tnr_fault *fault) {
  uint32_t *order = trace_lanes_order(c->recording);
  if (!order)
    return spill_fail(fault, "the threads");
  put_meta(c, "process_name", CHROME_THREADS, 0,
           c->recording->file.program[0] ? c->recording->file.program : "tenor");
  put_sort_index(c, "process_sort_index", CHROME_THREADS, 0, CHROME_THREADS);
  for (uint32_t i = 0; i < c->recording->lanes.count; i++) {
    char title[100];
    trace_lane_title(c->recording, order[i], title, sizeof title);
    put_meta(c, "thread_name", CHROME_THREADS, order[i] + 1, title);
    put_sort_index(c, "thread_sort_index", CHROME_THREADS, order[i] + 1, i);
  }
  for (uint32_t i = 0; i < c->recording->lanes.count; i++)
    put_lane(c, order[i]);
  free(order);
  return TNR_OK;
}

/* ---- composites ---- */

/* Composites have tracks of their own, as their bodies run on any thread. What has the same number
 * is on the same track. */
static void put_composite(struct chrome *c, const char *phase, const struct trace_composite *row,
                          int64_t time) {
  const struct trace_recording *recording = c->recording;
  const struct trace_op *op = &recording->ops.at[row->op];
  char track[16];
  snprintf(track, sizeof track, "%u", recording->ops.at[row->track].number);
  chrome_begin_event(c, phase, trace_string(recording, trace_op_name(recording, row->op)),
                     "composite", time, CHROME_THREADS, op->lane == TRACE_NONE ? 0 : op->lane + 1);
  json_put_open(&c->json, "id2", '{');
  json_put_text(&c->json, "local", track);
  json_put_close(&c->json, '}');
  if (*phase == 'b') {
    json_put_open(&c->json, "args", '{');
    put_op(c, row->op);
    json_put_close(&c->json, '}');
  }
  chrome_end_event(c);
}

/* Each ends before the next begins that is not within it. */
static void put_tracks(struct chrome *c, const struct trace_composites *composites) {
  enum { STACK_MAX = 64 };
  uint32_t open[STACK_MAX];
  int depth = 0;
  for (uint32_t i = 0; i <= composites->rows.count; i++) {
    const struct trace_composite *row = i < composites->rows.count ? &composites->rows.at[i] : NULL;
    while (depth > 0 && (!row || open[depth - 1] != row->within || depth == STACK_MAX)) {
      const struct trace_composite *last = &composites->rows.at[open[--depth]];
      put_composite(c, "e", last, last->end);
    }
    if (!row)
      return;
    put_composite(c, "b", row, row->begin);
    open[depth++] = i;
  }
}

static tnr_status put_composites(struct chrome *c, tnr_fault *fault) {
  struct trace_composites composites;
  tnr_status status = trace_composites_find(c->recording, &composites, fault);
  if (status != TNR_OK)
    return status;
  put_tracks(c, &composites);
  trace_composites_finish(&composites);
  return TNR_OK;
}

/* ---- devices ---- */

static void put_gap_arguments(struct chrome *c, const struct trace_gap *gap) {
  json_put_open(&c->json, "args", '{');
  for (int i = 0; i < TRACE_CAUSES; i++)
    if (gap->times[i] > 0)
      json_put_micros(&c->json, trace_cause_names[i], gap->times[i]);
  if (gap->waited_for != TRACE_NONE)
    json_put_integer(&c->json, "waited for op", c->recording->ops.at[gap->waited_for].number);
  json_put_close(&c->json, '}');
}

static void put_gap(const struct trace_gap *gap, void *user) {
  struct chrome *c = user;
  char title[64];
  snprintf(title, sizeof title, "idle: %s", trace_cause_names[gap->cause]);
  begin_slice(c, title, "gap", gap->begin, gap->end, CHROME_DEVICES, gap->device + 1);
  if (!c->brief)
    put_gap_arguments(c, gap);
  chrome_end_event(c);
}

static tnr_status put_devices(struct chrome *c, tnr_fault *fault) {
  tnr_status status = TNR_OK;
  put_meta(c, "process_name", CHROME_DEVICES, 0, "devices");
  put_sort_index(c, "process_sort_index", CHROME_DEVICES, 0, CHROME_DEVICES);
  for (uint32_t i = 0; i < c->recording->file.devices; i++) {
    put_meta(c, "thread_name", CHROME_DEVICES, i + 1, trace_device_name(c->recording, i));
    put_sort_index(c, "thread_sort_index", CHROME_DEVICES, i + 1, i);
  }
  for (uint32_t i = 0; status == TNR_OK && i < c->recording->file.devices; i++) {
    int64_t busy;
    status = trace_gaps(c->recording, &c->hosts, i, put_gap, c, &busy, fault);
  }
  return status;
}

/* ---- counters ---- */

/* Readers join the names of the counter and of its argument: the place is the argument. */
static void begin_counter(const struct trace_counter *counter, void *user) {
  struct chrome *c = user;
  snprintf(c->counter, sizeof c->counter, "%s (%s)", counter->name, counter->unit);
  if (counter->lane != TRACE_NONE)
    trace_lane_title(c->recording, counter->lane, c->place, sizeof c->place);
  else
    snprintf(c->place, sizeof c->place, "%s", trace_device_name(c->recording, counter->device));
}

static void put_point(int64_t time, double value, void *user) {
  struct chrome *c = user;
  chrome_begin_event(c, "C", c->counter, "counter", time, CHROME_THREADS, 0);
  json_put_open(&c->json, "args", '{');
  json_put_number(&c->json, c->place, value);
  json_put_close(&c->json, '}');
  chrome_end_event(c);
}

/* ---- all of it ---- */

static void put_head(struct chrome *c) {
  const struct trace_recording *recording = c->recording;
  json_put_open(&c->json, NULL, '{');
  json_put_text(&c->json, "displayTimeUnit", "ns");
  json_put_open(&c->json, "otherData", '{');
  json_put_text(&c->json, "program", recording->file.program);
  json_put_text(&c->json, "tenor", recording->file.library);
  json_put_integer(
      &c->json, "lost records",
      (int64_t)((recording->end.whole ? recording->end.total.lost : recording->end.lost) &
                INT64_MAX));
  json_put_bool(&c->json, "whole", recording->end.whole);
  json_put_close(&c->json, '}');
  json_put_open(&c->json, "traceEvents", '[');
}

static void earlier(int64_t time, int64_t *first) {
  if (time != TRACE_NEVER && time < *first)
    *first = time;
}

/* Of recordings in flight times may be negative, which Perfetto drops. */
static int64_t shift_of(const struct trace_recording *recording) {
  int64_t first = 0;
  for (size_t i = 0; i < recording->ops.count; i++)
    earlier(recording->ops.at[i].submitted, &first);
  for (size_t i = 0; i < recording->runs.count; i++)
    earlier(recording->runs.at[i].began, &first);
  for (size_t i = 0; i < recording->spans.count; i++)
    earlier(recording->spans.at[i].begin, &first);
  for (size_t i = 0; i < recording->marks.count; i++)
    earlier(recording->marks.at[i].time, &first);
  for (size_t i = 0; i < recording->samples.count; i++)
    earlier(recording->samples.at[i].time, &first);
  return -first;
}

static tnr_status put_all(struct chrome *c, tnr_fault *fault) {
  enum { POINTS = 10000 };
  const struct trace_counter_sink sink = {begin_counter, put_point, c};
  put_head(c);
  tnr_status status = put_threads(c, fault);
  if (status == TNR_OK && !c->brief)
    status = put_composites(c, fault);
  if (status == TNR_OK)
    status = put_devices(c, fault);
  if (status == TNR_OK && !c->brief)
    status = trace_counters(c->recording, POINTS, &sink, fault);
  json_put_close(&c->json, ']');
  json_put_close(&c->json, '}');
  fputc('\n', c->json.to);
  return status;
}

static tnr_status export(const struct trace_recording *recording, FILE *to, bool brief,
                         tnr_fault *fault) {
  struct chrome c = {
      .recording = recording, .json = {.to = to}, .shift = shift_of(recording), .brief = brief};
  tnr_status status = trace_links_init(recording, &c.links, fault);
  if (status == TNR_OK)
    status = trace_hosts_init(recording, &c.hosts, fault);
  if (status == TNR_OK)
    status = put_all(&c, fault);
  trace_links_finish(&c.links);
  trace_hosts_finish(&c.hosts);
  return status;
}

tnr_status trace_export_chrome(const struct trace_recording *recording, FILE *to,
                               tnr_fault *fault) {
  return export(recording, to, false, fault);
}

tnr_status trace_export_slices(const struct trace_recording *recording, FILE *to,
                               tnr_fault *fault) {
  return export(recording, to, true, fault);
}
