#include "op_harness.h"

#define DIM(d) TNR_ATTRS(tnr_concat_attrs, .dim = (d))

static void every_dtype_is_joined_along_any_dim(void **state) {
  (void)state;
  for (int d = 0; d < TNR_DTYPE_COUNT; d++) {
    tnr_dtype dtype = (tnr_dtype)d;
    op_array a = op_array_of(dtype, TNR_SHAPE(2, 2), OP_NUMBERS(0, 1, 1, 0));
    op_array b = op_array_of(dtype, TNR_SHAPE(2, 1), OP_NUMBERS(1, 1));
    op_assert_is(OP(&tnr_op_concat, DIM(1), a, b), dtype, TNR_SHAPE(2, 3),
                 OP_NUMBERS(0, 1, 1, 1, 0, 1));
    op_assert_is(OP(&tnr_op_concat, DIM(-2), a, a), dtype, TNR_SHAPE(4, 2),
                 OP_NUMBERS(0, 1, 1, 0, 0, 1, 1, 0));
  }
}

static void what_split_cut_is_joined_again(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_I32, TNR_SHAPE(3, 6, 2), 1);
  op_result parts = op_run(&tnr_op_split, TNR_ATTRS(tnr_split_attrs, .dim = 1, .parts = 3), &x, 1);
  op_assert_equal(OP(&tnr_op_concat, DIM(1), parts.out[0], parts.out[1], parts.out[2]), x);
}

static void one_input_is_copied(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(2, 3), 1);
  op_assert_equal(OP(&tnr_op_concat, DIM(0), x), x);
}

static void empty_inputs_add_nothing(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(1, 2), OP_NUMBERS(1, 2));
  op_array none = op_array_new(TNR_F32, TNR_SHAPE(0, 2));
  op_assert_is(OP(&tnr_op_concat, DIM(0), none, x, none), TNR_F32, TNR_SHAPE(1, 2),
               OP_NUMBERS(1, 2));
  op_assert_is(OP(&tnr_op_concat, DIM(1), none, none), TNR_F32, TNR_SHAPE(0, 4), OP_NO_NUMBERS);
}

static void wrong_calls_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(2, 3), 1);
  op_array other = op_array_random(TNR_F32, TNR_SHAPE(3, 3), 1);
  op_array flat = op_array_random(TNR_F32, TNR_SHAPE(3), 1);
  op_array i32 = op_array_random(TNR_I32, TNR_SHAPE(2, 3), 1);
  op_array huge = op_array_new(TNR_F32, TNR_SHAPE(0, INT64_MAX));
  op_assert_fails(&tnr_op_concat, DIM(1), TNR_ESHAPE,
                  "dim 0 differs: 2 in input 0 and 3 in input 1", x, other);
  op_assert_fails(&tnr_op_concat, DIM(0), TNR_ESHAPE,
                  "ranks differ: input 0 has 2 dims and input 2 has 1", x, other, flat);
  op_assert_fails(&tnr_op_concat, DIM(0), TNR_EDTYPE,
                  "dtypes differ: input 0 is f32 and input 1 is i32", x, i32);
  op_assert_fails(&tnr_op_concat, DIM(2), TNR_EINVAL, "dim 2 is out of range for rank 2", x, x);
  op_assert_fails(&tnr_op_concat, DIM(1), TNR_EOVERFLOW,
                  "the joined size of dim 1 does not fit into 63 bits", huge, huge);
  op_result none = op_run(&tnr_op_concat, DIM(0), NULL, 0);
  assert_int_equal(none.status, TNR_EINVAL);
  assert_string_equal(none.fault.message, "takes at least 1 input, got 0");
}

static void any_dim_but_the_joined_one_may_be_split_over_devices(void **state) {
  (void)state;
  op_array a = op_array_random(TNR_F32, TNR_SHAPE(4, 8, 12), 1);
  op_array b = op_array_random(TNR_F32, TNR_SHAPE(4, 8, 4), 2);
  assert_int_equal(op_assert_shards_right(&tnr_op_concat, DIM(2), a, b, a), 2 + 2);
  op_assert_shard_refused(&tnr_op_concat, DIM(2), OP_DIMS(2, 2),
                          "the input is split over devices along dim 2, which the op needs whole: "
                          "gather it first",
                          a, b);
  op_assert_shard_refused(&tnr_op_concat, DIM(2), OP_DIMS(0, -1),
                          "inputs 0 and 1 are not split over devices along the same dim: gather or "
                          "shard one of them likewise",
                          a, b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(every_dtype_is_joined_along_any_dim),
      op_test(what_split_cut_is_joined_again),
      op_test(one_input_is_copied),
      op_test(empty_inputs_add_nothing),
      op_test(wrong_calls_are_refused),
      op_test(any_dim_but_the_joined_one_may_be_split_over_devices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
