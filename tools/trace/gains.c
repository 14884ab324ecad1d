#include "path.h"
#include "rows.h"
#include "walk.h"

/* What if something took no time: every run, in the order in which they began, is moved forward as
 * far as what it waited for allows; what passed in between (a wake, the dispatcher's work) takes as
 * long as it did. Kept is how much earlier each moment comes. */
struct replay {
  const struct trace_recording *recording;
  const struct trace_hosts *hosts;
  uint32_t *order; /* [order_count]: runs with an op, as they began */
  size_t order_count;
  uint32_t *told_with;       /* [ops]: a run; see trace_told_with */
  int64_t *launched, *ended; /* [ops] saved: the launch of its first run, and the end of its last */
  int64_t *lanes;            /* [lanes] saved: the end of what ran on it last */
  int64_t *waits;            /* as hosts->spans, saved: its end */
  uint32_t *waits_known;     /* [lanes]: up to where in hosts->spans */
  const struct trace_gain *free;
};

static bool is_free(const struct replay *r, enum trace_what what) {
  return r->free->sort == TRACE_FREE_WHAT && r->free->what == what;
}

static int64_t at_most(int64_t saved, int64_t most) {
  return saved < most ? saved : most;
}

/* Nothing comes later, and nothing by more than there is time. */
static int64_t sane(int64_t saved) {
  return saved < 0 ? 0 : at_most(saved, TRACE_TIME_MAX);
}

/* ---- completions ---- */

/* Of an op that ran: as much earlier as what its worker ran last before it told of both. */
static int64_t completed_run(const struct replay *r, uint32_t index) {
  int64_t completed = r->recording->ops.at[index].completed;
  uint32_t told = r->told_with[index];
  int64_t ended = told == TRACE_NONE ? TRACE_NEVER : r->recording->runs.at[told].ended;
  if (told == TRACE_NONE || completed == TRACE_NEVER)
    return 0;
  uint32_t op = r->recording->runs.at[told].op;
  int64_t saved = r->ended[op == TRACE_NONE ? index : op];
  return sane(saved + (is_free(r, TRACE_DISPATCH) && completed > ended ? completed - ended : 0));
}

static uint32_t last_input(const struct trace_recording *recording, const struct trace_op *op) {
  uint32_t last = TRACE_NONE;
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = recording->inputs.at[op->inputs + i];
    if (input != TRACE_NONE && (last == TRACE_NONE || recording->ops.at[input].completed >
                                                          recording->ops.at[last].completed))
      last = input;
  }
  return last;
}

/* How much earlier an op is complete. What never ran is as its last input. */
static int64_t completed(const struct replay *r, uint32_t index) {
  enum { DEPTH_MAX = 64 };
  for (int depth = 0; index != TRACE_NONE && depth < DEPTH_MAX; depth++) {
    if (r->told_with[index] != TRACE_NONE)
      return completed_run(r, index);
    index = last_input(r->recording, &r->recording->ops.at[index]);
  }
  return 0;
}

/* ---- threads that submit ---- */

static int64_t moment_of(const struct replay *r, const struct trace_span *span) {
  if (span->op == TRACE_NONE)
    return TRACE_NEVER;
  if (span->type == TNR_TRACE_WAIT && span->what == TNR_TRACE_FOR_CREATED)
    return trace_op_created(r->recording, span->op);
  return r->recording->ops.at[span->op].completed;
}

/* How much earlier a callback begins: when its op is complete, or the one before it is over. */
static int64_t callback_begins(const struct replay *r, const struct trace_span *callback,
                               const struct trace_span *previous, int64_t before) {
  int64_t moment = moment_of(r, callback);
  if (moment == TRACE_NEVER || (previous && previous->end > moment))
    return before;
  return completed(r, callback->op);
}

/* How much earlier a wait is over, if what is before it on its thread comes `before` earlier. */
static int64_t wait_ends(const struct replay *r, const struct trace_span *wait, int64_t before) {
  int64_t moment = moment_of(r, wait);
  if (r->free->sort == TRACE_FREE_WAITS)
    return before + wait->end - wait->begin;
  if (moment == TRACE_NEVER || moment < wait->begin || moment > wait->end)
    return before;
  int64_t woken = is_free(r, TRACE_THREAD_WAKE) ? wait->end - moment : 0;
  return at_most(before + moment - wait->begin, completed(r, wait->op)) + woken;
}

static int64_t span_ends(const struct replay *r, const struct trace_span *span,
                         const struct trace_span *previous, int64_t before) {
  if (span->type == TNR_TRACE_WAIT)
    return wait_ends(r, span, before);
  if (span->type == TNR_TRACE_HELD)
    return before + (is_free(r, TRACE_HELD_BACK) ? span->end - span->begin : 0);
  int64_t took = is_free(r, TRACE_IN_CALLBACK) ? span->end - span->begin : 0;
  return callback_begins(r, span, previous, before) + took;
}

/* How much earlier a thread gets to `time`. */
static int64_t submitted(struct replay *r, uint32_t lane, int64_t time) {
  const struct trace_recording *recording = r->recording;
  uint32_t found = trace_hosts_before(recording, r->hosts, lane, time);
  if (lane == TRACE_NONE)
    return 0;
  bool code_free = is_free(r, TRACE_HOST_CODE);
  if (found == TRACE_NONE)
    return is_free(r, TRACE_BEFORE) || code_free ? time : 0;
  for (uint32_t i = r->waits_known[lane]; i <= found; i++) {
    const struct trace_span *span = &recording->spans.at[r->hosts->spans[i]];
    bool first = i == r->hosts->first[lane];
    const struct trace_span *previous = first ? NULL : &recording->spans.at[r->hosts->spans[i - 1]];
    int64_t before = first ? 0 : r->waits[i - 1];
    int64_t went_on = previous ? previous->end : 0;
    if ((code_free || (first && is_free(r, TRACE_BEFORE))) && went_on < span->begin)
      before += span->begin - went_on;
    r->waits[i] = sane(span_ends(r, span, previous, before));
    r->waits_known[lane] = i + 1;
  }
  const struct trace_span *span = &recording->spans.at[r->hosts->spans[found]];
  int64_t between = time > span->end ? time - span->end : 0;
  return r->waits[found] + (code_free ? between : 0);
}

/* ---- runs ---- */

/* The latest of what a moment waited for: as it was, and as it would be. */
struct latest {
  int64_t was, would;
};

static void wait_for(struct latest *latest, int64_t time, int64_t saved, int64_t until) {
  if (time == TRACE_NEVER || time > until)
    return;
  latest->was = time > latest->was ? time : latest->was;
  latest->would = time - saved > latest->would ? time - saved : latest->would;
}

/* How much earlier `time` comes if it comes `after` behind that. */
static int64_t moved(const struct latest *latest, int64_t time, int64_t after) {
  if (latest->was == TRACE_NEVER)
    return 0;
  return sane(time - (latest->would + after));
}

/* How long after what it waited for it was; `free`: what it would then not be. */
static int64_t after(const struct latest *latest, int64_t time, bool free) {
  return free || latest->was == TRACE_NEVER ? 0 : time - latest->was;
}

static uint32_t run_on(const struct trace_recording *recording, uint32_t op, uint32_t device) {
  uint32_t i = recording->ops.at[op].runs;
  while (i != TRACE_NONE && recording->runs.at[i].device != device)
    i = recording->runs.at[i].next;
  return i;
}

static int64_t launch(struct replay *r, const struct trace_op *op, const struct trace_run *run) {
  struct latest latest = {TRACE_NEVER, TRACE_NEVER};
  wait_for(&latest, op->submitted, submitted(r, op->lane, op->submitted), run->launched);
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = r->recording->inputs.at[op->inputs + i];
    if (input == TRACE_NONE)
      continue;
    uint32_t beside = run_on(r->recording, input, run->device);
    if (beside != TRACE_NONE)
      wait_for(&latest, r->recording->runs.at[beside].launched, r->launched[input], run->launched);
    else
      wait_for(&latest, r->recording->ops.at[input].completed, completed(r, input), run->launched);
  }
  int64_t behind = after(&latest, run->launched, is_free(r, TRACE_DISPATCH));
  return moved(&latest, run->launched, behind);
}

static void wait_for_devices(struct replay *r, const struct trace_op *op,
                             const struct trace_run *run, struct latest *latest) {
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = r->recording->inputs.at[op->inputs + i];
    if (input != TRACE_NONE)
      wait_for(latest, trace_op_ended(r->recording, input), r->ended[input], run->began);
  }
}

static bool name_is_free(const struct replay *r, const struct trace_run *run) {
  return r->free->sort == TRACE_FREE_NAME && trace_run_name(r->recording, run) == r->free->name;
}

/* What of its time a run would not take. */
static int64_t freed(const struct replay *r, const struct trace_run *run) {
  bool is_copy = run->flags & TRACE_RUN_MOVE;
  if (name_is_free(r, run))
    return run->ended - run->began;
  int64_t saved = is_free(r, TRACE_CREATE) ? run->executed - run->began : 0;
  return saved +
         (is_free(r, is_copy ? TRACE_COPY : TRACE_EXECUTE) ? run->ended - run->executed : 0);
}

static void replay_run(struct replay *r, uint32_t index, int64_t *free_since) {
  const struct trace_recording *recording = r->recording;
  const struct trace_run *run = &recording->runs.at[index];
  const struct trace_op *op = &recording->ops.at[run->op];
  struct latest latest = {TRACE_NEVER, TRACE_NEVER};
  bool held = run->held != TRACE_NEVER;
  if (run->launched != TRACE_NEVER) {
    int64_t saved = launch(r, op, run);
    if (r->launched[run->op] == 0 || saved < r->launched[run->op])
      r->launched[run->op] = saved;
    wait_for(&latest, run->launched, saved, run->began);
  }
  wait_for(&latest, free_since[run->lane], r->lanes[run->lane], run->began);
  wait_for_devices(r, op, run, &latest);
  int64_t behind = after(&latest, held ? run->held : run->began, is_free(r, TRACE_TAKE_UP));
  if (held && !is_free(r, TRACE_HELD_BACK))
    behind += run->began - run->held;
  int64_t saved = sane(moved(&latest, run->began, behind) + freed(r, run));
  free_since[run->lane] = run->ended;
  r->lanes[run->lane] = saved;
  if (run->ended == trace_op_ended(recording, run->op))
    r->ended[run->op] = saved;
}

/* ---- the whole ---- */

static tnr_status no_room(tnr_fault *fault) {
  return spill_fail(fault, "what could be gained");
}

static int compare_begins(const void *left, const void *right, void *runs) {
  const struct trace_run *a = (const struct trace_run *)runs + *(const uint32_t *)left;
  const struct trace_run *b = (const struct trace_run *)runs + *(const uint32_t *)right;
  return (a->began > b->began) - (a->began < b->began);
}

static bool put_in_order(struct replay *r) {
  const struct trace_recording *recording = r->recording;
  for (uint32_t i = 0; i < recording->runs.count; i++) {
    const struct trace_run *run = &recording->runs.at[i];
    if (run->op != TRACE_NONE && run->began != TRACE_NEVER && run->ended != TRACE_NEVER)
      r->order[r->order_count++] = i;
  }
  return rows_sort(r->order, r->order_count, sizeof *r->order, compare_begins, recording->runs.at);
}

static void replay_finish(struct replay *r) {
  spill_free(r->order);
  spill_free(r->told_with);
  spill_free(r->launched);
  spill_free(r->ended);
  free(r->lanes);
  spill_free(r->waits);
  free(r->waits_known);
}

static tnr_status replay_init(const struct trace_recording *recording,
                              const struct trace_hosts *hosts, struct replay *out,
                              tnr_fault *fault) {
  size_t lanes = recording->lanes.count, ops = recording->ops.count;
  *out = (struct replay){.recording = recording, .hosts = hosts};
  out->order = spill_resize(NULL, (recording->runs.count + 1) * sizeof *out->order);
  out->told_with = spill_resize(NULL, (ops + 1) * sizeof *out->told_with);
  out->launched = spill_resize(NULL, (ops + 1) * sizeof *out->launched);
  out->ended = spill_resize(NULL, (ops + 1) * sizeof *out->ended);
  out->lanes = malloc((2 * lanes + 1) * sizeof *out->lanes);
  out->waits = spill_resize(NULL, (hosts->first[lanes] + 1) * sizeof *out->waits);
  out->waits_known = malloc((lanes + 1) * sizeof *out->waits_known);
  if (!out->order || !out->told_with || !out->launched || !out->ended || !out->lanes ||
      !out->waits || !out->waits_known || !put_in_order(out)) {
    tnr_status status = no_room(fault);
    replay_finish(out);
    return status;
  }
  for (uint32_t i = 0; i < ops; i++)
    out->told_with[i] = trace_told_with(recording, i);
  return TNR_OK;
}

/* When the last op would be complete. */
static int64_t replay(struct replay *r, const struct trace_gain *free) {
  const struct trace_recording *recording = r->recording;
  size_t lanes = recording->lanes.count, ops = recording->ops.count;
  int64_t *free_since = r->lanes + lanes, end = 0;
  memset(r->launched, 0, ops * sizeof *r->launched);
  memset(r->ended, 0, ops * sizeof *r->ended);
  memset(r->lanes, 0, lanes * sizeof *r->lanes);
  memcpy(r->waits_known, r->hosts->first, lanes * sizeof *r->waits_known);
  for (size_t i = 0; i < lanes; i++)
    free_since[i] = TRACE_NEVER;
  r->free = free;
  for (size_t i = 0; i < r->order_count; i++)
    replay_run(r, r->order[i], free_since);
  for (uint32_t i = 0; i < ops; i++) {
    int64_t was = recording->ops.at[i].completed;
    if (was != TRACE_NEVER && was - completed(r, i) > end)
      end = was - completed(r, i);
  }
  return end;
}

/* ---- what the path consists of ---- */

static struct trace_gain *find_row(struct trace_gains *gains, struct trace_gain key) {
  for (size_t i = 0; i < gains->rows.count; i++) {
    struct trace_gain *row = &gains->rows.at[i];
    if (row->sort == key.sort && row->name == key.name && row->what == key.what)
      return row;
  }
  struct trace_gain *row = ROWS_ADD(&gains->rows);
  if (row)
    *row = key;
  return row;
}

/* Ops count by their names. */
static struct trace_gain key_of(const struct trace_recording *recording,
                                const struct trace_step *step) {
  struct trace_gain key = {.sort = TRACE_FREE_WHAT, .what = step->what};
  if (step->what > TRACE_COPY)
    return key;
  return (struct trace_gain){.sort = TRACE_FREE_NAME, .name = trace_op_name(recording, step->op)};
}

static int compare_rows(const void *left, const void *right) {
  const struct trace_gain *a = left, *b = right;
  return (a->time < b->time) - (a->time > b->time);
}

static void keep_longest(struct trace_gains *gains, size_t names_max) {
  size_t kept = 0, names = 0;
  for (size_t i = 0; i < gains->rows.count; i++)
    if (gains->rows.at[i].sort != TRACE_FREE_NAME || names++ < names_max)
      gains->rows.at[kept++] = gains->rows.at[i];
  gains->rows.count = kept;
}

static int64_t time_waited(const struct trace_recording *recording, const struct trace_hosts *hosts,
                           uint32_t *count) {
  uint64_t sum = 0;
  *count = 0;
  for (uint32_t i = 0; i < hosts->first[recording->lanes.count]; i++) {
    const struct trace_span *span = &recording->spans.at[hosts->spans[i]];
    if (span->type != TNR_TRACE_WAIT)
      continue;
    sum += (uint64_t)(span->end - span->begin);
    ++*count;
  }
  return (int64_t)(sum & INT64_MAX);
}

static tnr_status add_up(const struct trace_recording *recording, const struct trace_hosts *hosts,
                         const struct trace_path *path, struct trace_gains *out, tnr_fault *fault) {
  for (size_t i = 0; i < path->steps.count; i++) {
    const struct trace_step *step = &path->steps.at[i];
    struct trace_gain *row = find_row(out, key_of(recording, step));
    if (!row)
      return no_room(fault);
    row->time += step->end - step->begin;
    row->steps++;
  }
  if (out->rows.count > 1)
    qsort(out->rows.at, out->rows.count, sizeof *out->rows.at, compare_rows);
  struct trace_gain waits = {.sort = TRACE_FREE_WAITS};
  waits.time = time_waited(recording, hosts, &waits.steps);
  struct trace_gain *row = waits.steps > 0 ? ROWS_ADD(&out->rows) : &waits;
  if (!row)
    return no_room(fault);
  *row = waits;
  return TNR_OK;
}

tnr_status trace_gains_find(const struct trace_recording *recording,
                            const struct trace_hosts *hosts, const struct trace_path *path,
                            size_t names_max, struct trace_gains *out, tnr_fault *fault) {
  struct replay r;
  *out = (struct trace_gains){0};
  tnr_status status = add_up(recording, hosts, path, out, fault);
  if (status == TNR_OK)
    status = replay_init(recording, hosts, &r, fault);
  if (status != TNR_OK) {
    trace_gains_finish(out);
    return status;
  }
  keep_longest(out, names_max);
  for (size_t i = 0; i < out->rows.count; i++) {
    int64_t gain = path->end - replay(&r, &out->rows.at[i]);
    out->rows.at[i].gain = gain > 0 ? gain : 0;
  }
  replay_finish(&r);
  return TNR_OK;
}

void trace_gains_finish(struct trace_gains *gains) {
  spill_free(gains->rows.at);
  *gains = (struct trace_gains){0};
}
