#include "page_parts.h"

tnr_status page_choose_ops(struct page *p, tnr_fault *fault) {
  const struct trace_recording *recording = p->recording;
  size_t count = recording->ops.count;
  p->rows = spill_resize(NULL, (count + 1) * sizeof *p->rows);
  p->ops = spill_resize(NULL, (count + 1) * sizeof *p->ops);
  if (!p->rows || !p->ops)
    return spill_fail(fault, "the page's ops");
  for (uint32_t i = 0; i < count; i++) {
    const struct trace_op *op = &recording->ops.at[i];
    bool in = op->submitted <= p->events.until && /* also when that is not known */
              (op->completed == TRACE_NEVER || op->completed >= p->events.from);
    p->rows[i] = in ? (uint32_t)p->op_count : TRACE_NONE;
    if (in)
      p->ops[p->op_count++] = i;
  }
  return TNR_OK;
}

static int64_t flags_of(const struct trace_recording *recording, const struct trace_op *op) {
  int64_t flags = (op->flags & TRACE_PLAIN ? 1 : 0) | (op->flags & TRACE_WAS_HELD ? 8 : 0);
  for (uint32_t i = op->runs; i != TRACE_NONE; i = recording->runs.at[i].next) {
    const struct trace_run *run = &recording->runs.at[i];
    flags |= (run->flags & TRACE_RUN_MISS ? 2 : 0) | (run->flags & TRACE_RUN_ALIAS ? 4 : 0);
  }
  return flags;
}

static int64_t plan_of(const struct trace_recording *recording, const struct trace_op *op) {
  for (uint32_t i = op->runs; i != TRACE_NONE; i = recording->runs.at[i].next)
    if (recording->runs.at[i].plan != TRACE_NONE && !(recording->runs.at[i].flags & TRACE_RUN_MOVE))
      return recording->runs.at[i].plan;
  return -1;
}

static int64_t bytes_of(const struct trace_recording *recording, const struct trace_op *op) {
  uint64_t sum = 0;
  for (uint32_t i = op->runs; i != TRACE_NONE; i = recording->runs.at[i].next)
    sum += trace_run_bytes(recording, &recording->runs.at[i]);
  return (int64_t)(sum & ((UINT64_C(1) << 53) - 1));
}

static int64_t launch_of(const struct trace_recording *recording, const struct trace_op *op) {
  return op->runs == TRACE_NONE ? TRACE_NEVER : recording->runs.at[op->runs].launched;
}

/* Of its inputs, the one that was complete last before it began. */
static int64_t waited_for(const struct page *p, const struct trace_op *op, uint32_t index) {
  const struct trace_recording *recording = p->recording;
  int64_t began = trace_op_began(recording, index), latest = TRACE_NEVER;
  uint32_t found = TRACE_NONE;
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = recording->inputs.at[op->inputs + i];
    int64_t completed = input == TRACE_NONE ? TRACE_NEVER : trace_op_ended(recording, input);
    if (completed > latest && completed <= began) {
      latest = completed;
      found = input;
    }
  }
  return page_row(p, found);
}

enum op_column {
  NUMBER,
  KIND,
  NAME,
  PARENT,
  SITE,
  PLAN,
  ERROR,
  GROUP,
  PRIORITY,
  STATUS,
  FLAGS,
  LANE,
  DEVICE,
  SUBMITTED,
  RESOLVED,
  LAUNCHED,
  BEGAN,
  CREATED,
  ENDED,
  COMPLETED,
  BYTES,
  WAITED_FOR,
  OP_COLUMNS
};

static const char *const op_columns[OP_COLUMNS] = {
    "number",   "kind",    "name",  "parent",    "site",   "plan",      "error",    "group",
    "priority", "status",  "flags", "lane",      "device", "submitted", "resolved", "launched",
    "began",    "created", "ended", "completed", "bytes",  "waited_for"};

/* The page's number of a name of the recording. */
static int64_t name_of(struct page *p, uint32_t string) {
  const char *text = trace_string(p->recording, string);
  uint32_t number;
  if (strings_put(&p->events.names, text, strlen(text), &number))
    return number;
  p->no_room = true;
  return -1;
}

static int64_t op_time(const struct page *p, uint32_t index, enum op_column column) {
  const struct trace_op *op = &p->recording->ops.at[index];
  switch (column) {
  case SUBMITTED:
    return page_time(op->submitted);
  case RESOLVED:
    return page_time(op->resolved);
  case LAUNCHED:
    return page_time(launch_of(p->recording, op));
  case BEGAN:
    return page_time(trace_op_began(p->recording, index));
  case CREATED:
    return page_time(trace_op_created(p->recording, index));
  case ENDED:
    return page_time(trace_op_ended(p->recording, index));
  default:
    return page_time(op->completed);
  }
}

static int64_t op_value(struct page *p, uint32_t index, enum op_column column) {
  const struct trace_recording *recording = p->recording;
  const struct trace_op *op = &recording->ops.at[index];
  switch (column) {
  case NUMBER:
    return op->number;
  case KIND:
    return op->kind;
  case NAME:
    return name_of(p, trace_op_name(recording, index));
  case PARENT:
    return page_row(p, op->parent);
  case SITE:
    return page_index(op->site);
  case PLAN:
    return plan_of(recording, op);
  case ERROR:
    return page_index(op->error);
  case GROUP:
    return op->group == TRACE_NONE ? -1 : name_of(p, op->group);
  case PRIORITY:
    return op->priority;
  case STATUS:
    return op->completed == TRACE_NEVER ? -1 : op->status;
  case FLAGS:
    return flags_of(recording, op);
  case LANE:
    return op->lane == TRACE_NONE ? -1 : (int64_t)p->events.lane_of[op->lane];
  case DEVICE:
    return op->runs == TRACE_NONE ? -1 : (int64_t)recording->runs.at[op->runs].device;
  case BYTES:
    return bytes_of(recording, op);
  case WAITED_FOR:
    return waited_for(p, op, index);
  default:
    return op_time(p, index, column);
  }
}

/* Lists of which each op has a part: where the parts begin, and all of them. */
static void put_lists(struct page *p, bool inputs) {
  const struct trace_recording *recording = p->recording;
  int64_t at = 0;
  for (int pass = 0; pass < 2; pass++) {
    const char *key =
        inputs ? (pass ? "inputs" : "inputs_at") : (pass ? "dependents" : "dependents_at");
    page_begin_column(p, key);
    for (size_t i = 0; i < p->op_count; i++) {
      const struct trace_op *op = &recording->ops.at[p->ops[i]];
      const uint32_t *ends = &p->links.dependents_at[p->ops[i]];
      const uint32_t *list = inputs ? recording->inputs.at : p->links.dependents;
      uint32_t first = inputs ? op->inputs : ends[0];
      uint32_t count = inputs ? op->input_count : ends[1] - ends[0];
      if (!pass)
        page_put(p, at);
      for (uint32_t k = 0; k < count; k++) {
        int64_t row = page_row(p, list[first + k]);
        at += row >= 0;
        if (pass && row >= 0)
          page_put(p, row);
      }
    }
    if (!pass)
      page_put(p, at);
    page_end_column(p);
  }
}

void page_put_ops(struct page *p) {
  json_put_line(&p->json);
  json_put_open(&p->json, "ops", '{');
  for (enum op_column column = NUMBER; column < OP_COLUMNS; column++) {
    page_begin_column(p, op_columns[column]);
    for (size_t i = 0; i < p->op_count; i++)
      page_put(p, op_value(p, p->ops[i], column));
    page_end_column(p);
  }
  put_lists(p, true);
  put_lists(p, false);
  json_put_close(&p->json, '}');
}
