#include "gaps.h"

#include "walk.h"

const char *const trace_cause_names[TRACE_CAUSES] = {"nothing submitted", "the host",
                                                     "another device",    "limit reached",
                                                     "the dispatcher",    "the worker"};

/* A gap while it is explained: `at` is how far that has got. */
struct explained {
  const struct trace_recording *recording;
  const struct trace_hosts *hosts;
  struct trace_gap *gap;
  int64_t at;
};

/* Up to `until` it was for this cause. */
static void give(struct explained *e, int64_t until, enum trace_cause cause) {
  int64_t end = until < e->gap->end ? until : e->gap->end;
  if (end <= e->at)
    return;
  e->gap->times[cause] += end - e->at;
  e->at = end;
}

/* ---- before the submission ---- */

/* The op that the callback was for came from elsewhere, or its callback took its time. */
static void explain_callback(struct explained *e, const struct trace_span *callback) {
  uint32_t op = callback->op;
  int64_t completed = op == TRACE_NONE ? TRACE_NEVER : e->recording->ops.at[op].completed;
  e->gap->waited_for = op;
  give(e, completed, TRACE_OTHER_DEVICE);
  give(e, callback->begin, TRACE_DISPATCHING);
  give(e, callback->end, TRACE_HOST);
}

/* The thread got to `until`. */
static void explain_thread(struct explained *e, uint32_t lane, int64_t until) {
  uint32_t found = trace_hosts_before(e->recording, e->hosts, lane, until);
  if (until <= e->at)
    return;
  const struct trace_span *span =
      found == TRACE_NONE ? NULL : &e->recording->spans.at[e->hosts->spans[found]];
  if (span && span->end > e->at) {
    e->gap->waited_for = span->op;
    if (span->type == TNR_TRACE_CALLBACK)
      explain_callback(e, span);
    give(e, until, TRACE_HOST);
  }
  give(e, until, TRACE_NOTHING);
}

static void explain_submission(struct explained *e, const struct trace_op *op) {
  const struct trace_holds *holds = &e->hosts->holds;
  if (op->submitted == TRACE_NEVER || op->submitted <= e->at)
    return;
  uint32_t i = trace_holds_after(holds, op->lane, e->at);
  for (; i < trace_holds_end(holds, op->lane) && holds->at[i].begin < op->submitted; i++) {
    const struct trace_hold *hold = &holds->at[i];
    if (hold->device != TRACE_NONE && hold->device != e->gap->device)
      continue;
    explain_thread(e, op->lane, hold->begin);
    give(e, hold->end < op->submitted ? hold->end : op->submitted, TRACE_LIMIT);
  }
  explain_thread(e, op->lane, op->submitted);
}

/* ---- between submission and launch ---- */

/* When an op could be launched for this input's sake; TRACE_NEVER: it need not wait. */
static int64_t input_there(const struct trace_recording *recording, uint32_t input,
                           uint32_t device) {
  const struct trace_op *op = &recording->ops.at[input];
  for (uint32_t i = op->runs; i != TRACE_NONE; i = recording->runs.at[i].next)
    if (recording->runs.at[i].device == device)
      return recording->runs.at[i].launched; /* the queue's order is the dependency */
  return op->completed;
}

static bool is_elsewhere(const struct trace_recording *recording, uint32_t input, uint32_t device) {
  uint32_t run = recording->ops.at[input].runs;
  return run != TRACE_NONE && recording->runs.at[run].device != device;
}

static void explain_inputs(struct explained *e, const struct trace_op *op, int64_t launched) {
  uint32_t last = TRACE_NONE, known = 0;
  int64_t there = TRACE_NEVER;
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = e->recording->inputs.at[op->inputs + i];
    int64_t time =
        input == TRACE_NONE ? TRACE_NEVER : input_there(e->recording, input, e->gap->device);
    known += time > op->resolved;
    if (time > there && time <= launched) {
      there = time;
      last = input;
    }
  }
  if (there > e->at) {
    bool elsewhere = is_elsewhere(e->recording, last, e->gap->device);
    e->gap->waited_for = last;
    give(e, there, elsewhere ? TRACE_OTHER_DEVICE : TRACE_HOST);
  }
  if (op->missing > known) /* a promise, say */
    give(e, launched, TRACE_HOST);
}

static void explain_launch(struct explained *e, const struct trace_op *op,
                           const struct trace_run *run) {
  if (run->launched == TRACE_NEVER)
    return;
  explain_inputs(e, op, run->launched);
  give(e, run->launched, TRACE_DISPATCHING);
}

/* ---- between launch and run: there are workers that wait for other devices ---- */

static void explain_worker(struct explained *e, const struct trace_op *op) {
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = e->recording->inputs.at[op->inputs + i];
    if (input == TRACE_NONE || !is_elsewhere(e->recording, input, e->gap->device))
      continue;
    int64_t ended = trace_op_ended(e->recording, input);
    if (ended <= e->at || ended > e->gap->end)
      continue;
    e->gap->waited_for = input;
    give(e, ended, TRACE_OTHER_DEVICE);
  }
}

/* ---- all of it ---- */

static enum trace_cause longest(const struct trace_gap *gap) {
  enum trace_cause cause = TRACE_NOTHING;
  for (enum trace_cause i = TRACE_NOTHING; i < TRACE_CAUSES; i++)
    if (gap->times[i] > gap->times[cause])
      cause = i;
  return cause;
}

static void explain(struct explained *e, const struct trace_run *run) {
  if (!run) {
    give(e, e->gap->end, TRACE_NOTHING);
  } else if (run->op != TRACE_NONE) {
    const struct trace_op *op = &e->recording->ops.at[run->op];
    e->gap->lane = op->lane;
    explain_submission(e, op);
    explain_launch(e, op, run);
    explain_worker(e, op);
  }
  if (run && run->held != TRACE_NEVER) {
    give(e, run->held, TRACE_WAKING);
    give(e, run->began, TRACE_LIMIT);
  }
  give(e, e->gap->end, TRACE_WAKING);
  e->gap->cause = longest(e->gap);
}

static void find(const struct trace_recording *recording, const struct trace_hosts *hosts,
                 struct trace_gap gap, const struct trace_run *run, trace_gap_fn *found,
                 void *user) {
  struct explained e = {recording, hosts, &gap, gap.begin};
  gap.run = run ? (uint32_t)(run - recording->runs.at) : TRACE_NONE;
  gap.waited_for = gap.lane = TRACE_NONE;
  explain(&e, run);
  found(&gap, user);
}

tnr_status trace_gaps(const struct trace_recording *recording, const struct trace_hosts *hosts,
                      uint32_t device, trace_gap_fn *found, void *user, int64_t *busy,
                      tnr_fault *fault) {
  struct trace_walk walk;
  const struct trace_run *run;
  int64_t at = 0, idle = 0;
  tnr_status status = trace_walk_init(recording, device, &walk, fault);
  if (status != TNR_OK)
    return status;
  do {
    run = trace_walk_next(&walk);
    int64_t until = run ? run->began : recording->last;
    if (until > at) {
      idle += until - at;
      find(recording, hosts, (struct trace_gap){.begin = at, .end = until, .device = device}, run,
           found, user);
    }
    if (run && trace_run_end(recording, run) > at)
      at = trace_run_end(recording, run);
  } while (run);
  trace_walk_finish(&walk);
  *busy = recording->last > idle ? recording->last - idle : 0;
  return TNR_OK;
}
