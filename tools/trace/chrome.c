#include "counters.h"

#include "export.h"
#include "gaps.h"
#include "json.h"
#include "lanes.h"
#include "links.h"
#include "walk.h"
#include <stdlib.h>

enum { THREADS = 1, DEVICES = 2 }; /* processes, as the form calls them */

struct chrome {
  const struct trace_recording *recording;
  struct trace_links links;
  struct trace_hosts hosts;
  struct json json;
  char counter[64]; /* the name of the one that is being written */
};

/* ---- events ---- */

/* Left open for more. `tid` from 1. */
static void begin_event(struct chrome *c, const char *phase, const char *name, const char *category,
                        int64_t time, uint32_t pid, uint32_t tid) {
  json_put_line(&c->json);
  json_put_open(&c->json, NULL, '{');
  json_put_text(&c->json, "ph", phase);
  json_put_text(&c->json, "name", name);
  if (category)
    json_put_text(&c->json, "cat", category);
  json_put_micros(&c->json, "ts", time);
  json_put_integer(&c->json, "pid", pid);
  json_put_integer(&c->json, "tid", tid);
}

static void end_event(struct chrome *c) {
  json_put_close(&c->json, '}');
}

static void put_meta(struct chrome *c, const char *what, uint32_t pid, uint32_t tid,
                     const char *name) {
  begin_event(c, "M", what, NULL, 0, pid, tid);
  json_put_open(&c->json, "args", '{');
  json_put_text(&c->json, "name", name);
  json_put_close(&c->json, '}');
  end_event(c);
}

static void put_sort_index(struct chrome *c, uint32_t pid, uint32_t tid, int64_t index) {
  begin_event(c, "M", "thread_sort_index", NULL, 0, pid, tid);
  json_put_open(&c->json, "args", '{');
  json_put_integer(&c->json, "sort_index", index);
  json_put_close(&c->json, '}');
  end_event(c);
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
    json_put_micros(&c->json, key, time);
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

/* ---- arrows ---- */

/* An input's place in recording.inputs is its arrow's number: it has one there, and one here. */
static void put_arrow(struct chrome *c, const char *phase, int64_t time, uint32_t lane,
                      uint64_t number) {
  begin_event(c, phase, "input", "dependency", time, THREADS, lane + 1);
  json_put_integer(&c->json, "id", (int64_t)number);
  if (*phase == 'f')
    json_put_text(&c->json, "bp", "e");
  end_event(c);
}

/* Both ends are there: the input's last run, and each op's first. */
static uint32_t edge_run(const struct trace_recording *recording, uint32_t op, bool last) {
  uint32_t found = TRACE_NONE;
  for (uint32_t i = recording->ops.at[op].runs; i != TRACE_NONE; i = recording->runs.at[i].next) {
    const struct trace_run *run = &recording->runs.at[i];
    if (run->began == TRACE_NEVER)
      continue;
    const struct trace_run *best = found == TRACE_NONE ? NULL : &recording->runs.at[found];
    if (!best || (last ? trace_run_end(recording, run) > trace_run_end(recording, best)
                       : run->began < best->began))
      found = i;
  }
  return found;
}

static void put_arrows_in(struct chrome *c, const struct trace_run *run) {
  const struct trace_recording *recording = c->recording;
  if (run->op == TRACE_NONE ||
      edge_run(recording, run->op, false) != (uint32_t)(run - recording->runs.at))
    return;
  const struct trace_op *op = &recording->ops.at[run->op];
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = recording->inputs.at[op->inputs + i];
    if (input != TRACE_NONE && edge_run(recording, input, true) != TRACE_NONE)
      put_arrow(c, "f", run->began, run->lane, (uint64_t)op->inputs + i);
  }
}

/* They begin within the slice, which is over at its end. */
static void put_arrows_out(struct chrome *c, const struct trace_run *run) {
  const struct trace_recording *recording = c->recording;
  int64_t end = trace_run_end(recording, run), time = end > run->began ? end - 1 : run->began;
  if (run->op == TRACE_NONE ||
      edge_run(recording, run->op, true) != (uint32_t)(run - recording->runs.at))
    return;
  uint32_t before = TRACE_NONE;
  for (uint32_t i = c->links.dependents_at[run->op]; i < c->links.dependents_at[run->op + 1]; i++) {
    uint32_t dependent = c->links.dependents[i];
    if (dependent == before || edge_run(recording, dependent, false) == TRACE_NONE)
      continue;
    before = dependent; /* who uses it twice is there twice, one behind the other */
    const struct trace_op *op = &recording->ops.at[dependent];
    for (uint32_t k = 0; k < op->input_count; k++)
      if (recording->inputs.at[op->inputs + k] == run->op)
        put_arrow(c, "s", time, run->lane, (uint64_t)op->inputs + k);
  }
}

/* ---- threads ---- */

static void put_run(struct chrome *c, const struct trace_run *run) {
  char title[160];
  trace_run_title(c->recording, run, title, sizeof title);
  put_arrows_in(c, run);
  begin_event(c, "X", title, run->flags & TRACE_RUN_MOVE ? "copy" : "op", run->began, THREADS,
              run->lane + 1);
  json_put_micros(&c->json, "dur", trace_run_end(c->recording, run) - run->began);
  put_run_arguments(c, run);
  end_event(c);
  put_arrows_out(c, run);
}

static void put_span(struct chrome *c, const struct trace_span *span) {
  const char *kind = trace_span_kind(span), *why = trace_span_why(span);
  const char *name = span->op == TRACE_NONE
                         ? why
                         : trace_string(c->recording, trace_op_name(c->recording, span->op));
  char title[300];
  snprintf(title, sizeof title, "%s%s%.240s", kind, *name ? " " : "", name);
  begin_event(c, "X", title, kind, span->begin, THREADS, span->lane + 1);
  json_put_micros(&c->json, "dur", span->end - span->begin);
  json_put_open(&c->json, "args", '{');
  if (*why)
    json_put_text(&c->json, "for", why);
  if (span->op != TRACE_NONE)
    put_op(c, span->op);
  json_put_close(&c->json, '}');
  end_event(c);
}

static void put_submit(struct chrome *c, uint32_t index, uint32_t lane) {
  char title[300];
  const struct trace_op *op = &c->recording->ops.at[index];
  snprintf(title, sizeof title, "submit %.240s",
           trace_string(c->recording, trace_op_name(c->recording, index)));
  begin_event(c, "i", title, "submit", op->submitted, THREADS, lane + 1);
  json_put_text(&c->json, "s", "t");
  json_put_open(&c->json, "args", '{');
  json_put_integer(&c->json, "op", op->number);
  put_site(c, op->site);
  json_put_close(&c->json, '}');
  end_event(c);
}

static void put_mark(struct chrome *c, const struct trace_mark *mark) {
  char title[100];
  bool no_device = mark->device == TNR_TRACE_NO_DEVICE;
  const char *device = no_device ? "" : trace_device_name(c->recording, mark->device);
  if (mark->type == TNR_TRACE_WAKE)
    snprintf(title, sizeof title, "wake %s", no_device ? "dispatcher" : device);
  else if (mark->type == TNR_TRACE_HELD)
    snprintf(title, sizeof title, "refused: limit reached%s%s", no_device ? "" : " on ", device);
  else
    return;
  begin_event(c, "i", title, mark->type == TNR_TRACE_WAKE ? "wake" : "held", mark->time, THREADS,
              mark->lane + 1);
  json_put_text(&c->json, "s", "t");
  end_event(c);
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
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for the threads");
  put_meta(c, "process_name", THREADS, 0,
           c->recording->file.program[0] ? c->recording->file.program : "tenor");
  for (uint32_t i = 0; i < c->recording->lanes.count; i++) {
    char title[100];
    trace_lane_title(c->recording, order[i], title, sizeof title);
    put_meta(c, "thread_name", THREADS, order[i] + 1, title);
    put_sort_index(c, THREADS, order[i] + 1, i);
  }
  for (uint32_t i = 0; i < c->recording->lanes.count; i++)
    put_lane(c, order[i]);
  free(order);
  return TNR_OK;
}

/* ---- composites ---- */

/* From its call to the end of the last op in it: a track of its own, as bodies run elsewhere. */
static void put_composite(struct chrome *c, const char *phase, uint32_t index, int64_t time) {
  const struct trace_op *op = &c->recording->ops.at[index];
  begin_event(c, phase, trace_string(c->recording, trace_op_name(c->recording, index)), "composite",
              time, THREADS, op->lane == TRACE_NONE ? 0 : op->lane + 1);
  json_put_integer(&c->json, "id", op->number);
  if (*phase == 'b') {
    json_put_open(&c->json, "args", '{');
    put_op(c, index);
    json_put_close(&c->json, '}');
  }
  end_event(c);
}

/* A child is in the file behind its parent or before it: numbers go by thread. */
static tnr_status put_composites(struct chrome *c, tnr_fault *fault) {
  enum { DEPTH_MAX = 64 };
  const struct trace_recording *recording = c->recording;
  int64_t *ends = malloc((recording->ops.count + 1) * sizeof *ends);
  if (!ends)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for the composites");
  for (size_t i = 0; i < recording->ops.count; i++)
    ends[i] = recording->ops.at[i].submitted;
  for (size_t i = 0; i < recording->ops.count; i++) {
    int64_t completed = recording->ops.at[i].completed;
    uint32_t at = (uint32_t)i;
    for (int depth = 0; at != TRACE_NONE && depth < DEPTH_MAX; depth++) {
      ends[at] = completed > ends[at] ? completed : ends[at];
      at = recording->ops.at[at].parent;
    }
  }
  for (uint32_t i = 0; i < recording->ops.count; i++) {
    const struct trace_op *op = &recording->ops.at[i];
    if (op->kind != TNR_TRACE_COMPOSITE || op->submitted == TRACE_NEVER)
      continue;
    put_composite(c, "b", i, op->submitted);
    put_composite(c, "e", i, ends[i]);
  }
  free(ends);
  return TNR_OK;
}

/* ---- devices ---- */

static void put_gap(const struct trace_gap *gap, void *user) {
  struct chrome *c = user;
  char title[64];
  snprintf(title, sizeof title, "idle: %s", trace_cause_names[gap->cause]);
  begin_event(c, "X", title, "gap", gap->begin, DEVICES, gap->device + 1);
  json_put_micros(&c->json, "dur", gap->end - gap->begin);
  json_put_open(&c->json, "args", '{');
  for (int i = 0; i < TRACE_CAUSES; i++)
    if (gap->times[i] > 0)
      json_put_micros(&c->json, trace_cause_names[i], gap->times[i]);
  if (gap->waited_for != TRACE_NONE)
    json_put_integer(&c->json, "waited for op", c->recording->ops.at[gap->waited_for].number);
  json_put_close(&c->json, '}');
  end_event(c);
}

static tnr_status put_devices(struct chrome *c, tnr_fault *fault) {
  tnr_status status = TNR_OK;
  put_meta(c, "process_name", DEVICES, 0, "devices");
  for (uint32_t i = 0; i < c->recording->file.devices; i++)
    put_meta(c, "thread_name", DEVICES, i + 1, trace_device_name(c->recording, i));
  for (uint32_t i = 0; status == TNR_OK && i < c->recording->file.devices; i++) {
    int64_t busy;
    status = trace_gaps(c->recording, &c->hosts, i, put_gap, c, &busy, fault);
  }
  return status;
}

/* ---- counters ---- */

static void begin_counter(const struct trace_counter *counter, void *user) {
  struct chrome *c = user;
  char lane[40] = "";
  if (counter->lane != TRACE_NONE)
    trace_lane_title(c->recording, counter->lane, lane, sizeof lane);
  else if (counter->device != TRACE_NONE)
    snprintf(lane, sizeof lane, "%.30s", trace_device_name(c->recording, counter->device));
  snprintf(c->counter, sizeof c->counter, "%s %s", counter->name, *lane ? lane : "host");
}

static void put_point(int64_t time, double value, void *user) {
  struct chrome *c = user;
  begin_event(c, "C", c->counter, "counter", time, THREADS, 0);
  json_put_open(&c->json, "args", '{');
  json_put_number(&c->json, "value", value);
  json_put_close(&c->json, '}');
  end_event(c);
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

tnr_status trace_export_chrome(const struct trace_recording *recording, FILE *to,
                               tnr_fault *fault) {
  enum { POINTS = 10000 };
  struct chrome c = {.recording = recording, .json = {.to = to}};
  const struct trace_counter_sink sink = {begin_counter, put_point, &c};
  tnr_status status = trace_links_init(recording, &c.links, fault);
  if (status == TNR_OK)
    status = trace_hosts_init(recording, &c.hosts, fault);
  if (status == TNR_OK) {
    put_head(&c);
    status = put_threads(&c, fault);
  }
  if (status == TNR_OK)
    status = put_composites(&c, fault);
  if (status == TNR_OK)
    status = put_devices(&c, fault);
  if (status == TNR_OK)
    status = trace_counters(recording, POINTS, &sink, fault);
  if (status == TNR_OK) {
    json_put_close(&c.json, ']');
    json_put_close(&c.json, '}');
    fputc('\n', to);
  }
  trace_links_finish(&c.links);
  trace_hosts_finish(&c.hosts);
  return status;
}
