/* Inputs as tensors: futures looked into, tuples laid out, and all on the same devices. */
#include <stdlib.h>

#include "rig.h"

static tnr_future *async(tnr_runtime *runtime, int device, float number) {
  return tnr_to_async(rig_tensor(rig_cpu(runtime, device), number));
}

static void tuples_count_as_their_elements_in_order(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_tuple *plain = tnr_tuple_of(x, rig_plus_one(x), x);
  tnr_future_tuple *all = tnr_tuple_of(tnr_to_async(x), rig_plus_one(tnr_to_async(x)));
  tnr_future_tuple *split = rig_two(tnr_to_async(x));
  assert_number(rig_sum_of(plain), 4);
  assert_number(rig_sum_of(all), 3);
  assert_number(rig_sum_of(split), 5);
  assert_number(rig_sum_of(tnr_to_async(plain)), 4);
  assert_number(tnr_call(&rig_sum_op, TNR_HERE, TNR_INPUTS(plain, split, x), 3, NULL), 10);
  assert_number(tnr_concat(tnr_tuple_of(x, x), .dim = 0), 1);
}

/* What it waits for may be any kind of future, and they may come one by one. */
static void every_kind_of_future_is_an_input(void **state) {
  tnr_future *held = rig_hold(async(*state, 0, 1));
  tnr_tensor *late = rig_hold(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future *any = tnr_any((tnr_future *[]){held}, 1, TNR_HERE);
  tnr_future_tuple *two = rig_two(any), *of_late = tnr_to_async(tnr_tuple_of(late, late));
  const tnr_value in[] = {TNR_VALUE(held),
                          TNR_VALUE(tnr_to_async(late)),
                          TNR_VALUE(any),
                          TNR_VALUE(tnr_at(two, 1)),
                          TNR_VALUE(two),
                          TNR_VALUE(late),
                          TNR_VALUE(of_late),
                          TNR_VALUE(tnr_tuple_of(any, late, held)),
                          TNR_VALUE(tnr_at(of_late, 1))};
  tnr_value sum = tnr_call(&rig_sum_op, TNR_HERE, in, 9, NULL);
  assert_made(sum.handle);
  assert_false(tnr_passed(sum, TNR_COMPLETE));
  rig_open_gate();
  assert_number(sum, 1 + 1 + 1 + 3 + 5 + 1 + 2 + 3 + 1);
}

/* The first of the inputs that failed, in the order of the inputs. */
static void one_failed_input_is_enough(void **state) {
  tnr_future *first = rig_fail(async(*state, 0, 1)), *second = rig_fail(async(*state, 0, 1));
  tnr_future *good = async(*state, 0, 1);
  assert_fails(tnr_wait(first, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_fails(tnr_wait(second, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  tnr_future *sum = rig_sum(good, rig_sum(first, second));
  assert_fails(tnr_wait(sum, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(sum), tnr_future_error(first));
  tnr_future *all = rig_sum_of(tnr_tuple_of(good, second, first));
  assert_fails(tnr_wait(all, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(all), tnr_future_error(second));
}

/* A tensor that was got while its kernel was still running, and failed then. */
static void a_plain_input_that_fails_later_is_one_too(void **state) {
  check_needs_threads();
  tnr_future *f = rig_fail_late(async(*state, 0, 1));
  tnr_tensor *tensor = tnr_get(f);
  assert_made(tensor);
  tnr_future *sum = rig_sum(async(*state, 0, 1), tensor);
  tnr_future *moved = tnr_to_device(tnr_to_async(tensor), rig_cpu(*state, 1));
  rig_open_gate();
  assert_fails(tnr_wait(sum, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_fails(tnr_wait(moved, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(sum), tnr_future_error(f));
  assert_ptr_equal(tnr_future_error(moved), tnr_future_error(f));
}

static void refused(tnr_value value, const char *reason) {
  assert_fails(tnr_wait(value, TNR_COMPLETE, INT64_MAX), TNR_EDEVICE);
  assert_string_equal(tnr_error_reason(tnr_error()), reason);
  tnr_error_clear();
}

static void futures_on_different_devices_are_refused_when_they_are_there(void **state) {
  tnr_future *a = rig_plus_one(async(*state, 0, 1)), *b = rig_plus_one(async(*state, 1, 1));
  tnr_future *both[] = {a, b};
  refused(TNR_VALUE(rig_sum(a, b)), "input 0 lives on cpu:0, but input 1 on cpu:1");
  refused(TNR_VALUE(rig_sum_of(tnr_tuple_of(b, a))),
          "input 0 lives on cpu:1, but input 1 on cpu:0");
  tnr_future *c = rig_plus_one(async(*state, 2, 1));
  tnr_future *sum = rig_sum(tnr_any(both, 2, TNR_HERE), c);
  assert_fails(tnr_wait(sum, TNR_COMPLETE, INT64_MAX), TNR_EDEVICE);
  tnr_future *pieces = tnr_shard(a, rig_cpus(*state, 4));
  refused(TNR_VALUE(rig_sum(pieces, a)), "input 0 is on 4 devices, input 1 on 1");
}

static void the_same_devices_in_another_order_are_different(void **state) {
  tnr_device *forth[] = {rig_cpu(*state, 0), rig_cpu(*state, 1)}, *back[] = {forth[1], forth[0]};
  tnr_tensor *x = rig_tensor(forth[0], 1);
  tnr_tensor *a = tnr_shard(x, tnr_mesh_of(forth, 2)), *b = tnr_shard(x, tnr_mesh_of(back, 2));
  assert_null(rig_sum(a, b));
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "input 0 lives on cpu:0, but input 1 on cpu:1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(tuples_count_as_their_elements_in_order),
      rig_test(every_kind_of_future_is_an_input),
      rig_test(one_failed_input_is_enough),
      rig_test(a_plain_input_that_fails_later_is_one_too),
      rig_test(futures_on_different_devices_are_refused_when_they_are_there),
      rig_test(the_same_devices_in_another_order_are_different),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
