/* linear, linear_with_relu and linear_with_intermediate: on one device and on four, plain and
 * async. */
#include "op_places.h"

enum { X, WEIGHTS, BIAS, INPUTS };

/* What the ops that they are made of give, by their plain kernels. */
static op_array linear_by_hand(const op_array *in) {
  op_array product =
      OP(&tnr_op_matmul, TNR_ATTRS(tnr_matmul_attrs, .transpose_b = true), in[X], in[WEIGHTS]);
  return OP(&tnr_op_add, NULL, product, in[BIAS]);
}

static void make_inputs(tnr_dtype dtype, op_array *in) {
  in[X] = op_array_random(dtype, TNR_SHAPE(8, 5), 1);
  in[WEIGHTS] = op_array_random(dtype, TNR_SHAPE(4, 5), 2);
  in[BIAS] = op_array_random(dtype, TNR_SHAPE(4), 3);
}

/* Calls the composite at a place, with inputs split along those dims, and compares its results. */
static void check_at(tnr_runtime *runtime, const op_place *place, const tnr_composite_def *def,
                     const op_array *in, const int *split, const op_array *right, int results) {
  tnr_value values[INPUTS];
  assert_ok(tnr_scope_open());
  for (int i = 0; i < INPUTS; i++)
    values[i] = op_put(runtime, place, &in[i], split[i]);
  tnr_value result = tnr_call_composite(def, TNR_HERE, values, INPUTS, NULL);
  assert_made(result.handle);
  for (int i = 0; i < results; i++)
    op_assert_near(op_take(result, i), right[i], op_tolerance(right[i].desc.dtype));
  assert_ok(tnr_scope_close());
}

static void check_everywhere(tnr_runtime *runtime, const int *split) {
  const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16, TNR_I32};
  const op_place *place;
  for (int d = 0; d < 3; d++)
    for (int i = 0; (place = op_place_at(i)); i++) {
      op_array in[INPUTS];
      make_inputs(dtypes[d], in);
      op_array linear = linear_by_hand(in), relu = OP(&tnr_op_relu, NULL, linear);
      check_at(runtime, place, &tnr_op_linear, in, split, &linear, 1);
      check_at(runtime, place, &tnr_op_linear_with_relu, in, split, &relu, 1);
      const op_array both[] = {relu, linear};
      check_at(runtime, place, &tnr_op_linear_with_intermediate, in, split, both, 2);
      op_free_arrays(NULL);
    }
}

static void rows_of_x_may_be_split(void **state) {
  check_everywhere(*state, OP_DIMS(0, -1, -1));
}

static void rows_of_the_weights_may_be_split_with_the_bias(void **state) {
  check_everywhere(*state, OP_DIMS(-1, 0, 0));
}

static void numbers_worked_by_hand_come_out_of_the_macros(void **state) {
  const op_place *here = op_place_at(0);
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(1, 2), OP_NUMBERS(1, 2));
  op_array weights = op_array_of(TNR_F32, TNR_SHAPE(3, 2), OP_NUMBERS(1, 1, -2, 0, 0, 3));
  op_array bias = op_array_of(TNR_F32, TNR_SHAPE(3), OP_NUMBERS(10, 0, -10));
  assert_ok(tnr_scope_open());
  tnr_tensor *a = tnr_value_tensor(op_put(*state, here, &x, -1));
  tnr_tensor *b = tnr_value_tensor(op_put(*state, here, &weights, -1));
  tnr_tensor *c = tnr_value_tensor(op_put(*state, here, &bias, -1));
  tnr_tensor *plain = tnr_linear(a, b, c);
  tnr_future *async = tnr_linear_with_relu(tnr_to_async(a), b, c);
  tnr_tuple *both = tnr_linear_with_intermediate(a, b, c);
  assert_int_equal(tnr_tuple_count(both), 2);
  op_assert_is(op_take(TNR_VALUE(plain), 0), TNR_F32, TNR_SHAPE(1, 3), OP_NUMBERS(13, -2, -4));
  op_assert_is(op_take(TNR_VALUE(async), 0), TNR_F32, TNR_SHAPE(1, 3), OP_NUMBERS(13, 0, 0));
  op_assert_is(op_take(TNR_VALUE(both), 0), TNR_F32, TNR_SHAPE(1, 3), OP_NUMBERS(13, 0, 0));
  op_assert_is(op_take(TNR_VALUE(both), 1), TNR_F32, TNR_SHAPE(1, 3), OP_NUMBERS(13, -2, -4));
  assert_ok(tnr_scope_close());
  op_free_arrays(NULL);
}

static void check_refused(tnr_runtime *runtime, const op_array *in, const char *reason) {
  tnr_value values[INPUTS];
  assert_ok(tnr_scope_open());
  for (int i = 0; i < INPUTS; i++)
    values[i] = op_put(runtime, op_place_at(0), &in[i], -1);
  tnr_value result = tnr_call_composite(&tnr_op_linear, TNR_HERE, values, INPUTS, NULL);
  assert_int_equal(result.kind, TNR_VALUE_NONE);
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESHAPE);
  assert_string_equal(tnr_error_reason(tnr_error()), reason);
  assert_string_equal(tnr_error_op(tnr_error()), "linear/matmul");
  assert_ok(tnr_scope_close());
}

static void an_error_within_says_where_it_arose(void **state) {
  op_array in[INPUTS];
  make_inputs(TNR_F32, in);
  in[WEIGHTS] = op_array_random(TNR_F32, TNR_SHAPE(4, 6), 2);
  check_refused(*state, in, "inner dimensions differ: 5 and 6");
  make_inputs(TNR_F32, in);
  in[BIAS] = op_array_random(TNR_F32, TNR_SHAPE(8, 4), 2);
  check_refused(*state, in, "bias has rank 2, but needs to be [n]");
  op_free_arrays(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_of_x_may_be_split),
      cmocka_unit_test(rows_of_the_weights_may_be_split_with_the_bias),
      cmocka_unit_test(numbers_worked_by_hand_come_out_of_the_macros),
      cmocka_unit_test(an_error_within_says_where_it_arose),
  };
  return cmocka_run_group_tests(tests, op_runtime_setup, op_runtime_teardown);
}
