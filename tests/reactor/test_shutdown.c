/* Draining and aborting with very much in flight: each callback runs once, nothing leaks, and what
 * is released may be released in any order, by anybody. */
#include <stdlib.h>

#include "rig.h"

enum { FUTURES = CHECK_MANY(100000) };

typedef struct tally {
  atomic_int calls, succeeded, canceled, other, twice;
  atomic_uchar *seen; /* [FUTURES] */
} tally;

typedef struct tally_of_one {
  tally *in;
  int index;
} tally_of_one;

static void count(tnr_value future, void *user) {
  tally_of_one *one = user;
  tnr_status code = tnr_error_code(tnr_future_error(future));
  atomic_fetch_add(&one->in->calls, 1);
  atomic_fetch_add(code == TNR_OK          ? &one->in->succeeded
                   : code == TNR_ECANCELED ? &one->in->canceled
                                           : &one->in->other,
                   1);
  if (atomic_fetch_add(&one->in->seen[one->index], 1) > 0)
    atomic_fetch_add(&one->in->twice, 1);
}

/* What is in flight, with a callback each. */
typedef struct flight {
  tnr_runtime *runtime;
  tnr_future **futures;
  tally_of_one *ones;
  tally tally;
} flight;

/* Chains over all devices, joined now and then, behind ops that wait at the gate. */
static tnr_future *next_of(flight *f, int i) {
  tnr_future *before = i >= 8 ? f->futures[i - 8] : f->futures[i % 4];
  int kind = i % 97;
  if (kind == 11)
    return tnr_to_device(before, rig_sim(f->runtime, i % 2));
  if (kind == 12)
    return tnr_any((tnr_future *[]){before, f->futures[i - 1]}, 2, TNR_HERE);
  if (kind == 13)
    return tnr_at(rig_two(before), 1);
  if (kind == 14)
    return tnr_at(tnr_tuple_of(before, f->futures[i - 3]), 0);
  return rig_plus_one(before);
}

static void take_off(flight *f) {
  f->runtime = rig_runtime();
  f->futures = calloc(FUTURES, sizeof *f->futures);
  f->ones = calloc(FUTURES, sizeof *f->ones);
  f->tally.seen = calloc(FUTURES, sizeof *f->tally.seen);
  assert_ok(tnr_scope_open());
  for (int i = 0; i < FUTURES; i++) {
    tnr_future *made =
        i < 4 ? rig_hold(tnr_to_async(rig_tensor(rig_cpu(f->runtime, i), 0))) : next_of(f, i);
    f->ones[i] = (tally_of_one){&f->tally, i};
    assert_made(made);
    f->futures[i] = tnr_retain(made);
    assert_ok(tnr_on(made, i % 2 ? TNR_CREATED : TNR_COMPLETE, count, &f->ones[i]));
    if (i % 1000 == 999) {
      assert_ok(tnr_scope_close());
      assert_ok(tnr_scope_open());
    }
  }
  assert_ok(tnr_scope_close());
}

static void *open_gate_soon(void *unused) {
  rig_sleep_ms(20);
  rig_open_gate();
  return unused;
}

/* The gate opens while the runtime waits for its workers; where it has none, a little earlier. */
static void end_with_gate(tnr_runtime *runtime, tnr_shutdown how) {
  pthread_t thread;
  if (check_mode() != TNR_THREADS)
    rig_open_gate();
  assert_int_equal(pthread_create(&thread, NULL, open_gate_soon, NULL), 0);
  assert_ok(tnr_runtime_destroy(runtime, how));
  pthread_join(thread, NULL);
}

static void release_all(flight *f, int from, int step) {
  for (int i = from; i < FUTURES; i += step) {
    tnr_release(f->futures[i]);
    f->futures[i] = NULL;
  }
}

static void land(flight *f, tnr_shutdown how) {
  end_with_gate(f->runtime, how);
  assert_int_equal(f->tally.calls, FUTURES);
  assert_int_equal(f->tally.twice, 0);
  assert_int_equal(f->tally.other, 0);
  for (int i = 0; i < FUTURES; i++)
    if (f->futures[i])
      assert_true(tnr_passed(f->futures[i], TNR_COMPLETE));
}

static void clean_up(flight *f) {
  free((void *)f->tally.seen);
  free(f->ones);
  free(f->futures);
}

static void draining_runs_everything_to_its_end(void **state) {
  flight f = {0};
  (void)state;
  take_off(&f);
  land(&f, TNR_DRAIN);
  assert_int_equal(f.tally.succeeded, FUTURES);
  release_all(&f, 0, 1);
  clean_up(&f);
}

static void aborting_ends_everything_at_once(void **state) {
  check_needs_threads();
  flight f = {0};
  (void)state;
  take_off(&f);
  rig_await_held(4);
  land(&f, TNR_ABORT);
  assert_int_equal(f.tally.succeeded + f.tally.canceled, FUTURES);
  assert_true(f.tally.canceled > FUTURES / 2);
  for (int i = 0; i < 4; i++)
    assert_null(tnr_future_error(f.futures[i])); /* kernels that ran have finished */
  const tnr_error *error = tnr_future_error(f.futures[FUTURES - 1]);
  assert_string_equal(tnr_error_reason(error),
                      "the runtime was destroyed with TNR_ABORT before the op started");
  release_all(&f, 0, 1);
  clean_up(&f);
}

static void handles_may_go_before_the_runtime(void **state) {
  (void)state;
  for (int how = 0; how < 2; how++) {
    flight f = {0};
    rig_close_gate();
    take_off(&f);
    release_all(&f, 0, 1);
    land(&f, (tnr_shutdown)how);
    clean_up(&f);
  }
}

static void release_on_thread(void *user, int index) {
  release_all(user, index, 8);
}

static void handles_may_go_after_it_on_any_thread(void **state) {
  flight f = {0};
  (void)state;
  take_off(&f);
  release_all(&f, 1, 2);
  land(&f, TNR_DRAIN);
  rig_threads(8, release_on_thread, &f);
  clean_up(&f);
}

static void every_kind_of_handle_outlives_the_runtime(void **state) {
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  assert_ok(tnr_scope_open());
  tnr_tensor *x = rig_tensor(rig_cpu(runtime, 0), 1), *pieces = tnr_shard(x, rig_cpus(runtime, 4));
  tnr_tuple *two = rig_two(x);
  tnr_future *f = tnr_to_async(x), *g = rig_plus_one(f), *any = tnr_any(&g, 1, TNR_HERE);
  tnr_future_tuple *all = tnr_tuple_of(g, x), *split = rig_two(g);
  tnr_future *element = tnr_at(split, 1), *late = tnr_at(split, 5);
  tnr_tensor *view = tnr_reshape(x, .shape = TNR_SHAPE(2, 2));
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_number(g, 2);
  assert_number(pieces, 1);
  assert_number(tnr_at(two, 1), 3);
  assert_number(any, 2);
  assert_number(tnr_at(all, 0), 2);
  assert_number(element, 4);
  assert_number(view, 1);
  assert_null(tnr_get(late));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_string_equal(tnr_device_name(tnr_mesh_device(tnr_tensor_mesh(x), 0)), "cpu:0");
  assert_fails(tnr_synchronize_device(tnr_mesh_device(tnr_tensor_mesh(x), 0)), TNR_ECLOSED);
  assert_null(rig_plus_one(g));
  assert_null(
      tnr_tensor_create(tnr_mesh_device(tnr_tensor_mesh(x), 0), TNR_F32, TNR_SHAPE(1), NULL));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ECLOSED);
  assert_fails(tnr_on(g, TNR_COMPLETE, rig_log, NULL), TNR_ECLOSED);
  assert_ok(tnr_scope_close());
  assert_int_equal(rig_log_count(), 0);
}

/* ---- composites that wait for shapes ---- */

static tnr_value scaled(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  tnr_tensor *one = tnr_tensor_create(tnr_mesh_device(tnr_value_mesh(in[0]), 0), TNR_F32,
                                      TNR_SHAPE(RIG_ELEMENTS), NULL);
  return rig_plus_one(rig_sum(in[0], tnr_value_of_tensor(one)));
}

static const tnr_composite_def scaled_def = {
    .name = "scaled", .needs_shapes = true, .body = scaled};

static tnr_value nested(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  tnr_value inner = tnr_call_composite(&scaled_def, TNR_HERE, in, 1, NULL);
  return tnr_call_composite(&scaled_def, TNR_HERE, &inner, 1, NULL);
}

static const tnr_composite_def nested_def = {
    .name = "nested", .needs_shapes = true, .body = nested};

static void end_with_deferred_bodies(tnr_shutdown how, tnr_status expected) {
  tnr_runtime *runtime = rig_runtime();
  rig_close_gate();
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_device(rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1))),
                                rig_cpu(runtime, 1));
  tnr_future *f = x;
  int before = rig_log_count();
  for (int i = 0; i < 50; i++) {
    f = TNR_COMPOSITE1(i % 2 ? &nested_def : &scaled_def, f, tnr_no_attrs, );
    assert_ok(tnr_on(f, i % 3 ? TNR_CREATED : TNR_COMPLETE, rig_log, NULL));
  }
  end_with_gate(runtime, how);
  assert_int_equal(rig_log_count() - before, 50);
  assert_int_equal(tnr_error_code(tnr_future_error(f)), expected);
  if (expected == TNR_OK)
    assert_number(f, 1 + 75);
  assert_ok(tnr_scope_close());
}

static void composites_that_wait_for_shapes_are_drained(void **state) {
  (void)state;
  end_with_deferred_bodies(TNR_DRAIN, TNR_OK);
}

static void composites_that_wait_for_shapes_are_aborted(void **state) {
  (void)state;
  end_with_deferred_bodies(TNR_ABORT, TNR_ECANCELED);
}

/* ---- callbacks at the end ---- */

typedef struct last_words {
  atomic_int calls;
  atomic_int accepted, refused, wrong;
} last_words;

static void go_on(tnr_value future, void *user) {
  last_words *words = user;
  tnr_value next = rig_plus_one(future);
  atomic_fetch_add(&words->calls, 1);
  if (next.handle && tnr_on(next, TNR_COMPLETE, go_on, user) == TNR_OK)
    atomic_fetch_add(&words->accepted, 1);
  else
    atomic_fetch_add(tnr_error_code(tnr_error()) == TNR_ECLOSED ? &words->refused : &words->wrong,
                     1);
  tnr_release(next.handle);
}

static void callbacks_that_submit_for_ever_end_with_the_runtime(void **state) {
  (void)state;
  for (int how = 0; how < 2; how++) {
    last_words words = {0};
    tnr_runtime *runtime = rig_runtime();
    for (int i = 0; i < 4; i++) {
      tnr_tensor *x = rig_tensor(rig_cpu(runtime, i), 0);
      tnr_future *f = tnr_to_async(x);
      assert_ok(tnr_on(f, TNR_COMPLETE, go_on, &words));
      tnr_release(f);
      tnr_release(x);
    }
    rig_await(&words.calls, 1000);
    assert_ok(tnr_runtime_destroy(runtime, (tnr_shutdown)how));
    assert_int_equal(words.wrong, 0);
    assert_int_equal(words.refused, 4);
    assert_int_equal(words.calls, words.accepted + 4);
  }
}

/* ---- submitting against the end ---- */

typedef struct race {
  tnr_runtime *runtime;
  tnr_tensor *x;
  atomic_int started, registered, called, wrong;
  tnr_shutdown how;
} race;

static void called(tnr_value future, void *user) {
  (void)future;
  atomic_fetch_add(&((race *)user)->called, 1);
}

static bool use_once(race *r, int i) {
  tnr_future *f = tnr_to_async(r->x), *g = rig_plus_one(f), *h = i % 3 ? rig_plus_one(g) : NULL;
  tnr_future_tuple *all = g && h ? tnr_tuple_of(g, h) : NULL;
  bool open = g && tnr_on(g, i % 2 ? TNR_CREATED : TNR_COMPLETE, called, r) == TNR_OK;
  if (open)
    atomic_fetch_add(&r->registered, 1);
  if (i % 16 == 0 && open)
    open = tnr_wait(g, TNR_COMPLETE, INT64_MAX) == TNR_OK;
  if (i % 64 == 0 && open)
    open = tnr_synchronize_device(tnr_mesh_device(tnr_tensor_mesh(r->x), 0)) == TNR_OK;
  if (!open && tnr_error_code(tnr_error()) != TNR_ECLOSED &&
      tnr_error_code(tnr_error()) != TNR_ECANCELED)
    atomic_fetch_add(&r->wrong, 1);
  void *const handles[] = {f, g, h, all};
  for (int k = 0; k < 4; k++)
    tnr_release(handles[k]);
  return open;
}

static void race_on_thread(void *user, int index) {
  race *r = user;
  atomic_fetch_add(&r->started, 1);
  if (index == 0) {
    while (atomic_load(&r->started) < 4)
      rig_sleep_ms(1);
    rig_sleep_ms(rand() % 3);
    if (tnr_runtime_destroy(r->runtime, r->how) != TNR_OK)
      abort();
    return;
  }
  for (int i = index; use_once(r, i); i++) {
  }
  tnr_release(r->x); /* each has a reference of its own */
}

static void submitting_races_with_the_end(void **state) {
  (void)state;
  for (int round = 0; round < CHECK_MANY(200) + 20; round++) {
    const tnr_device_config devices = {.driver = tnr_null_driver(), .count = 2};
    race r = {.how = (tnr_shutdown)(round % 2)};
    r.runtime = tnr_runtime_create(&(tnr_runtime_options){
        .devices = &devices, .device_configs = 1, .spin_ns = round % 3 ? 0 : -1, CHECK_MODE});
    assert_made(r.runtime);
    r.x = rig_tensor(tnr_runtime_device_at(r.runtime, 0), 1);
    for (int i = 1; i < 3; i++)
      tnr_retain(r.x);
    rig_threads(4, race_on_thread, &r);
    assert_int_equal(r.called, r.registered);
    assert_int_equal(r.wrong, 0);
  }
}

/* Where a worker itself waits for an op of another device that never gets to its worker. */
static void aborting_frees_workers_that_wait_for_others(void **state) {
  (void)state;
  const tnr_sim_config slow = {.launch_ns = 2000000};
  const tnr_device_config devices = {tnr_sim_driver(), 2, &slow};
  const tnr_runtime_options options = {
      .devices = &devices, .device_configs = 1, .worker_waits = true};
  tnr_runtime *runtime = tnr_runtime_create(&options);
  assert_made(runtime);
  assert_ok(tnr_scope_open());
  tnr_device *there = tnr_runtime_device_at(runtime, 1);
  tnr_future *f = tnr_to_async(rig_tensor(tnr_runtime_device_at(runtime, 0), 1));
  for (int i = 0; i < 1500; i++)
    f = tnr_relu(f);
  f = tnr_relu(tnr_to_device(f, there));
  assert_made(f);
  rig_sleep_ms(50);
  assert_ok(tnr_runtime_destroy(runtime, TNR_ABORT));
  assert_int_equal(tnr_error_code(tnr_future_error(f)), TNR_ECANCELED);
  assert_ok(tnr_scope_close());
}

static void workers_that_wait_for_others_compute_the_same(void **state) {
  (void)state;
  const tnr_device_config devices = {tnr_cpu_driver(), 3, NULL};
  const tnr_runtime_options options = {
      .devices = &devices, .device_configs = 1, .worker_waits = true};
  tnr_runtime *runtime = tnr_runtime_create(&options);
  assert_made(runtime);
  assert_ok(tnr_scope_open());
  tnr_future *f = tnr_to_async(rig_tensor(tnr_runtime_device_at(runtime, 0), 0)), *first = f;
  for (int i = 1; i <= CHECK_MANY(3000); i++)
    f = rig_plus_one(tnr_to_device(f, tnr_runtime_device_at(runtime, i % 3)));
  tnr_future *failed = rig_fail(first),
             *descendant = rig_plus_one(tnr_to_device(failed, tnr_runtime_device_at(runtime, 2)));
  assert_number(f, (float)CHECK_MANY(3000));
  assert_int_equal(tnr_wait(descendant, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(descendant), tnr_future_error(failed));
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(draining_runs_everything_to_its_end),
      rig_bare_test(aborting_ends_everything_at_once),
      rig_bare_test(aborting_frees_workers_that_wait_for_others),
      rig_bare_test(workers_that_wait_for_others_compute_the_same),
      rig_bare_test(handles_may_go_before_the_runtime),
      rig_bare_test(handles_may_go_after_it_on_any_thread),
      rig_bare_test(every_kind_of_handle_outlives_the_runtime),
      rig_bare_test(composites_that_wait_for_shapes_are_drained),
      rig_bare_test(composites_that_wait_for_shapes_are_aborted),
      rig_bare_test(callbacks_that_submit_for_ever_end_with_the_runtime),
      rig_bare_test(submitting_races_with_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
