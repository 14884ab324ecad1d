#include "path.h"

#include "rows.h"
#include "walk.h"

const char *const trace_what_names[TRACE_WHATS] = {
    "execute", "create",    "copy",        "dispatcher", "worker",
    "a limit", "host code", "thread wake", "callback",   "before"};

/* The chain is followed from its end: what was the last thing that this waited for? */
enum place { AT_COMPLETION, AT_END, AT_LAUNCH, AT_SUBMISSION, AT_BEGINNING };

struct follower {
  const struct trace_recording *recording;
  const struct trace_hosts *hosts;
  struct trace_path *path; /* in reverse */
  int64_t at;              /* how far back it has got */
  enum place place;
  uint32_t op, run; /* which; run: AT_END, AT_LAUNCH */
  bool no_room;
};

/* ---- steps ---- */

/* From `begin` until where it is. */
static void step_back(struct follower *f, int64_t begin, enum trace_what what, uint32_t op,
                      uint32_t lane) {
  int64_t from = begin > 0 ? begin : 0;
  if (from >= f->at)
    return;
  struct trace_step *step = ROWS_ADD(&f->path->steps);
  if (!step) {
    f->no_room = true;
    return;
  }
  *step = (struct trace_step){from, f->at, op, lane, what};
  f->at = from;
}

static void go_to_op(struct follower *f, enum place place, uint32_t op) {
  f->place = place;
  f->op = op;
}

static void go_to_run(struct follower *f, enum place place, uint32_t run) {
  f->place = place;
  f->run = run;
  f->op = f->recording->runs.at[run].op;
}

static uint32_t dispatcher_lane(const struct trace_recording *recording) {
  for (uint32_t i = 0; i < recording->lanes.count; i++)
    if (recording->lanes.at[i].kind == TNR_TRACE_DISPATCHER)
      return i;
  return TRACE_NONE;
}

static void by_dispatcher(struct follower *f, int64_t begin, uint32_t op) {
  step_back(f, begin, TRACE_DISPATCH, op, dispatcher_lane(f->recording));
}

/* ---- completion ---- */

/* Of the inputs, the one that was complete last (of ANY: first), not after `until`. */
static uint32_t deciding_input(const struct trace_recording *recording, const struct trace_op *op,
                               int64_t until) {
  uint32_t found = TRACE_NONE;
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = recording->inputs.at[op->inputs + i];
    if (input == TRACE_NONE)
      continue;
    int64_t completed = recording->ops.at[input].completed;
    if (completed == TRACE_NEVER || completed > until)
      continue;
    int64_t best = found == TRACE_NONE ? 0 : recording->ops.at[found].completed;
    if (found == TRACE_NONE || (op->kind == TNR_TRACE_ANY ? completed < best : completed > best))
      found = input;
  }
  return found;
}

static void from_completion(struct follower *f) {
  const struct trace_op *op = &f->recording->ops.at[f->op];
  uint32_t run = trace_told_with(f->recording, f->op);
  if (run != TRACE_NONE) {
    by_dispatcher(f, f->recording->runs.at[run].ended, f->op);
    go_to_run(f, AT_END, run);
    return;
  }
  uint32_t input = deciding_input(f->recording, op, f->at);
  if (input != TRACE_NONE) {
    by_dispatcher(f, f->recording->ops.at[input].completed, f->op);
    go_to_op(f, AT_COMPLETION, input);
    return;
  }
  by_dispatcher(f, op->submitted, f->op);
  f->place = AT_SUBMISSION;
}

/* ---- the run ---- */

/* An input from another device for which the worker itself waited; NONE. */
static uint32_t awaited_run(const struct trace_recording *recording, const struct trace_op *op,
                            const struct trace_run *run) {
  uint32_t found = TRACE_NONE;
  int64_t latest = run->launched;
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = recording->inputs.at[op->inputs + i];
    uint32_t last = input == TRACE_NONE ? TRACE_NONE : trace_last_run(recording, input);
    if (last == TRACE_NONE || recording->runs.at[last].device == run->device)
      continue;
    int64_t ended = recording->runs.at[last].ended;
    if (ended > latest && ended <= run->began) {
      latest = ended;
      found = last;
    }
  }
  return found;
}

static void from_end(struct follower *f) {
  const struct trace_recording *recording = f->recording;
  const struct trace_run *run = &recording->runs.at[f->run];
  enum trace_what what = run->flags & TRACE_RUN_MOVE ? TRACE_COPY : TRACE_EXECUTE;
  step_back(f, run->executed, what, f->op, run->lane);
  step_back(f, run->began, TRACE_CREATE, f->op, run->lane);
  if (run->held != TRACE_NEVER)
    step_back(f, run->held, TRACE_HELD_BACK, f->op, run->lane);
  uint32_t before = trace_run_before(recording, f->run);
  int64_t free_since =
      before == TRACE_NONE ? TRACE_NEVER : trace_run_end(recording, &recording->runs.at[before]);
  uint32_t awaited =
      f->op == TRACE_NONE ? TRACE_NONE : awaited_run(recording, &recording->ops.at[f->op], run);
  int64_t there = awaited == TRACE_NONE ? TRACE_NEVER : recording->runs.at[awaited].ended;
  if (before != TRACE_NONE && free_since >= run->launched && free_since >= there) {
    step_back(f, free_since, TRACE_TAKE_UP, f->op, run->lane);
    go_to_run(f, AT_END, before);
  } else if (awaited != TRACE_NONE) {
    step_back(f, there, TRACE_TAKE_UP, f->op, run->lane);
    go_to_run(f, AT_END, awaited);
  } else if (f->op == TRACE_NONE || run->launched == TRACE_NEVER) {
    f->place = AT_BEGINNING;
  } else {
    step_back(f, run->launched, TRACE_TAKE_UP, f->op, run->lane);
    f->place = AT_LAUNCH;
  }
}

/* ---- the launch ---- */

/* The last thing that it waited for, not after `until`: the launch of an input on the same device,
 * the completion of another, or NONE: its own submission. */
struct decision {
  int64_t time;
  uint32_t op, run; /* run: of the launch; else NONE */
  uint32_t awaited; /* inputs known to have been waited for */
};

static uint32_t run_on(const struct trace_recording *recording, uint32_t op, uint32_t device) {
  uint32_t i = recording->ops.at[op].runs;
  while (i != TRACE_NONE && recording->runs.at[i].device != device)
    i = recording->runs.at[i].next;
  return i;
}

static struct decision decide(const struct trace_recording *recording, const struct trace_op *op,
                              uint32_t device, int64_t until) {
  struct decision found = {.time = op->submitted, .op = TRACE_NONE, .run = TRACE_NONE};
  for (uint32_t i = 0; i < op->input_count; i++) {
    uint32_t input = recording->inputs.at[op->inputs + i];
    if (input == TRACE_NONE)
      continue;
    uint32_t run = run_on(recording, input, device);
    int64_t time =
        run == TRACE_NONE ? recording->ops.at[input].completed : recording->runs.at[run].launched;
    found.awaited += time > op->resolved;
    if (time <= until && time > found.time)
      found = (struct decision){time, input, run, found.awaited};
  }
  return found;
}

static void from_launch(struct follower *f) {
  const struct trace_run *run = &f->recording->runs.at[f->run];
  const struct trace_op *op = &f->recording->ops.at[f->op];
  struct decision last = decide(f->recording, op, run->device, f->at);
  if (last.time == TRACE_NEVER) {
    f->place = AT_BEGINNING;
    return;
  }
  if (op->missing > last.awaited) /* the program gave it something itself */
    step_back(f, last.time, TRACE_HOST_CODE, f->op, TRACE_NONE);
  by_dispatcher(f, last.time, f->op);
  if (last.op == TRACE_NONE)
    f->place = AT_SUBMISSION;
  else if (last.run != TRACE_NONE)
    go_to_run(f, AT_LAUNCH, last.run);
  else
    go_to_op(f, AT_COMPLETION, last.op);
}

/* ---- the submission ---- */

/* A composite whose body ran later, on the dispatcher; NONE. */
static uint32_t deferred_parent(const struct trace_recording *recording,
                                const struct trace_op *op) {
  if (op->parent == TRACE_NONE || op->lane == TRACE_NONE ||
      recording->lanes.at[op->lane].kind != TNR_TRACE_DISPATCHER)
    return TRACE_NONE;
  return recording->ops.at[op->parent].lane == op->lane ? TRACE_NONE : op->parent;
}

static void from_deferred(struct follower *f, uint32_t parent) {
  uint32_t input = deciding_input(f->recording, &f->recording->ops.at[parent], f->at);
  if (input == TRACE_NONE) {
    by_dispatcher(f, f->recording->ops.at[parent].submitted, parent);
    go_to_op(f, AT_SUBMISSION, parent);
    return;
  }
  by_dispatcher(f, f->recording->ops.at[input].completed, parent);
  go_to_op(f, AT_COMPLETION, input);
}

static void from_callback(struct follower *f, const struct trace_span *callback) {
  step_back(f, callback->begin, TRACE_IN_CALLBACK, f->op, callback->lane);
  if (callback->op == TRACE_NONE || f->recording->ops.at[callback->op].completed == TRACE_NEVER) {
    f->place = AT_BEGINNING;
    return;
  }
  by_dispatcher(f, f->recording->ops.at[callback->op].completed, callback->op);
  go_to_op(f, AT_COMPLETION, callback->op);
}

/* The moment that a thread waited for; NEVER where that is not known. */
static int64_t awaited_moment(const struct trace_recording *recording,
                              const struct trace_span *wait) {
  if (wait->op == TRACE_NONE)
    return TRACE_NEVER;
  return wait->what == TNR_TRACE_FOR_CREATED ? trace_op_created(recording, wait->op)
                                             : recording->ops.at[wait->op].completed;
}

/* False: it did not hold the thread up for that op's sake. */
static bool from_wait(struct follower *f, const struct trace_span *wait) {
  int64_t moment = awaited_moment(f->recording, wait);
  step_back(f, wait->end, TRACE_HOST_CODE, f->op, wait->lane);
  if (moment == TRACE_NEVER || moment < wait->begin || moment > wait->end)
    return false;
  step_back(f, moment, TRACE_THREAD_WAKE, wait->op, wait->lane);
  uint32_t run = trace_last_run(f->recording, wait->op);
  if (wait->what == TNR_TRACE_FOR_CREATED && run != TRACE_NONE)
    go_to_run(f, AT_END, run);
  else
    go_to_op(f, AT_COMPLETION, wait->op);
  return true;
}

static void from_submission(struct follower *f) {
  const struct trace_op *op = &f->recording->ops.at[f->op];
  uint32_t parent = deferred_parent(f->recording, op);
  int64_t time = op->submitted;
  if (parent != TRACE_NONE) {
    from_deferred(f, parent);
    return;
  }
  for (;;) {
    uint32_t found = trace_hosts_before(f->recording, f->hosts, op->lane, time);
    if (time == TRACE_NEVER || found == TRACE_NONE)
      break;
    const struct trace_span *span = &f->recording->spans.at[f->hosts->spans[found]];
    if (span->type == TNR_TRACE_CALLBACK && span->end >= time) {
      from_callback(f, span);
      return;
    }
    if (span->type == TNR_TRACE_WAIT && from_wait(f, span))
      return;
    step_back(f, span->end, TRACE_HOST_CODE, f->op, op->lane);
    bool held = span->type == TNR_TRACE_HELD;
    step_back(f, span->begin, held ? TRACE_HELD_BACK : TRACE_HOST_CODE, f->op, op->lane);
    time = span->begin;
  }
  f->place = AT_BEGINNING;
}

/* ---- all of it ---- */

static uint32_t last_op(const struct trace_recording *recording) {
  uint32_t last = TRACE_NONE;
  for (uint32_t i = 0; i < recording->ops.count; i++)
    if (recording->ops.at[i].completed != TRACE_NEVER &&
        (last == TRACE_NONE || recording->ops.at[i].completed > recording->ops.at[last].completed))
      last = i;
  return last;
}

static void follow(struct follower *f) {
  switch (f->place) {
  case AT_COMPLETION:
    from_completion(f);
    break;
  case AT_END:
    from_end(f);
    break;
  case AT_LAUNCH:
    from_launch(f);
    break;
  default:
    from_submission(f);
  }
}

static void reverse(struct trace_path *path) {
  for (size_t i = 0, k = path->steps.count; i + 1 < k; i++) {
    struct trace_step step = path->steps.at[i];
    path->steps.at[i] = path->steps.at[--k];
    path->steps.at[k] = step;
  }
}

/* Where times contradict each other it could go round; it never goes forward. */
tnr_status trace_path_find(const struct trace_recording *recording, const struct trace_hosts *hosts,
                           struct trace_path *out, tnr_fault *fault) {
  *out = (struct trace_path){0};
  struct follower f = {.recording = recording, .hosts = hosts, .path = out};
  size_t left = 4 * (recording->ops.count + recording->runs.count);
  f.op = last_op(recording);
  if (f.op == TRACE_NONE || recording->ops.at[f.op].completed <= 0)
    return TNR_OK;
  f.at = out->end = recording->ops.at[f.op].completed;
  while (f.place != AT_BEGINNING && f.at > 0 && left-- > 0 && !f.no_room)
    follow(&f);
  step_back(&f, 0, TRACE_BEFORE, TRACE_NONE, TRACE_NONE);
  reverse(out);
  if (!f.no_room)
    return TNR_OK;
  tnr_status status = spill_fail(fault, "the critical path");
  trace_path_finish(out);
  return status;
}

void trace_path_finish(struct trace_path *path) {
  spill_free(path->steps.at);
  *path = (struct trace_path){0};
}
