#include "crank.h"

#include <event2/event.h>
#include <time.h>

#include "dispatcher.h"

enum { NS_PER_US = 1000, US_PER_S = 1000000, NS_PER_S = 1000000000 };

/* A thread that waits; on its stack. */
typedef struct tnr_sleeper {
  struct tnr_sleeper *next;       /* guarded by the crank's lock */
  bool (*over)(const void *what); /* immutable after create */
  const void *what;               /* immutable after create */
  int64_t deadline;               /* immutable after create */
  bool late; /* guarded by the crank's lock; written by the thread that turns, in virtual time */
  pthread_cond_t called; /* it has what it wants, or may turn */
} tnr_sleeper;

/* In virtual time what happens at the very deadline is still in time: whoever turns says when all
 * of it has. */
static bool is_late(const tnr_runtime *runtime, const tnr_sleeper *sleeper) {
  if (runtime->machine.virtual_time)
    return sleeper->late;
  return sleeper->deadline != INT64_MAX && tnr_now_ns() >= sleeper->deadline;
}

bool tnr_crank_has_ended(const tnr_runtime *runtime) {
  /* acquire: pairs with the release in note_end; all that was done before is then visible */
  return atomic_load_explicit(&runtime->crank.ended, memory_order_acquire);
}

/* It has nothing to wait for any more. */
static bool may_go(const tnr_runtime *runtime, const tnr_sleeper *sleeper) {
  return sleeper->over(sleeper->what) || is_late(runtime, sleeper) || tnr_crank_has_ended(runtime);
}

/* ---- life ---- */

static void limit_reached(evutil_socket_t fd, short what, void *user) {
  (void)fd, (void)what, (void)user; /* the sleep has ended, which is all that it is for */
}

tnr_status tnr_crank_init(tnr_runtime *runtime, uint64_t seed, tnr_fault *fault) {
  tnr_crank *crank = &runtime->crank;
  tnr_status status = tnr_turns_init(&crank->turns, runtime, seed, fault);
  if (status != TNR_OK)
    return status;
  pthread_mutex_init(&crank->lock, NULL);
  pthread_cond_init(&crank->quiet, NULL);
  return TNR_OK;
}

void tnr_crank_finish(tnr_runtime *runtime) {
  tnr_crank *crank = &runtime->crank;
  tnr_turns_free(&crank->turns);
  pthread_cond_destroy(&crank->quiet);
  pthread_mutex_destroy(&crank->lock);
}

/* ---- who sleeps; all with the lock held ---- */

static void add_sleeper(tnr_crank *crank, tnr_sleeper *sleeper) {
  tnr_sleeper **last = &crank->sleepers;
  while (*last)
    last = &(*last)->next;
  sleeper->next = NULL;
  *last = sleeper;
}

static void remove_sleeper(tnr_crank *crank, const tnr_sleeper *sleeper) {
  tnr_sleeper **link = &crank->sleepers;
  while (*link != sleeper)
    link = &(*link)->next;
  *link = sleeper->next;
}

static void call_those_who_may_go(tnr_runtime *runtime) {
  for (tnr_sleeper *one = runtime->crank.sleepers; one; one = one->next)
    if (may_go(runtime, one))
      pthread_cond_signal(&one->called);
}

/* Or whoever puts something into the inbox says so. */
static bool has_work(tnr_runtime *runtime) {
  return !tnr_crank_has_ended(runtime) &&
         (tnr_turn_has_work(runtime) || !tnr_inbox_sleep(&runtime->inbox));
}

/* Nobody turns, and nobody is about to. */
static void leave_to_watchers(tnr_runtime *runtime) {
  if (!runtime->crank.watchers)
    return;
  bool work = has_work(runtime), passes = !runtime->machine.virtual_time;
  int64_t next = passes ? tnr_deadlines_next(runtime) : INT64_MAX;
  for (tnr_watcher *one = runtime->crank.watchers; one; one = one->next)
    one->tell(one, work, next);
}

static void take(tnr_runtime *runtime) {
  runtime->crank.turned = true;
  if (runtime->crank.watchers)
    tnr_inbox_awake(&runtime->inbox);
}

/* The one who has waited longest is next. */
static void let_go(tnr_runtime *runtime) {
  tnr_crank *crank = &runtime->crank;
  call_those_who_may_go(runtime);
  if (crank->sleepers)
    pthread_cond_signal(&crank->sleepers->called);
  else
    leave_to_watchers(runtime);
  crank->turned = false;
  if (!crank->sleepers)
    pthread_cond_broadcast(&crank->quiet);
}

static void sleep_until_called(tnr_runtime *runtime, tnr_sleeper *self) {
  pthread_mutex_t *lock = &runtime->crank.lock;
  if (self->deadline == INT64_MAX || runtime->machine.virtual_time) {
    pthread_cond_wait(&self->called, lock);
    return;
  }
  const struct timespec limit = {self->deadline / NS_PER_S, self->deadline % NS_PER_S};
  pthread_cond_timedwait(&self->called, lock, &limit);
}

/* ---- turning ---- */

/* The thread that turns: the runtime is closed, and nothing is left in it. */
static bool note_end(tnr_runtime *runtime) {
  tnr_role *dispatcher = &runtime->crank.turns.roles[0];
  tnr_role_enter(dispatcher);
  bool over = tnr_dispatcher_is_over(runtime);
  if (over)
    tnr_dispatcher_tidy(runtime);
  tnr_role_leave(dispatcher);
  if (over) /* release: pairs with the acquire in tnr_crank_has_ended */
    atomic_store_explicit(&runtime->crank.ended, true, memory_order_release);
  return over;
}

/* Sleeps in the event base until something comes from outside, or the time is over. In virtual time
 * that is no reason: it does not pass by itself. */
static void rest(tnr_runtime *runtime, int64_t deadline) {
  tnr_crank *crank = &runtime->crank;
  if (tnr_deadlines_next(runtime) < deadline)
    deadline = tnr_deadlines_next(runtime);
  bool limited = deadline != INT64_MAX && !runtime->machine.virtual_time;
  tnr_role_enter(&crank->turns.roles[0]);
  if (limited) {
    int64_t left = deadline - tnr_now_ns(), us = left > 0 ? (left + NS_PER_US - 1) / NS_PER_US : 0;
    const struct timeval limit = {us / US_PER_S, us % US_PER_S};
    (void)event_assign(&crank->limit, runtime->base, -1, 0, limit_reached, NULL);
    (void)event_add(&crank->limit, &limit);
  }
  tnr_dispatcher_rest(runtime);
  if (limited)
    (void)event_del(&crank->limit);
  tnr_role_leave(&crank->turns.roles[0]);
}

static void turn_until_one_may_go(tnr_runtime *runtime, const tnr_sleeper *self) {
  while (!may_go(runtime, self)) {
    if (!note_end(runtime) && !tnr_turn(runtime) && !may_go(runtime, self))
      rest(runtime, self->deadline);
    (void)tnr_crank_look_again(runtime);
  }
}

/* ---- waiting ---- */

static void init_sleeper(tnr_sleeper *self) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&self->called, &attributes);
  pthread_condattr_destroy(&attributes);
}

tnr_status tnr_crank_wait(tnr_runtime *runtime, bool (*over)(const void *what), const void *what,
                          int64_t deadline) {
  tnr_crank *crank = &runtime->crank;
  tnr_sleeper self = {.over = over, .what = what, .deadline = deadline};
  init_sleeper(&self);
  pthread_mutex_lock(&crank->lock);
  add_sleeper(crank, &self);
  while (!may_go(runtime, &self)) {
    if (crank->turned) {
      sleep_until_called(runtime, &self);
      continue;
    }
    take(runtime);
    pthread_mutex_unlock(&crank->lock);
    turn_until_one_may_go(runtime, &self);
    pthread_mutex_lock(&crank->lock);
    crank->turned = false;
  }
  remove_sleeper(crank, &self);
  if (!crank->turned)
    let_go(runtime);
  pthread_mutex_unlock(&crank->lock);
  pthread_cond_destroy(&self.called);
  if (over(what))
    return TNR_OK;
  return tnr_crank_has_ended(runtime) ? TNR_ECLOSED : TNR_ETIMEDOUT;
}

static bool never(const void *what) {
  (void)what;
  return false;
}

void tnr_crank_run_out(tnr_runtime *runtime) {
  tnr_crank *crank = &runtime->crank;
  (void)!tnr_crank_wait(runtime, never, NULL, INT64_MAX);
  pthread_mutex_lock(&crank->lock);
  while (crank->sleepers || crank->turned)
    pthread_cond_wait(&crank->quiet, &crank->lock);
  pthread_mutex_unlock(&crank->lock);
  tnr_turns_finish(&crank->turns, runtime->machine.count);
}

static bool try_to_take(tnr_runtime *runtime) {
  tnr_crank *crank = &runtime->crank;
  if (tnr_thread_service(runtime) != TNR_SERVES_NOT)
    return false;
  pthread_mutex_lock(&crank->lock);
  bool free = !crank->turned && !tnr_crank_has_ended(runtime);
  if (free)
    take(runtime);
  pthread_mutex_unlock(&crank->lock);
  return free;
}

static void give_back(tnr_runtime *runtime) {
  pthread_mutex_lock(&runtime->crank.lock);
  let_go(runtime);
  pthread_mutex_unlock(&runtime->crank.lock);
}

bool tnr_crank_step(tnr_runtime *runtime) {
  if (!try_to_take(runtime))
    return false;
  bool did = tnr_turn(runtime);
  give_back(runtime);
  return did;
}

bool tnr_crank_borrow(tnr_runtime *runtime, void (*fn)(void *user), void *user) {
  if (runtime->mode == TNR_THREADS || !try_to_take(runtime))
    return false;
  tnr_role *dispatcher = &runtime->crank.turns.roles[0];
  tnr_role_enter(dispatcher);
  fn(user);
  tnr_role_leave(dispatcher);
  give_back(runtime);
  return true;
}

void tnr_crank_work(tnr_runtime *runtime, bool (*enough)(const void *what), const void *what) {
  if (!try_to_take(runtime))
    return;
  while (tnr_turn(runtime) && !enough(what))
    (void)tnr_crank_look_again(runtime);
  give_back(runtime);
}

bool tnr_crank_look_again(tnr_runtime *runtime) {
  pthread_mutex_lock(&runtime->crank.lock);
  call_those_who_may_go(runtime);
  bool turned = runtime->crank.turned;
  pthread_mutex_unlock(&runtime->crank.lock);
  return turned;
}

bool tnr_crank_end_late_waits(tnr_runtime *runtime) {
  bool any = false;
  int64_t now = tnr_machine_now(&runtime->machine);
  pthread_mutex_lock(&runtime->crank.lock);
  for (tnr_sleeper *one = runtime->crank.sleepers; one; one = one->next)
    if (!one->late && one->deadline != INT64_MAX && one->deadline <= now) {
      one->late = any = true;
      pthread_cond_signal(&one->called);
    }
  pthread_mutex_unlock(&runtime->crank.lock);
  return any;
}

int64_t tnr_crank_next_deadline(tnr_runtime *runtime) {
  int64_t next = INT64_MAX, now = tnr_machine_now(&runtime->machine);
  pthread_mutex_lock(&runtime->crank.lock);
  for (const tnr_sleeper *one = runtime->crank.sleepers; one; one = one->next)
    if (one->deadline > now && one->deadline < next)
      next = one->deadline;
  pthread_mutex_unlock(&runtime->crank.lock);
  return next;
}

/* ---- watching ---- */

bool tnr_crank_call(tnr_runtime *runtime) {
  tnr_crank *crank = &runtime->crank;
  pthread_mutex_lock(&crank->lock);
  bool turned = crank->turned;
  if (!turned && !crank->sleepers) /* else one of them is about to turn */
    leave_to_watchers(runtime);
  pthread_mutex_unlock(&crank->lock);
  return turned;
}

void tnr_crank_watch(tnr_runtime *runtime, tnr_watcher *watcher) {
  tnr_crank *crank = &runtime->crank;
  pthread_mutex_lock(&crank->lock);
  watcher->next = crank->watchers;
  crank->watchers = watcher;
  if (!crank->turned)
    leave_to_watchers(runtime);
  pthread_mutex_unlock(&crank->lock);
}

void tnr_crank_unwatch(tnr_runtime *runtime, tnr_watcher *watcher) {
  tnr_crank *crank = &runtime->crank;
  pthread_mutex_lock(&crank->lock);
  tnr_watcher **link = &crank->watchers;
  while (*link != watcher)
    link = &(*link)->next;
  *link = watcher->next;
  pthread_mutex_unlock(&crank->lock);
}
