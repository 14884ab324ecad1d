/* What only div does; the rest is in test_binary.c. */
#include <math.h>

#include "op_harness.h"

static const tnr_dtype integers[] = {TNR_I8, TNR_U8, TNR_I32, TNR_I64};

static void integer_division_truncates_towards_zero(void **state) {
  (void)state;
  const tnr_dtype with_sign[] = {TNR_I8, TNR_I32, TNR_I64};
  for (int i = 0; i < 3; i++) {
    op_array a = op_array_of(with_sign[i], TNR_SHAPE(4), OP_NUMBERS(7, -7, 7, -7));
    op_array b = op_array_of(with_sign[i], TNR_SHAPE(4), OP_NUMBERS(2, 2, -2, -2));
    op_assert_is(OP(&tnr_op_div, NULL, a, b), with_sign[i], TNR_SHAPE(4), OP_NUMBERS(3, -3, -3, 3));
  }
}

static void the_least_integer_divided_by_minus_one_wraps(void **state) {
  (void)state;
  const double least[] = {INT8_MIN, 0, INT32_MIN, (double)INT64_MIN};
  for (int i = 0; i < 4; i++) {
    if (integers[i] == TNR_U8)
      continue;
    op_array a = op_array_of(integers[i], TNR_SHAPE(1), &least[i], 1);
    op_array b = op_array_of(integers[i], TNR_SHAPE(1), OP_NUMBERS(-1));
    op_assert_equal(OP(&tnr_op_div, NULL, a, b), a);
  }
}

static void integer_division_by_zero_fails(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    op_array a = op_array_of(integers[i], TNR_SHAPE(3), OP_NUMBERS(1, 2, 3));
    op_array b = op_array_of(integers[i], TNR_SHAPE(3), OP_NUMBERS(1, 2, 0));
    op_assert_fails(&tnr_op_div, NULL, TNR_EKERNEL,
                    "integer division by zero: element 2 of the divisor", a, b);
  }
}

static void nothing_divided_by_zero_is_nothing(void **state) {
  (void)state;
  op_array a = op_array_new(TNR_I32, TNR_SHAPE(0, 1));
  op_array b = op_array_of(TNR_I32, TNR_SHAPE(2), OP_NUMBERS(0, 0));
  op_assert_is(OP(&tnr_op_div, NULL, a, b), TNR_I32, TNR_SHAPE(0, 2), OP_NO_NUMBERS);
}

static void float_division_by_zero_follows_ieee(void **state) {
  (void)state;
  const tnr_dtype floats[] = {TNR_F32, TNR_BF16};
  for (int i = 0; i < 2; i++) {
    op_array a = op_array_of(floats[i], TNR_SHAPE(3), OP_NUMBERS(1, -1, 0));
    op_array b = op_array_of(floats[i], TNR_SCALAR, OP_NUMBERS(0));
    op_assert_is(OP(&tnr_op_div, NULL, a, b), floats[i], TNR_SHAPE(3),
                 OP_NUMBERS(INFINITY, -INFINITY, NAN));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(integer_division_truncates_towards_zero),
      op_test(the_least_integer_divided_by_minus_one_wraps),
      op_test(integer_division_by_zero_fails),
      op_test(nothing_divided_by_zero_is_nothing),
      op_test(float_division_by_zero_follows_ieee),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
