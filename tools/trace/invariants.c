#include "invariants.h"

#include "rows.h"

const char *const trace_rule_names[TRACE_RULES] = {
    "the journey is in order", "created before complete", "every op ends once",
    "every op runs once",      "inputs come first",       "queue order is kept",
    "failures are passed on",  "records are there"};

struct checker {
  const struct trace_recording *recording;
  int64_t slack;
  bool partial;
  trace_violation_fn *found;
  void *user;
  struct trace_checked *checked;
};

static void complain(struct checker *c, struct trace_violation violation) {
  c->checked->counts[violation.rule]++;
  c->found(&violation, c->user);
}

/* `first` must not be after `second`; what is not known is no contradiction. */
static bool in_order(const struct checker *c, int64_t first, int64_t second) {
  return first == TRACE_NEVER || second == TRACE_NEVER || first <= second + c->slack;
}

/* ---- one op ---- */

static void check_order(struct checker *c, uint32_t op, uint32_t device, int64_t first,
                        int64_t second, enum trace_rule rule, const char *what) {
  if (!in_order(c, first, second))
    complain(c, (struct trace_violation){rule, op, TRACE_NONE, device, second, first, what});
}

/* Who gives an op up does not wait for a kernel that runs: it may end later. */
static bool was_given_up(const struct trace_op *op) {
  return op->completed != TRACE_NEVER &&
         (op->status == TNR_ECANCELED || op->status == TNR_ETIMEDOUT);
}

static void check_completion(struct checker *c, uint32_t index, const struct trace_run *run) {
  const struct trace_op *op = &c->recording->ops.at[index];
  if (was_given_up(op))
    return;
  check_order(c, index, run->device, run->executed, op->completed, TRACE_RULE_CREATED,
              "was complete before it was created");
  check_order(c, index, run->device, run->ended, op->completed, TRACE_RULE_CREATED,
              "was complete before its run ended");
  if (run->ended == TRACE_NEVER && run->began != TRACE_NEVER && op->completed != TRACE_NEVER &&
      !c->partial)
    complain(c, (struct trace_violation){TRACE_RULE_CREATED, index, TRACE_NONE, run->device,
                                         op->completed, TRACE_NEVER,
                                         "was complete, and its run never ended"});
}

static void check_run(struct checker *c, uint32_t index, const struct trace_run *run) {
  const struct trace_op *op = &c->recording->ops.at[index];
  const struct trace_violation once = {TRACE_RULE_RUNS, index,       TRACE_NONE, run->device,
                                       TRACE_NEVER,     TRACE_NEVER, NULL};
  struct trace_violation again = once;
  check_order(c, index, run->device, op->resolved, run->launched, TRACE_RULE_JOURNEY,
              "was launched before it was resolved");
  check_order(c, index, run->device, run->launched, run->began, TRACE_RULE_JOURNEY,
              "began before it was launched");
  check_completion(c, index, run);
  again.what = run->flags & TRACE_RAN_AGAIN ? "ran twice" : "was launched twice";
  if (run->flags & (TRACE_RAN_AGAIN | TRACE_LAUNCHED_AGAIN))
    complain(c, again);
}

static void check_end(struct checker *c, uint32_t index, const struct trace_op *op) {
  struct trace_violation violation = {.rule = TRACE_RULE_ENDS,
                                      .op = index,
                                      .other = TRACE_NONE,
                                      .device = TRACE_NONE,
                                      .time = TRACE_NEVER,
                                      .against = TRACE_NEVER};
  bool has_end = op->kind != TNR_TRACE_COMPOSITE; /* one whose body runs at once has none */
  if (op->flags & TRACE_ENDED_AGAIN) {
    violation.what = "ended twice";
    violation.time = op->completed;
    complain(c, violation);
  }
  if (op->flags & TRACE_AGAIN) {
    violation.rule = TRACE_RULE_RUNS;
    violation.what = "was submitted twice";
    complain(c, violation);
  }
  if (op->completed != TRACE_NEVER || !has_end)
    return;
  c->checked->unfinished++;
  violation.rule = TRACE_RULE_ENDS;
  violation.what = "never ended, though the runtime had ended everything";
  if (!c->partial && c->recording->end.total.drained)
    complain(c, violation);
}

static void check_failure(struct checker *c, uint32_t index, const struct trace_op *op) {
  struct trace_violation violation = {TRACE_RULE_FAILURE,
                                      index,
                                      TRACE_NONE,
                                      TRACE_NONE,
                                      op->completed,
                                      TRACE_NEVER,
                                      "failed, and ended as if it had not"};
  if (op->completed == TRACE_NEVER || op->status != TNR_OK)
    return;
  if (op->error != TRACE_NONE)
    complain(c, violation);
  for (uint32_t i = 0; i < op->input_count && op->kind != TNR_TRACE_ANY; i++) {
    uint32_t input = c->recording->inputs.at[op->inputs + i];
    if (input == TRACE_NONE || c->recording->ops.at[input].completed == TRACE_NEVER ||
        c->recording->ops.at[input].status == TNR_OK)
      continue;
    violation.other = input;
    violation.what = "ended well, though an input of it failed";
    complain(c, violation);
    return;
  }
}

/* ---- inputs ---- */

/* When the data of an op is there; of a future of all the last of its members. Not known of what
 * takes one of several, or comes from a composite's body. */
static int64_t data_there(const struct trace_recording *recording, uint32_t index) {
  const struct trace_op *op = &recording->ops.at[index];
  int64_t last = TRACE_NEVER;
  if (op->kind == TNR_TRACE_OP)
    return trace_op_ended(recording, index);
  for (uint32_t i = 0; i < op->input_count && op->kind == TNR_TRACE_ALL; i++) {
    uint32_t input = recording->inputs.at[op->inputs + i];
    int64_t ended = input == TRACE_NONE ? TRACE_NEVER : trace_op_ended(recording, input);
    last = ended > last ? ended : last;
  }
  return last;
}

static void check_inputs(struct checker *c, uint32_t index, const struct trace_op *op) {
  if (op->kind != TNR_TRACE_OP || op->status != TNR_OK)
    return;
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = c->recording->inputs.at[op->inputs + i];
    if (input == TRACE_NONE)
      continue;
    int64_t there = data_there(c->recording, input);
    for (uint32_t k = op->runs; k != TRACE_NONE; k = c->recording->runs.at[k].next) {
      const struct trace_run *run = &c->recording->runs.at[k];
      if (run->flags & TRACE_RUN_ALIAS || in_order(c, there, run->executed))
        continue;
      complain(c, (struct trace_violation){TRACE_RULE_INPUTS, index, input, run->device,
                                           run->executed, there, "ran before its input was there"});
    }
  }
}

/* ---- queues ---- */

static int compare_launches(const void *left, const void *right, void *runs) {
  const struct trace_run *a = (const struct trace_run *)runs + *(const uint32_t *)left;
  const struct trace_run *b = (const struct trace_run *)runs + *(const uint32_t *)right;
  return (a->launch_order > b->launch_order) - (a->launch_order < b->launch_order);
}

/* 0 stands for the usual one. */
static uint8_t priority_of(const struct trace_recording *recording, uint32_t run) {
  enum { NORMAL = 2 };
  uint32_t op = recording->runs.at[run].op;
  uint8_t priority = op == TRACE_NONE ? 0 : recording->ops.at[op].priority;
  return priority ? priority : NORMAL;
}

static tnr_status no_room(tnr_fault *fault) {
  return spill_fail(fault, "the queues of devices");
}

/* In the order of launches; those of one priority keep it among themselves. */
static tnr_status check_queue(struct checker *c, uint32_t *order, size_t count, tnr_fault *fault) {
  enum { PRIORITIES = 256 };
  uint32_t before[PRIORITIES];
  for (int i = 0; i < PRIORITIES; i++)
    before[i] = TRACE_NONE;
  if (!rows_sort(order, count, sizeof *order, compare_launches, c->recording->runs.at))
    return no_room(fault);
  for (size_t i = 0; i < count; i++) {
    uint32_t *last = &before[priority_of(c->recording, order[i])];
    const struct trace_run *run = &c->recording->runs.at[order[i]];
    const struct trace_run *ahead = *last == TRACE_NONE ? NULL : &c->recording->runs.at[*last];
    if (ahead && run->run_order < ahead->run_order)
      complain(c, (struct trace_violation){TRACE_RULE_QUEUE, run->op, ahead->op, run->device,
                                           run->began, ahead->began,
                                           "overtook another op in its device's queue"});
    else
      *last = order[i];
  }
  return TNR_OK;
}

static tnr_status check_queues(struct checker *c, tnr_fault *fault) {
  const struct trace_recording *recording = c->recording;
  uint32_t *order = spill_resize(NULL, (recording->runs.count + 1) * sizeof *order);
  if (!order)
    return no_room(fault);
  tnr_status status = TNR_OK;
  for (uint32_t lane = 0; status == TNR_OK && lane < recording->lanes.count; lane++) {
    const struct trace_lane *of = &recording->lanes.at[lane];
    size_t count = 0;
    if (of->kind != TNR_TRACE_WORKER || of->device == TRACE_NONE)
      continue;
    if (recording->devices[of->device].lanes > 1) {
      c->checked->queues_skipped = true;
      continue;
    }
    for (uint32_t i = 0; i < of->run_count; i++) {
      uint32_t run = recording->by_lane[of->first_run + i];
      if (recording->runs.at[run].launch_order && recording->runs.at[run].device == of->device)
        order[count++] = run;
    }
    status = check_queue(c, order, count, fault);
  }
  spill_free(order);
  return status;
}

/* ---- all of it ---- */

static void check_records(struct checker *c) {
  const struct trace_reader_end *end = &c->recording->end;
  if (end->whole && !(c->recording->file.flags & TNR_TRACE_FLIGHT) &&
      end->records + end->total.lost != end->total.records)
    complain(c, (struct trace_violation){TRACE_RULE_RECORDS, TRACE_NONE, TRACE_NONE, TRACE_NONE,
                                         TRACE_NEVER, TRACE_NEVER,
                                         "records are neither there nor counted as lost"});
}

static void check_op(struct checker *c, uint32_t index) {
  const struct trace_op *op = &c->recording->ops.at[index];
  if (!(op->flags & TRACE_SUBMITTED) && !c->partial)
    complain(c, (struct trace_violation){TRACE_RULE_JOURNEY, index, TRACE_NONE, TRACE_NONE,
                                         TRACE_NEVER, TRACE_NEVER, "was never submitted"});
  check_order(c, index, TRACE_NONE, op->submitted, op->resolved, TRACE_RULE_JOURNEY,
              "was resolved before it was submitted");
  check_order(c, index, TRACE_NONE, op->submitted, op->completed, TRACE_RULE_JOURNEY,
              "was complete before it was submitted");
  for (uint32_t i = op->runs; i != TRACE_NONE; i = c->recording->runs.at[i].next)
    check_run(c, index, &c->recording->runs.at[i]);
  check_end(c, index, op);
  check_inputs(c, index, op);
  check_failure(c, index, op);
}

tnr_status trace_check(const struct trace_recording *recording, int64_t slack,
                       trace_violation_fn *found, void *user, struct trace_checked *out,
                       tnr_fault *fault) {
  *out = (struct trace_checked){.ops = recording->ops.count};
  struct checker c = {recording, slack, trace_is_partial(recording), found, user, out};
  check_records(&c);
  for (uint32_t i = 0; i < recording->ops.count; i++)
    check_op(&c, i);
  return check_queues(&c, fault);
}
