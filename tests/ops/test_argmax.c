#include <math.h>

#include "op_harness.h"

#define AXIS(n, ...) TNR_ATTRS(tnr_argmax_attrs, .axis = (n), __VA_ARGS__)

static void the_first_of_the_greatest_is_named(void **state) {
  (void)state;
  const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16, TNR_I8, TNR_U8, TNR_I32, TNR_I64};
  for (int i = 0; i < 6; i++) {
    op_array x = op_array_of(dtypes[i], TNR_SHAPE(2, 3), OP_NUMBERS(1, 7, 7, 9, 2, 9));
    op_assert_is(OP(&tnr_op_argmax, AXIS(1), x), TNR_I64, TNR_SHAPE(2), OP_NUMBERS(1, 0));
    op_assert_is(OP(&tnr_op_argmax, AXIS(0), x), TNR_I64, TNR_SHAPE(3), OP_NUMBERS(1, 0, 1));
    op_assert_is(OP(&tnr_op_argmax, AXIS(-1, .keep_dims = 1), x), TNR_I64, TNR_SHAPE(2, 1),
                 OP_NUMBERS(1, 0));
  }
  op_array truth = op_array_of(TNR_BOOL, TNR_SHAPE(2, 3), OP_NUMBERS(0, 0, 0, 0, 1, 1));
  op_assert_is(OP(&tnr_op_argmax, AXIS(1), truth), TNR_I64, TNR_SHAPE(2), OP_NUMBERS(0, 1));
}

static void numbers_below_zero_are_compared_with_their_sign(void **state) {
  (void)state;
  const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16, TNR_I8, TNR_I32, TNR_I64};
  for (int i = 0; i < 5; i++) {
    op_array x = op_array_of(dtypes[i], TNR_SHAPE(3), OP_NUMBERS(-3, -1, -2));
    op_assert_is(OP(&tnr_op_argmax, AXIS(0), x), TNR_I64, TNR_SCALAR, OP_NUMBERS(1));
  }
}

static void i64_is_not_rounded(void **state) {
  (void)state;
  op_array x = op_array_new(TNR_I64, TNR_SHAPE(2));
  ((int64_t *)x.data)[0] = INT64_MAX - 1;
  ((int64_t *)x.data)[1] = INT64_MAX;
  op_assert_is(OP(&tnr_op_argmax, AXIS(0), x), TNR_I64, TNR_SCALAR, OP_NUMBERS(1));
}

static void the_first_nan_counts_as_greatest(void **state) {
  (void)state;
  op_array x =
      op_array_of(TNR_F32, TNR_SHAPE(2, 4), OP_NUMBERS(1, NAN, INFINITY, NAN, NAN, 1, 2, 3));
  op_assert_is(OP(&tnr_op_argmax, AXIS(1), x), TNR_I64, TNR_SHAPE(2), OP_NUMBERS(1, 0));
  op_array low = op_array_of(TNR_F32, TNR_SHAPE(2), OP_NUMBERS(-INFINITY, -INFINITY));
  op_assert_is(OP(&tnr_op_argmax, AXIS(0), low), TNR_I64, TNR_SCALAR, OP_NUMBERS(0));
}

static void a_middle_axis_is_found_in_memory(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(3, 5, 4), 1);
  op_array out = OP(&tnr_op_argmax, AXIS(1), x);
  for (int64_t i = 0; i < 12; i++) {
    int64_t best = 0, base = i / 4 * 20 + i % 4;
    for (int64_t j = 0; j < 5; j++)
      if (op_number(&x, base + j * 4) > op_number(&x, base + best * 4))
        best = j;
    assert_int_equal(((int64_t *)out.data)[i], best);
  }
}

static void empty_dims_beside_the_axis_give_empty_outputs(void **state) {
  (void)state;
  op_array x = op_array_new(TNR_F32, TNR_SHAPE(0, 3));
  op_assert_is(OP(&tnr_op_argmax, AXIS(1), x), TNR_I64, TNR_SHAPE(0), OP_NO_NUMBERS);
}

static void wrong_calls_are_refused(void **state) {
  (void)state;
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(0, 3));
  op_array f16 = op_array_random(TNR_F16, TNR_SHAPE(3), 1);
  op_assert_fails(&tnr_op_argmax, AXIS(0), TNR_ESHAPE,
                  "dim 0 has size 0 and so no greatest element", empty);
  op_assert_fails(&tnr_op_argmax, AXIS(-3), TNR_EINVAL, "dim -3 is out of range for rank 2", empty);
  op_assert_fails(&tnr_op_argmax, AXIS(0), TNR_EDTYPE,
                  "f16 is not among the dtypes it takes: f32, bf16, i8, u8, i32, i64, bool", f16);
  op_assert_fails(&tnr_op_argmax, AXIS(0), TNR_EINVAL, "takes 1 input, got 2", empty, empty);
}

static void any_dim_but_the_axis_may_be_split(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_I32, TNR_SHAPE(4, 8, 12), 1);
  for (int axis = 0; axis < 3; axis++) {
    assert_int_equal(op_assert_shards_right(&tnr_op_argmax, AXIS(axis), x), 2 + 2);
    assert_int_equal(op_assert_shards_right(&tnr_op_argmax, AXIS(axis, .keep_dims = 1), x), 2 + 2);
  }
  assert_int_equal(op_shard_of(&tnr_op_argmax, AXIS(1), OP_DIMS(2), x), 1);
  assert_int_equal(op_shard_of(&tnr_op_argmax, AXIS(1, .keep_dims = 1), OP_DIMS(2), x), 2);
  op_assert_shard_refused(&tnr_op_argmax, AXIS(1), OP_DIMS(1),
                          "the input is split over devices along dim 1, which the op needs whole: "
                          "gather it first",
                          x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(the_first_of_the_greatest_is_named),
      op_test(numbers_below_zero_are_compared_with_their_sign),
      op_test(i64_is_not_rounded),
      op_test(the_first_nan_counts_as_greatest),
      op_test(a_middle_axis_is_found_in_memory),
      op_test(empty_dims_beside_the_axis_give_empty_outputs),
      op_test(wrong_calls_are_refused),
      op_test(any_dim_but_the_axis_may_be_split),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
