/* Cancel, completion, deadline and shutdown at the same time: every callback runs exactly once, and
 * nothing is left.
 *
 * One race is a small graph whose callbacks are all of them after. TENOR_RACES=1000000 sets how
 * many there are; TENOR_SEED=17 how they begin. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

enum { RACES = CHECK_SANITIZED ? 2000 : 20000, RACES_A_ROUND = 400, CALLBACKS_A_RACE = 4 };

/* One callback; registered once at most. */
typedef struct call {
  atomic_int times;
  bool registered; /* written by the thread that registers, before it ends */
} call;

typedef struct round {
  tnr_runtime *runtime;
  tnr_shutdown how;
  unsigned seed;
  call *calls; /* [RACES_A_ROUND * CALLBACKS_A_RACE] */
  atomic_int started, wrong, made;
  _Atomic(tnr_future *) futures[RACES_A_ROUND];   /* for the thread that cancels; retained */
  _Atomic(tnr_group *) groups[RACES_A_ROUND];     /* likewise, or NULL */
  _Atomic(tnr_promise *) promises[RACES_A_ROUND]; /* likewise, and fulfils, or not */
  tnr_tensor *tensor;                             /* for promises; retained */
} round;

static unsigned chance(unsigned *seed, unsigned of) {
  return (unsigned)rand_r(seed) % of;
}

static void called(tnr_value future, void *user) {
  call *one = user;
  tnr_status code = tnr_error_code(tnr_future_error(future));
  bool expected =
      code == TNR_OK || code == TNR_ECANCELED || code == TNR_ETIMEDOUT || code == TNR_ECLOSED;
  atomic_fetch_add(&one->times, expected ? 1 : 1000);
}

static void cancel_and_count(tnr_value future, void *user) {
  (void)tnr_cancel(future);
  called(future, user);
}

/* Long enough for timers to fire. */
static void nap(void) {
  rig_sleep_ms(6);
}

/* In the innermost scope; NULL when the runtime has been closed. */
static tnr_future *make_graph(round *r, unsigned *seed, int race, tnr_future *x, tnr_future *y) {
  tnr_future *a = rig_plus_one(x), *b = rig_plus_one(chance(seed, 2) ? a : x);
  tnr_promise *promise;
  switch (chance(seed, 9)) {
  case 0:
    return chance(seed, 40) ? rig_plus_one(b) : rig_on_worker(b);
  case 1:
    return rig_sum(tnr_to_device(b, rig_cpu(r->runtime, 1)), y);
  case 2:
    return tnr_at(rig_two(b), (int)chance(seed, 2));
  case 3:
    return b ? tnr_any((tnr_future *[]){a, b}, 2, TNR_HERE) : NULL;
  case 4:
    return rig_sum_of(tnr_tuple_of(a, b));
  case 5:
    return rig_deferred(b);
  case 6:
    return rig_deferred(tnr_to_device(b, rig_cpu(r->runtime, 1)));
  case 7:
    promise = tnr_promise_create(r->runtime);
    atomic_store(&r->promises[race], tnr_retain(promise));
    return rig_sum(tnr_promise_future(promise), b);
  default:
    return rig_sum(a, b);
  }
}

static void listen(round *r, unsigned *seed, int race, int index, tnr_future *future) {
  call *one = &r->calls[race * CALLBACKS_A_RACE + index];
  tnr_moment moment = chance(seed, 2) ? TNR_CREATED : TNR_COMPLETE;
  tnr_callback *fn = chance(seed, 20) ? called : cancel_and_count;
  one->registered = tnr_on(future, moment, fn, one) == TNR_OK;
}

static bool is_end(void) {
  tnr_status code = tnr_error_code(tnr_error());
  return code == TNR_ECLOSED || code == TNR_ECANCELED || code == TNR_ETIMEDOUT;
}

static bool race_once(round *r, unsigned *seed, int race, tnr_future *x, tnr_future *y) {
  static const int64_t limits[] = {TNR_NO_TIMEOUT, 1, 200000, 1000000, 2000000, 4000000};
  tnr_group *group = chance(seed, 2) ? tnr_group_create(r->runtime) : NULL;
  if (tnr_terms_open(.group = group, .timeout_ns = limits[chance(seed, 6)],
                     .priority = (tnr_priority)chance(seed, 4)) != TNR_OK)
    abort();
  tnr_future *f = make_graph(r, seed, race, x, y), *g = f ? rig_plus_one(f) : NULL;
  if (tnr_terms_close() != TNR_OK)
    abort();
  if (!g) {
    if (!is_end())
      atomic_fetch_add(&r->wrong, 1);
    return false;
  }
  for (int i = 0; i < CALLBACKS_A_RACE; i++)
    listen(r, seed, race, i, i % 2 ? f : g);
  atomic_store(&r->groups[race], tnr_retain(group));
  atomic_store(&r->futures[race], tnr_retain(chance(seed, 2) ? f : g));
  return true;
}

static void submit(round *r) {
  unsigned seed = r->seed;
  if (tnr_scope_open() != TNR_OK)
    abort();
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(r->runtime, 0), 1));
  tnr_future *y = tnr_to_async(rig_tensor(rig_cpu(r->runtime, 1), 1));
  bool open = true;
  atomic_fetch_add(&r->started, 1);
  for (int i = 0; i < RACES_A_ROUND && open; i++) {
    if (tnr_scope_open() != TNR_OK)
      abort();
    open = race_once(r, &seed, i, x, y);
    atomic_store(&r->made, i + 1);
    if (tnr_scope_close() != TNR_OK)
      abort();
  }
  atomic_store(&r->made, RACES_A_ROUND);
  if (tnr_scope_close() != TNR_OK)
    abort();
}

/* Follows the one that submits, now and then some graphs behind. */
static void cancel(round *r) {
  unsigned seed = r->seed + 1;
  atomic_fetch_add(&r->started, 1);
  for (int i = 0; i < RACES_A_ROUND; i++) {
    unsigned behind = chance(&seed, 8);
    while (atomic_load(&r->made) <= i + (int)behind && atomic_load(&r->made) < RACES_A_ROUND)
      sched_yield();
    tnr_future *future = atomic_load(&r->futures[i]);
    tnr_group *group = atomic_load(&r->groups[i]);
    if (future && chance(&seed, 4) && tnr_cancel(future) != TNR_OK && !is_end())
      atomic_fetch_add(&r->wrong, 1);
    if (group && chance(&seed, 2) && tnr_group_cancel(group) != TNR_OK && !is_end())
      atomic_fetch_add(&r->wrong, 1);
    tnr_release(future);
    tnr_release(group);
    tnr_promise *promise = atomic_load(&r->promises[i]);
    if (promise && chance(&seed, 3) && tnr_promise_fulfil(promise, r->tensor) != TNR_OK &&
        !is_end())
      atomic_fetch_add(&r->wrong, 1);
    tnr_release(promise);
  }
}

static void shut_down(round *r) {
  unsigned seed = r->seed + 2;
  while (atomic_load(&r->started) < 2)
    sched_yield();
  int when = (int)chance(&seed, 2 * RACES_A_ROUND);
  while (atomic_load(&r->made) < when && atomic_load(&r->made) < RACES_A_ROUND)
    sched_yield();
  if (tnr_runtime_destroy(r->runtime, r->how) != TNR_OK)
    abort();
}

static void take_part(void *user, int index) {
  void (*const parts[])(round *) = {submit, cancel, shut_down};
  parts[index](user);
}

static void run_round(unsigned seed) {
  const tnr_device_config devices = {.driver = tnr_cpu_driver(), .count = 2};
  round r = {.how = (tnr_shutdown)(seed % 2), .seed = seed * 7919};
  r.calls = calloc((size_t)RACES_A_ROUND * CALLBACKS_A_RACE, sizeof *r.calls);
  r.runtime = tnr_runtime_create(&(tnr_runtime_options){
      .devices = &devices, .device_configs = 1, .spin_ns = seed % 3 ? 0 : -1});
  assert_made(r.runtime);
  r.tensor = rig_tensor(rig_cpu(r.runtime, 0), 2);
  rig_worker_function = nap;
  rig_threads(3, take_part, &r);
  tnr_release(r.tensor);
  assert_int_equal(r.wrong, 0);
  for (int i = 0; i < RACES_A_ROUND * CALLBACKS_A_RACE; i++)
    if (r.calls[i].times != r.calls[i].registered)
      fail_msg("TENOR_SEED=%u: callback %d ran %d times, not %d", seed, i, r.calls[i].times,
               r.calls[i].registered);
  free(r.calls);
}

static int number_from(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

static void every_callback_runs_exactly_once(void **state) {
  (void)state;
  int rounds = number_from("TENOR_RACES", RACES) / RACES_A_ROUND;
  unsigned seed = (unsigned)number_from("TENOR_SEED", 1);
  for (int i = 0; i < rounds; i++)
    run_round(seed + (unsigned)i);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(every_callback_runs_exactly_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
