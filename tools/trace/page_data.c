#include "page_data.h"

#include <time.h>

#include "lanes.h"
#include "page_parts.h"

/* ---- the recording ---- */

static void put_started(struct page *p) {
  const tnr_trace_file *file = &p->recording->file;
  time_t seconds = (time_t)(file->start_realtime / 1000000000);
  struct tm date;
  char text[80], day[40];
  if (file->flags & TNR_TRACE_MADE_TIME || file->start_realtime <= 0 ||
      !gmtime_r(&seconds, &date) || strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &date) == 0) {
    json_put_null(&p->json, "started");
    return;
  }
  snprintf(text, sizeof text, "%s.%06dZ", day, (int)(file->start_realtime / 1000 % 1000000));
  json_put_text(&p->json, "started", text);
}

static void put_recording(struct page *p) {
  const struct trace_recording *recording = p->recording;
  const struct trace_reader_end *end = &recording->end;
  json_put_open(&p->json, "recording", '{');
  json_put_text(&p->json, "file", p->options->file);
  json_put_text(&p->json, "program", recording->file.program);
  json_put_text(&p->json, "library", recording->file.library);
  json_put_integer(&p->json, "pid", recording->file.pid);
  put_started(p);
  json_put_integer(&p->json, "begin", p->events.from);
  json_put_integer(&p->json, "duration", p->events.until);
  json_put_integer(&p->json, "length", recording->last);
  json_put_bool(&p->json, "flight", recording->file.flags & TNR_TRACE_FLIGHT);
  json_put_bool(&p->json, "whole", end->whole);
  json_put_bool(&p->json, "drained", end->whole && end->total.drained);
  json_put_integer(&p->json, "records", (int64_t)(end->records & INT64_MAX));
  json_put_integer(&p->json, "lost",
                   (int64_t)((end->whole ? end->total.lost : end->lost) & INT64_MAX));
  json_put_integer(&p->json, "strangers", (int64_t)(end->total.strangers & INT64_MAX));
  json_put_integer(&p->json, "left_out", (int64_t)p->events.left_out);
  json_put_close(&p->json, '}');
}

static void put_devices(struct page *p) {
  json_put_line(&p->json);
  json_put_open(&p->json, "devices", '[');
  for (uint32_t i = 0; i < p->recording->file.devices; i++) {
    json_put_open(&p->json, NULL, '{');
    json_put_text(&p->json, "name", trace_device_name(p->recording, i));
    json_put_integer(&p->json, "busy", p->events.busy[i]);
    json_put_bool(&p->json, "host_memory", p->recording->devices[i].host_memory);
    json_put_close(&p->json, '}');
  }
  json_put_close(&p->json, ']');
}

static void put_lane(struct page *p, const struct page_lane *lane) {
  static const char *const kinds[] = {"application", "dispatcher", "worker"};
  const struct trace_recording *recording = p->recording;
  const struct trace_lane *of = lane->lane == TRACE_NONE ? NULL : &recording->lanes.at[lane->lane];
  char title[80];
  if (of)
    trace_lane_title(recording, lane->lane, title, sizeof title);
  json_put_open(&p->json, NULL, '{');
  json_put_text(&p->json, "kind",
                !of ? "device" : kinds[of->kind <= TNR_TRACE_WORKER ? of->kind : 0]);
  json_put_text(&p->json, "name", of ? title : trace_device_name(recording, lane->device));
  json_put_integer(&p->json, "tid", of ? of->tid : 0);
  json_put_integer(&p->json, "device", page_index(lane->device));
  json_put_integer(&p->json, "first", (int64_t)lane->first);
  json_put_integer(&p->json, "count", (int64_t)lane->count);
  json_put_close(&p->json, '}');
}

static void put_lanes(struct page *p) {
  json_put_line(&p->json);
  json_put_open(&p->json, "lanes", '[');
  for (size_t i = 0; i < p->events.lanes.count; i++)
    put_lane(p, &p->events.lanes.at[i]);
  json_put_close(&p->json, ']');
}

/* ---- events ---- */

static int64_t event_value(const struct page *p, const struct page_event *event, int column) {
  switch (column) {
  case 0:
    return event->start;
  case 1:
    return event->duration;
  case 2:
    return event->kind;
  case 3:
    return event->name;
  case 4:
    return page_row(p, event->op);
  default:
    return event->depth;
  }
}

static void put_events(struct page *p) {
  static const char *const columns[] = {"start", "duration", "kind", "name", "op", "depth"};
  json_put_line(&p->json);
  json_put_open(&p->json, "kinds", '[');
  for (int i = 0; i < PAGE_KINDS; i++)
    json_put_text(&p->json, NULL, page_kind_names[i]);
  json_put_close(&p->json, ']');
  json_put_line(&p->json);
  json_put_open(&p->json, "events", '{');
  for (int column = 0; column < 6; column++) {
    page_begin_column(p, columns[column]);
    for (size_t i = 0; i < p->events.rows.count; i++)
      page_put(p, event_value(p, &p->events.rows.at[i], column));
    page_end_column(p);
  }
  json_put_close(&p->json, '}');
}

/* ---- what ops refer to ---- */

static void put_names(struct page *p) {
  json_put_line(&p->json);
  json_put_open(&p->json, "names", '[');
  for (uint32_t i = 0; i < strings_count(&p->events.names); i++)
    json_put_text(&p->json, NULL, strings_at(&p->events.names, i));
  json_put_close(&p->json, ']');
}

static void put_statuses(struct page *p) {
  json_put_line(&p->json);
  json_put_open(&p->json, "statuses", '[');
  for (int i = 0; i <= UINT8_MAX; i++) {
    const char *name = tnr_status_name((tnr_status)i);
    json_put_text(&p->json, NULL, strncmp(name, "TNR_", 4) == 0 ? name + 4 : name);
  }
  json_put_close(&p->json, ']');
}

static void put_sites(struct page *p) {
  json_put_line(&p->json);
  json_put_open(&p->json, "sites", '[');
  for (uint32_t i = 0; i < strings_count(&p->recording->sites); i++) {
    struct trace_site site = trace_site_at(p->recording, i);
    json_put_open(&p->json, NULL, '{');
    json_put_text(&p->json, "file", trace_string(p->recording, site.file));
    json_put_integer(&p->json, "line", site.line);
    json_put_text(&p->json, "composite", trace_string(p->recording, site.composite));
    json_put_close(&p->json, '}');
  }
  json_put_close(&p->json, ']');
}

static void put_lines(struct page *p, const char *key, const char *lines) {
  json_put_open(&p->json, key, '[');
  while (*lines) {
    size_t size = strcspn(lines, "\n");
    json_put_bytes(&p->json, NULL, lines, size);
    lines += size + (lines[size] != '\0');
  }
  json_put_close(&p->json, ']');
}

static void put_plans(struct page *p) {
  json_put_line(&p->json);
  json_put_open(&p->json, "plans", '[');
  for (uint32_t i = 0; i < strings_count(&p->recording->plans); i++) {
    struct trace_plan plan = trace_plan_at(p->recording, i);
    json_put_open(&p->json, NULL, '{');
    json_put_text(&p->json, "name", trace_string(p->recording, plan.name));
    json_put_text(&p->json, "attrs", trace_string(p->recording, plan.attrs));
    put_lines(p, "inputs", trace_string(p->recording, plan.inputs));
    put_lines(p, "outputs", trace_string(p->recording, plan.outputs));
    json_put_integer(&p->json, "bytes", (int64_t)(plan.bytes & INT64_MAX));
    json_put_number(&p->json, "flops", plan.flops);
    json_put_close(&p->json, '}');
  }
  json_put_close(&p->json, ']');
}

static void put_errors(struct page *p) {
  json_put_line(&p->json);
  json_put_open(&p->json, "errors", '[');
  for (size_t i = 0; i < p->recording->errors.count; i++)
    json_put_text(&p->json, NULL, trace_string(p->recording, p->recording->errors.at[i].message));
  json_put_close(&p->json, ']');
}

/* ---- counters ---- */

static void end_counter(struct page *p) {
  if (p->times.count == 0)
    return;
  char name[100];
  snprintf(name, sizeof name, "%s", p->counter.name);
  if (p->counter.lane != TRACE_NONE) {
    char title[80];
    trace_lane_title(p->recording, p->counter.lane, title, sizeof title);
    snprintf(name, sizeof name, "cpu of %s", title);
  }
  json_put_line(&p->json);
  json_put_open(&p->json, NULL, '{');
  json_put_text(&p->json, "name", name);
  json_put_integer(&p->json, "device", page_index(p->counter.device));
  json_put_text(&p->json, "unit", p->counter.unit);
  page_begin_column(p, "time");
  for (size_t i = 0; i < p->times.count; i++)
    page_put(p, p->times.at[i]);
  page_end_column(p);
  json_put_open(&p->json, "value", '[');
  for (size_t i = 0; i < p->values.count; i++)
    json_put_number(&p->json, NULL, p->values.at[i]);
  json_put_close(&p->json, ']');
  json_put_close(&p->json, '}');
  p->times.count = p->values.count = 0;
}

static void begin_counter(const struct trace_counter *counter, void *user) {
  struct page *p = user;
  end_counter(p);
  p->counter = *counter;
}

static void add_point(int64_t time, double value, void *user) {
  struct page *p = user;
  if (time < 0 || time > p->events.until || p->no_room)
    return;
  if (time < p->events.from) { /* what the counter is when the page begins */
    p->times.count = p->values.count = 0;
    time = p->events.from;
  }
  if (!ROWS_ROOM(&p->times) || !ROWS_ROOM(&p->values)) {
    p->no_room = true;
    return;
  }
  p->times.at[p->times.count++] = time;
  p->values.at[p->values.count++] = value;
}

static tnr_status put_counters(struct page *p, tnr_fault *fault) {
  enum { POINTS = 4000 };
  const struct trace_counter_sink sink = {begin_counter, add_point, p};
  json_put_line(&p->json);
  json_put_open(&p->json, "counters", '[');
  tnr_status status = trace_counters(p->recording, POINTS, &sink, fault);
  end_counter(p);
  json_put_close(&p->json, ']');
  return status;
}

/* ---- the critical path ---- */

static int64_t step_value(const struct page *p, const struct trace_step *step, int column) {
  switch (column) {
  case 0:
    return step->begin;
  case 1:
    return step->end - step->begin;
  case 2:
    return page_row(p, step->op);
  case 3:
    return step->lane == TRACE_NONE ? -1 : (int64_t)p->events.lane_of[step->lane];
  default:
    return step->what;
  }
}

static void put_gain(struct page *p, const struct trace_gain *gain) {
  const char *what = gain->sort == TRACE_FREE_NAME   ? trace_string(p->recording, gain->name)
                     : gain->sort == TRACE_FREE_WHAT ? trace_what_names[gain->what]
                                                     : "waits of threads";
  json_put_open(&p->json, NULL, '{');
  json_put_text(&p->json, "what", what);
  json_put_integer(&p->json, "time", gain->time);
  json_put_integer(&p->json, "gain", gain->gain);
  json_put_close(&p->json, '}');
}

static void put_path(struct page *p) {
  static const char *const columns[] = {"start", "duration", "op", "lane", "what"};
  json_put_line(&p->json);
  json_put_open(&p->json, "path", '{');
  for (int column = 0; column < 5; column++) {
    page_begin_column(p, columns[column]);
    for (size_t i = 0; i < p->path.steps.count; i++)
      if (p->path.steps.at[i].begin < p->events.until && p->path.steps.at[i].end > p->events.from)
        page_put(p, step_value(p, &p->path.steps.at[i], column));
    page_end_column(p);
  }
  json_put_open(&p->json, "whats", '[');
  for (int i = 0; i < TRACE_WHATS; i++)
    json_put_text(&p->json, NULL, trace_what_names[i]);
  json_put_close(&p->json, ']');
  json_put_open(&p->json, "gains", '[');
  for (size_t i = 0; i < p->gains.rows.count; i++)
    put_gain(p, &p->gains.rows.at[i]);
  json_put_close(&p->json, ']');
  json_put_close(&p->json, '}');
}

/* ---- all of it ---- */

static tnr_status prepare(struct page *p, tnr_fault *fault) {
  enum { NAMES_MAX = 8 };
  tnr_status status = trace_links_init(p->recording, &p->links, fault);
  if (status == TNR_OK)
    status = trace_hosts_init(p->recording, &p->hosts, fault);
  if (status == TNR_OK)
    status = trace_path_find(p->recording, &p->hosts, &p->path, fault);
  if (status == TNR_OK)
    status = trace_gains_find(p->recording, &p->hosts, &p->path, NAMES_MAX, &p->gains, fault);
  if (status == TNR_OK)
    status = page_events_make(p->recording, &p->hosts, &p->links, p->options, &p->events, fault);
  return status == TNR_OK ? page_choose_ops(p, fault) : status;
}

static void finish(struct page *p) {
  trace_links_finish(&p->links);
  trace_hosts_finish(&p->hosts);
  trace_path_finish(&p->path);
  trace_gains_finish(&p->gains);
  page_events_finish(&p->events);
  spill_free(p->rows);
  spill_free(p->ops);
  spill_free(p->column.at);
  spill_free(p->times.at);
  spill_free(p->values.at);
}

/* Names come behind all that refers to them. */
static tnr_status put_all(struct page *p, tnr_fault *fault) {
  json_put_open(&p->json, NULL, '{');
  json_put_integer(&p->json, "version", 1);
  put_recording(p);
  put_devices(p);
  put_lanes(p);
  put_events(p);
  page_put_ops(p);
  put_names(p);
  put_statuses(p);
  put_sites(p);
  put_plans(p);
  put_errors(p);
  put_path(p);
  tnr_status status = put_counters(p, fault);
  json_put_close(&p->json, '}');
  fputc('\n', p->json.to);
  if (status == TNR_OK && p->no_room)
    status = spill_fail(fault, "the page");
  return status;
}

tnr_status trace_page_data(const struct trace_recording *recording,
                           const struct trace_page_options *options, FILE *to, tnr_fault *fault) {
  struct page p = {.recording = recording, .options = options, .json = {.to = to}};
  tnr_status status = prepare(&p, fault);
  if (status == TNR_OK)
    status = put_all(&p, fault);
  finish(&p);
  return status;
}
