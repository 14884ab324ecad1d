#include "op_harness.h"

#define SPLIT(d, p) TNR_ATTRS(tnr_split_attrs, .dim = (d), .parts = (p))

static op_result split(op_array x, int64_t dim, int64_t parts) {
  op_result result = op_run(&tnr_op_split, SPLIT(dim, parts), &x, 1);
  assert_int_equal(result.status, TNR_OK);
  assert_int_equal(result.count, parts);
  return result;
}

static void every_dtype_is_cut_into_equal_parts(void **state) {
  (void)state;
  for (int d = 0; d < TNR_DTYPE_COUNT; d++) {
    tnr_dtype dtype = (tnr_dtype)d;
    op_array x = op_array_of(dtype, TNR_SHAPE(2, 4), OP_NUMBERS(0, 1, 0, 1, 1, 1, 0, 0));
    op_result columns = split(x, 1, 2);
    op_assert_is(columns.out[0], dtype, TNR_SHAPE(2, 2), OP_NUMBERS(0, 1, 1, 1));
    op_assert_is(columns.out[1], dtype, TNR_SHAPE(2, 2), OP_NUMBERS(0, 1, 0, 0));
    op_result rows = split(x, -2, 2);
    op_assert_is(rows.out[0], dtype, TNR_SHAPE(1, 4), OP_NUMBERS(0, 1, 0, 1));
    op_assert_is(rows.out[1], dtype, TNR_SHAPE(1, 4), OP_NUMBERS(1, 1, 0, 0));
  }
}

static void a_middle_dim_is_cut_inside_each_outer_index(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_I32, TNR_SHAPE(3, 6, 2), 1);
  op_result result = split(x, 1, 3);
  for (int part = 0; part < 3; part++)
    for (int64_t i = 0; i < 12; i++) {
      int64_t index[TNR_MAX_RANK];
      op_unravel(&result.out[part].desc.shape, i, index);
      index[1] += 2 * part;
      assert_true(op_number(&result.out[part], i) == op_number(&x, op_ravel(&x.desc.shape, index)));
    }
}

static void one_part_is_the_whole(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(2, 3), 1);
  op_assert_equal(split(x, 0, 1).out[0], x);
}

static void empty_dims_are_split_into_empty_parts(void **state) {
  (void)state;
  op_array x = op_array_new(TNR_F32, TNR_SHAPE(0, 4));
  op_assert_is(split(x, 0, 3).out[2], TNR_F32, TNR_SHAPE(0, 4), OP_NO_NUMBERS);
  op_assert_is(split(x, 1, 2).out[1], TNR_F32, TNR_SHAPE(0, 2), OP_NO_NUMBERS);
}

static void wrong_calls_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(2, 5), 1);
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(0));
  op_assert_fails(&tnr_op_split, SPLIT(1, 2), TNR_ESHAPE,
                  "dim 1 of size 5 does not divide into 2 equal parts", x);
  op_assert_fails(&tnr_op_split, SPLIT(0, 0), TNR_EINVAL, "parts is 0, not 1 to 1048576", x);
  op_assert_fails(&tnr_op_split, SPLIT(0, INT64_MAX), TNR_EINVAL,
                  "parts is 9223372036854775807, not 1 to 1048576", empty);
  op_assert_fails(&tnr_op_split, SPLIT(2, 1), TNR_EINVAL, "dim 2 is out of range for rank 2", x);
  op_assert_fails(&tnr_op_split, SPLIT(0, 1), TNR_EINVAL, "takes 1 input, got 2", x, x);
}

static void any_dim_but_the_cut_one_may_be_split_over_devices(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(4, 8, 12), 1);
  for (int dim = 0; dim < 3; dim++)
    assert_int_equal(op_assert_shards_right(&tnr_op_split, SPLIT(dim, 2), x), 2 + 2);
  op_assert_shard_refused(&tnr_op_split, SPLIT(1, 4), OP_DIMS(1),
                          "the input is split over devices along dim 1, which the op needs whole: "
                          "gather it first",
                          x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(every_dtype_is_cut_into_equal_parts),
      op_test(a_middle_dim_is_cut_inside_each_outer_index),
      op_test(one_part_is_the_whole),
      op_test(empty_dims_are_split_into_empty_parts),
      op_test(wrong_calls_are_refused),
      op_test(any_dim_but_the_cut_one_may_be_split_over_devices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
