#include "op_harness.h"

#define PERMUTE(n, ...) TNR_ATTRS(tnr_transpose_attrs, .permutation = {__VA_ARGS__}, .permuted = n)
#define REVERSE         TNR_ATTRS(tnr_transpose_attrs, .permuted = 0)

/* By index: element [i, j, …] of the output from the input's place of each dim. */
static op_array expected(const op_array *x, const int *permutation) {
  tnr_shape shape = {.rank = x->desc.shape.rank};
  for (int d = 0; d < shape.rank; d++)
    shape.dims[d] = x->desc.shape.dims[permutation[d]];
  op_array out = op_array_new(x->desc.dtype, shape);
  for (int64_t i = 0; i < tnr_shape_elements(&shape); i++) {
    int64_t place[TNR_MAX_RANK], source[TNR_MAX_RANK];
    op_unravel(&shape, i, place);
    for (int d = 0; d < shape.rank; d++)
      source[permutation[d]] = place[d];
    op_set_number(&out, i, op_number(x, op_ravel(&x->desc.shape, source)));
  }
  return out;
}

static void dims_are_reversed_unless_told_otherwise(void **state) {
  (void)state;
  for (int d = 0; d < TNR_DTYPE_COUNT; d++) {
    op_array x = op_array_random((tnr_dtype)d, TNR_SHAPE(2, 3, 4), 1);
    op_assert_equal(OP(&tnr_op_transpose, REVERSE, x), expected(&x, OP_DIMS(2, 1, 0)));
  }
}

static void every_permutation_of_three_is_right(void **state) {
  (void)state;
  static const int permutations[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                        {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (int d = 0; d < TNR_DTYPE_COUNT; d++)
    for (int i = 0; i < 6; i++) {
      const int *p = permutations[i];
      op_array x = op_array_random((tnr_dtype)d, TNR_SHAPE(2, 3, 4), 1);
      op_array right = expected(&x, p);
      op_assert_equal(OP(&tnr_op_transpose, PERMUTE(3, p[0], p[1], p[2]), x), right);
      op_assert_equal(OP(&tnr_op_transpose, PERMUTE(3, p[0] - 3, p[1], p[2] - 3), x), right);
    }
}

static void eight_dims_are_walked_through(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_I32, TNR_SHAPE(2, 3, 1, 2, 2, 3, 1, 2), 1);
  op_assert_equal(OP(&tnr_op_transpose, PERMUTE(8, 7, 0, 1, 6, 3, 2, 5, 4), x),
                  expected(&x, OP_DIMS(7, 0, 1, 6, 3, 2, 5, 4)));
}

static void scalars_and_empty_tensors_are_taken(void **state) {
  (void)state;
  op_array scalar = op_array_of(TNR_F32, TNR_SCALAR, OP_NUMBERS(5));
  op_assert_is(OP(&tnr_op_transpose, REVERSE, scalar), TNR_F32, TNR_SCALAR, OP_NUMBERS(5));
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(2, 0));
  op_assert_is(OP(&tnr_op_transpose, REVERSE, empty), TNR_F32, TNR_SHAPE(0, 2), OP_NO_NUMBERS);
}

static void wrong_permutations_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(2, 3), 1);
  op_assert_fails(&tnr_op_transpose, PERMUTE(3, 0, 1, 2), TNR_EINVAL,
                  "the permutation has 3 dims, the input 2", x);
  op_assert_fails(&tnr_op_transpose, PERMUTE(2, 0, 2), TNR_EINVAL,
                  "dim 2 is out of range for rank 2", x);
  op_assert_fails(&tnr_op_transpose, PERMUTE(2, 1, -1), TNR_EINVAL,
                  "dim 1 stands twice in the permutation", x);
  op_assert_fails(&tnr_op_transpose, REVERSE, TNR_EINVAL, "takes 1 input, got 2", x, x);
}

static void a_split_dim_moves_with_its_dim(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(4, 8, 12), 1);
  assert_int_equal(op_assert_shards_right(&tnr_op_transpose, REVERSE, x), 3 + 3);
  assert_int_equal(op_assert_shards_right(&tnr_op_transpose, PERMUTE(3, 1, 2, 0), x), 3 + 3);
  assert_int_equal(op_shard_of(&tnr_op_transpose, PERMUTE(3, 1, 2, 0), OP_DIMS(0), x), 2);
}

static void the_primitive_has_the_whole_permutation(void **state) {
  (void)state;
  tnr_desc in = {TNR_SHAPE(2, 3, 4), TNR_F32};
  tnr_primitive primitive = {.kind = TNR_PRIMITIVE_NONE};
  tnr_op_call call = {.attrs = PERMUTE(3, -2, 2, 0), .in_count = 1, .in = &in};
  tnr_op_transpose.primitive(&call, &primitive);
  assert_int_equal(primitive.kind, TNR_PRIMITIVE_TRANSPOSE);
  assert_memory_equal(primitive.permutation, OP_DIMS(1, 2, 0), 3 * sizeof(int));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(dims_are_reversed_unless_told_otherwise),
      op_test(every_permutation_of_three_is_right),
      op_test(eight_dims_are_walked_through),
      op_test(scalars_and_empty_tensors_are_taken),
      op_test(wrong_permutations_are_refused),
      op_test(a_split_dim_moves_with_its_dim),
      op_test(the_primitive_has_the_whole_permutation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
