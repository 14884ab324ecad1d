#include "turn.h"

#include <stdlib.h>

#include "cancel.h"
#include "crank.h"
#include "dispatcher.h"
#include "op.h"
#include "record.h"

/* How much a worker does in a turn, where real time passes. */
enum { ITEMS_A_TURN = 64 };

static tnr_worker *worker_at(tnr_runtime *runtime, int device) {
  return &runtime->machine.devices[device]->worker;
}

/* ---- life ---- */

tnr_status tnr_turns_init(tnr_turns *turns, tnr_runtime *runtime, uint64_t seed, tnr_fault *fault) {
  int devices = runtime->machine.count;
  *turns = (tnr_turns){.random = seed, .shuffled = seed != 0};
  turns->roles = malloc((size_t)(devices + 1) * sizeof *turns->roles);
  turns->asleep = calloc((size_t)devices, sizeof(*turns->asleep));
  if (!turns->roles || !turns->asleep) {
    tnr_turns_free(turns);
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for %d devices", devices);
  }
  for (int i = 0; i <= devices; i++)
    tnr_role_init(&turns->roles[i], runtime, i);
  return TNR_OK;
}

void tnr_turns_finish(tnr_turns *turns, int devices) {
  for (int i = 0; turns->roles && i <= devices; i++)
    tnr_role_finish(&turns->roles[i]);
}

void tnr_turns_free(tnr_turns *turns) {
  free(turns->roles);
  free(turns->asleep);
  turns->roles = NULL;
  turns->asleep = NULL;
}

/* ---- the workers' part ---- */

static void become_worker(tnr_runtime *runtime, int index) {
  const tnr_device *device = runtime->machine.devices[index];
  tnr_role_enter(&runtime->crank.turns.roles[1 + index]);
  if (device->driver->worker_start)
    device->driver->worker_start(device->state);
}

static void be_oneself(tnr_runtime *runtime, int index) {
  const tnr_device *device = runtime->machine.devices[index];
  if (device->driver->worker_stop)
    device->driver->worker_stop(device->state);
  tnr_role_leave(&runtime->crank.turns.roles[1 + index]);
}

static bool is_held_back(tnr_runtime *runtime, int device) {
  bool held = tnr_bounds_hold_back(runtime, device);
  if (held)
    tnr_record_hold_back(&runtime->lanes[device]);
  return held;
}

static bool has_items(tnr_runtime *runtime, int device) {
  tnr_worker *worker = worker_at(runtime, device);
  return worker->asleep_until == 0 && tnr_worker_has_work(worker) &&
         !(runtime->bounds.on && is_held_back(runtime, device));
}

static void run_items(tnr_runtime *runtime, int device, uint32_t limit) {
  become_worker(runtime, device);
  (void)tnr_worker_round(worker_at(runtime, device), limit);
  be_oneself(runtime, device);
}

/* One op, whose end is put down when its time has come. */
static void run_one(tnr_runtime *runtime, int device) {
  tnr_worker *worker = worker_at(runtime, device);
  tnr_op_item item = (tnr_op_item)tnr_worker_peek(worker);
  if (tnr_op_has_failed(tnr_op_item_op(item))) { /* ended early: it is not run */
    run_items(runtime, device, 1);
    return;
  }
  tnr_record_start(&runtime->lanes[device], item);
  run_items(runtime, device, 1);
  if (worker->asleep_until)
    runtime->crank.turns.asleep[device] = item;
  else
    tnr_record_end(&runtime->lanes[device], item);
}

static void work(tnr_runtime *runtime, int device) {
  if (runtime->machine.virtual_time)
    run_one(runtime, device);
  else
    run_items(runtime, device, runtime->bounds.on ? 1 : ITEMS_A_TURN);
}

void tnr_turn_dismiss_worker(tnr_runtime *runtime, int device) {
  tnr_worker *worker = worker_at(runtime, device);
  tnr_role_enter(&runtime->crank.turns.roles[1 + device]);
  worker->duty.start(worker->duty.user, worker);
  worker->duty.finish(worker->duty.user, worker);
  tnr_role_leave(&runtime->crank.turns.roles[1 + device]);
}

/* ---- virtual time ---- */

static bool is_due(tnr_runtime *runtime, int device) {
  int64_t until = worker_at(runtime, device)->asleep_until;
  return until != 0 && until <= tnr_machine_now(&runtime->machine);
}

static void wake(tnr_runtime *runtime, int device) {
  tnr_record_end(&runtime->lanes[device], runtime->crank.turns.asleep[device]);
  tnr_worker_awake(worker_at(runtime, device));
}

static bool wake_all_due(tnr_runtime *runtime) {
  bool woken = false;
  for (int i = 0; i < runtime->machine.count; i++)
    if (is_due(runtime, i)) {
      wake(runtime, i);
      woken = true;
    }
  return woken;
}

/* To the next moment at which something happens; false when nothing would. */
static bool pass_time(tnr_runtime *runtime) {
  if (!runtime->machine.virtual_time)
    return false;
  if (tnr_deadlines_fire(runtime) || tnr_crank_end_late_waits(runtime))
    return true;
  int64_t next = tnr_crank_next_deadline(runtime), due = tnr_deadlines_next(runtime);
  if (due < next)
    next = due;
  bool any = next != INT64_MAX;
  for (int i = 0; i < runtime->machine.count; i++) {
    int64_t until = worker_at(runtime, i)->asleep_until;
    any |= until != 0;
    if (until != 0 && until < next)
      next = until;
  }
  if (any)
    atomic_store_explicit(&runtime->machine.now, next, memory_order_relaxed);
  return any;
}

/* ---- the natural order ---- */

static bool has_signals(tnr_runtime *runtime, int device) {
  return tnr_ring_look(&worker_at(runtime, device)->done) > 0;
}

static bool has_launches(const tnr_runtime *runtime) {
  for (int i = 0; i < runtime->machine.count; i++)
    if (tnr_lane_has_unpublished(&runtime->lanes[i]))
      return true;
  return false;
}

static bool dispatcher_has_work(tnr_runtime *runtime) {
  for (int i = 0; i < runtime->machine.count; i++)
    if (has_signals(runtime, i))
      return true;
  return runtime->ready_first || tnr_mailbox_has_letters(&runtime->mail) ||
         !tnr_inbox_is_empty(&runtime->inbox) || tnr_dispatcher_has_events(runtime) ||
         has_launches(runtime) || runtime->sweep;
}

/* Virtual time passes by itself. */
static bool has_deadline(const tnr_runtime *runtime) {
  int64_t next = tnr_deadlines_next(runtime);
  return next != INT64_MAX &&
         (runtime->machine.virtual_time || next <= tnr_machine_now(&runtime->machine));
}

bool tnr_turn_has_work(tnr_runtime *runtime) {
  for (int i = 0; i < runtime->machine.count; i++)
    if (has_items(runtime, i) || worker_at(runtime, i)->asleep_until)
      return true;
  return dispatcher_has_work(runtime) || has_deadline(runtime);
}

/* In virtual time what happens at the very deadline is still in time: see pass_time. */
static bool fire_deadlines(tnr_runtime *runtime) {
  return !runtime->machine.virtual_time && tnr_deadlines_fire(runtime);
}

static bool natural_turn(tnr_runtime *runtime) {
  bool did = wake_all_due(runtime);
  did |= fire_deadlines(runtime);
  did |= dispatcher_has_work(runtime);
  tnr_role *dispatcher = &runtime->crank.turns.roles[0];
  tnr_role_enter(dispatcher);
  (void)tnr_dispatcher_turn(runtime);
  tnr_role_leave(dispatcher);
  for (int i = 0; i < runtime->machine.count; i++)
    if (has_items(runtime, i)) {
      work(runtime, i);
      did = true;
    }
  return did;
}

/* ---- any other order ---- */

/* splitmix64. Source: Sebastiano Vigna, https://prng.di.unimi.it/splitmix64.c */
static uint64_t next_random(tnr_turns *turns) {
  uint64_t bits = turns->random += 0x9e3779b97f4a7c15u;
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111ebu;
  return bits ^ bits >> 31;
}

static int below(tnr_turns *turns, int limit) {
  return (int)(next_random(turns) % (uint64_t)limit);
}

/* What somebody could do now. */
typedef enum act {
  NOTHING,
  WAKE,             /* a worker wakes up */
  RUN,              /* a worker runs an op */
  TAKE_SIGNALS,     /* the dispatcher looks at what a worker has done, */
  TAKE_MAIL,        /* looks into its mailbox, */
  TAKE_SUBMISSIONS, /* and into its inbox, */
  LAUNCH,           /* launches an op that is ready, */
  PUBLISH,          /* shows workers what it has launched, */
  FIRE,             /* completes ops, */
  SWEEP             /* and looks for what descends from what was cancelled */
} act;

/* One of those that were offered, each as likely as any other. */
typedef struct choice {
  int offered;
  act act;
  int device;
} choice;

static void offer(tnr_turns *turns, choice *from, bool possible, act act, int device) {
  if (possible && below(turns, ++from->offered) == 0) {
    from->act = act;
    from->device = device;
  }
}

static choice choose(tnr_runtime *runtime) {
  tnr_turns *turns = &runtime->crank.turns;
  choice made = {0, NOTHING, 0};
  for (int i = 0; i < runtime->machine.count; i++) {
    offer(turns, &made, is_due(runtime, i), WAKE, i);
    offer(turns, &made, has_items(runtime, i), RUN, i);
    offer(turns, &made, has_signals(runtime, i), TAKE_SIGNALS, i);
  }
  offer(turns, &made, tnr_mailbox_has_letters(&runtime->mail), TAKE_MAIL, 0);
  offer(turns, &made, !tnr_inbox_is_empty(&runtime->inbox), TAKE_SUBMISSIONS, 0);
  offer(turns, &made, runtime->ready_first != NULL, LAUNCH, 0);
  offer(turns, &made, has_launches(runtime), PUBLISH, 0);
  offer(turns, &made, tnr_dispatcher_has_events(runtime), FIRE, 0);
  offer(turns, &made, runtime->sweep, SWEEP, 0);
  return made;
}

/* Any of those that are ready may be launched first. */
static void shuffle_ready(tnr_runtime *runtime) {
  enum { REACH = 64 };
  int count = 0;
  for (tnr_op_part *part = runtime->ready_first; part && count < REACH; part = part->next)
    count++;
  tnr_op_part *before = NULL, *chosen = runtime->ready_first;
  for (int i = below(&runtime->crank.turns, count); i > 0; i--) {
    before = chosen;
    chosen = chosen->next;
  }
  if (!before)
    return;
  before->next = chosen->next;
  if (runtime->ready_last == chosen)
    runtime->ready_last = before;
  chosen->next = runtime->ready_first;
  runtime->ready_first = chosen;
}

static void dispatch(tnr_runtime *runtime, choice made) {
  enum { MOST = 8 };
  int limit = 1 + below(&runtime->crank.turns, MOST);
  switch (made.act) {
  case TAKE_SIGNALS:
    tnr_dispatcher_take_signals(runtime, made.device, limit);
    break;
  case TAKE_MAIL:
    tnr_dispatcher_take_mail(runtime, limit);
    break;
  case TAKE_SUBMISSIONS:
    tnr_dispatcher_take_submissions(runtime, limit);
    break;
  case LAUNCH:
    shuffle_ready(runtime);
    tnr_op_launch_next(runtime);
    break;
  case FIRE:
    tnr_dispatcher_fire(runtime);
    break;
  case SWEEP:
    tnr_cancel_sweep(runtime);
    break;
  default:
    tnr_dispatcher_publish(runtime);
    break;
  }
  tnr_dispatcher_tidy(runtime);
  tnr_dispatcher_settle(runtime);
}

static bool shuffled_turn(tnr_runtime *runtime) {
  tnr_turns *turns = &runtime->crank.turns;
  choice made = choose(runtime);
  switch (made.act) {
  case NOTHING:
    return false;
  case WAKE:
    wake(runtime, made.device);
    return true;
  case RUN:
    work(runtime, made.device);
    return true;
  default:
    tnr_role_enter(&turns->roles[0]);
    dispatch(runtime, made);
    tnr_role_leave(&turns->roles[0]);
    return true;
  }
}

bool tnr_turn(tnr_runtime *runtime) {
  bool did = runtime->crank.turns.shuffled ? shuffled_turn(runtime) : natural_turn(runtime);
  return did || pass_time(runtime);
}
