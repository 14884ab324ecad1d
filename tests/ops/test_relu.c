#include <math.h>

#include "op_harness.h"

static void what_is_below_zero_becomes_zero(void **state) {
  (void)state;
  const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16, TNR_I8, TNR_I32, TNR_I64};
  for (int i = 0; i < 5; i++) {
    op_array x = op_array_of(dtypes[i], TNR_SHAPE(2, 3), OP_NUMBERS(-1, 0, 1, 100, -128, 2));
    op_assert_is(OP(&tnr_op_relu, NULL, x), dtypes[i], TNR_SHAPE(2, 3),
                 OP_NUMBERS(0, 0, 1, 100, 0, 2));
  }
}

static void nan_stays_and_infinity_is_a_number(void **state) {
  (void)state;
  const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16};
  for (int i = 0; i < 2; i++) {
    op_array x = op_array_of(dtypes[i], TNR_SHAPE(3), OP_NUMBERS(NAN, INFINITY, -INFINITY));
    op_assert_is(OP(&tnr_op_relu, NULL, x), dtypes[i], TNR_SHAPE(3), OP_NUMBERS(NAN, INFINITY, 0));
  }
}

static void scalars_and_empty_tensors_keep_their_shape(void **state) {
  (void)state;
  op_array scalar = op_array_of(TNR_F32, TNR_SCALAR, OP_NUMBERS(-3));
  op_assert_is(OP(&tnr_op_relu, NULL, scalar), TNR_F32, TNR_SCALAR, OP_NUMBERS(0));
  op_array empty = op_array_new(TNR_BF16, TNR_SHAPE(3, 0));
  op_assert_is(OP(&tnr_op_relu, NULL, empty), TNR_BF16, TNR_SHAPE(3, 0), OP_NO_NUMBERS);
}

static void wrong_inputs_are_refused(void **state) {
  (void)state;
  op_array u8 = op_array_random(TNR_U8, TNR_SHAPE(2), 1);
  op_array f16 = op_array_random(TNR_F16, TNR_SHAPE(2), 1);
  op_assert_fails(&tnr_op_relu, NULL, TNR_EDTYPE,
                  "u8 is not among the dtypes it takes: f32, bf16, i8, i32, i64", u8);
  op_assert_fails(&tnr_op_relu, NULL, TNR_EDTYPE,
                  "f16 is not among the dtypes it takes: f32, bf16, i8, i32, i64", f16);
  op_assert_fails(&tnr_op_relu, NULL, TNR_EINVAL, "takes 1 input, got 2", u8, u8);
}

static void pieces_along_any_dim_add_up_to_the_whole(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(4, 8, 3, 2), 1);
  assert_int_equal(op_assert_shards_right(&tnr_op_relu, NULL, x), 3 + 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(what_is_below_zero_becomes_zero),
      op_test(nan_stays_and_infinity_is_a_number),
      op_test(scalars_and_empty_tensors_keep_their_shape),
      op_test(wrong_inputs_are_refused),
      op_test(pieces_along_any_dim_add_up_to_the_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
