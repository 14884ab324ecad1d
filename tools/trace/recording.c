#include "recording.h"

#include "intake.h"
#include "rows.h"

/* ---- from numbers to rows ---- */

static void link_ops(struct trace_recording *recording) {
  for (size_t i = 0; i < recording->ops.count; i++) {
    struct trace_op *op = &recording->ops.at[i];
    op->parent = op->parent ? numbers_find(&recording->numbers, op->parent) : TRACE_NONE;
  }
  for (size_t i = 0; i < recording->inputs.count; i++) {
    uint32_t *input = &recording->inputs.at[i];
    *input = *input ? numbers_find(&recording->numbers, *input) : TRACE_NONE;
  }
  for (size_t i = 0; i < recording->spans.count; i++) {
    struct trace_span *span = &recording->spans.at[i];
    span->op = span->op ? numbers_find(&recording->numbers, span->op) : TRACE_NONE;
    if (span->type == TNR_TRACE_HELD && span->op != TRACE_NONE)
      recording->ops.at[span->op].flags |= TRACE_WAS_HELD;
  }
}

/* ---- in the order of time ---- */

static int sign(int64_t a, int64_t b) {
  return (a > b) - (a < b);
}

static int compare_spans(const void *left, const void *right, void *user) {
  (void)user;
  const struct trace_span *a = left, *b = right;
  int order = sign(a->lane, b->lane);
  order = order ? order : sign(a->begin, b->begin);
  return order ? order : sign(b->end, a->end);
}

static tnr_status sort_spans(struct trace_recording *recording, tnr_fault *fault) {
  if (!rows_sort(recording->spans.at, recording->spans.count, sizeof *recording->spans.at,
                 compare_spans, NULL))
    return intake_no_room(fault);
  for (size_t i = 0; i < recording->spans.count; i++) {
    struct trace_lane *lane = &recording->lanes.at[recording->spans.at[i].lane];
    if (lane->span_count++ == 0)
      lane->first_span = (uint32_t)i;
  }
  return TNR_OK;
}

static int compare_marks(const void *left, const void *right, void *user) {
  (void)user;
  const struct trace_mark *a = left, *b = right;
  int order = sign(a->lane, b->lane);
  return order ? order : sign(a->time, b->time);
}

static tnr_status sort_marks(struct trace_recording *recording, tnr_fault *fault) {
  if (!rows_sort(recording->marks.at, recording->marks.count, sizeof *recording->marks.at,
                 compare_marks, NULL))
    return intake_no_room(fault);
  for (size_t i = 0; i < recording->marks.count; i++) {
    struct trace_lane *lane = &recording->lanes.at[recording->marks.at[i].lane];
    if (lane->mark_count++ == 0)
      lane->first_mark = (uint32_t)i;
  }
  return TNR_OK;
}

static int compare_runs(const void *left, const void *right, void *runs) {
  const struct trace_run *a = (const struct trace_run *)runs + *(const uint32_t *)left;
  const struct trace_run *b = (const struct trace_run *)runs + *(const uint32_t *)right;
  int order = sign(a->lane, b->lane);
  order = order ? order : sign(a->began, b->began);
  return order ? order : sign(a->run_order, b->run_order);
}

static tnr_status sort_runs(struct trace_recording *recording, tnr_fault *fault) {
  size_t count = 0;
  recording->by_lane = spill_resize(NULL, (recording->runs.count + 1) * sizeof *recording->by_lane);
  if (!recording->by_lane)
    return intake_no_room(fault);
  for (size_t i = 0; i < recording->runs.count; i++)
    if (recording->runs.at[i].began != TRACE_NEVER)
      recording->by_lane[count++] = (uint32_t)i;
  if (!rows_sort(recording->by_lane, count, sizeof *recording->by_lane, compare_runs,
                 recording->runs.at))
    return intake_no_room(fault);
  for (size_t i = 0; i < count; i++) {
    struct trace_lane *lane = &recording->lanes.at[recording->runs.at[recording->by_lane[i]].lane];
    if (lane->run_count++ == 0)
      lane->first_run = (uint32_t)i;
  }
  return TNR_OK;
}

/* ---- reading ---- */

static tnr_status init(struct trace_recording *recording, const tnr_trace_file *file,
                       tnr_fault *fault) {
  uint32_t empty;
  recording->file = *file;
  recording->file.program[sizeof file->program - 1] = '\0';
  recording->file.library[sizeof file->library - 1] = '\0';
  recording->devices = calloc(file->devices + 1, sizeof *recording->devices);
  if (!recording->devices || !strings_put(&recording->strings, "", 0, &empty))
    return intake_no_room(fault);
  for (uint32_t i = 0; i < file->devices; i++)
    snprintf(recording->devices[i].name, sizeof recording->devices[i].name, "device %u", i);
  return TNR_OK;
}

static tnr_status take_in(struct trace_recording *recording, struct trace_reader *reader,
                          tnr_fault *fault) {
  struct intake intake;
  struct trace_event event;
  bool more = true;
  tnr_status status = intake_init(recording, &intake, fault);
  while (status == TNR_OK && more) {
    status = trace_reader_next(reader, &event, &more, fault);
    if (status == TNR_OK && more)
      status = intake_event(&intake, &event, fault);
  }
  intake_finish(&intake);
  return status;
}

tnr_status trace_recording_read(const char *path, struct trace_recording *out, tnr_fault *fault) {
  struct trace_reader *reader;
  *out = (struct trace_recording){0};
  tnr_status status = trace_reader_open(path, &reader, fault);
  if (status != TNR_OK)
    return status;
  status = init(out, trace_reader_header(reader), fault);
  if (status == TNR_OK)
    status = take_in(out, reader, fault);
  out->end = trace_reader_end(reader);
  trace_reader_close(reader);
  if (status == TNR_OK) {
    link_ops(out);
    status = sort_runs(out, fault);
  }
  if (status == TNR_OK)
    status = sort_spans(out, fault);
  if (status == TNR_OK)
    status = sort_marks(out, fault);
  if (status != TNR_OK)
    trace_recording_finish(out);
  return status;
}

void trace_recording_finish(struct trace_recording *recording) {
  free(recording->devices);
  strings_finish(&recording->strings);
  strings_finish(&recording->sites);
  strings_finish(&recording->plans);
  numbers_finish(&recording->numbers);
  spill_free(recording->ops.at);
  spill_free(recording->runs.at);
  spill_free(recording->spans.at);
  spill_free(recording->marks.at);
  spill_free(recording->samples.at);
  spill_free(recording->lanes.at);
  spill_free(recording->moves.at);
  spill_free(recording->errors.at);
  spill_free(recording->inputs.at);
  spill_free(recording->by_lane);
  *recording = (struct trace_recording){0};
}

/* ---- looking at it ---- */

bool trace_is_partial(const struct trace_recording *recording) {
  const struct trace_reader_end *end = &recording->end;
  return !end->whole || end->lost > 0 || end->total.lost > 0 || end->total.strangers > 0 ||
         (recording->file.flags & TNR_TRACE_FLIGHT);
}

struct trace_site trace_site_at(const struct trace_recording *recording, uint32_t site) {
  struct trace_site out = {0};
  if (site != TRACE_NONE)
    memcpy(&out, strings_at(&recording->sites, site), sizeof out);
  return out;
}

struct trace_plan trace_plan_at(const struct trace_recording *recording, uint32_t plan) {
  struct trace_plan out = {0};
  if (plan != TRACE_NONE)
    memcpy(&out, strings_at(&recording->plans, plan), sizeof out);
  return out;
}

static uint32_t name_of_runs(const struct trace_recording *recording, uint32_t run) {
  for (; run != TRACE_NONE; run = recording->runs.at[run].next) {
    const struct trace_run *here = &recording->runs.at[run];
    if (here->plan != TRACE_NONE && !(here->flags & TRACE_RUN_MOVE))
      return trace_plan_at(recording, here->plan).name;
  }
  return 0;
}

uint32_t trace_op_name(const struct trace_recording *recording, uint32_t op) {
  if (op == TRACE_NONE)
    return 0;
  const struct trace_op *of = &recording->ops.at[op];
  return of->site != TRACE_NONE ? trace_site_at(recording, of->site).name
                                : name_of_runs(recording, of->runs);
}

uint32_t trace_run_name(const struct trace_recording *recording, const struct trace_run *run) {
  if (run->op != TRACE_NONE && recording->ops.at[run->op].site != TRACE_NONE)
    return trace_site_at(recording, recording->ops.at[run->op].site).name;
  if (run->plan == TRACE_NONE || run->flags & TRACE_RUN_MOVE)
    return 0;
  return trace_plan_at(recording, run->plan).name;
}

const char *trace_device_name(const struct trace_recording *recording, uint32_t device) {
  return device < recording->file.devices ? recording->devices[device].name : "host";
}

static int64_t earlier(int64_t time, int64_t first) {
  return time != TRACE_NEVER && (first == TRACE_NEVER || time < first) ? time : first;
}

int64_t trace_op_began(const struct trace_recording *recording, uint32_t op) {
  int64_t first = TRACE_NEVER;
  for (uint32_t i = recording->ops.at[op].runs; i != TRACE_NONE; i = recording->runs.at[i].next)
    first = earlier(recording->runs.at[i].began, first);
  return first;
}

int64_t trace_op_created(const struct trace_recording *recording, uint32_t op) {
  int64_t first = TRACE_NEVER;
  for (uint32_t i = recording->ops.at[op].runs; i != TRACE_NONE; i = recording->runs.at[i].next)
    first = earlier(recording->runs.at[i].executed, first);
  return first;
}

int64_t trace_op_ended(const struct trace_recording *recording, uint32_t op) {
  int64_t last = TRACE_NEVER;
  for (uint32_t i = recording->ops.at[op].runs; i != TRACE_NONE; i = recording->runs.at[i].next)
    if (recording->runs.at[i].ended > last)
      last = recording->runs.at[i].ended;
  return last;
}

uint64_t trace_run_bytes(const struct trace_recording *recording, const struct trace_run *run) {
  if (run->plan == TRACE_NONE)
    return 0;
  if (run->flags & TRACE_RUN_MOVE)
    return recording->moves.at[run->plan].bytes;
  return run->flags & TRACE_RUN_ALIAS ? 0 : trace_plan_at(recording, run->plan).bytes;
}
