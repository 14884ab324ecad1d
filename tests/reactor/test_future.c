/* The two moments of a result, and the order in which it tells those who wait. */
#include <stdlib.h>

#include "rig.h"

static void created_comes_before_complete(void **state) {
  check_needs_threads();
  tnr_future *f = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_ok(tnr_wait(f, TNR_CREATED, INT64_MAX));
  assert_true(tnr_passed(f, TNR_CREATED));
  assert_false(tnr_passed(f, TNR_COMPLETE));
  tnr_tensor *tensor = tnr_get(f);
  assert_int_equal(tnr_tensor_dim(tensor, 0), RIG_ELEMENTS);
  rig_open_gate();
  assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  assert_number(f, 1);
}

static void a_callback_at_created_runs_while_the_kernel_still_does(void **state) {
  tnr_future *f = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2)));
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1)));
  rig_await_log(1);
  assert_int_equal(rig_log_at(0).what, 1);
  assert_true(rig_log_at(0).created);
  assert_false(rig_log_at(0).complete);
  rig_open_gate();
  rig_await_log(2);
  assert_int_equal(rig_log_at(1).what, 2);
  assert_true(rig_log_at(1).complete);
}

/* Whichever is registered first, and whenever. */
static void callbacks_at_created_run_before_those_at_complete(void **state) {
  enum { ROUNDS = CHECK_MANY(2000) };
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int i = 0; i < ROUNDS; i++) {
    tnr_future *f = rig_plus_one(tnr_to_async(x));
    assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2 * i + 1)));
    assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(2 * i)));
    if (i % 3 == 0)
      assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  }
  rig_await_log(2 * ROUNDS);
  int *created_at = calloc(ROUNDS, sizeof *created_at), complete = 0, late = 0;
  for (int i = 0; i < 2 * ROUNDS; i++) {
    rig_entry entry = rig_log_at(i);
    if (entry.what % 2 == 0)
      created_at[entry.what / 2] = i + 1;
    else if (!created_at[entry.what / 2])
      late++; /* registered when the future was complete already, so that both ran in that order */
    complete += entry.what % 2 && entry.complete;
  }
  free(created_at);
  assert_int_equal(complete, ROUNDS);
  /* The first registration may find the future complete before the second arrives. */
  assert_in_range(late, 0, ROUNDS / 2);
}

static void while_both_wait_created_is_told_first(void **state) {
  enum { FUTURES = 200 };
  tnr_device *device = rig_cpu(*state, 0);
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(device, 1)));
  for (int i = 0; i < FUTURES; i++) {
    tnr_future *f = rig_sum(held, rig_tensor(device, (float)i));
    assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2 * i + 1)));
    assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(2 * i)));
  }
  rig_open_gate();
  rig_await_log(2 * FUTURES);
  bool told[FUTURES] = {false};
  for (int i = 0; i < 2 * FUTURES; i++) {
    int what = rig_log_at(i).what;
    if (what % 2 == 0)
      told[what / 2] = true;
    else
      assert_true(told[what / 2]);
  }
}

static void callbacks_run_once_each_in_the_order_of_registration(void **state) {
  enum { CALLBACKS = CHECK_MANY(100000) };
  tnr_future *f = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  for (int i = 0; i < CALLBACKS; i++) {
    assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(i)));
    if (i == CALLBACKS / 2)
      rig_open_gate(); /* the rest comes while they run, and after */
  }
  rig_await_log(CALLBACKS);
  for (int i = 0; i < CALLBACKS; i++)
    assert_int_equal(rig_log_at(i).what, i);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_log_count(), CALLBACKS);
}

static void callbacks_get_the_future_that_they_were_registered_with(void **state) {
  tnr_future_tuple *two = rig_two(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  tnr_future *second = tnr_at(two, 1);
  assert_ok(tnr_on(two, TNR_COMPLETE, rig_log, NULL));
  assert_ok(tnr_on(second, TNR_COMPLETE, rig_log, NULL));
  rig_await_log(2);
  assert_ptr_equal(rig_log_at(0).future.handle, two);
  assert_int_equal(rig_log_at(0).future.kind, TNR_VALUE_FUTURE_TUPLE);
  assert_ptr_equal(rig_log_at(1).future.handle, second);
  assert_int_equal(rig_log_at(1).future.kind, TNR_VALUE_FUTURE);
}

static void a_failed_future_passes_both_moments(void **state) {
  tnr_future *f = rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2)));
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1)));
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_true(tnr_passed(f, TNR_CREATED));
  assert_true(tnr_passed(f, TNR_COMPLETE));
  rig_await_log(2); /* the first may have come before the kernel failed */
  assert_ptr_equal(rig_log_at(1).error, tnr_future_error(f));
  assert_int_equal(rig_log_at(1).code, TNR_EKERNEL);
}

/* It never gets an output: created passes only with complete. */
static void what_fails_before_it_is_created_passes_both_moments_too(void **state) {
  tnr_future *f = tnr_matmul(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)),
                             rig_tensor(rig_cpu(*state, 0), 1));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2)));
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1)));
  rig_await_log(2);
  assert_null(tnr_get(f));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESHAPE);
  assert_ptr_equal(tnr_error(), tnr_future_error(f));
}

static void every_asker_of_a_missing_element_gets_one_error(void **state) {
  tnr_future_tuple *two = rig_two(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  tnr_future *third = tnr_at(two, 2), *before = tnr_at(two, -1);
  assert_null(tnr_get(third));
  const tnr_error *error = tnr_error();
  assert_int_equal(tnr_error_code(error), TNR_EINVAL);
  assert_string_equal(tnr_error_reason(error), "there is no element 2 in a tuple of 2");
  assert_ptr_equal(tnr_future_error(third), error);
  tnr_future *child = rig_plus_one(third);
  assert_fails(tnr_wait(child, TNR_COMPLETE, INT64_MAX), TNR_EINVAL);
  assert_ptr_equal(tnr_future_error(child), tnr_future_error(third));
  assert_fails(tnr_wait(before, TNR_COMPLETE, INT64_MAX), TNR_EINVAL);
  assert_ok(tnr_wait(two, TNR_COMPLETE, INT64_MAX));
}

static void an_element_that_failed_with_its_tuple_has_the_tuples_error(void **state) {
  tnr_future *failed = rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  tnr_future_tuple *two = rig_two(failed);
  tnr_future *second = tnr_at(two, 1), *ninth = tnr_at(two, 9);
  assert_fails(tnr_wait(second, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_fails(tnr_wait(ninth, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(second), tnr_future_error(failed));
  assert_ptr_equal(tnr_future_error(ninth), tnr_future_error(failed));
}

/* The one that is asked for an error asks nobody else to wait. */
static void the_error_of_what_is_not_there_yet_is_none(void **state) {
  check_needs_threads();
  tnr_future *f = rig_fail_late(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  rig_await_held(1);
  assert_null(tnr_future_error(f));
  rig_open_gate();
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_non_null(tnr_future_error(f));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(created_comes_before_complete),
      rig_test(a_callback_at_created_runs_while_the_kernel_still_does),
      rig_test(callbacks_at_created_run_before_those_at_complete),
      rig_test(while_both_wait_created_is_told_first),
      rig_test(callbacks_run_once_each_in_the_order_of_registration),
      rig_test(callbacks_get_the_future_that_they_were_registered_with),
      rig_test(a_failed_future_passes_both_moments),
      rig_test(what_fails_before_it_is_created_passes_both_moments_too),
      rig_test(every_asker_of_a_missing_element_gets_one_error),
      rig_test(an_element_that_failed_with_its_tuple_has_the_tuples_error),
      rig_test(the_error_of_what_is_not_there_yet_is_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
