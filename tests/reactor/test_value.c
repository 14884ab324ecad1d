/* Tagged values: what stands for what, and what can be asked of them. */
#include "rig.h"

static void a_value_is_of_its_handles_kind(void **state) {
  tnr_tensor *tensor = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_tuple *tuple = tnr_tuple_of(tensor);
  tnr_future *future = tnr_to_async(tensor);
  tnr_future_tuple *futures = rig_two(future);
  const tnr_value values[] = {TNR_VALUE(tensor), TNR_VALUE(tuple), TNR_VALUE(future),
                              TNR_VALUE(futures)};
  void *const handles[] = {tensor, tuple, future, futures};
  for (int i = 0; i < 4; i++) {
    assert_int_equal(values[i].kind, TNR_VALUE_TENSOR + i);
    assert_ptr_equal(values[i].handle, handles[i]);
    assert_ptr_equal(tnr_value_tensor(values[i]), i == 0 ? tensor : NULL);
    assert_ptr_equal(tnr_value_tuple(values[i]), i == 1 ? tuple : NULL);
    assert_ptr_equal(tnr_value_future(values[i]), i == 2 ? future : NULL);
    assert_ptr_equal(tnr_value_future_tuple(values[i]), i == 3 ? futures : NULL);
    assert_int_equal(TNR_VALUE(values[i]).kind, values[i].kind);
  }
}

static void null_is_a_value_of_no_kind(void **state) {
  tnr_desc desc;
  (void)state;
  assert_int_equal(TNR_VALUE((tnr_tensor *)NULL).kind, TNR_VALUE_NONE);
  assert_int_equal(TNR_VALUE((tnr_tuple *)NULL).kind, TNR_VALUE_NONE);
  assert_int_equal(TNR_VALUE((tnr_future *)NULL).kind, TNR_VALUE_NONE);
  assert_int_equal(TNR_VALUE((tnr_future_tuple *)NULL).kind, TNR_VALUE_NONE);
  const tnr_value none = {TNR_VALUE_NONE, NULL};
  assert_false(tnr_value_desc(none, &desc));
  assert_null(tnr_value_mesh(none));
  assert_null(tnr_retain(NULL));
  tnr_release(NULL);
}

static void a_shape_is_known_once_it_is_created(void **state) {
  check_needs_threads();
  tnr_desc desc;
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_true(tnr_value_desc(TNR_VALUE(x), &desc));
  assert_int_equal(desc.shape.dims[0], RIG_ELEMENTS);
  tnr_future *held = rig_hold(tnr_to_async(x)), *behind = tnr_to_device(held, rig_cpu(*state, 1));
  tnr_future_tuple *two = rig_two(behind);
  tnr_future *second = tnr_at(two, 1), *third = tnr_at(two, 2);
  assert_false(tnr_value_desc(TNR_VALUE(behind), &desc));
  assert_false(tnr_value_desc(TNR_VALUE(second), &desc));
  assert_ok(tnr_wait(held, TNR_CREATED, INT64_MAX));
  assert_true(tnr_value_desc(TNR_VALUE(held), &desc));
  assert_false(tnr_passed(held, TNR_COMPLETE));
  rig_open_gate();
  assert_ok(tnr_wait(two, TNR_CREATED, INT64_MAX));
  assert_true(tnr_value_desc(TNR_VALUE(second), &desc));
  assert_int_equal(desc.dtype, TNR_F32);
  assert_false(tnr_value_desc(TNR_VALUE(third), &desc));
  assert_false(tnr_value_desc(TNR_VALUE(two), &desc));
  tnr_future *failed = rig_fail(tnr_to_async(x));
  assert_fails(tnr_wait(failed, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_false(tnr_value_desc(TNR_VALUE(failed), &desc));
}

static void where_it_will_live_is_known_before(void **state) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 2), 1)));
  const tnr_mesh *two = rig_cpus(*state, 2);
  tnr_future *pieces = tnr_shard(held, two);
  assert_ptr_equal(tnr_mesh_device(tnr_value_mesh(TNR_VALUE(held)), 0), rig_cpu(*state, 2));
  assert_ptr_equal(tnr_value_mesh(TNR_VALUE(pieces)), two);
  assert_ptr_equal(tnr_value_mesh(TNR_VALUE(rig_plus_one(pieces))), two);
  assert_ptr_equal(tnr_value_mesh(TNR_VALUE(tnr_at(rig_two(pieces), 1))), two);
  tnr_future *any = tnr_any(&held, 1, TNR_HERE);
  assert_null(tnr_value_mesh(TNR_VALUE(any)));
  rig_open_gate();
  assert_ok(tnr_wait(any, TNR_COMPLETE, INT64_MAX));
  assert_ptr_equal(tnr_mesh_device(tnr_value_mesh(TNR_VALUE(any)), 0), rig_cpu(*state, 2));
}

static void references_are_counted(void **state) {
  assert_ok(tnr_scope_open());
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int i = 0; i < 1000; i++)
    assert_ptr_equal(tnr_retain(x), x);
  assert_ok(tnr_scope_close());
  for (int i = 0; i < 999; i++)
    tnr_release(x);
  assert_number(x, 1);
  tnr_release(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_value_is_of_its_handles_kind),
      rig_test(null_is_a_value_of_no_kind),
      rig_test(a_shape_is_known_once_it_is_created),
      rig_test(where_it_will_live_is_known_before),
      rig_test(references_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
