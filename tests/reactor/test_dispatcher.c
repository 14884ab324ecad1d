/* The dispatcher's turns: callbacks that submit, many threads that submit, and how it is woken. */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "rig.h"

/* ---- callbacks that submit ---- */

typedef struct links {
  atomic_int left, done;
  atomic_bool failed;
} links;

static void next_link(tnr_value future, void *user) {
  links *chain = user;
  if (atomic_fetch_sub(&chain->left, 1) <= 1) {
    atomic_store(&chain->done, 1);
    return;
  }
  tnr_value next = rig_plus_one(future);
  if (!next.handle || tnr_on(next, TNR_COMPLETE, next_link, user) != TNR_OK) {
    atomic_store(&chain->failed, true);
    atomic_store(&chain->done, 1);
  }
  tnr_release(next.handle);
}

static void begin_links(tnr_device *device, links *chain) {
  assert_ok(tnr_scope_open());
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(1), NULL);
  assert_made(x);
  assert_ok(tnr_on(x, TNR_COMPLETE, next_link, chain));
  assert_ok(tnr_scope_close());
}

static tnr_runtime *null_runtime(int devices) {
  const tnr_device_config config = {.driver = tnr_null_driver(), .count = devices};
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = &config, .device_configs = 1, CHECK_MODE});
  assert_made(runtime);
  rig_step_also(runtime);
  return runtime;
}

static void a_million_links_made_from_callbacks_need_no_stack(void **state) {
  enum { LINKS = CHECK_MANY(1000000) };
  (void)state;
  rig_limit_stacks(128);
  tnr_runtime *runtime = null_runtime(1);
  links chain = {.left = LINKS};
  begin_links(tnr_runtime_device_at(runtime, 0), &chain);
  rig_await(&chain.done, 1);
  assert_false(chain.failed);
  assert_in_range(tnr_runtime_get_stats(runtime).completed, LINKS - 1, LINKS);
  assert_nothing_left(runtime);
}

/* No chain starves another, nor the threads that submit at the same time. */
static void chains_of_callbacks_share_the_dispatcher(void **state) {
  enum { CHAINS = 50, LINKS = CHECK_MANY(2000) };
  links chains[CHAINS];
  for (int i = 0; i < CHAINS; i++) {
    atomic_init(&chains[i].left, i == 0 ? INT32_MAX : LINKS); /* the first never ends */
    atomic_init(&chains[i].done, 0);
    atomic_init(&chains[i].failed, false);
    begin_links(rig_cpu(*state, i % 4), &chains[i]);
  }
  for (int i = 1; i < CHAINS; i++)
    rig_await(&chains[i].done, 1);
  assert_number(rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1))), 2);
  atomic_store(&chains[0].left, 1);
  rig_await(&chains[0].done, 1);
  for (int i = 0; i < CHAINS; i++)
    assert_false(chains[i].failed);
}

typedef struct tree {
  tnr_tensor *leaf;
  atomic_int calls;
} tree;

/* Each callback submits two ops and registers the same for both, six levels deep. */
typedef struct branch {
  tree *of;
  int level;
} branch;

static void grow(tnr_value future, void *user) {
  branch *from = user;
  atomic_fetch_add(&from->of->calls, 1);
  for (int i = 0; i < 2 && from->level > 0; i++) {
    branch *next = malloc(sizeof *next);
    *next = (branch){from->of, from->level - 1};
    tnr_value sum = rig_sum(future, tnr_value_of_tensor(from->of->leaf));
    if (tnr_on(sum, i ? TNR_CREATED : TNR_COMPLETE, grow, next) != TNR_OK)
      abort();
    tnr_release(sum.handle);
  }
  free(from);
}

static void callbacks_may_submit_more_than_one(void **state) {
  enum { LEVELS = 12 };
  tree made = {.leaf = rig_tensor(rig_cpu(*state, 0), 1)};
  branch *root = malloc(sizeof *root);
  *root = (branch){&made, LEVELS};
  assert_ok(tnr_on(tnr_to_async(made.leaf), TNR_COMPLETE, grow, root));
  rig_await(&made.calls, (1 << (LEVELS + 1)) - 1);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(made.calls, (1 << (LEVELS + 1)) - 1);
}

/* A callback has scopes and an error of its own thread. */
static void scoped(tnr_value future, void *user) {
  atomic_int *result = user;
  bool right = !tnr_error() && tnr_scope_open() == TNR_OK;
  tnr_value sum = rig_sum(rig_plus_one(future), rig_plus_one(future));
  right = right && sum.handle && !tnr_at(sum, 1).handle;
  right = right && tnr_error_code(tnr_error()) == TNR_EINVAL && tnr_scope_close() == TNR_OK;
  tnr_error_clear();
  atomic_store(result, right ? 1 : 2);
}

static void callbacks_may_use_scopes(void **state) {
  atomic_int result = 0;
  assert_ok(tnr_on(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)), TNR_CREATED, scoped, &result));
  rig_await(&result, 1);
  assert_int_equal(result, 1);
  assert_null(tnr_error());
}

/* ---- many threads ---- */

enum { THREADS = 16, ROUNDS = CHECK_MANY(1000) + 1 };

typedef struct crowd {
  tnr_runtime *runtime;
  tnr_tensor *shared; /* on cpu:0 */
  tnr_future *held;   /* all of them use it */
  atomic_int wrong, called;
} crowd;

static void note_called(tnr_value future, void *user) {
  (void)future;
  atomic_fetch_add(&((crowd *)user)->called, 1);
}

static void submit_on_thread(void *user, int index) {
  crowd *all = user;
  tnr_device *device = tnr_runtime_device_at(all->runtime, index % 4);
  float number = -1, expected;
  for (int i = 0; i < ROUNDS; i++) {
    if (tnr_scope_open() != TNR_OK)
      abort();
    tnr_future *f = i % 5 == 0 ? tnr_to_device(all->held, device)
                               : tnr_to_device(tnr_to_async(all->shared), device);
    tnr_future *g = rig_sum(rig_plus_one(f), rig_plus_one(rig_plus_one(f)));
    expected = 3 + 2 * 1;
    if (!g || tnr_on(g, i % 2 ? TNR_CREATED : TNR_COMPLETE, note_called, all) != TNR_OK)
      abort();
    if (index == 7 && i == 10)
      rig_open_gate();
    if (i % 100 == 99 && i > 10 &&
        (tnr_tensor_read(tnr_get(g), &number, sizeof number) != TNR_OK || number != expected))
      atomic_fetch_add(&all->wrong, 1);
    tnr_scope_close();
  }
}

static void sixteen_threads_submit_at_once(void **state) {
  check_needs_threads();
  const float one = 1;
  crowd all = {.runtime = *state};
  all.shared = tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(1), &one);
  all.held = rig_hold(tnr_to_async(all.shared));
  rig_threads(THREADS, submit_on_thread, &all);
  rig_await(&all.called, THREADS * ROUNDS);
  for (int d = 0; d < 4; d++)
    assert_ok(tnr_synchronize_device(rig_cpu(*state, d)));
  assert_int_equal(all.called, THREADS * ROUNDS);
  assert_int_equal(all.wrong, 0);
  tnr_runtime_stats stats = tnr_runtime_get_stats(*state);
  assert_int_equal(stats.submitted, stats.completed);
  assert_int_equal(stats.failed, 0);
}

/* One thread makes handles, another uses them, a third releases them. */
typedef struct pipe_line {
  tnr_tensor *x;
  _Atomic(tnr_future *) made[256], used[256];
  atomic_int wrong;
} pipe_line;

static tnr_future *take(_Atomic(tnr_future *) *from) {
  tnr_future *taken;
  while (!(taken = atomic_exchange(from, NULL)))
    sched_yield();
  return taken;
}

static void put(_Atomic(tnr_future *) *to, tnr_future *future) {
  tnr_future *none = NULL;
  while (!atomic_compare_exchange_weak(to, &none, future)) {
    none = NULL;
    sched_yield();
  }
}

static void pass_on(void *user, int index) {
  pipe_line *line = user;
  for (int i = 0; i < ROUNDS; i++) {
    if (index == 0) {
      tnr_future *f = tnr_to_async(line->x);
      put(&line->made[i % 256], rig_plus_one(f));
      tnr_release(f);
    } else if (index == 1) {
      tnr_future *f = take(&line->made[i % 256]);
      put(&line->used[i % 256], rig_sum(f, f));
      tnr_release(f);
    } else {
      tnr_future *f = take(&line->used[i % 256]);
      if (i % 7 == 0 && tnr_wait(f, TNR_COMPLETE, INT64_MAX) != TNR_OK)
        atomic_fetch_add(&line->wrong, 1);
      tnr_release(f);
    }
  }
}

static void handles_pass_from_thread_to_thread(void **state) {
  pipe_line *line = calloc(1, sizeof *line);
  line->x = rig_tensor(rig_cpu(*state, 0), 1);
  rig_threads(3, pass_on, line);
  assert_int_equal(line->wrong, 0);
  free(line);
}

/* ---- waking ---- */

static _Thread_local int write_delay_ms; /* before each write */
static atomic_int failed_writes;

/* The linker puts these around write(2): a thread may be held up at any place. */
ssize_t __real_write(int fd, const void *bytes, size_t count);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
ssize_t __wrap_write(int fd, const void *bytes, size_t count) {
  if (write_delay_ms)
    rig_sleep_ms(write_delay_ms);
  ssize_t written = __real_write(fd, bytes, count);
  if (write_delay_ms && written < 0)
    atomic_fetch_add(&failed_writes, 1);
  return written;
}

typedef struct late_waker {
  tnr_runtime *runtime;
  tnr_tensor *x;
  atomic_int started;
} late_waker;

static void wake_late(void *user, int index) {
  late_waker *late = user;
  atomic_fetch_add(&late->started, 1);
  while (atomic_load(&late->started) < 2)
    sched_yield();
  if (index == 0) {
    rig_sleep_ms(2);
    if (tnr_runtime_destroy(late->runtime, TNR_DRAIN) != TNR_OK)
      abort();
    return;
  }
  write_delay_ms = 5;
  for (bool open = true; open;) {
    tnr_future *f = tnr_to_async(late->x), *g = rig_plus_one(f);
    open = g != NULL;
    tnr_release(g);
    tnr_release(f);
  }
  tnr_release(late->x);
}

/* The runtime ends while a thread that put something in is about to wake the dispatcher, and where
 * these look for work the worker. */
static void a_thread_that_wakes_too_late_writes_to_nobody_elses_file(void **state) {
  (void)state;
  for (int i = 0; i < 30; i++) {
    const tnr_device_config config = {.driver = tnr_null_driver(), .count = 1};
    late_waker late = {.runtime = tnr_runtime_create(&(tnr_runtime_options){
                           .devices = &config, .device_configs = 1, .spin_ns = i % 2 - 1})};
    assert_made(late.runtime);
    late.x = rig_tensor(tnr_runtime_device_at(late.runtime, 0), 1);
    rig_threads(2, wake_late, &late);
  }
  assert_int_equal(failed_writes, 0);
}

static void a_busy_dispatcher_is_not_woken_for_each_op(void **state) {
  enum { OPS = 10000 };
  tnr_runtime *runtime = null_runtime(1);
  (void)state;
  tnr_tensor *x = rig_tensor(tnr_runtime_device_at(runtime, 0), 1);
  tnr_future *f = tnr_to_async(x);
  uint64_t before = tnr_runtime_get_stats(runtime).wakes;
  for (int i = 0; i < OPS; i++)
    tnr_release(rig_plus_one(f));
  assert_ok(tnr_synchronize_device(tnr_runtime_device_at(runtime, 0)));
  assert_true(tnr_runtime_get_stats(runtime).wakes - before < OPS / 2);
  tnr_release(f);
  tnr_release(x);
  assert_nothing_left(runtime);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(a_million_links_made_from_callbacks_need_no_stack),
      rig_test(chains_of_callbacks_share_the_dispatcher),
      rig_test(callbacks_may_submit_more_than_one),
      rig_test(callbacks_may_use_scopes),
      rig_test(sixteen_threads_submit_at_once),
      rig_test(handles_pass_from_thread_to_thread),
      rig_bare_test(a_thread_that_wakes_too_late_writes_to_nobody_elses_file),
      rig_bare_test(a_busy_dispatcher_is_not_woken_for_each_op),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
