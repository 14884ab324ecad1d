#include "op_harness.h"

#define SHAPE(...) TNR_ATTRS(tnr_reshape_attrs, .shape = TNR_SHAPE(__VA_ARGS__))
#define TO_SCALAR  TNR_ATTRS(tnr_reshape_attrs, .shape = TNR_SCALAR)

static void elements_keep_their_order(void **state) {
  (void)state;
  for (int d = 0; d < TNR_DTYPE_COUNT; d++) {
    tnr_dtype dtype = (tnr_dtype)d;
    op_array x = op_array_of(dtype, TNR_SHAPE(2, 3), OP_NUMBERS(0, 1, 0, 1, 1, 0));
    op_assert_is(OP(&tnr_op_reshape, SHAPE(3, 2), x), dtype, TNR_SHAPE(3, 2),
                 OP_NUMBERS(0, 1, 0, 1, 1, 0));
  }
}

static op_array with_shape(op_array x, tnr_shape shape) {
  return (op_array){.desc = {shape, x.desc.dtype}, .data = x.data};
}

static void the_open_dim_takes_what_remains(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_I32, TNR_SHAPE(4, 6), 1);
  op_assert_equal(OP(&tnr_op_reshape, SHAPE(-1), x), with_shape(x, TNR_SHAPE(24)));
  op_assert_equal(OP(&tnr_op_reshape, SHAPE(2, -1, 3), x), with_shape(x, TNR_SHAPE(2, 4, 3)));
  op_assert_equal(OP(&tnr_op_reshape, SHAPE(24, -1), x), with_shape(x, TNR_SHAPE(24, 1)));
}

static void one_element_becomes_a_scalar_and_back(void **state) {
  (void)state;
  op_array one = op_array_of(TNR_F32, TNR_SHAPE(1, 1), OP_NUMBERS(5));
  op_array scalar = OP(&tnr_op_reshape, TO_SCALAR, one);
  op_assert_is(scalar, TNR_F32, TNR_SCALAR, OP_NUMBERS(5));
  op_assert_is(OP(&tnr_op_reshape, SHAPE(1, -1, 1), scalar), TNR_F32, TNR_SHAPE(1, 1, 1),
               OP_NUMBERS(5));
}

static void empty_tensors_stay_empty(void **state) {
  (void)state;
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(0, 4));
  op_assert_is(OP(&tnr_op_reshape, SHAPE(2, 0), empty), TNR_F32, TNR_SHAPE(2, 0), OP_NO_NUMBERS);
  op_assert_is(OP(&tnr_op_reshape, SHAPE(-1, 7), empty), TNR_F32, TNR_SHAPE(0, 7), OP_NO_NUMBERS);
}

static void wrong_shapes_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(4, 6), 1);
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(0, 4));
  op_assert_fails(&tnr_op_reshape, SHAPE(5, 5), TNR_ESHAPE,
                  "the new shape has 25 elements, the input 24", x);
  op_assert_fails(&tnr_op_reshape, TO_SCALAR, TNR_ESHAPE,
                  "the new shape has 1 elements, the input 24", x);
  op_assert_fails(&tnr_op_reshape, SHAPE(-1, 5), TNR_ESHAPE,
                  "24 elements do not divide by 5, the product of the dims given", x);
  op_assert_fails(&tnr_op_reshape, SHAPE(-1, 0), TNR_ESHAPE,
                  "nothing says how large dim 0 is: another dim is 0", empty);
  op_assert_fails(&tnr_op_reshape, SHAPE(-1, 4, -1), TNR_EINVAL,
                  "dims 0 and 2 of the new shape are both -1", x);
  op_assert_fails(&tnr_op_reshape, SHAPE(24, -2), TNR_EINVAL, "dim 1 of the new shape is -2", x);
  op_assert_fails(&tnr_op_reshape, SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 24), TNR_EINVAL,
                  "the new shape has 9 dims, not 0 to 8", x);
  op_assert_fails(&tnr_op_reshape, SHAPE(INT64_MAX, 3), TNR_EOVERFLOW,
                  "the product of 2 dims does not fit into 63 bits", x);
  op_assert_fails(&tnr_op_reshape, SHAPE(24), TNR_EINVAL, "takes 1 input, got 2", x, x);
}

static void dims_that_begin_at_the_same_element_stay_split(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(4, 6), 1);
  op_array flat = op_array_random(TNR_F32, TNR_SHAPE(24), 1);
  op_array deep = op_array_random(TNR_F32, TNR_SHAPE(3, 8, 5), 1);
  assert_int_equal(op_shard_of(&tnr_op_reshape, SHAPE(24), OP_DIMS(0), x), 0);
  assert_int_equal(op_shard_of(&tnr_op_reshape, SHAPE(4, 6), OP_DIMS(0), flat), 0);
  assert_int_equal(op_shard_of(&tnr_op_reshape, SHAPE(1, 8, 3), OP_DIMS(0), flat), 1);
  assert_int_equal(op_shard_of(&tnr_op_reshape, SHAPE(3, 40), OP_DIMS(1), deep), 1);
  assert_int_equal(op_shard_of(&tnr_op_reshape, SHAPE(3, 1, 4, 10), OP_DIMS(1), deep), 2);
  op_assert_shard_refused(&tnr_op_reshape, SHAPE(24), OP_DIMS(1),
                          "the input is split over devices along dim 1, which is within a dim of "
                          "the output: gather it first",
                          x);
}

static void pieces_add_up_to_the_whole(void **state) {
  (void)state;
  static const int64_t shapes[][4] = {{1, 1, 1, 96}, {96, 1, 1, 1}, {8, 12, 1, 1}, {12, 8, 1, 1},
                                      {2, 4, 3, 4},  {4, 1, 24, 1}, {1, 48, 1, 2}, {3, 4, 8, 1},
                                      {2, 2, 2, 12}, {6, 16, 1, 1}, {16, 3, 2, 1}, {2, 48, 1, 1}};
  enum { SHAPES = sizeof shapes / sizeof shapes[0] };
  for (int from = 0; from < SHAPES; from++)
    for (int to = 0; to < SHAPES; to++) {
      op_array x = op_array_random(TNR_I32, tnr_shape_of(4, shapes[from]), 1);
      tnr_reshape_attrs attrs = {.shape = tnr_shape_of(4, shapes[to])};
      int right = op_assert_shards_right(&tnr_op_reshape, &attrs, x);
      assert_true(from != to || right > 0);
    }
}

static void empty_pieces_are_always_right(void **state) {
  (void)state;
  op_array x = op_array_new(TNR_F32, TNR_SHAPE(4, 0, 3));
  assert_true(op_assert_shards_right(&tnr_op_reshape, SHAPE(5, 7, 0), x) >= 2);
  assert_int_equal(op_shard_of(&tnr_op_reshape, SHAPE(4, 0), OP_DIMS(0), x), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(elements_keep_their_order),
      op_test(the_open_dim_takes_what_remains),
      op_test(one_element_becomes_a_scalar_and_back),
      op_test(empty_tensors_stay_empty),
      op_test(wrong_shapes_are_refused),
      op_test(dims_that_begin_at_the_same_element_stay_split),
      op_test(pieces_add_up_to_the_whole),
      op_test(empty_pieces_are_always_right),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
