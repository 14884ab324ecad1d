#include "page_events.h"

#include "gaps.h"
#include "lanes.h"
#include "rows.h"
#include "walk.h"

const char *const page_kind_names[PAGE_KINDS] = {"execute", "create", "copy",   "body", "callback",
                                                 "wait",    "rest",   "submit", "wake", "gap"};

struct maker {
  const struct trace_recording *recording;
  const struct trace_links *links;
  struct page_events *events;
  uint32_t lane; /* that is being filled */
  bool no_room;
};

/* ---- adding ---- */

static void add(struct maker *m, enum page_kind kind, int64_t start, int64_t end, uint32_t op,
                const char *name) {
  int64_t from = start > 0 ? start : 0;
  uint32_t number;
  if (m->no_room || start == TRACE_NEVER || end < m->events->from || start > m->events->until)
    return;
  struct page_event *event = ROWS_ADD(&m->events->rows);
  if (!event || !strings_put(&m->events->names, name, strlen(name), &number)) {
    m->no_room = true;
    return;
  }
  *event = (struct page_event){
      from, end > from ? end - from : 0, m->lane, number, op, (uint16_t)kind, 0};
}

static const char *op_name(const struct maker *m, uint32_t op) {
  const char *name = trace_string(m->recording, trace_op_name(m->recording, op));
  return *name ? name : "?";
}

static void add_run(struct maker *m, const struct trace_run *run, bool whole) {
  char title[160];
  enum page_kind kind = run->flags & TRACE_RUN_MOVE ? PAGE_COPY : PAGE_EXECUTE;
  trace_run_title(m->recording, run, title, sizeof title);
  if (!whole && run->executed > run->began)
    add(m, PAGE_CREATE, run->began, run->executed, run->op, title);
  add(m, kind, whole ? run->began : run->executed, trace_run_end(m->recording, run), run->op,
      title);
}

static void add_span(struct maker *m, const struct trace_span *span) {
  static const struct {
    uint16_t type, kind;
  } kinds[] = {{TNR_TRACE_CREATE, PAGE_CREATE},     {TNR_TRACE_BODY, PAGE_BODY},
               {TNR_TRACE_CALLBACK, PAGE_CALLBACK}, {TNR_TRACE_HELD, PAGE_WAIT},
               {TNR_TRACE_WAIT, PAGE_WAIT},         {TNR_TRACE_REST, PAGE_REST}};
  const char *why = trace_span_why(span);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (kinds[i].type == span->type)
      add(m, kinds[i].kind, span->begin, span->end, span->op, *why ? why : op_name(m, span->op));
}

/* ---- threads ---- */

static void add_thread(struct maker *m, uint32_t lane) {
  const struct trace_recording *recording = m->recording;
  const struct trace_lane *of = &recording->lanes.at[lane];
  for (uint32_t i = 0; i < of->span_count; i++)
    add_span(m, &recording->spans.at[of->first_span + i]);
  for (uint32_t i = 0; i < of->run_count; i++)
    add_run(m, &recording->runs.at[recording->by_lane[of->first_run + i]], false);
  for (uint32_t i = m->links->submits_at[lane]; i < m->links->submits_at[lane + 1]; i++) {
    uint32_t op = m->links->submits[i];
    int64_t time = recording->ops.at[op].submitted;
    add(m, PAGE_SUBMIT, time, time, op, op_name(m, op));
  }
  for (uint32_t i = 0; i < of->mark_count; i++) {
    const struct trace_mark *mark = &recording->marks.at[of->first_mark + i];
    if (mark->type == TNR_TRACE_WAKE)
      add(m, PAGE_WAKE, mark->time, mark->time, TRACE_NONE,
          mark->device == TNR_TRACE_NO_DEVICE ? "dispatcher"
                                              : trace_device_name(recording, mark->device));
  }
}

/* ---- devices ---- */

static void add_gap(const struct trace_gap *gap, void *user) {
  add(user, PAGE_GAP, gap->begin, gap->end, gap->waited_for, trace_cause_names[gap->cause]);
}

static tnr_status add_device(struct maker *m, const struct trace_hosts *hosts, uint32_t device,
                             tnr_fault *fault) {
  struct trace_walk walk;
  const struct trace_run *run;
  tnr_status status =
      trace_gaps(m->recording, hosts, device, add_gap, m, &m->events->busy[device], fault);
  if (status == TNR_OK)
    status = trace_walk_init(m->recording, device, &walk, fault);
  if (status != TNR_OK)
    return status;
  while ((run = trace_walk_next(&walk)))
    add_run(m, run, true);
  trace_walk_finish(&walk);
  return TNR_OK;
}

static bool begin_lane(struct maker *m, uint32_t lane, uint32_t device) {
  struct page_lane *added = ROWS_ADD(&m->events->lanes);
  if (!added)
    m->no_room = true;
  else
    *added = (struct page_lane){.lane = lane, .device = device};
  m->lane = (uint32_t)m->events->lanes.count - 1;
  return !m->no_room;
}

static tnr_status add_all(struct maker *m, const struct trace_hosts *hosts, const uint32_t *order,
                          tnr_fault *fault) {
  const struct trace_recording *recording = m->recording;
  tnr_status status = TNR_OK;
  for (uint32_t i = 0; i < recording->lanes.count; i++) {
    if (!begin_lane(m, order[i], recording->lanes.at[order[i]].device))
      break;
    m->events->lane_of[order[i]] = m->lane;
    add_thread(m, order[i]);
  }
  for (uint32_t i = 0; status == TNR_OK && !m->no_room && i < recording->file.devices; i++)
    if (begin_lane(m, TRACE_NONE, i))
      status = add_device(m, hosts, i, fault);
  return status;
}

/* ---- fewer, and in order ---- */

static int compare_starts(const void *left, const void *right, void *user) {
  (void)user;
  const struct page_event *a = left, *b = right;
  return (a->start > b->start) - (a->start < b->start);
}

static int compare_events(const void *left, const void *right, void *user) {
  const struct page_event *a = left, *b = right;
  if (a->lane != b->lane)
    return a->lane < b->lane ? -1 : 1;
  if (a->start != b->start)
    return compare_starts(a, b, user);
  return (a->duration < b->duration) - (a->duration > b->duration);
}

static bool sort(struct page_events *events, rows_compare_fn *compare) {
  return rows_sort(events->rows.at, events->rows.count, sizeof *events->rows.at, compare, NULL);
}

/* False: no room. */
static bool leave_out(struct page_events *events, uint64_t most) {
  if (events->rows.count <= most)
    return true;
  if (!sort(events, compare_starts))
    return false;
  events->left_out = events->rows.count - most;
  events->until = events->rows.at[most].start;
  events->rows.count = (size_t)most;
  return true;
}

/* How many of those before it in its lane go on while it is there. */
static void nest(struct page_events *events) {
  enum { DEPTH_MAX = 64 };
  int64_t ends[DEPTH_MAX];
  uint32_t lane = TRACE_NONE;
  int depth = 0;
  for (size_t i = 0; i < events->rows.count; i++) {
    struct page_event *event = &events->rows.at[i];
    if (event->lane != lane)
      depth = 0;
    lane = event->lane;
    while (depth > 0 && ends[depth - 1] <= event->start &&
           (event->duration > 0 || ends[depth - 1] < event->start))
      depth--;
    event->depth = (uint16_t)depth;
    if (event->duration > 0 && depth < DEPTH_MAX)
      ends[depth++] = event->start + event->duration;
  }
}

static void count_lanes(struct page_events *events) {
  for (size_t i = 0; i < events->rows.count; i++) {
    struct page_lane *lane = &events->lanes.at[events->rows.at[i].lane];
    if (lane->count++ == 0)
      lane->first = i;
  }
}

tnr_status page_events_make(const struct trace_recording *recording,
                            const struct trace_hosts *hosts, const struct trace_links *links,
                            const struct trace_page_options *options, struct page_events *out,
                            tnr_fault *fault) {
  struct maker m = {.recording = recording, .links = links, .events = out};
  uint32_t *order = trace_lanes_order(recording);
  int64_t last = recording->last, from = options->from, to = options->to;
  *out = (struct page_events){.from = from < 0      ? 0
                                      : from < last ? from
                                                    : last,
                              .until = to > 0 && to < last ? to : last};
  out->busy = calloc(recording->file.devices + 1, sizeof *out->busy);
  out->lane_of = calloc(recording->lanes.count + 1, sizeof *out->lane_of);
  m.no_room = !order || !out->busy || !out->lane_of;
  tnr_status status = m.no_room ? TNR_OK : add_all(&m, hosts, order, fault);
  free(order);
  if (status == TNR_OK && !m.no_room)
    m.no_room = !leave_out(out, options->events) || !sort(out, compare_events);
  if (status == TNR_OK && m.no_room)
    status = spill_fail(fault, "the page's events");
  if (status != TNR_OK) {
    page_events_finish(out);
    return status;
  }
  nest(out);
  count_lanes(out);
  return TNR_OK;
}

void page_events_finish(struct page_events *events) {
  spill_free(events->rows.at);
  spill_free(events->lanes.at);
  strings_finish(&events->names);
  free(events->lane_of);
  free(events->busy);
  *events = (struct page_events){0};
}
