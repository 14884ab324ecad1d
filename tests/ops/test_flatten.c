#include "op_harness.h"

#define AXIS(n) TNR_ATTRS(tnr_flatten_attrs, .axis = (n))

static void dims_before_and_behind_the_axis_become_one_each(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_I32, TNR_SHAPE(2, 3, 4), 1);
  const tnr_shape shapes[] = {TNR_SHAPE(1, 24), TNR_SHAPE(2, 12), TNR_SHAPE(6, 4),
                              TNR_SHAPE(24, 1)};
  for (int axis = 0; axis <= 3; axis++) {
    op_array right = {.desc = {shapes[axis], TNR_I32}, .data = x.data};
    op_assert_equal(OP(&tnr_op_flatten, AXIS(axis), x), right);
    if (axis < 3)
      op_assert_equal(OP(&tnr_op_flatten, AXIS(axis - 3), x), right);
  }
}

static void every_dtype_is_taken(void **state) {
  (void)state;
  for (int d = 0; d < TNR_DTYPE_COUNT; d++) {
    op_array x = op_array_of((tnr_dtype)d, TNR_SHAPE(1, 2, 1), OP_NUMBERS(1, 0));
    op_assert_is(OP(&tnr_op_flatten, AXIS(1), x), (tnr_dtype)d, TNR_SHAPE(1, 2), OP_NUMBERS(1, 0));
  }
}

static void scalars_and_empty_tensors_become_matrices(void **state) {
  (void)state;
  op_array scalar = op_array_of(TNR_F32, TNR_SCALAR, OP_NUMBERS(5));
  op_assert_is(OP(&tnr_op_flatten, AXIS(0), scalar), TNR_F32, TNR_SHAPE(1, 1), OP_NUMBERS(5));
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(2, 0, 3));
  op_assert_is(OP(&tnr_op_flatten, AXIS(1), empty), TNR_F32, TNR_SHAPE(2, 0), OP_NO_NUMBERS);
  op_assert_is(OP(&tnr_op_flatten, AXIS(2), empty), TNR_F32, TNR_SHAPE(0, 3), OP_NO_NUMBERS);
}

static void wrong_calls_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(2, 3), 1);
  op_array huge = op_array_new(TNR_F32, TNR_SHAPE(0, INT64_MAX, 2));
  op_assert_fails(&tnr_op_flatten, AXIS(3), TNR_EINVAL, "axis 3 is out of range for rank 2", x);
  op_assert_fails(&tnr_op_flatten, AXIS(-3), TNR_EINVAL, "axis -3 is out of range for rank 2", x);
  op_assert_fails(&tnr_op_flatten, AXIS(1), TNR_EOVERFLOW,
                  "the product of 2 dims does not fit into 63 bits", huge);
  op_assert_fails(&tnr_op_flatten, AXIS(0), TNR_EINVAL, "takes 1 input, got 2", x, x);
}

static void pieces_of_the_leading_dims_add_up_to_the_whole(void **state) {
  (void)state;
  op_array images = op_array_random(TNR_F32, TNR_SHAPE(8, 3, 4, 4), 1);
  assert_int_equal(op_shard_of(&tnr_op_flatten, AXIS(1), OP_DIMS(0), images), 0);
  assert_int_equal(op_shard_of(&tnr_op_flatten, AXIS(2), OP_DIMS(2), images), 1);
  for (int axis = 0; axis <= 4; axis++)
    assert_true(op_assert_shards_right(&tnr_op_flatten, AXIS(axis), images) >= 2);
  op_assert_shard_refused(&tnr_op_flatten, AXIS(1), OP_DIMS(3),
                          "the input is split over devices along dim 3, which is within a dim of "
                          "the output: gather it first",
                          images);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(dims_before_and_behind_the_axis_become_one_each), op_test(every_dtype_is_taken),
      op_test(scalars_and_empty_tensors_become_matrices),       op_test(wrong_calls_are_refused),
      op_test(pieces_of_the_leading_dims_add_up_to_the_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
