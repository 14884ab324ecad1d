/* Runtimes without threads, used by one: when things run, and what callbacks find. */
#define _GNU_SOURCE /* sched_getaffinity */

#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "threadless.h"

enum { MS = 1000000 };

/* ---- threads ---- */

static atomic_int threads_seen; /* the most, in a callback or kernel */

static void note_threads(void) {
  int now = threadless_count_threads();
  if (now > atomic_load(&threads_seen))
    atomic_store(&threads_seen, now);
}

static void note_threads_in_callback(tnr_value future, void *user) {
  (void)future, (void)user;
  note_threads();
}

/* A product large enough for oneDNN to split. */
static tnr_value large_product(tnr_runtime *runtime) {
  enum { SIDE = 400 };
  tnr_device *device = tnr_runtime_device_at(runtime, 0);
  tnr_tensor *a = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(SIDE, SIDE), NULL);
  return TNR_VALUE(tnr_matmul(a, a));
}

static void no_thread_is_ever_made(void **state) {
  (void)state;
  int before = threadless_count_threads();
  for (tnr_mode mode = TNR_ONE_THREAD; mode <= TNR_DETERMINISTIC; mode++) {
    atomic_store(&threads_seen, 0);
    rig_worker_function = note_threads;
    tnr_runtime *runtime = threadless_runtime(mode);
    assert_int_equal(threadless_count_threads(), before);
    assert_ok(tnr_scope_open());
    tnr_value product = large_product(runtime);
    assert_ok(tnr_on(product, TNR_COMPLETE, note_threads_in_callback, NULL));
    assert_made(rig_on_worker(tnr_value_tensor(product)));
    assert_made(tnr_to_device(tnr_value_tensor(product), tnr_runtime_device(runtime, "sim:0")));
    assert_ok(tnr_synchronize_device(tnr_runtime_device(runtime, "host")));
    assert_int_equal(threadless_count_threads(), before);
    assert_ok(tnr_scope_close());
    assert_nothing_left(runtime);
    assert_int_equal(threadless_count_threads(), before);
    assert_int_equal(threads_seen, before);
  }
}

/* OpenMP's, which the cpu device changes for its kernels. */
int omp_get_max_threads(void);
void omp_set_num_threads(int count);

static void the_thread_keeps_its_settings(void **state) {
  omp_set_num_threads(3);
  int slack = prctl(PR_GET_TIMERSLACK);
  cpu_set_t before, after;
  CPU_ZERO(&before);
  CPU_ZERO(&after);
  assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
  tnr_future *f = rig_plus_one(threadless_one(*state, 0));
  assert_number(tnr_to_device(f, tnr_runtime_device(*state, "sim:0")), 2);
  assert_int_equal(omp_get_max_threads(), 3);
  assert_int_equal(prctl(PR_GET_TIMERSLACK), slack);
  assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
  assert_true(CPU_EQUAL(&before, &after));
}

static void what_needs_threads_is_refused(void **state) {
  (void)state;
  const tnr_runtime_options wrong[] = {
      {.mode = TNR_ONE_THREAD, .threads_per_device = 2},
      {.mode = TNR_ONE_THREAD, .pin = true},
      {.mode = TNR_DETERMINISTIC, .worker_waits = true},
      {.mode = TNR_ONE_THREAD, .seed = 1},
      {.mode = TNR_THREADS, .seed = 1},
      {.mode = (tnr_mode)3},
      {.mode = (tnr_mode)-1},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    assert_null(tnr_runtime_create(&wrong[i]));
    assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  }
}

/* ---- when things run ---- */

static atomic_int kernels;

static void count_kernel(void) {
  atomic_fetch_add(&kernels, 1);
}

static void nothing_runs_before_somebody_waits(void **state) {
  atomic_store(&kernels, 0);
  rig_worker_function = count_kernel;
  tnr_future *async = rig_on_worker(threadless_one(*state, 0));
  tnr_tensor *plain = rig_on_worker(rig_tensor(tnr_runtime_device_at(*state, 1), 1));
  assert_ok(tnr_on(async, TNR_COMPLETE, rig_log, NULL));
  rig_sleep_ms(10);
  assert_false(tnr_passed(async, TNR_CREATED));
  assert_fails(tnr_wait(async, TNR_COMPLETE, 0), TNR_ETIMEDOUT);
  assert_int_equal(kernels, 0);
  assert_int_equal(rig_log_count(), 0);
  assert_number(plain, 1);
  assert_ok(tnr_wait(async, TNR_COMPLETE, INT64_MAX));
  assert_int_equal(kernels, 2);
}

static void every_call_that_waits_gets_on_with_it(void **state) {
  for (int how = 0; how < 5; how++) {
    tnr_tensor *plain = rig_plus_one(rig_tensor(tnr_runtime_device(*state, "sim:0"), 1));
    tnr_future *async = rig_plus_one(threadless_one(*state, 0));
    float data[RIG_ELEMENTS];
    assert_made(plain);
    assert_made(async);
    switch (how) {
    case 0:
      assert_made(tnr_get(async));
      break;
    case 1:
      assert_ok(tnr_wait(async, TNR_COMPLETE, INT64_MAX));
      assert_true(tnr_passed(async, TNR_COMPLETE));
      break;
    case 2:
      assert_ok(tnr_tensor_read(plain, data, sizeof data));
      assert_true(data[0] == 2);
      break;
    case 3:
      assert_ok(tnr_synchronize_device(tnr_runtime_device_at(*state, 0)));
      assert_true(tnr_passed(async, TNR_COMPLETE));
      break;
    default:
      while (tnr_runtime_step(*state)) {
      }
      assert_true(tnr_passed(async, TNR_COMPLETE) && tnr_passed(plain, TNR_COMPLETE));
      break;
    }
  }
}

static void nobody_is_woken_where_nobody_sleeps(void **state) {
  for (int i = 0; i < 100; i++)
    assert_number(rig_plus_one(threadless_one(*state, i % 2)), 2);
  assert_int_equal(tnr_runtime_get_stats(*state).wakes, 0);
}

static void a_runtime_with_threads_has_no_steps(void **state) {
  (void)state;
  tnr_runtime *threads = threadless_runtime(TNR_THREADS);
  assert_false(tnr_runtime_step(threads));
  assert_false(tnr_runtime_step(NULL));
  assert_nothing_left(threads);
}

static void end_with_work_left(tnr_shutdown how, tnr_status expected) {
  tnr_runtime *runtime = threadless_runtime(TNR_ONE_THREAD);
  assert_ok(tnr_scope_open());
  tnr_future *f = rig_plus_one(tnr_to_device(rig_plus_one(threadless_one(runtime, 0)),
                                             tnr_runtime_device(runtime, "sim:0")));
  int before = rig_log_count();
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, NULL));
  assert_ok(tnr_runtime_destroy(runtime, how));
  assert_int_equal(rig_log_count(), before + 1);
  assert_int_equal(rig_log_at(before).code, expected);
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), expected);
  assert_null(rig_plus_one(f));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ECLOSED);
  assert_ok(tnr_scope_close());
}

static void the_end_drains_or_aborts_as_ever(void **state) {
  (void)state;
  end_with_work_left(TNR_DRAIN, TNR_OK);
  end_with_work_left(TNR_ABORT, TNR_ECANCELED);
}

static tnr_future *long_chain(tnr_runtime *runtime, int links) {
  tnr_future *chain = tnr_retain(threadless_one(runtime, 0));
  for (int i = 0; i < links; i++) {
    assert_ok(tnr_scope_open());
    tnr_future *next = i % 1000 == 0 ? tnr_to_device(chain, tnr_runtime_device_at(runtime, i % 2))
                                     : rig_plus_one(chain);
    tnr_release(chain);
    chain = tnr_retain(next);
    assert_ok(tnr_scope_close());
  }
  return chain;
}

static void wait_on_thread(void *user, int index) {
  (void)index;
  if (tnr_wait((tnr_future *)user, TNR_COMPLETE, INT64_MAX) != TNR_OK)
    abort();
}

/* On the stack of the thread that waits, which is small. */
static void a_long_chain_needs_no_stack(void **state) {
  tnr_future *chain = long_chain(*state, CHECK_MANY(300000));
  rig_limit_stacks(128);
  rig_threads(1, wait_on_thread, chain);
  assert_true(tnr_passed(chain, TNR_COMPLETE));
  tnr_release(chain);
}

/* ---- what callbacks find ---- */

typedef struct found {
  tnr_runtime *runtime;
  pthread_t thread;
  bool clean;            /* no error, no scope, no composite of the one who waits */
  tnr_status blocked[6]; /* what blocking calls answered */
  bool stepped;
  int calls;
} found;

static void try_to_block(found *seen, tnr_tensor *incomplete, tnr_future *pending) {
  float data[RIG_ELEMENTS];
  int n = 0;
  seen->blocked[n++] = tnr_wait(pending, TNR_COMPLETE, INT64_MAX);
  seen->blocked[n++] = tnr_get(pending) ? TNR_OK : tnr_error_code(tnr_error());
  seen->blocked[n++] = tnr_tensor_read(incomplete, data, sizeof data);
  seen->blocked[n++] = tnr_synchronize_device(tnr_runtime_device_at(seen->runtime, 0));
  seen->blocked[n++] = tnr_runtime_destroy(seen->runtime, TNR_DRAIN);
  seen->blocked[n++] = tnr_wait(incomplete, TNR_COMPLETE, MS);
  seen->stepped = tnr_runtime_step(seen->runtime);
}

static void look_around(tnr_value future, void *user) {
  found *seen = user;
  (void)future;
  seen->thread = pthread_self();
  seen->clean = !tnr_error() && tnr_scope_close() == TNR_EINVAL;
  tnr_error_clear();
  tnr_future *none = NULL;
  (void)!tnr_wait(none, TNR_COMPLETE, 0); /* leaves an error of its own */
  if (tnr_scope_open() != TNR_OK)
    abort();
  tnr_tensor *incomplete = rig_plus_one(rig_tensor(tnr_runtime_device_at(seen->runtime, 0), 1));
  try_to_block(seen, incomplete, rig_plus_one(tnr_to_async(incomplete)));
  tnr_scope_close();
  seen->calls++;
}

static void assert_all_refused(const found *seen) {
  assert_int_equal(seen->calls, 1);
  for (int i = 0; i < 6; i++)
    assert_int_equal(seen->blocked[i], TNR_EDEADLK);
  assert_false(seen->stepped);
}

static void callbacks_run_in_the_call_that_waits_but_not_in_its_scope(void **state) {
  found seen = {.runtime = *state};
  tnr_future *f = rig_plus_one(threadless_one(*state, 0)), *none = NULL;
  assert_ok(tnr_on(f, TNR_COMPLETE, look_around, &seen));
  assert_fails(tnr_wait(none, TNR_COMPLETE, 0), TNR_EINVAL);
  const tnr_error *mine = tnr_error();
  assert_ok(tnr_scope_open());
  assert_ok(tnr_synchronize_device(tnr_runtime_device_at(*state, 0)));
  assert_ok(tnr_scope_close());
  assert_true(pthread_equal(seen.thread, pthread_self()));
  assert_true(seen.clean);
  assert_ptr_equal(tnr_error(), mine);
  assert_all_refused(&seen);
}

static void steps_call_back_too(void **state) {
  found seen = {.runtime = *state};
  assert_ok(tnr_on(rig_plus_one(threadless_one(*state, 0)), TNR_COMPLETE, look_around, &seen));
  while (tnr_runtime_step(*state)) {
  }
  assert_true(seen.clean);
  assert_all_refused(&seen);
}

/* The body runs where the shape is known, which is in a call that waits. */
static found *of_body;

static tnr_value body(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count, (void)attrs;
  tnr_tensor *incomplete = rig_plus_one(rig_tensor(tnr_runtime_device_at(of_body->runtime, 0), 1));
  try_to_block(of_body, incomplete, rig_plus_one(tnr_to_async(incomplete)));
  of_body->calls++;
  return rig_plus_one(in[0]);
}

static const tnr_composite_def late_def = {.name = "late", .needs_shapes = true, .body = body};

static void late_bodies_may_not_block(void **state) {
  found seen = {.runtime = *state};
  of_body = &seen;
  tnr_future *f = rig_plus_one(threadless_one(*state, 0));
  assert_number(TNR_COMPOSITE1(&late_def, f, tnr_no_attrs, ), 3);
  assert_all_refused(&seen);
}

static tnr_tensor *incomplete_of_kernel;
static tnr_future *pending_of_kernel;

static void block_in_kernel(void) {
  try_to_block(of_body, incomplete_of_kernel, pending_of_kernel);
  of_body->calls++;
}

static void kernels_may_not_block(void **state) {
  found seen = {.runtime = *state};
  of_body = &seen;
  rig_worker_function = block_in_kernel;
  tnr_future *f = rig_on_worker(threadless_one(*state, 0));
  incomplete_of_kernel = rig_plus_one(rig_tensor(tnr_runtime_device_at(*state, 0), 1));
  pending_of_kernel = rig_plus_one(f);
  assert_number(f, 1);
  assert_all_refused(&seen);
}

/* An op that is submitted in a callback is no part of the composite whose author waits. */
static tnr_future *failed_in_callback;

static void submit_what_fails(tnr_value future, void *user) {
  (void)user;
  failed_in_callback = tnr_value_future(rig_fail(future));
}

static tnr_value waiting_body(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count, (void)attrs;
  if (tnr_wait(in[0], TNR_COMPLETE, INT64_MAX) != TNR_OK)
    abort();
  return rig_plus_one(in[0]);
}

static const tnr_composite_def waiting_def = {.name = "waiting", .body = waiting_body};

static void callbacks_belong_to_no_composite(void **state) {
  tnr_future *f = rig_plus_one(threadless_one(*state, 0));
  assert_ok(tnr_on(f, TNR_COMPLETE, submit_what_fails, NULL));
  assert_number(TNR_COMPOSITE1(&waiting_def, f, tnr_no_attrs, ), 3);
  assert_fails(tnr_wait(failed_in_callback, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_string_equal(tnr_error_op(tnr_error()), "rig_fail");
  tnr_release(failed_in_callback);
}

/* ---- several runtimes on one thread ---- */

typedef struct nested {
  tnr_runtime *outer, *inner;
  tnr_future *outer_pending, *inner_pending;
  tnr_status of_inner, of_outer;
  _Atomic int calls;
} nested;

static void wait_for_the_outer(tnr_value future, void *user) {
  nested *both = user;
  (void)future;
  both->of_outer = tnr_wait(both->outer_pending, TNR_COMPLETE, INT64_MAX);
  both->calls++;
}

static void wait_for_the_inner(tnr_value future, void *user) {
  nested *both = user;
  (void)future;
  if (tnr_scope_open() != TNR_OK)
    abort();
  both->outer_pending = rig_plus_one(threadless_one(both->outer, 0));
  if (tnr_on(both->inner_pending, TNR_COMPLETE, wait_for_the_outer, both) != TNR_OK)
    abort();
  both->of_inner = tnr_wait(both->inner_pending, TNR_COMPLETE, INT64_MAX);
  if (tnr_synchronize_device(tnr_runtime_device_at(both->inner, 0)) != TNR_OK)
    abort();
  tnr_scope_close();
  both->calls++;
}

/* A callback may wait for another runtime, whose callbacks still may not wait for the first. */
static void wait_inside(tnr_mode outer) {
  nested both = {.outer = threadless_runtime(outer), .inner = threadless_runtime(TNR_ONE_THREAD)};
  assert_ok(tnr_scope_open());
  both.inner_pending = rig_plus_one(threadless_one(both.inner, 0));
  tnr_future *f = rig_plus_one(threadless_one(both.outer, 0));
  assert_ok(tnr_on(f, TNR_COMPLETE, wait_for_the_inner, &both));
  assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_scope_close());
  while (outer == TNR_THREADS && both.calls < 2) /* they call, so the runtime must not be closed */
    sched_yield();
  tnr_runtime *runtimes[] = {both.outer, both.inner};
  assert_ok(tnr_runtime_destroy(runtimes[0], TNR_DRAIN));
  assert_ok(tnr_runtime_destroy(runtimes[1], TNR_DRAIN));
  assert_int_equal(both.calls, 2);
  assert_int_equal(both.of_inner, TNR_OK);
  assert_int_equal(both.of_outer, TNR_EDEADLK);
}

static void runtimes_nest_and_are_not_fooled_by_it(void **state) {
  (void)state;
  wait_inside(TNR_ONE_THREAD);
  wait_inside(TNR_THREADS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(no_thread_is_ever_made),
      threadless_test(the_thread_keeps_its_settings),
      rig_bare_test(what_needs_threads_is_refused),
      threadless_test(nothing_runs_before_somebody_waits),
      threadless_test(every_call_that_waits_gets_on_with_it),
      threadless_test(nobody_is_woken_where_nobody_sleeps),
      rig_bare_test(a_runtime_with_threads_has_no_steps),
      rig_bare_test(the_end_drains_or_aborts_as_ever),
      threadless_test(a_long_chain_needs_no_stack),
      threadless_test(callbacks_run_in_the_call_that_waits_but_not_in_its_scope),
      threadless_test(steps_call_back_too),
      threadless_test(late_bodies_may_not_block),
      threadless_test(kernels_may_not_block),
      threadless_test(callbacks_belong_to_no_composite),
      rig_bare_test(runtimes_nest_and_are_not_fooled_by_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
