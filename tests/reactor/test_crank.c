/* Several threads at one crank: who turns it, who sleeps, and who is told that there is work. */
#include <sched.h>
#include <stdlib.h>

#include "reactor/runtime.h"
#include "threadless.h"

enum { MS = 1000000 };

static void wait_on_thread(void *user, int index) {
  (void)index;
  if (tnr_wait((tnr_future *)user, TNR_COMPLETE, INT64_MAX) != TNR_OK)
    abort();
}

/* ---- several threads ---- */

typedef struct crowd {
  tnr_runtime *runtime;
  atomic_int wrong, called, registered;
} crowd;

static void count_call(tnr_value future, void *user) {
  (void)future;
  atomic_fetch_add(&((crowd *)user)->called, 1);
}

static bool use(crowd *all, int index, int i) {
  float data[RIG_ELEMENTS] = {0};
  tnr_device *device = tnr_runtime_device_at(all->runtime, (index + i) % 3);
  float one[RIG_ELEMENTS] = {1, 1, 1, 1};
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(RIG_ELEMENTS), one);
  tnr_future *f = rig_plus_one(rig_plus_one(tnr_to_async(x)));
  if (!f || tnr_on(f, i % 2 ? TNR_CREATED : TNR_COMPLETE, count_call, all) != TNR_OK)
    return false;
  atomic_fetch_add(&all->registered, 1);
  switch (i % 5) {
  case 0:
    return tnr_tensor_read(tnr_get(f), data, sizeof data) == TNR_OK && data[3] == 3;
  case 1: {
    tnr_status status = tnr_wait(f, TNR_COMPLETE, 20000); /* 20 µs */
    return status == TNR_OK || status == TNR_ETIMEDOUT;
  }
  case 2:
    return tnr_synchronize_device(device) == TNR_OK;
  case 3:
    (void)tnr_runtime_step(all->runtime);
    return true;
  default:
    return tnr_wait(f, TNR_CREATED, INT64_MAX) == TNR_OK;
  }
}

static void use_on_thread(void *user, int index) {
  crowd *all = user;
  for (int i = 0; i < CHECK_MANY(400) + 20; i++) {
    if (tnr_scope_open() != TNR_OK)
      abort();
    if (!use(all, index, i))
      atomic_fetch_add(&all->wrong, 1);
    tnr_scope_close();
  }
}

static void many_threads_share_one_crank(void **state) {
  crowd all = {.runtime = *state};
  rig_threads(8, use_on_thread, &all);
  for (int i = 0; i < 3; i++)
    assert_ok(tnr_synchronize_device(tnr_runtime_device_at(*state, i)));
  assert_int_equal(all.wrong, 0);
  assert_int_equal(all.called, all.registered);
}

static void many_threads_may_also_share_virtual_time(void **state) {
  (void)state;
  crowd all = {.runtime = threadless_runtime(TNR_DETERMINISTIC)};
  rig_threads(8, use_on_thread, &all);
  assert_nothing_left(all.runtime);
  assert_int_equal(all.wrong, 0);
  assert_int_equal(all.called, all.registered);
}

/* One is inside a kernel, at the gate; the other's time runs out meanwhile. */
static void wait_at_the_gate(void *user, int index) {
  tnr_future *f = user;
  if (index == 0) {
    wait_on_thread(f, 0);
    return;
  }
  rig_await_held(1);
  int64_t start = rig_now_ns();
  tnr_status status = tnr_wait(f, TNR_COMPLETE, 10 * MS);
  int64_t took = rig_now_ns() - start;
  rig_open_gate();
  if (status != TNR_ETIMEDOUT || took < 10 * MS)
    abort();
}

static void a_thread_that_does_not_turn_still_has_its_timeout(void **state) {
  rig_close_gate();
  tnr_future *f = rig_hold(threadless_one(*state, 0));
  rig_threads(2, wait_at_the_gate, f);
  assert_number(f, 1);
}

/* The one that turns is satisfied early; the work that is left is up to the others. */
static void wait_for_ones_own(void *user, int index) {
  tnr_future **futures = user;
  wait_on_thread(futures[index], 0);
}

static void who_is_done_hands_over(void **state) {
  enum { THREADS = 6, LINKS = 200 };
  for (int round = 0; round < CHECK_MANY(60) + 5; round++) {
    tnr_future *futures[THREADS];
    for (int i = 0; i < THREADS; i++) {
      futures[i] = threadless_one(*state, i % 2);
      for (int k = 0; k < LINKS * (i + 1); k++)
        futures[i] = rig_plus_one(futures[i]);
    }
    rig_threads(THREADS, wait_for_ones_own, futures);
  }
}

typedef struct ending {
  crowd all;
  tnr_tensor *x;
  tnr_shutdown how;
  atomic_int started;
} ending;

static bool use_until_closed(ending *e, int i) {
  tnr_future *f = tnr_to_async(e->x), *g = rig_plus_one(f);
  bool open = g && tnr_on(g, TNR_COMPLETE, count_call, &e->all) == TNR_OK;
  if (open)
    atomic_fetch_add(&e->all.registered, 1);
  if (open && i % 3 == 0)
    open = tnr_wait(g, TNR_COMPLETE, INT64_MAX) == TNR_OK;
  if (open && i % 3 == 1)
    open = tnr_synchronize_device(tnr_mesh_device(tnr_tensor_mesh(e->x), 0)) == TNR_OK;
  tnr_status code = open ? TNR_ECLOSED : tnr_error_code(tnr_error());
  if (code != TNR_ECLOSED && code != TNR_ECANCELED)
    atomic_fetch_add(&e->all.wrong, 1);
  tnr_release(g);
  tnr_release(f);
  return open;
}

static void use_while_it_ends(void *user, int index) {
  ending *e = user;
  atomic_fetch_add(&e->started, 1);
  if (index == 0) {
    while (atomic_load(&e->started) < 4)
      sched_yield();
    rig_sleep_ms(rand() % 3);
    if (tnr_runtime_destroy(e->all.runtime, e->how) != TNR_OK)
      abort();
    return;
  }
  for (int i = index; use_until_closed(e, i); i++) {
  }
  tnr_release(e->x);
}

static void threads_that_wait_while_it_ends_all_come_back(void **state) {
  (void)state;
  for (int round = 0; round < CHECK_MANY(100) + 20; round++) {
    ending e = {.how = (tnr_shutdown)(round % 2)};
    e.all.runtime = threadless_runtime(round % 3 ? TNR_ONE_THREAD : TNR_DETERMINISTIC);
    e.x = rig_tensor(tnr_runtime_device_at(e.all.runtime, 0), 1);
    for (int i = 1; i < 3; i++)
      tnr_retain(e.x);
    rig_threads(4, use_while_it_ends, &e);
    assert_int_equal(e.all.called, e.all.registered);
    assert_int_equal(e.all.wrong, 0);
  }
}

/* ---- waiting where nothing is to be done ---- */

static bool is_set(const void *flag) {
  return atomic_load((const atomic_int *)flag);
}

static int64_t cpu_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (int64_t)time.tv_sec * 1000 * MS + time.tv_nsec;
}

static void idle_waiting_takes_its_time_but_no_cpu(void **state) {
  atomic_int flag = 0;
  int64_t start = rig_now_ns(), cpu = cpu_ns();
  assert_int_equal(tnr_crank_wait(*state, is_set, &flag, start + 50 * MS), TNR_ETIMEDOUT);
  assert_true(rig_now_ns() - start >= 50 * MS);
  assert_true(cpu_ns() - cpu < 25 * MS);
  assert_int_equal(tnr_crank_wait(*state, is_set, &flag, start), TNR_ETIMEDOUT);
}

static void set_flag(tnr_value future, void *user) {
  (void)future;
  atomic_store((atomic_int *)user, 1);
}

typedef struct other_side {
  tnr_runtime *runtime;
  atomic_int flag;
} other_side;

static void *submit_from_outside(void *user) {
  other_side *side = user;
  rig_sleep_ms(5);
  tnr_tensor *x = rig_tensor(tnr_runtime_device_at(side->runtime, 0), 1);
  tnr_tensor *y = rig_plus_one(x);
  if (tnr_on(y, TNR_COMPLETE, set_flag, &side->flag) != TNR_OK)
    abort();
  tnr_release(y);
  tnr_release(x);
  return NULL;
}

static void what_another_thread_submits_wakes_the_one_that_waits(void **state) {
  for (int i = 0; i < 10; i++) {
    other_side side = {.runtime = *state};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, submit_from_outside, &side), 0);
    assert_int_equal(tnr_crank_wait(*state, is_set, &side.flag, INT64_MAX), TNR_OK);
    pthread_join(thread, NULL);
  }
  assert_in_range(tnr_runtime_get_stats(*state).wakes, 1, 20);
}

/* ---- watchers ---- */

typedef struct watch {
  tnr_watcher watcher;
  atomic_int told;  /* of work; */
  atomic_bool work; /* and whether that is still so */
} watch;

static void note_work(tnr_watcher *watcher, bool work, int64_t next) {
  (void)next;
  watch *noted = (watch *)watcher;
  atomic_fetch_add(&noted->told, work);
  atomic_store(&noted->work, work);
}

static void watchers_hear_of_work_while_nobody_does_it(void **state) {
  watch first = {.watcher.tell = note_work}, second = first;
  tnr_crank_watch(*state, &first.watcher);
  tnr_crank_watch(*state, &second.watcher);
  assert_int_equal(first.told, 0);
  tnr_future *f = rig_plus_one(threadless_one(*state, 0));
  assert_int_equal(first.told, 1);
  assert_int_equal(second.told, 1);
  f = rig_plus_one(f);
  assert_int_equal(first.told, 1); /* they know */
  assert_true(tnr_runtime_step(*state));
  assert_int_equal(first.told, 2); /* there is more */
  while (tnr_runtime_step(*state)) {
  }
  assert_false(first.work || second.work);
  int told = first.told;
  assert_true(tnr_passed(f, TNR_COMPLETE));
  tnr_crank_unwatch(*state, &first.watcher);
  f = rig_plus_one(f);
  assert_int_equal(first.told, told);
  assert_int_equal(second.told, told + 1);
  assert_true(second.work);
  assert_number(f, 4);
  assert_false(second.work);
  tnr_crank_unwatch(*state, &second.watcher);
}

static void a_watcher_that_comes_late_hears_at_once(void **state) {
  watch late = {.watcher.tell = note_work};
  assert_made(rig_plus_one(threadless_one(*state, 0)));
  tnr_crank_watch(*state, &late.watcher);
  assert_int_equal(late.told, 1);
  tnr_crank_unwatch(*state, &late.watcher);
}

static void submit_while_watched(void *user, int index) {
  tnr_runtime *runtime = user;
  (void)index;
  for (int i = 0; i < CHECK_MANY(1000); i++) {
    tnr_tensor *x = rig_tensor(tnr_runtime_device_at(runtime, 0), 1);
    tnr_release(rig_plus_one(x));
    tnr_release(x);
  }
}

typedef struct loop {
  tnr_runtime *runtime;
  watch watch;
  atomic_int over;
} loop;

/* A host's loop: it only steps when it was told to. */
static void *step_when_told(void *user) {
  loop *host = user;
  while (!atomic_load(&host->over)) {
    if (!atomic_exchange(&host->watch.told, 0)) {
      sched_yield();
      continue;
    }
    (void)tnr_runtime_step(host->runtime);
  }
  return NULL;
}

/* Nothing is left lying because nobody was told. */
static void no_work_goes_unheard(void **state) {
  loop host = {.runtime = *state, .watch.watcher.tell = note_work};
  pthread_t thread;
  tnr_crank_watch(*state, &host.watch.watcher);
  assert_int_equal(pthread_create(&thread, NULL, step_when_told, &host), 0);
  rig_threads(4, submit_while_watched, *state);
  const int64_t limit = rig_now_ns() + 60000 * (int64_t)MS;
  for (tnr_runtime_stats stats = {.submitted = 1};
       stats.completed < 4 * (uint64_t)CHECK_MANY(1000) && rig_now_ns() < limit;
       stats = tnr_runtime_get_stats(*state))
    rig_sleep_ms(1);
  atomic_store(&host.over, 1);
  pthread_join(thread, NULL);
  tnr_crank_unwatch(*state, &host.watch.watcher);
  assert_int_equal(tnr_runtime_get_stats(*state).completed, 4 * CHECK_MANY(1000));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      threadless_test(many_threads_share_one_crank),
      rig_bare_test(many_threads_may_also_share_virtual_time),
      threadless_test(a_thread_that_does_not_turn_still_has_its_timeout),
      threadless_test(who_is_done_hands_over),
      rig_bare_test(threads_that_wait_while_it_ends_all_come_back),
      threadless_test(idle_waiting_takes_its_time_but_no_cpu),
      threadless_test(what_another_thread_submits_wakes_the_one_that_waits),
      threadless_test(watchers_hear_of_work_while_nobody_does_it),
      threadless_test(a_watcher_that_comes_late_hears_at_once),
      threadless_test(no_work_goes_unheard),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
