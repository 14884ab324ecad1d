/* All-of, any-of, and elements of tuples. */
#include <stdlib.h>

#include "rig.h"

static tnr_future *async(tnr_runtime *runtime, int device, float number) {
  return tnr_to_async(rig_tensor(rig_cpu(runtime, device), number));
}

static tnr_value all_of(tnr_future *const *futures, int count) {
  tnr_value *values = calloc((size_t)count, sizeof *values);
  for (int i = 0; i < count; i++)
    values[i] = TNR_VALUE(futures[i]);
  tnr_value all = tnr_all(values, count, TNR_HERE);
  free(values);
  return all;
}

/* ---- all-of ---- */

static void all_of_tensors_is_a_plain_tuple(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1), *y = rig_tensor(rig_cpu(*state, 1), 2);
  tnr_tuple *both = tnr_tuple_of(x, y);
  assert_int_equal(tnr_tuple_count(both), 2);
  assert_ptr_equal(tnr_at(both, 0), x);
  assert_ptr_equal(tnr_at(both, 1), y);
}

static void all_of_futures_is_complete_with_the_last(void **state) {
  check_needs_threads();
  tnr_future *now = rig_plus_one(async(*state, 0, 1)), *later = rig_hold(async(*state, 1, 5));
  tnr_future_tuple *both = tnr_tuple_of(later, now);
  tnr_tuple *tuple = tnr_get(both);
  assert_int_equal(tnr_tuple_count(tuple), 2);
  assert_fails(tnr_wait(both, TNR_COMPLETE, 2000000), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_ok(tnr_wait(both, TNR_COMPLETE, INT64_MAX));
  assert_number(tnr_at(tuple, 0), 5);
  assert_number(tnr_at(both, 1), 2);
}

static void all_of_a_mixture_follows_plain_tensors_too(void **state) {
  check_needs_threads();
  tnr_tensor *later = rig_hold(rig_tensor(rig_cpu(*state, 0), 5));
  tnr_future_tuple *all = tnr_tuple_of(later, rig_plus_one(async(*state, 1, 1)), later);
  assert_made(tnr_get(all));
  assert_fails(tnr_wait(all, TNR_COMPLETE, 2000000), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_ok(tnr_wait(all, TNR_COMPLETE, INT64_MAX));
}

static void an_element_of_all_does_not_wait_for_the_others(void **state) {
  check_needs_threads();
  tnr_future_tuple *both =
      tnr_tuple_of(rig_hold(async(*state, 0, 1)), rig_plus_one(async(*state, 1, 1)));
  tnr_future *second = tnr_at(both, 1);
  assert_ok(tnr_wait(second, TNR_COMPLETE, INT64_MAX));
  assert_false(tnr_passed(both, TNR_COMPLETE));
  assert_null(tnr_at(both, 2));
  assert_string_equal(tnr_error_reason(tnr_error()), "there is no element 2 in a tuple of 2");
}

static void all_fails_with_the_first_error_at_once(void **state) {
  check_needs_threads();
  tnr_future *held = rig_hold(async(*state, 0, 1)), *failed = rig_fail(async(*state, 1, 1));
  tnr_future_tuple *all = tnr_tuple_of(held, failed, rig_fail_late(async(*state, 2, 1)));
  assert_fails(tnr_wait(all, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(all), tnr_future_error(failed));
  assert_false(tnr_passed(held, TNR_COMPLETE));
  rig_open_gate();
  assert_number(held, 1);
  assert_ptr_equal(tnr_future_error(all), tnr_future_error(failed));
}

static void a_plain_tensor_that_fails_fails_all(void **state) {
  tnr_tensor *failed = rig_fail_late(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future_tuple *all = tnr_tuple_of(failed, rig_hold(async(*state, 1, 1)));
  rig_open_gate();
  assert_fails(tnr_wait(all, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(all), tnr_future_error(failed));
}

static void an_element_that_is_missing_fails_all(void **state) {
  tnr_future *missing = tnr_at(rig_two(async(*state, 0, 1)), 5);
  tnr_future_tuple *all = tnr_tuple_of(rig_plus_one(async(*state, 0, 1)), missing);
  assert_fails(tnr_wait(all, TNR_COMPLETE, INT64_MAX), TNR_EINVAL);
  assert_ptr_equal(tnr_future_error(all), tnr_future_error(missing));
}

static void all_of_all_is_one_flat_tuple(void **state) {
  tnr_tuple *plain =
      tnr_tuple_of(rig_tensor(rig_cpu(*state, 0), 1), rig_tensor(rig_cpu(*state, 0), 2));
  tnr_future_tuple *inner = tnr_tuple_of(plain, rig_plus_one(async(*state, 0, 2)));
  tnr_future_tuple *all = tnr_tuple_of(inner, rig_plus_one(async(*state, 0, 3)));
  assert_int_equal(tnr_tuple_count(tnr_get(all)), 4);
  for (int i = 0; i < 4; i++)
    assert_number(tnr_at(all, i), (float)i + 1);
  assert_number(rig_sum_of(all), 10);
}

static void a_future_tuple_of_unknown_length_is_no_member(void **state) {
  assert_null(tnr_tuple_of(rig_two(async(*state, 0, 1)), async(*state, 0, 1)));
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "member 0 is a future of a tuple whose length is not known yet");
}

static void all_of_nothing_is_refused(void **state) {
  (void)state;
  assert_null(tnr_all(NULL, 0, TNR_HERE).handle);
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
}

static void all_of_many_on_many_devices(void **state) {
  enum { MANY = CHECK_MANY(10000) };
  tnr_future **futures = calloc(MANY, sizeof *futures);
  for (int i = 0; i < MANY; i++)
    futures[i] = rig_plus_one(async(*state, i % 4, (float)(i % 100)));
  tnr_value all = all_of(futures, MANY);
  assert_made(all.handle);
  assert_ok(tnr_wait(all, TNR_COMPLETE, INT64_MAX));
  assert_int_equal(tnr_tuple_count(tnr_value_tuple(tnr_get(all))), MANY);
  for (int i = 0; i < MANY; i += 97)
    assert_number(tnr_at(all, i), (float)(i % 100) + 1);
  free(futures);
}

/* ---- any-of ---- */

static void any_is_the_first_that_completes(void **state) {
  check_needs_threads();
  tnr_future *held = rig_hold(async(*state, 0, 1)), *first = rig_plus_one(async(*state, 1, 1));
  tnr_future *any = tnr_any((tnr_future *[]){held, first, held}, 3, TNR_HERE);
  assert_ok(tnr_wait(any, TNR_COMPLETE, INT64_MAX));
  assert_number(any, 2);
  assert_false(tnr_passed(held, TNR_COMPLETE));
  assert_ptr_equal(tnr_get(any), tnr_get(first));
}

static void any_overlooks_failures_while_one_may_succeed(void **state) {
  check_needs_threads();
  tnr_future *failed = rig_fail(async(*state, 0, 1)), *held = rig_hold(async(*state, 1, 3));
  tnr_future *any = tnr_any((tnr_future *[]){failed, held}, 2, TNR_HERE);
  assert_fails(tnr_wait(failed, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_fails(tnr_wait(any, TNR_CREATED, 2000000), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_number(any, 3);
}

static void any_fails_with_the_last_error_when_all_fail(void **state) {
  tnr_future *first = rig_fail(async(*state, 0, 1)), *last = rig_fail_late(async(*state, 1, 1));
  tnr_future *any = tnr_any((tnr_future *[]){last, first}, 2, TNR_HERE);
  assert_fails(tnr_wait(first, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  rig_open_gate();
  assert_fails(tnr_wait(any, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(any), tnr_future_error(last));
}

static void an_op_on_any_runs_where_the_first_is(void **state) {
  tnr_future *held = rig_hold(async(*state, 0, 1)), *first = rig_plus_one(async(*state, 2, 1));
  tnr_future *any = tnr_any((tnr_future *[]){held, first}, 2, TNR_HERE);
  tnr_future *sum = rig_sum(rig_plus_one(any), rig_tensor(rig_cpu(*state, 2), 10));
  assert_number(sum, 13);
  assert_ptr_equal(tnr_value_mesh(TNR_VALUE(sum)),
                   tnr_mesh_of((tnr_device *[]){rig_cpu(*state, 2)}, 1));
}

static void any_of_nothing_or_null_is_refused(void **state) {
  assert_null(tnr_any(NULL, 0, TNR_HERE));
  assert_string_equal(tnr_error_reason(tnr_error()), "there are no futures");
  tnr_error_clear();
  assert_null(tnr_any((tnr_future *[]){async(*state, 0, 1), NULL}, 2, TNR_HERE));
  assert_string_equal(tnr_error_reason(tnr_error()), "input 1 is NULL");
}

/* Each is the any of the one before, and all complete with the first. */
static void a_long_chain_of_any_needs_no_stack(void **state) {
  enum { LINKS = CHECK_MANY(200000) };
  tnr_future *chain = rig_hold(async(*state, 0, 1));
  tnr_retain(chain);
  for (int i = 0; i < LINKS; i++) {
    assert_ok(tnr_scope_open());
    tnr_future *next = tnr_any(&chain, 1, TNR_HERE);
    assert_made(next);
    tnr_retain(next);
    tnr_release(chain);
    chain = next;
    assert_ok(tnr_scope_close());
  }
  rig_open_gate();
  assert_number(chain, 1);
  tnr_release(chain);
}

/* ---- elements ---- */

static void elements_of_a_future_tuple_are_futures(void **state) {
  tnr_future_tuple *two = rig_two(rig_hold(async(*state, 0, 1)));
  tnr_future *first = tnr_at(two, 0), *second = tnr_at(two, 1);
  tnr_future *sum = rig_sum(second, rig_plus_one(first));
  assert_false(tnr_passed(second, TNR_COMPLETE));
  rig_open_gate();
  assert_number(sum, 6);
  assert_number(first, 2);
  assert_number(second, 3);
}

static void an_element_outlives_its_tuple(void **state) {
  assert_ok(tnr_scope_open());
  tnr_future *second = tnr_keep(tnr_at(rig_two(rig_hold(async(*state, 0, 1))), 1));
  assert_ok(tnr_scope_close());
  rig_open_gate();
  assert_number(second, 3);
}

static void an_index_out_of_range_of_a_plain_tuple_is_refused(void **state) {
  tnr_tuple *two = rig_two(rig_tensor(rig_cpu(*state, 0), 1));
  assert_number(tnr_at(two, 1), 3);
  assert_null(tnr_at(two, 2));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_string_equal(tnr_error_op(tnr_error()), "at");
  assert_string_equal(tnr_error_file(tnr_error()), __FILE__);
  assert_null(tnr_at(two, -1));
}

static void only_tuples_have_elements(void **state) {
  tnr_value x = TNR_VALUE(rig_tensor(rig_cpu(*state, 0), 1));
  assert_null(tnr_at(x, 0).handle);
  assert_string_equal(tnr_error_reason(tnr_error()), "the value is not a tuple");
  assert_int_equal(tnr_at(TNR_VALUE(rig_two(x)), 0).kind, TNR_VALUE_TENSOR);
  assert_int_equal(tnr_at(TNR_VALUE(rig_two(tnr_to_async(x))), 0).kind, TNR_VALUE_FUTURE);
  assert_null(tnr_at((tnr_tuple *)NULL, 0));
  assert_null(tnr_at((tnr_future_tuple *)NULL, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(all_of_tensors_is_a_plain_tuple),
      rig_test(all_of_futures_is_complete_with_the_last),
      rig_test(all_of_a_mixture_follows_plain_tensors_too),
      rig_test(an_element_of_all_does_not_wait_for_the_others),
      rig_test(all_fails_with_the_first_error_at_once),
      rig_test(a_plain_tensor_that_fails_fails_all),
      rig_test(an_element_that_is_missing_fails_all),
      rig_test(all_of_all_is_one_flat_tuple),
      rig_test(a_future_tuple_of_unknown_length_is_no_member),
      rig_test(all_of_nothing_is_refused),
      rig_test(all_of_many_on_many_devices),
      rig_test(any_is_the_first_that_completes),
      rig_test(any_overlooks_failures_while_one_may_succeed),
      rig_test(any_fails_with_the_last_error_when_all_fail),
      rig_test(an_op_on_any_runs_where_the_first_is),
      rig_test(any_of_nothing_or_null_is_refused),
      rig_test(a_long_chain_of_any_needs_no_stack),
      rig_test(elements_of_a_future_tuple_are_futures),
      rig_test(an_element_outlives_its_tuple),
      rig_test(an_index_out_of_range_of_a_plain_tuple_is_refused),
      rig_test(only_tuples_have_elements),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
