/* What add, sub, mul and div have in common. */
#include <math.h>

#include "op_harness.h"

static const tnr_op_def *const ops[] = {&tnr_op_add, &tnr_op_sub, &tnr_op_mul, &tnr_op_div};
static const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16, TNR_I8, TNR_U8, TNR_I32, TNR_I64};
enum { OPS = 4, DTYPES = 6 };

static double compute(const tnr_op_def *op, double x, double y) {
  if (op == &tnr_op_add)
    return x + y;
  if (op == &tnr_op_sub)
    return x - y;
  if (op == &tnr_op_mul)
    return x * y;
  return x / y;
}

/* Element by element, by index. */
static op_array expected(const tnr_op_def *op, const op_array *a, const op_array *b,
                         tnr_shape shape) {
  op_array out = op_array_new(a->desc.dtype, shape);
  bool integer = a->desc.dtype != TNR_F32 && a->desc.dtype != TNR_BF16;
  for (int64_t i = 0; i < tnr_shape_elements(&shape); i++) {
    int64_t index[TNR_MAX_RANK];
    op_unravel(&shape, i, index);
    double x =
        compute(op, op_broadcast_number(a, &shape, index), op_broadcast_number(b, &shape, index));
    op_set_number(&out, i, integer ? trunc(x) : x);
  }
  return out;
}

/* Integers do not divide by zero, and those without sign do not go below it. */
static op_array operand(tnr_dtype dtype, tnr_shape shape, unsigned seed) {
  op_array array = op_array_random(dtype, shape, seed);
  for (int64_t i = 0; i < tnr_shape_elements(&shape); i++)
    op_set_number(&array, i, 1 + (int)fabs(op_number(&array, i)));
  return array;
}

static void check_all(tnr_shape a_shape, tnr_shape b_shape, tnr_shape out_shape) {
  for (int d = 0; d < DTYPES; d++)
    for (int i = 0; i < OPS; i++) {
      op_array a = operand(dtypes[d], a_shape, 1), b = operand(dtypes[d], b_shape, 2);
      if (dtypes[d] == TNR_U8 && ops[i] == &tnr_op_sub)
        continue;
      op_assert_equal(OP(ops[i], NULL, a, b), expected(ops[i], &a, &b, out_shape));
    }
}

static void equal_shapes_give_that_shape(void **state) {
  (void)state;
  check_all(TNR_SHAPE(2, 3), TNR_SHAPE(2, 3), TNR_SHAPE(2, 3));
  check_all(TNR_SHAPE(1), TNR_SHAPE(1), TNR_SHAPE(1));
  check_all(TNR_SCALAR, TNR_SCALAR, TNR_SCALAR);
}

static void dims_of_one_and_missing_dims_are_repeated(void **state) {
  (void)state;
  check_all(TNR_SHAPE(2, 3), TNR_SHAPE(3), TNR_SHAPE(2, 3));
  check_all(TNR_SHAPE(3), TNR_SHAPE(2, 3), TNR_SHAPE(2, 3));
  check_all(TNR_SHAPE(2, 3), TNR_SHAPE(2, 1), TNR_SHAPE(2, 3));
  check_all(TNR_SHAPE(2, 1), TNR_SHAPE(1, 3), TNR_SHAPE(2, 3));
  check_all(TNR_SHAPE(4, 1, 3, 1), TNR_SHAPE(2, 1, 5), TNR_SHAPE(4, 2, 3, 5));
  check_all(TNR_SHAPE(4, 2, 3, 5), TNR_SHAPE(2, 3, 1), TNR_SHAPE(4, 2, 3, 5));
  check_all(TNR_SHAPE(4, 2, 3, 5), TNR_SHAPE(4, 1, 1, 5), TNR_SHAPE(4, 2, 3, 5));
}

static void a_scalar_is_repeated_everywhere(void **state) {
  (void)state;
  check_all(TNR_SHAPE(2, 3), TNR_SCALAR, TNR_SHAPE(2, 3));
  check_all(TNR_SCALAR, TNR_SHAPE(2, 3), TNR_SHAPE(2, 3));
}

static void eight_dims_are_walked_through(void **state) {
  (void)state;
  check_all(TNR_SHAPE(2, 1, 2, 1, 2, 1, 2, 1), TNR_SHAPE(1, 3, 1, 2, 1, 3, 1, 2),
            TNR_SHAPE(2, 3, 2, 2, 2, 3, 2, 2));
}

static void empty_inputs_give_empty_outputs(void **state) {
  (void)state;
  check_all(TNR_SHAPE(0), TNR_SHAPE(0), TNR_SHAPE(0));
  check_all(TNR_SHAPE(2, 0), TNR_SHAPE(1), TNR_SHAPE(2, 0));
  check_all(TNR_SHAPE(1, 3), TNR_SHAPE(0, 1), TNR_SHAPE(0, 3));
  check_all(TNR_SHAPE(0, INT64_MAX), TNR_SHAPE(0, INT64_MAX), TNR_SHAPE(0, INT64_MAX));
}

static void one_input_may_be_both_operands(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(3), OP_NUMBERS(1, 2, 3));
  op_assert_is(OP(&tnr_op_add, NULL, x, x), TNR_F32, TNR_SHAPE(3), OP_NUMBERS(2, 4, 6));
}

static void integers_wrap(void **state) {
  (void)state;
  op_array a = op_array_of(TNR_I8, TNR_SHAPE(3), OP_NUMBERS(127, -128, 100));
  op_array b = op_array_of(TNR_I8, TNR_SHAPE(3), OP_NUMBERS(1, 1, 3));
  op_assert_is(OP(&tnr_op_add, NULL, a, b), TNR_I8, TNR_SHAPE(3), OP_NUMBERS(-128, -127, 103));
  op_assert_is(OP(&tnr_op_sub, NULL, a, b), TNR_I8, TNR_SHAPE(3), OP_NUMBERS(126, 127, 97));
  op_assert_is(OP(&tnr_op_mul, NULL, a, b), TNR_I8, TNR_SHAPE(3), OP_NUMBERS(127, -128, 44));

  op_array u = op_array_of(TNR_U8, TNR_SHAPE(2), OP_NUMBERS(3, 200));
  op_array v = op_array_of(TNR_U8, TNR_SHAPE(2), OP_NUMBERS(5, 2));
  op_assert_is(OP(&tnr_op_sub, NULL, u, v), TNR_U8, TNR_SHAPE(2), OP_NUMBERS(254, 198));
  op_assert_is(OP(&tnr_op_mul, NULL, u, v), TNR_U8, TNR_SHAPE(2), OP_NUMBERS(15, 144));

  op_array least = op_array_of(TNR_I64, TNR_SCALAR, OP_NUMBERS(INT64_MIN));
  op_array minus_one = op_array_of(TNR_I64, TNR_SCALAR, OP_NUMBERS(-1));
  op_array sum = OP(&tnr_op_add, NULL, least, minus_one);
  assert_int_equal(*(int64_t *)sum.data, INT64_MAX);
  op_assert_equal(OP(&tnr_op_mul, NULL, least, minus_one), least);
}

static void bf16_is_computed_in_f32_and_rounded_once(void **state) {
  (void)state;
  op_array a = op_array_of(TNR_BF16, TNR_SHAPE(2), OP_NUMBERS(256, 257.0 + 1.0));
  op_array b = op_array_of(TNR_BF16, TNR_SHAPE(2), OP_NUMBERS(1, 3));
  op_assert_is(OP(&tnr_op_add, NULL, a, b), TNR_BF16, TNR_SHAPE(2), OP_NUMBERS(256, 260));
}

static void nan_and_infinity_follow_ieee(void **state) {
  (void)state;
  for (int d = 0; d < 2; d++) {
    op_array a = op_array_of(dtypes[d], TNR_SHAPE(3), OP_NUMBERS(NAN, INFINITY, INFINITY));
    op_array b = op_array_of(dtypes[d], TNR_SHAPE(3), OP_NUMBERS(1, 1, -INFINITY));
    op_assert_is(OP(&tnr_op_add, NULL, a, b), dtypes[d], TNR_SHAPE(3),
                 OP_NUMBERS(NAN, INFINITY, NAN));
  }
}

static void shapes_that_do_not_fit_are_refused(void **state) {
  (void)state;
  op_array a = op_array_random(TNR_F32, TNR_SHAPE(2, 3), 1);
  op_array b = op_array_random(TNR_F32, TNR_SHAPE(4, 1), 2);
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(0));
  for (int i = 0; i < OPS; i++) {
    op_assert_fails(ops[i], NULL, TNR_ESHAPE, "dim -2 does not broadcast: 2 and 4", a, b);
    op_assert_fails(ops[i], NULL, TNR_ESHAPE, "dim -1 does not broadcast: 3 and 0", a, empty);
  }
}

static void wrong_inputs_are_refused(void **state) {
  (void)state;
  op_array f32 = op_array_random(TNR_F32, TNR_SHAPE(2), 1);
  op_array i32 = op_array_random(TNR_I32, TNR_SHAPE(2), 1);
  op_array f16 = op_array_random(TNR_F16, TNR_SHAPE(2), 1);
  op_array truth = op_array_random(TNR_BOOL, TNR_SHAPE(2), 1);
  for (int i = 0; i < OPS; i++) {
    op_assert_fails(ops[i], NULL, TNR_EDTYPE, "dtypes differ: input 0 is f32 and input 1 is i32",
                    f32, i32);
    op_assert_fails(ops[i], NULL, TNR_EDTYPE,
                    "f16 is not among the dtypes it takes: f32, bf16, i8, u8, i32, i64", f16, f16);
    op_assert_fails(ops[i], NULL, TNR_EDTYPE,
                    "bool is not among the dtypes it takes: f32, bf16, i8, u8, i32, i64", truth,
                    truth);
    op_assert_fails(ops[i], NULL, TNR_EINVAL, "takes 2 inputs, got 1", f32);
    op_assert_fails(ops[i], NULL, TNR_EINVAL, "takes 2 inputs, got 3", f32, f32, f32);
  }
}

static void each_says_its_primitive(void **state) {
  (void)state;
  static const tnr_primitive_kind kinds[] = {TNR_PRIMITIVE_ADD, TNR_PRIMITIVE_SUB,
                                             TNR_PRIMITIVE_MUL, TNR_PRIMITIVE_DIV};
  tnr_desc in[2] = {{TNR_SHAPE(2), TNR_F32}, {TNR_SHAPE(2), TNR_F32}};
  for (int i = 0; i < OPS; i++) {
    tnr_primitive primitive = {.kind = TNR_PRIMITIVE_NONE};
    ops[i]->primitive(&(tnr_op_call){.in_count = 2, .in = in}, &primitive);
    assert_int_equal(primitive.kind, kinds[i]);
  }
}

static void pieces_add_up_to_the_whole(void **state) {
  (void)state;
  const struct {
    tnr_shape a, b;
  } cases[] = {{TNR_SHAPE(8, 4), TNR_SHAPE(8, 4)},      {TNR_SHAPE(8, 4), TNR_SHAPE(4)},
               {TNR_SHAPE(8, 4), TNR_SCALAR},           {TNR_SHAPE(4), TNR_SHAPE(3, 8, 4)},
               {TNR_SHAPE(8, 1), TNR_SHAPE(1, 4)},      {TNR_SHAPE(4, 4), TNR_SHAPE(4)},
               {TNR_SHAPE(4, 0, 3), TNR_SHAPE(4, 1, 1)}};
  for (int i = 0; i < OPS; i++)
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
      assert_true(op_assert_shards_right(ops[i], NULL, operand(TNR_I32, cases[c].a, 1),
                                         operand(TNR_I32, cases[c].b, 2)) >= 2);
}

static void repeated_inputs_stay_whole_when_the_other_is_split(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(8, 4), 1);
  op_array row = op_array_random(TNR_F32, TNR_SHAPE(4), 2);
  op_array column = op_array_random(TNR_F32, TNR_SHAPE(8, 1), 3);
  op_array one = op_array_random(TNR_F32, TNR_SCALAR, 4);
  assert_int_equal(op_shard_of(&tnr_op_add, NULL, OP_DIMS(0, 0), x, x), 0);
  assert_int_equal(op_shard_of(&tnr_op_add, NULL, OP_DIMS(0, -1), x, row), 0);
  assert_int_equal(op_shard_of(&tnr_op_add, NULL, OP_DIMS(-1, 0), row, x), 0);
  assert_int_equal(op_shard_of(&tnr_op_add, NULL, OP_DIMS(1, 0), x, row), 1);
  assert_int_equal(op_shard_of(&tnr_op_add, NULL, OP_DIMS(1, -1), x, column), 1);
  assert_int_equal(op_shard_of(&tnr_op_add, NULL, OP_DIMS(1, -1), x, one), 1);
  op_assert_shard_refused(&tnr_op_add, NULL, OP_DIMS(1, -1),
                          "input 1 is whole on each device, but the other is split along dim 1 of "
                          "the output: shard it likewise",
                          x, row);
  op_assert_shard_refused(&tnr_op_add, NULL, OP_DIMS(0, 0),
                          "inputs are split over devices along different dims of the output: 0 "
                          "and 1; gather one and shard it like the other",
                          x, row);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(equal_shapes_give_that_shape),
      op_test(dims_of_one_and_missing_dims_are_repeated),
      op_test(a_scalar_is_repeated_everywhere),
      op_test(eight_dims_are_walked_through),
      op_test(empty_inputs_give_empty_outputs),
      op_test(one_input_may_be_both_operands),
      op_test(integers_wrap),
      op_test(bf16_is_computed_in_f32_and_rounded_once),
      op_test(nan_and_infinity_follow_ieee),
      op_test(shapes_that_do_not_fit_are_refused),
      op_test(wrong_inputs_are_refused),
      op_test(each_says_its_primitive),
      op_test(pieces_add_up_to_the_whole),
      op_test(repeated_inputs_stay_whole_when_the_other_is_split),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
