/* Priorities: what starts first, what never starves, and that nothing overtakes what it needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

/* ---- an op that notes when it runs ---- */

enum { NOTED_MAX = 20000 };
static int noted[NOTED_MAX];
static atomic_int noted_count;

typedef struct note_attrs {
  int64_t number TNR_ZERO;
} note_attrs;

static tnr_status note_validate(const tnr_op_call *call, tnr_fault *fault) {
  (void)call;
  (void)fault;
  return TNR_OK;
}

static tnr_status note_infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  tnr_op_add_output(outputs, call->in[0].dtype, call->in[0].shape);
  return TNR_OK;
}

static tnr_status note_kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  int at = atomic_fetch_add(&noted_count, 1);
  if (at < NOTED_MAX)
    noted[at] = (int)((const note_attrs *)call->attrs)->number;
  memcpy(call->out_data[0], call->in_data[0],
         sizeof(float) * (size_t)tnr_shape_elements(&call->in[0].shape));
  return TNR_OK;
}

static const tnr_op_def note_op = {.name = "note",
                                   .attrs_size = sizeof(note_attrs),
                                   .validate = note_validate,
                                   .infer = note_infer,
                                   .kernel = note_kernel};
#define note(x, ...) TNR_OP1(&note_op, x, note_attrs, __VA_ARGS__)

static tnr_future *note_with(tnr_future *x, int number, tnr_priority priority) {
  assert_ok(tnr_terms_open(.priority = priority));
  tnr_future *made = note(x, .number = number);
  assert_ok(tnr_terms_close());
  assert_made(made);
  return made;
}

/* The device stands still; what is given to the others is complete. */
static tnr_future *blocked(tnr_runtime *runtime, tnr_future **ready) {
  tnr_device *device = rig_cpu(runtime, 0);
  *ready = tnr_to_async(rig_tensor(device, 1));
  atomic_store(&noted_count, 0);
  tnr_future *held = rig_hold(*ready);
  assert_made(held);
  rig_await_held(1);
  return held;
}

/* Until the dispatcher knows all that has been submitted. */
static void await_resolved(tnr_runtime *runtime) {
  tnr_device *other = rig_cpu(runtime, 1);
  assert_ok(tnr_wait(rig_plus_one(tnr_to_async(rig_tensor(other, 1))), TNR_COMPLETE, INT64_MAX));
}

static void go_on(tnr_runtime *runtime) {
  await_resolved(runtime);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(runtime, 0)));
}

/* ---- order ---- */

static void a_late_high_one_starts_first(void **state) {
  check_needs_threads();
  tnr_future *x;
  (void)blocked(*state, &x);
  for (int i = 0; i < 100; i++)
    (void)note(x, .number = i);
  for (int i = 100; i < 105; i++)
    (void)note_with(x, i, TNR_PRIORITY_HIGH);
  go_on(*state);
  assert_int_equal(noted_count, 105);
  for (int i = 0; i < 5; i++)
    assert_int_equal(noted[i], 100 + i);
  for (int i = 5; i < 105; i++)
    assert_int_equal(noted[i], i - 5);
}

static void low_ones_come_last(void **state) {
  check_needs_threads();
  tnr_future *x;
  (void)blocked(*state, &x);
  for (int i = 0; i < 10; i++)
    (void)note_with(x, 20 + i, TNR_PRIORITY_LOW);
  for (int i = 0; i < 5; i++)
    (void)note_with(x, 10 + i, TNR_PRIORITY_NORMAL);
  for (int i = 0; i < 5; i++)
    (void)note_with(x, i, TNR_PRIORITY_HIGH);
  go_on(*state);
  assert_int_equal(noted_count, 20);
  for (int i = 0; i < 20; i++)
    assert_int_equal(noted[i], i < 5 ? i : i < 10 ? i + 5 : i + 10);
}

/* Also where more is queued than a worker has room for. Those that the worker has not got yet come
 * as fast as the dispatcher can hand them over, and it does not wait for them. */
static void it_starts_first_before_a_very_long_queue(void **state) {
  check_needs_threads();
  enum { AT_ONCE = 200 };
  tnr_future *x;
  (void)blocked(*state, &x);
  for (int i = 0; i < 5000; i++)
    (void)note(x, .number = 1);
  for (int i = 0; i < 2000; i++)
    (void)note_with(x, 2, TNR_PRIORITY_HIGH);
  go_on(*state);
  assert_int_equal(noted_count, 7000);
  int normal = 0;
  for (int i = 0, high = 0; high < AT_ONCE; i++) {
    high += noted[i] == 2;
    normal += noted[i] == 1;
  }
  assert_in_range(normal, 1, AT_ONCE / 16);
}

static void groups_have_priorities(void **state) {
  check_needs_threads();
  tnr_future *x;
  (void)blocked(*state, &x);
  tnr_group *urgent = tnr_group_create(*state, .priority = TNR_PRIORITY_HIGH);
  tnr_group *part = tnr_group_create(*state, .parent = urgent);
  (void)note(x, .number = 3);
  assert_ok(tnr_terms_open(.group = part));
  (void)note(x, .number = 1);
  assert_ok(tnr_terms_open(.priority = TNR_PRIORITY_LOW));
  (void)note(x, .number = 4);
  assert_ok(tnr_terms_close());
  (void)note(x, .number = 2);
  assert_ok(tnr_terms_close());
  go_on(*state);
  assert_int_equal(noted_count, 4);
  for (int i = 0; i < 4; i++)
    assert_int_equal(noted[i], i + 1);
}

/* ---- starving ---- */

/* However many of higher ones there are, 16 of them pass over the next low one. */
static void low_ones_do_not_starve(void **state) {
  check_needs_threads();
  tnr_future *x;
  (void)blocked(*state, &x);
  for (int i = 0; i < 20; i++) {
    (void)note_with(x, 2, TNR_PRIORITY_LOW);
    (void)note_with(x, 1, TNR_PRIORITY_NORMAL);
  }
  for (int i = 0; i < 1000; i++)
    (void)note_with(x, 0, TNR_PRIORITY_HIGH);
  go_on(*state);
  assert_int_equal(noted_count, 1040);
  int since[3] = {0}, seen[3] = {0};
  for (int i = 0; i < 1040 && seen[1] + seen[2] < 40; i++) {
    int level = noted[i];
    assert_in_range(since[level], 0, 16);
    since[level] = 0;
    seen[level]++;
    for (int lower = level + 1; lower < 3; lower++)
      since[lower] += seen[lower] < 20;
  }
  assert_int_equal(seen[1], 20);
  assert_int_equal(seen[2], 20);
}

static void keep_going(tnr_value future, void *user) {
  atomic_int *left = user;
  if (atomic_fetch_sub(left, 1) <= 0)
    return;
  if (tnr_terms_open(.priority = TNR_PRIORITY_HIGH) != TNR_OK)
    abort();
  tnr_value next = rig_plus_one(future);
  if (tnr_terms_close() != TNR_OK || tnr_on(next, TNR_COMPLETE, keep_going, user) != TNR_OK)
    abort();
  tnr_release(next.handle);
}

/* Nor do their callbacks, while high ones complete all the time. */
static void callbacks_of_low_ones_do_not_starve(void **state) {
  static atomic_int left;
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  atomic_store(&left, INT32_MAX);
  for (int i = 0; i < 50; i++)
    assert_ok(tnr_on(x, TNR_COMPLETE, keep_going, &left));
  for (int i = 0; i < 20; i++)
    assert_ok(tnr_on(note_with(x, 1, TNR_PRIORITY_LOW), TNR_COMPLETE, rig_log, RIG_WHAT(i)));
  rig_await_log(20);
  assert_true(atomic_load(&left) > 1000);
  atomic_store(&left, 0);
}

/* ---- dependencies ---- */

static void nothing_overtakes_what_it_needs(void **state) {
  check_needs_threads();
  tnr_future *held, *x;
  held = blocked(*state, &x);
  tnr_future *low = note_with(held, 1, TNR_PRIORITY_LOW);
  tnr_future *high = note_with(low, 2, TNR_PRIORITY_HIGH);
  tnr_future *normal = note_with(high, 3, TNR_PRIORITY_NORMAL);
  tnr_future *last = note_with(normal, 4, TNR_PRIORITY_HIGH);
  (void)note_with(x, 0, TNR_PRIORITY_HIGH);
  go_on(*state);
  assert_number(last, 1);
  assert_int_equal(noted_count, 5);
  for (int i = 0; i < 5; i++)
    assert_int_equal(noted[i], i);
}

/* Sums whose right result depends on every op having waited for its inputs. */
static void random_priorities_change_no_result(void **state) {
  enum { OPS = 3000, PLACES = 5 };
  static tnr_future *f[OPS];
  static float right[OPS];
  static const tnr_priority priorities[] = {TNR_PRIORITY_HIGH, TNR_PRIORITY_NORMAL,
                                            TNR_PRIORITY_LOW};
  unsigned seed = 7;
  for (int i = 0; i < OPS; i++) {
    assert_ok(tnr_terms_open(.priority = priorities[rand_r(&seed) % 3]));
    int a = i - 1 - rand_r(&seed) % 8, b = i - 1 - rand_r(&seed) % 8;
    tnr_device *here = rig_cpu(*state, i / 100 % 2);
    if (a < 0 || b < 0) {
      f[i] = tnr_to_async(rig_tensor(here, (float)i));
      right[i] = (float)i;
    } else {
      f[i] = rig_sum(tnr_to_device(f[a], here), tnr_to_device(f[b], here));
      right[i] = right[a] + right[b];
    }
    if (right[i] > 1000) {
      f[i] = tnr_to_async(rig_tensor(here, 1));
      right[i] = 1;
    }
    assert_made(f[i]);
    assert_ok(tnr_terms_close());
  }
  for (int i = 0; i < OPS; i += 7)
    assert_number(f[i], right[i]);
}

static void callbacks_of_high_ones_run_first(void **state) {
  check_needs_threads();
  enum { OPS = 30 };
  if (check_seed())
    skip(); /* they complete in the same moment only in the natural order */
  static const tnr_priority priorities[] = {TNR_PRIORITY_LOW, TNR_PRIORITY_NORMAL,
                                            TNR_PRIORITY_HIGH};
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1)));
  tnr_future *moved = tnr_to_device(held, rig_cpu(*state, 0));
  for (int i = 0; i < OPS; i++) {
    tnr_future *f = note_with(moved, i, priorities[i % 3]);
    assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(i % 3)));
  }
  assert_ok(tnr_cancel(moved)); /* all complete in the same moment */
  rig_await_log(OPS);
  for (int i = 0; i < OPS; i++)
    assert_int_equal(rig_log_at(i).what, 2 - i / 10);
}

/* Where workers wait for each other there is one order for all. */
static void workers_that_wait_know_no_priorities(void **state) {
  (void)state;
  const tnr_device_config devices = {tnr_cpu_driver(), 2, NULL};
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = &devices, .device_configs = 1, .worker_waits = true});
  assert_made(runtime);
  assert_ok(tnr_scope_open());
  tnr_future *f = tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 0));
  for (int i = 0; i < 1000; i++) {
    assert_ok(tnr_terms_open(.priority = i % 3 ? TNR_PRIORITY_HIGH : TNR_PRIORITY_LOW));
    f = rig_plus_one(tnr_to_device(f, rig_cpu(runtime, i % 2)));
    assert_ok(tnr_terms_close());
  }
  assert_number(f, 1000);
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_late_high_one_starts_first),
      rig_test(low_ones_come_last),
      rig_test(it_starts_first_before_a_very_long_queue),
      rig_test(groups_have_priorities),
      rig_test(low_ones_do_not_starve),
      rig_test(callbacks_of_low_ones_do_not_starve),
      rig_test(nothing_overtakes_what_it_needs),
      rig_test(random_priorities_change_no_result),
      rig_test(callbacks_of_high_ones_run_first),
      rig_bare_test(workers_that_wait_know_no_priorities),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
