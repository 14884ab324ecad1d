#include <math.h>

#include "op_harness.h"

#define AXIS(n) TNR_ATTRS(tnr_softmax_attrs, .axis = (n))

/* By the definition, in double. */
static op_array expected(const op_array *x, int axis) {
  const tnr_shape *shape = &x->desc.shape;
  op_array out = op_array_new(x->desc.dtype, *shape);
  for (int64_t i = 0; i < tnr_shape_elements(shape); i++) {
    int64_t index[TNR_MAX_RANK];
    double sum = 0;
    op_unravel(shape, i, index);
    for (index[axis] = 0; index[axis] < shape->dims[axis]; index[axis]++)
      sum += exp(op_number(x, op_ravel(shape, index)));
    op_set_number(&out, i, exp(op_number(x, i)) / sum);
  }
  return out;
}

static void each_axis_sums_to_one(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(2, 3, 4), 1);
  for (int axis = 0; axis < 3; axis++) {
    op_array right = expected(&x, axis);
    op_assert_near(OP(&tnr_op_softmax, AXIS(axis), x), right, 1e-6);
    op_assert_near(OP(&tnr_op_softmax, AXIS(axis - 3), x), right, 1e-6);
  }
}

static void bf16_is_computed_in_f32(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_BF16, TNR_SHAPE(5, 7), 1);
  op_assert_near(OP(&tnr_op_softmax, AXIS(1), x), expected(&x, 1), 1e-5);
}

static void great_numbers_do_not_overflow(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(2, 2), OP_NUMBERS(1e30, 1e30, -1e30, 1e30));
  op_assert_is(OP(&tnr_op_softmax, AXIS(1), x), TNR_F32, TNR_SHAPE(2, 2),
               OP_NUMBERS(0.5, 0.5, 0, 1));
  op_array masked = op_array_of(TNR_F32, TNR_SHAPE(3), OP_NUMBERS(2, -INFINITY, 2));
  op_assert_is(OP(&tnr_op_softmax, AXIS(0), masked), TNR_F32, TNR_SHAPE(3),
               OP_NUMBERS(0.5, 0, 0.5));
}

static void nan_spoils_its_own_line_only(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(2, 2), OP_NUMBERS(1, NAN, 3, 3));
  op_assert_is(OP(&tnr_op_softmax, AXIS(1), x), TNR_F32, TNR_SHAPE(2, 2),
               OP_NUMBERS(NAN, NAN, 0.5, 0.5));
}

static void one_element_gives_one_and_none_gives_none(void **state) {
  (void)state;
  op_array one = op_array_of(TNR_F32, TNR_SHAPE(1, 1), OP_NUMBERS(-50));
  op_assert_is(OP(&tnr_op_softmax, AXIS(1), one), TNR_F32, TNR_SHAPE(1, 1), OP_NUMBERS(1));
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(2, 0));
  op_assert_is(OP(&tnr_op_softmax, AXIS(0), empty), TNR_F32, TNR_SHAPE(2, 0), OP_NO_NUMBERS);
  op_assert_is(OP(&tnr_op_softmax, AXIS(1), empty), TNR_F32, TNR_SHAPE(2, 0), OP_NO_NUMBERS);
}

static void wrong_calls_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(2, 3), 1);
  op_array i32 = op_array_random(TNR_I32, TNR_SHAPE(2, 3), 1);
  op_array scalar = op_array_random(TNR_F32, TNR_SCALAR, 1);
  op_assert_fails(&tnr_op_softmax, AXIS(2), TNR_EINVAL, "dim 2 is out of range for rank 2", x);
  op_assert_fails(&tnr_op_softmax, AXIS(-3), TNR_EINVAL, "dim -3 is out of range for rank 2", x);
  op_assert_fails(&tnr_op_softmax, AXIS(0), TNR_EINVAL, "dim 0 is out of range for rank 0", scalar);
  op_assert_fails(&tnr_op_softmax, AXIS(0), TNR_EDTYPE,
                  "i32 is not among the dtypes it takes: f32, bf16", i32);
  op_assert_fails(&tnr_op_softmax, AXIS(0), TNR_EINVAL, "takes 1 input, got 2", x, x);
}

static void any_dim_but_the_axis_may_be_split(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(4, 8, 12), 1);
  for (int axis = 0; axis < 3; axis++)
    assert_int_equal(op_assert_shards_right(&tnr_op_softmax, AXIS(axis), x), 2 + 2);
  assert_int_equal(op_shard_of(&tnr_op_softmax, AXIS(-1), OP_DIMS(1), x), 1);
  op_assert_shard_refused(&tnr_op_softmax, AXIS(-1), OP_DIMS(2),
                          "the input is split over devices along dim 2, which the op needs whole: "
                          "gather it first",
                          x);
}

static void the_primitive_counts_its_axis_from_the_front(void **state) {
  (void)state;
  tnr_desc in = {TNR_SHAPE(2, 3, 4), TNR_F32};
  tnr_primitive primitive = {.kind = TNR_PRIMITIVE_NONE};
  tnr_op_softmax.primitive(&(tnr_op_call){.attrs = AXIS(-1), .in_count = 1, .in = &in}, &primitive);
  assert_int_equal(primitive.kind, TNR_PRIMITIVE_SOFTMAX);
  assert_int_equal(primitive.axis, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(each_axis_sums_to_one),
      op_test(bf16_is_computed_in_f32),
      op_test(great_numbers_do_not_overflow),
      op_test(nan_spoils_its_own_line_only),
      op_test(one_element_gives_one_and_none_gives_none),
      op_test(wrong_calls_are_refused),
      op_test(any_dim_but_the_axis_may_be_split),
      op_test(the_primitive_counts_its_axis_from_the_front),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
