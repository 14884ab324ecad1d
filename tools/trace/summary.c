#include "summary.h"

#include "rows.h"
#include "walk.h"

static tnr_status no_room(tnr_fault *fault) {
  return spill_fail(fault, "a summary");
}

static void add(int64_t *sum, int64_t time) {
  *sum = (int64_t)(((uint64_t)*sum + (uint64_t)time) & INT64_MAX);
}

/* ---- ops ---- */

struct timed {
  uint32_t row; /* of the name */
  int64_t took;
};

static int compare_timed(const void *left, const void *right, void *user) {
  const struct timed *a = left, *b = right;
  (void)user;
  if (a->row != b->row)
    return a->row < b->row ? -1 : 1;
  return (a->took > b->took) - (a->took < b->took);
}

static int compare_totals(const void *left, const void *right) {
  const struct trace_op_row *a = left, *b = right;
  return (a->total < b->total) - (a->total > b->total);
}

/* NULL: no room. */
static struct trace_op_row *row_of(struct trace_summary *summary, struct numbers *rows,
                                   uint32_t name) {
  uint32_t row;
  bool added;
  if (!ROWS_ROOM(&summary->ops) ||
      !numbers_put(rows, name, (uint32_t)summary->ops.count, &row, &added))
    return NULL;
  if (added)
    summary->ops.at[summary->ops.count++] = (struct trace_op_row){.name = name};
  return &summary->ops.at[row];
}

static void add_run(const struct trace_recording *recording, uint32_t index, int64_t took,
                    struct trace_op_row *row) {
  const struct trace_run *run = &recording->runs.at[index];
  bool first = run->op != TRACE_NONE && recording->ops.at[run->op].runs == index;
  row->runs++;
  add(&row->total, took);
  row->bytes += trace_run_bytes(recording, run);
  row->failed += first && recording->ops.at[run->op].completed != TRACE_NEVER &&
                 recording->ops.at[run->op].status != TNR_OK;
}

/* The *count that began, by row, then time. Runs are looked at in their own order only: what lies
 * apart would be gone from memory. False: no room. */
static bool time_runs(const struct trace_recording *recording, struct trace_summary *summary,
                      struct timed *out, size_t *count) {
  struct numbers rows = {0};
  bool done = true;
  *count = 0;
  for (uint32_t i = 0; done && i < recording->runs.count; i++) {
    const struct trace_run *run = &recording->runs.at[i];
    if (run->began == TRACE_NEVER)
      continue;
    int64_t took = trace_run_end(recording, run) - run->began;
    struct trace_op_row *row = row_of(summary, &rows, trace_run_name(recording, run));
    done = row != NULL;
    if (done) {
      add_run(recording, i, took, row);
      out[(*count)++] = (struct timed){(uint32_t)(row - summary->ops.at), took};
    }
  }
  numbers_finish(&rows);
  return done && rows_sort(out, *count, sizeof *out, compare_timed, NULL);
}

/* The smallest that so many percent do not exceed. */
static int64_t percentile(const struct timed *sorted, size_t count, unsigned percent) {
  size_t at = (count * percent + 99) / 100;
  return sorted[at > 0 ? at - 1 : 0].took;
}

static tnr_status sum_ops(const struct trace_recording *recording, struct trace_summary *out,
                          tnr_fault *fault) {
  struct timed *timed = spill_resize(NULL, (recording->runs.count + 1) * sizeof *timed);
  size_t count = 0, at = 0;
  bool done = timed && time_runs(recording, out, timed, &count);
  tnr_status status = done ? TNR_OK : no_room(fault);
  for (size_t i = 0; done && i < out->ops.count; i++) {
    struct trace_op_row *row = &out->ops.at[i];
    row->p50 = percentile(timed + at, row->runs, 50);
    row->p99 = percentile(timed + at, row->runs, 99);
    at += row->runs;
    row->longest = timed[at - 1].took;
  }
  spill_free(timed);
  if (out->ops.count > 1)
    qsort(out->ops.at, out->ops.count, sizeof *out->ops.at, compare_totals);
  return status;
}

static void count_ops(const struct trace_recording *recording, struct trace_summary *out) {
  for (size_t i = 0; i < recording->ops.count; i++) {
    const struct trace_op *op = &recording->ops.at[i];
    bool is_op = op->kind == TNR_TRACE_OP;
    out->op_count += is_op;
    out->composites += op->kind == TNR_TRACE_COMPOSITE;
    out->failed += is_op && op->completed != TRACE_NEVER && op->status != TNR_OK;
    out->unfinished += is_op && op->completed == TRACE_NEVER;
  }
}

/* ---- devices ---- */

static void sum_gap(const struct trace_gap *gap, void *user) {
  struct trace_device_row *row = user;
  int64_t took = gap->end - gap->begin;
  add(&row->idle, took);
  row->longest_gap = took > row->longest_gap ? took : row->longest_gap;
  for (int i = 0; i < TRACE_CAUSES; i++)
    add(&row->causes[i], gap->times[i]);
}

static tnr_status sum_devices(const struct trace_recording *recording,
                              const struct trace_hosts *hosts, struct trace_summary *out,
                              tnr_fault *fault) {
  tnr_status status = TNR_OK;
  out->devices = calloc(recording->file.devices + 1, sizeof *out->devices);
  if (!out->devices)
    return no_room(fault);
  for (uint32_t i = 0; status == TNR_OK && i < recording->file.devices; i++)
    status =
        trace_gaps(recording, hosts, i, sum_gap, &out->devices[i], &out->devices[i].busy, fault);
  for (size_t i = 0; i < recording->runs.count; i++)
    if (recording->runs.at[i].began != TRACE_NEVER)
      out->devices[recording->runs.at[i].device].runs++;
  return status;
}

/* ---- threads ---- */

static void sum_span(const struct trace_span *span, struct trace_thread_row *row) {
  int64_t took = span->end - (span->begin > 0 ? span->begin : 0);
  took = took > 0 ? took : 0;
  switch (span->type) {
  case TNR_TRACE_WAIT:
    add(&row->waited, took);
    break;
  case TNR_TRACE_HELD:
    add(&row->held, took);
    break;
  case TNR_TRACE_CALLBACK:
    add(&row->callbacks, took);
    break;
  case TNR_TRACE_BODY:
    add(&row->bodies, took);
    break;
  case TNR_TRACE_CREATE:
    add(&row->creates, took);
    break;
  default:
    add(&row->rested, took);
    if (span->what == TNR_TRACE_SLEPT)
      add(&row->slept, took);
  }
}

/* CPU time is counted from the thread's beginning: what it has used while it was recorded is how
 * much more the last look says than the first. */
static void sum_cpu(const struct trace_recording *recording, uint64_t *first,
                    struct trace_thread_row *threads) {
  for (size_t i = 0; i < recording->samples.count; i++) {
    const struct trace_sample *sample = &recording->samples.at[i];
    if (sample->counter != TNR_TRACE_CPU_TIME || sample->of == TRACE_NONE)
      continue;
    int64_t *cpu = &threads[sample->of].cpu;
    if (*cpu == TRACE_NEVER)
      first[sample->of] = sample->value;
    *cpu = (int64_t)((sample->value - first[sample->of]) & INT64_MAX);
  }
}

static tnr_status sum_threads(const struct trace_recording *recording, struct trace_summary *out,
                              tnr_fault *fault) {
  size_t lanes = recording->lanes.count;
  uint64_t *first = calloc(lanes + 1, sizeof *first);
  out->threads = calloc(lanes + 1, sizeof *out->threads);
  if (!out->threads || !first) {
    free(first);
    return no_room(fault);
  }
  for (uint32_t i = 0; i < lanes; i++)
    out->threads[i] = (struct trace_thread_row){
        .lane = i, .submits = recording->lanes.at[i].submits, .cpu = TRACE_NEVER};
  for (size_t i = 0; i < recording->spans.count; i++)
    sum_span(&recording->spans.at[i], &out->threads[recording->spans.at[i].lane]);
  for (size_t i = 0; i < recording->marks.count; i++) {
    struct trace_thread_row *row = &out->threads[recording->marks.at[i].lane];
    row->wakes += recording->marks.at[i].type == TNR_TRACE_WAKE;
    row->refused += recording->marks.at[i].type == TNR_TRACE_HELD;
  }
  sum_cpu(recording, first, out->threads);
  free(first);
  return TNR_OK;
}

/* ---- what async hides ---- */

/* A thread's waits, one after the other. */
struct waits {
  uint32_t lane, next, end; /* in recording.spans */
};

/* How long of the stretch the thread waited. Stretches come in order. */
static int64_t waited_in(const struct trace_recording *recording, struct waits *waits,
                         int64_t begin, int64_t end) {
  int64_t sum = 0;
  while (waits->next < waits->end) {
    const struct trace_span *span = &recording->spans.at[waits->next];
    int64_t from = span->begin > begin ? span->begin : begin;
    int64_t to = span->end < end ? span->end : end;
    if (span->begin >= end)
      break;
    if ((span->type == TNR_TRACE_WAIT || span->type == TNR_TRACE_HELD) && to > from)
      sum += to - from;
    if (span->end > end) /* of the next stretch, too */
      break;
    waits->next++;
  }
  return sum;
}

static void hide(const struct trace_recording *recording, struct waits *waits, size_t count,
                 int64_t begin, int64_t end, struct trace_summary *out) {
  int64_t from = begin > 0 ? begin : 0;
  if (end <= from)
    return;
  add(&out->running, end - from);
  for (size_t i = 0; i < count; i++) {
    int64_t waited = waited_in(recording, &waits[i], from, end);
    add(&out->threads[waits[i].lane].hidden, end - from > waited ? end - from - waited : 0);
  }
}

static void hide_all(const struct trace_recording *recording, struct trace_walk *walk,
                     struct waits *waits, size_t count, struct trace_summary *out) {
  const struct trace_run *run;
  int64_t begin = 0, end = 0;
  while ((run = trace_walk_next(walk))) {
    if (run->began > end) {
      hide(recording, waits, count, begin, end, out);
      begin = run->began;
    }
    int64_t until = trace_run_end(recording, run);
    end = until > end ? until : end;
  }
  hide(recording, waits, count, begin, end, out);
}

static tnr_status sum_hidden(const struct trace_recording *recording, struct trace_summary *out,
                             tnr_fault *fault) {
  struct trace_walk walk;
  size_t count = 0;
  struct waits *waits = malloc((recording->lanes.count + 1) * sizeof *waits);
  if (!waits)
    return no_room(fault);
  for (uint32_t i = 0; i < recording->lanes.count; i++) {
    const struct trace_lane *lane = &recording->lanes.at[i];
    if (lane->kind == TNR_TRACE_APPLICATION && lane->submits > 0)
      waits[count++] = (struct waits){i, lane->first_span, lane->first_span + lane->span_count};
  }
  tnr_status status = trace_walk_init(recording, TRACE_NONE, &walk, fault);
  if (status == TNR_OK) {
    hide_all(recording, &walk, waits, count, out);
    trace_walk_finish(&walk);
  }
  free(waits);
  return status;
}

/* ---- all of it ---- */

tnr_status trace_summary_make(const struct trace_recording *recording,
                              const struct trace_hosts *hosts, struct trace_summary *out,
                              tnr_fault *fault) {
  *out = (struct trace_summary){0};
  count_ops(recording, out);
  tnr_status status = sum_ops(recording, out, fault);
  if (status == TNR_OK)
    status = sum_devices(recording, hosts, out, fault);
  if (status == TNR_OK)
    status = sum_threads(recording, out, fault);
  if (status == TNR_OK)
    status = sum_hidden(recording, out, fault);
  if (status != TNR_OK)
    trace_summary_finish(out);
  return status;
}

void trace_summary_finish(struct trace_summary *summary) {
  spill_free(summary->ops.at);
  free(summary->devices);
  free(summary->threads);
  *summary = (struct trace_summary){0};
}

const struct trace_op_row *trace_summary_find(const struct trace_recording *recording,
                                              const struct trace_summary *summary,
                                              const char *name) {
  for (size_t i = 0; i < summary->ops.count; i++)
    if (strcmp(trace_string(recording, summary->ops.at[i].name), name) == 0)
      return &summary->ops.at[i];
  return NULL;
}
