/* Futures of tensors and tuples that exist: tnr_to_async. */
#include "rig.h"

static void a_tensor_made_async_is_created_and_complete(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 7);
  tnr_future *f = tnr_to_async(x);
  assert_true(tnr_passed(f, TNR_CREATED));
  assert_true(tnr_passed(f, TNR_COMPLETE));
  assert_ptr_equal(tnr_get_for(f, 0), x);
  assert_null(tnr_future_error(f));
  assert_number(f, 7);
}

static void the_future_of_a_tensor_on_its_way_is_complete_with_its_data(void **state) {
  check_needs_threads();
  tnr_tensor *x = rig_hold(rig_tensor(rig_cpu(*state, 0), 7));
  tnr_future *f = tnr_to_async(x);
  assert_true(tnr_passed(f, TNR_CREATED));
  assert_false(tnr_passed(f, TNR_COMPLETE));
  assert_ptr_equal(tnr_get(f), x);
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2)));
  rig_await_log(1);
  assert_int_equal(rig_log_at(0).what, 1);
  assert_false(rig_log_at(0).complete);
  rig_open_gate();
  assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  rig_await_log(2);
}

static void the_future_of_a_tuple_is_complete_with_the_last_of_its_data(void **state) {
  check_needs_threads();
  tnr_tensor *now = rig_tensor(rig_cpu(*state, 0), 1), *later = rig_hold(now);
  tnr_tuple *tuple = tnr_tuple_of(now, later, rig_plus_one(rig_tensor(rig_cpu(*state, 1), 1)));
  tnr_future_tuple *f = tnr_to_async(tuple);
  assert_ptr_equal(tnr_get(f), tuple);
  assert_fails(tnr_wait(f, TNR_COMPLETE, 1000000), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  assert_number(tnr_at(f, 2), 2);
}

static void the_future_of_a_tensor_that_fails_has_its_error(void **state) {
  tnr_tensor *x = rig_fail_late(rig_tensor(rig_cpu(*state, 0), 7));
  tnr_future *before = tnr_to_async(x);
  rig_open_gate();
  assert_fails(tnr_wait(before, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  tnr_future *after = tnr_to_async(x);
  assert_true(tnr_passed(after, TNR_COMPLETE));
  assert_non_null(tnr_future_error(after));
  assert_ptr_equal(tnr_future_error(after), tnr_future_error(before));
  assert_ptr_equal(tnr_future_error(x), tnr_future_error(before));
}

static void what_is_async_already_is_the_same_handle(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 7);
  tnr_future *f = rig_plus_one(tnr_to_async(x));
  tnr_future_tuple *two = rig_two(f);
  assert_ptr_equal(tnr_to_async(f), f);
  assert_ptr_equal(tnr_to_async(two), two);
  tnr_value value = tnr_to_async(TNR_VALUE(f));
  assert_ptr_equal(value.handle, f);
  assert_int_equal(value.kind, TNR_VALUE_FUTURE);
}

static void a_value_keeps_its_shape_when_it_becomes_async(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 7);
  tnr_value f = tnr_to_async(TNR_VALUE(x)), t = tnr_to_async(TNR_VALUE(tnr_tuple_of(x)));
  assert_int_equal(f.kind, TNR_VALUE_FUTURE);
  assert_int_equal(t.kind, TNR_VALUE_FUTURE_TUPLE);
  const tnr_value none = {TNR_VALUE_NONE, NULL};
  assert_int_equal(tnr_to_async(none).kind, TNR_VALUE_NONE);
}

static void null_stays_null(void **state) {
  (void)state;
  assert_null(tnr_to_async((tnr_tensor *)NULL));
  assert_null(tnr_to_async((tnr_tuple *)NULL));
  assert_null(tnr_to_async((tnr_future *)NULL));
  assert_null(tnr_to_async((tnr_future_tuple *)NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_tensor_made_async_is_created_and_complete),
      rig_test(the_future_of_a_tensor_on_its_way_is_complete_with_its_data),
      rig_test(the_future_of_a_tuple_is_complete_with_the_last_of_its_data),
      rig_test(the_future_of_a_tensor_that_fails_has_its_error),
      rig_test(what_is_async_already_is_the_same_handle),
      rig_test(a_value_keeps_its_shape_when_it_becomes_async),
      rig_test(null_stays_null),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
