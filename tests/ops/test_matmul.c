#include <math.h>

#include "op_harness.h"

#define PLAIN       TNR_ATTRS(tnr_matmul_attrs, .transpose_a = false)
#define TRANSPOSE_A TNR_ATTRS(tnr_matmul_attrs, .transpose_a = true)
#define RELU        TNR_ATTRS(tnr_matmul_attrs, .relu = true)
#define TRANSPOSE_B TNR_ATTRS(tnr_matmul_attrs, .transpose_b = true)

static const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16, TNR_I32, TNR_I64};
enum { DTYPES = 4 };

/* Element [row, column] of the matrix at a batch index of the output. */
static double element(const op_array *x, bool transposed, const tnr_shape *out,
                      const int64_t *index, int64_t row, int64_t column) {
  int64_t place[TNR_MAX_RANK];
  tnr_shape shape = *out;
  for (int d = 0; d < out->rank; d++)
    place[d] = index[d];
  place[out->rank - 2] = transposed ? column : row;
  place[out->rank - 1] = transposed ? row : column;
  shape.dims[out->rank - 2] = x->desc.shape.dims[x->desc.shape.rank - 2];
  shape.dims[out->rank - 1] = x->desc.shape.dims[x->desc.shape.rank - 1];
  return op_broadcast_number(x, &shape, place);
}

/* bias: NULL or [n]. */
static op_array expected(const tnr_matmul_attrs *attrs, const op_array *a, const op_array *b,
                         const op_array *bias, tnr_shape shape) {
  op_array out = op_array_new(a->desc.dtype, shape);
  int64_t k = a->desc.shape.dims[a->desc.shape.rank - (attrs->transpose_a ? 2 : 1)];
  for (int64_t i = 0; i < tnr_shape_elements(&shape); i++) {
    int64_t index[TNR_MAX_RANK];
    double sum = 0;
    op_unravel(&shape, i, index);
    if (bias)
      sum = op_number(bias, index[shape.rank - 1]);
    for (int64_t l = 0; l < k; l++)
      sum += element(a, attrs->transpose_a, &shape, index, index[shape.rank - 2], l) *
             element(b, attrs->transpose_b, &shape, index, l, index[shape.rank - 1]);
    op_set_number(&out, i, attrs->relu && sum < 0 ? 0 : sum);
  }
  return out;
}

static void check(const tnr_matmul_attrs *attrs, tnr_shape a_shape, tnr_shape b_shape,
                  tnr_shape out_shape) {
  for (int d = 0; d < DTYPES; d++) {
    op_array a = op_array_random(dtypes[d], a_shape, 1);
    op_array b = op_array_random(dtypes[d], b_shape, 2);
    op_assert_equal(OP(&tnr_op_matmul, attrs, a, b), expected(attrs, &a, &b, NULL, out_shape));
    op_array bias = op_array_random(dtypes[d], TNR_SHAPE(out_shape.dims[out_shape.rank - 1]), 3);
    op_assert_equal(OP(&tnr_op_matmul, attrs, a, b, bias),
                    expected(attrs, &a, &b, &bias, out_shape));
  }
}

static void a_product_worked_by_hand(void **state) {
  (void)state;
  for (int d = 0; d < DTYPES; d++) {
    op_array a = op_array_of(dtypes[d], TNR_SHAPE(2, 3), OP_NUMBERS(1, 2, 3, 4, 5, 6));
    op_array b = op_array_of(dtypes[d], TNR_SHAPE(3, 2), OP_NUMBERS(1, 0, 0, 1, 2, -1));
    op_assert_is(OP(&tnr_op_matmul, PLAIN, a, b), dtypes[d], TNR_SHAPE(2, 2),
                 OP_NUMBERS(7, -1, 16, -1));
  }
}

static void either_operand_may_be_transposed(void **state) {
  (void)state;
  tnr_matmul_attrs both = {.transpose_a = true, .transpose_b = true};
  check(PLAIN, TNR_SHAPE(3, 4), TNR_SHAPE(4, 5), TNR_SHAPE(3, 5));
  check(TRANSPOSE_A, TNR_SHAPE(4, 3), TNR_SHAPE(4, 5), TNR_SHAPE(3, 5));
  check(TRANSPOSE_B, TNR_SHAPE(3, 4), TNR_SHAPE(5, 4), TNR_SHAPE(3, 5));
  check(&both, TNR_SHAPE(4, 3), TNR_SHAPE(5, 4), TNR_SHAPE(3, 5));
}

static void batch_dims_broadcast(void **state) {
  (void)state;
  check(PLAIN, TNR_SHAPE(2, 3, 4), TNR_SHAPE(2, 4, 5), TNR_SHAPE(2, 3, 5));
  check(PLAIN, TNR_SHAPE(2, 3, 4), TNR_SHAPE(4, 5), TNR_SHAPE(2, 3, 5));
  check(PLAIN, TNR_SHAPE(3, 4), TNR_SHAPE(2, 4, 5), TNR_SHAPE(2, 3, 5));
  check(PLAIN, TNR_SHAPE(6, 1, 3, 4), TNR_SHAPE(1, 2, 4, 5), TNR_SHAPE(6, 2, 3, 5));
  check(TRANSPOSE_B, TNR_SHAPE(2, 1, 3, 2, 4), TNR_SHAPE(5, 1, 3, 4), TNR_SHAPE(2, 5, 3, 2, 3));
  check(TRANSPOSE_A, TNR_SHAPE(2, 1, 2, 1, 2, 1, 2, 3), TNR_SHAPE(2, 1, 2, 2, 2),
        TNR_SHAPE(2, 1, 2, 2, 2, 2, 3, 2));
}

static void a_bias_and_relu_worked_by_hand(void **state) {
  (void)state;
  for (int d = 0; d < DTYPES; d++) {
    op_array a = op_array_of(dtypes[d], TNR_SHAPE(2, 1), OP_NUMBERS(1, -1));
    op_array b = op_array_of(dtypes[d], TNR_SHAPE(1, 3), OP_NUMBERS(2, 3, 4));
    op_array bias = op_array_of(dtypes[d], TNR_SHAPE(3), OP_NUMBERS(0, -5, 10));
    op_assert_is(OP(&tnr_op_matmul, PLAIN, a, b, bias), dtypes[d], TNR_SHAPE(2, 3),
                 OP_NUMBERS(2, -2, 14, -2, -8, 6));
    op_assert_is(OP(&tnr_op_matmul, RELU, a, b, bias), dtypes[d], TNR_SHAPE(2, 3),
                 OP_NUMBERS(2, 0, 14, 0, 0, 6));
    op_assert_is(OP(&tnr_op_matmul, RELU, a, b), dtypes[d], TNR_SHAPE(2, 3),
                 OP_NUMBERS(2, 3, 4, 0, 0, 0));
  }
}

static void relu_goes_with_transposing_and_batches(void **state) {
  (void)state;
  tnr_matmul_attrs all = {.transpose_a = true, .transpose_b = true, .relu = true};
  check(&all, TNR_SHAPE(4, 3), TNR_SHAPE(5, 4), TNR_SHAPE(3, 5));
  check(RELU, TNR_SHAPE(2, 3, 4), TNR_SHAPE(4, 5), TNR_SHAPE(2, 3, 5));
  check(RELU, TNR_SHAPE(3, 0), TNR_SHAPE(0, 2), TNR_SHAPE(3, 2));
}

/* NaN is not below zero. */
static void relu_lets_nan_pass(void **state) {
  (void)state;
  op_array a = op_array_of(TNR_F32, TNR_SHAPE(1, 1), OP_NUMBERS(NAN));
  op_array b = op_array_of(TNR_F32, TNR_SHAPE(1, 1), OP_NUMBERS(1));
  op_assert_is(OP(&tnr_op_matmul, RELU, a, b), TNR_F32, TNR_SHAPE(1, 1), OP_NUMBERS(NAN));
}

static void one_element_and_vectors_are_taken(void **state) {
  (void)state;
  check(PLAIN, TNR_SHAPE(1, 1), TNR_SHAPE(1, 1), TNR_SHAPE(1, 1));
  check(PLAIN, TNR_SHAPE(1, 7), TNR_SHAPE(7, 1), TNR_SHAPE(1, 1));
  check(PLAIN, TNR_SHAPE(7, 1), TNR_SHAPE(1, 7), TNR_SHAPE(7, 7));
}

static void empty_dims_are_taken_and_an_empty_sum_is_zero(void **state) {
  (void)state;
  check(PLAIN, TNR_SHAPE(0, 4), TNR_SHAPE(4, 5), TNR_SHAPE(0, 5));
  check(PLAIN, TNR_SHAPE(3, 4), TNR_SHAPE(4, 0), TNR_SHAPE(3, 0));
  check(PLAIN, TNR_SHAPE(3, 0), TNR_SHAPE(0, 2), TNR_SHAPE(3, 2));
  check(TRANSPOSE_B, TNR_SHAPE(2, 3, 0), TNR_SHAPE(2, 0), TNR_SHAPE(2, 3, 2));
  check(PLAIN, TNR_SHAPE(0, 3, 4), TNR_SHAPE(1, 4, 5), TNR_SHAPE(0, 3, 5));
}

static void bf16_sums_in_f32_and_rounds_once(void **state) {
  (void)state;
  op_array a = op_array_of(TNR_BF16, TNR_SHAPE(1, 4), OP_NUMBERS(256, 1, 1, 1));
  op_array b = op_array_of(TNR_BF16, TNR_SHAPE(4, 1), OP_NUMBERS(1, 1, 1, 1));
  op_assert_is(OP(&tnr_op_matmul, PLAIN, a, b), TNR_BF16, TNR_SHAPE(1, 1), OP_NUMBERS(260));
}

static void a_bias_in_bf16_is_added_before_rounding(void **state) {
  (void)state;
  op_array a = op_array_of(TNR_BF16, TNR_SHAPE(1, 2), OP_NUMBERS(256, 1));
  op_array b = op_array_of(TNR_BF16, TNR_SHAPE(2, 1), OP_NUMBERS(1, 1));
  op_array bias = op_array_of(TNR_BF16, TNR_SHAPE(1), OP_NUMBERS(1));
  op_assert_is(OP(&tnr_op_matmul, PLAIN, a, b, bias), TNR_BF16, TNR_SHAPE(1, 1), OP_NUMBERS(258));
}

static void integer_sums_wrap(void **state) {
  (void)state;
  op_array a = op_array_of(TNR_I32, TNR_SHAPE(1, 2), OP_NUMBERS(INT32_MAX, 1));
  op_array b = op_array_of(TNR_I32, TNR_SHAPE(2, 1), OP_NUMBERS(1, 1));
  op_assert_is(OP(&tnr_op_matmul, PLAIN, a, b), TNR_I32, TNR_SHAPE(1, 1), OP_NUMBERS(INT32_MIN));
  op_array c = op_array_of(TNR_I64, TNR_SHAPE(1, 2), OP_NUMBERS((double)INT64_MIN, -1));
  op_array d = op_array_of(TNR_I64, TNR_SHAPE(2, 1), OP_NUMBERS(1, 1));
  op_array sum = OP(&tnr_op_matmul, PLAIN, c, d);
  assert_int_equal(*(int64_t *)sum.data, INT64_MAX);
}

static void nan_reaches_only_its_row(void **state) {
  (void)state;
  op_array a = op_array_of(TNR_F32, TNR_SHAPE(2, 2), OP_NUMBERS(0, NAN, 1, 2));
  op_array b = op_array_of(TNR_F32, TNR_SHAPE(2, 1), OP_NUMBERS(1, 0));
  op_assert_is(OP(&tnr_op_matmul, PLAIN, a, b), TNR_F32, TNR_SHAPE(2, 1), OP_NUMBERS(NAN, 1));
}

static void shapes_that_do_not_fit_are_refused(void **state) {
  (void)state;
  op_array a = op_array_random(TNR_F32, TNR_SHAPE(3, 4), 1);
  op_array b = op_array_random(TNR_F32, TNR_SHAPE(5, 6), 1);
  op_array flat = op_array_random(TNR_F32, TNR_SHAPE(4), 1);
  op_array two = op_array_random(TNR_F32, TNR_SHAPE(2, 3, 4), 1);
  op_array three = op_array_random(TNR_F32, TNR_SHAPE(3, 4, 3), 1);
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_ESHAPE, "inner dimensions differ: 4 and 5", a, b);
  op_assert_fails(&tnr_op_matmul, TRANSPOSE_A, TNR_ESHAPE, "inner dimensions differ: 3 and 5", a,
                  b);
  op_assert_fails(&tnr_op_matmul, TRANSPOSE_B, TNR_ESHAPE, "inner dimensions differ: 4 and 6", a,
                  b);
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_ESHAPE, "input 1 has rank 1, but needs 2 or more", a,
                  flat);
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_ESHAPE, "dim -3 does not broadcast: 2 and 3", two,
                  three);
}

static void a_bias_that_does_not_fit_is_refused(void **state) {
  (void)state;
  op_array a = op_array_random(TNR_F32, TNR_SHAPE(3, 4), 1);
  op_array b = op_array_random(TNR_F32, TNR_SHAPE(4, 6), 1);
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_ESHAPE, "bias has 1 elements for 6 columns", a, b,
                  op_array_random(TNR_F32, TNR_SHAPE(1), 1));
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_ESHAPE, "bias has rank 2, but needs to be [n]", a, b,
                  op_array_random(TNR_F32, TNR_SHAPE(1, 6), 1));
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_EDTYPE,
                  "dtypes differ: input 0 is f32 and input 2 is bf16", a, b,
                  op_array_random(TNR_BF16, TNR_SHAPE(6), 1));
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_EINVAL, "takes 3 inputs, got 4", a, b, a, b);
}

static void wrong_inputs_are_refused(void **state) {
  (void)state;
  op_array f32 = op_array_random(TNR_F32, TNR_SHAPE(2, 2), 1);
  op_array bf16 = op_array_random(TNR_BF16, TNR_SHAPE(2, 2), 1);
  op_array i8 = op_array_random(TNR_I8, TNR_SHAPE(2, 2), 1);
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_EDTYPE,
                  "dtypes differ: input 0 is f32 and input 1 is bf16", f32, bf16);
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_EDTYPE,
                  "i8 is not among the dtypes it takes: f32, bf16, i32, i64", i8, i8);
  op_assert_fails(&tnr_op_matmul, PLAIN, TNR_EINVAL, "takes 2 inputs, got 1", f32);
}

static void flops_count_the_inner_dimension(void **state) {
  (void)state;
  tnr_desc in[2] = {{TNR_SHAPE(2, 4, 3), TNR_F32}, {TNR_SHAPE(4, 5), TNR_F32}};
  tnr_desc out = {TNR_SHAPE(2, 3, 5), TNR_F32};
  tnr_op_call call = {.attrs = TRANSPOSE_A, .in_count = 2, .in = in};
  assert_true(tnr_op_matmul.flops(&call, &out, 1) == 2 * 4 * 30);
  tnr_desc with_bias[3] = {in[0], in[1], {TNR_SHAPE(5), TNR_F32}};
  call = (tnr_op_call){.attrs = TRANSPOSE_A, .in_count = 3, .in = with_bias};
  assert_true(tnr_op_matmul.flops(&call, &out, 1) == 2 * 4 * 30 + 30);
}

static void pieces_add_up_to_the_whole(void **state) {
  (void)state;
  op_array a = op_array_random(TNR_F32, TNR_SHAPE(8, 4), 1);
  op_array b = op_array_random(TNR_F32, TNR_SHAPE(4, 12), 2);
  assert_int_equal(op_assert_shards_right(&tnr_op_matmul, PLAIN, a, b), 2 + 2);
  op_array stack = op_array_random(TNR_I32, TNR_SHAPE(4, 1, 8, 4), 1);
  op_array matrices = op_array_random(TNR_I32, TNR_SHAPE(8, 12, 4), 2);
  assert_int_equal(op_assert_shards_right(&tnr_op_matmul, TRANSPOSE_B, stack, matrices), 4 + 4);
  op_array same = op_array_random(TNR_BF16, TNR_SHAPE(8, 4, 4), 1);
  assert_int_equal(op_assert_shards_right(&tnr_op_matmul, TRANSPOSE_A, same, same), 3 + 3);
}

static void the_bias_is_split_with_the_columns(void **state) {
  (void)state;
  op_array a = op_array_random(TNR_F32, TNR_SHAPE(8, 4), 1);
  op_array b = op_array_random(TNR_F32, TNR_SHAPE(4, 12), 2);
  op_array bias = op_array_random(TNR_F32, TNR_SHAPE(12), 3);
  assert_int_equal(op_assert_shards_right(&tnr_op_matmul, RELU, a, b, bias), 2 + 2);
  assert_int_equal(op_shard_of(&tnr_op_matmul, RELU, OP_DIMS(0, -1, -1), a, b, bias), 0);
  assert_int_equal(op_shard_of(&tnr_op_matmul, RELU, OP_DIMS(-1, 1, 0), a, b, bias), 1);
  op_array stack = op_array_random(TNR_F32, TNR_SHAPE(4, 8, 4), 1);
  op_array matrices = op_array_random(TNR_F32, TNR_SHAPE(4, 4, 12), 2);
  assert_int_equal(op_assert_shards_right(&tnr_op_matmul, PLAIN, stack, matrices, bias), 3 + 3);
  op_assert_shard_refused(&tnr_op_matmul, PLAIN, OP_DIMS(-1, 1, -1),
                          "bias is whole on each device, but the columns of input 1 are split over "
                          "devices: shard it first",
                          a, b, bias);
  op_assert_shard_refused(&tnr_op_matmul, PLAIN, OP_DIMS(-1, -1, 0),
                          "bias is split over devices, but the columns of input 1 are not: gather "
                          "it first",
                          a, b, bias);
}

static void which_dims_may_be_split(void **state) {
  (void)state;
  op_array a = op_array_random(TNR_F32, TNR_SHAPE(8, 4), 1);
  op_array b = op_array_random(TNR_F32, TNR_SHAPE(4, 12), 2);
  op_array batch = op_array_random(TNR_F32, TNR_SHAPE(8, 8, 4), 1);
  op_array batch_of_b = op_array_random(TNR_F32, TNR_SHAPE(8, 4, 4), 1);
  assert_int_equal(op_shard_of(&tnr_op_matmul, PLAIN, OP_DIMS(0, -1), a, b), 0);
  assert_int_equal(op_shard_of(&tnr_op_matmul, PLAIN, OP_DIMS(-1, 1), a, b), 1);
  assert_int_equal(op_shard_of(&tnr_op_matmul, PLAIN, OP_DIMS(0, -1), batch, b), 0);
  assert_int_equal(op_shard_of(&tnr_op_matmul, PLAIN, OP_DIMS(1, -1), batch, b), 1);
  assert_int_equal(op_shard_of(&tnr_op_matmul, PLAIN, OP_DIMS(0, 0), batch, batch_of_b), 0);
  op_assert_shard_refused(
      &tnr_op_matmul, PLAIN, OP_DIMS(1, 0),
      "input 0 is split over devices along the inner dimension: gather it first", a, b);
  op_assert_shard_refused(
      &tnr_op_matmul, PLAIN, OP_DIMS(-1, 0),
      "input 1 is split over devices along the inner dimension: gather it first", a, b);
  op_assert_shard_refused(&tnr_op_matmul, PLAIN, OP_DIMS(0, 1),
                          "both inputs are split over devices, along different dims of the output: "
                          "replicate one of them",
                          a, b);
  op_assert_shard_refused(&tnr_op_matmul, PLAIN, OP_DIMS(0, -1),
                          "input 1 is whole on each device, but the other is split along dim 0 of "
                          "the output: shard it likewise",
                          batch, batch_of_b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(a_product_worked_by_hand),
      op_test(a_bias_and_relu_worked_by_hand),
      op_test(either_operand_may_be_transposed),
      op_test(batch_dims_broadcast),
      op_test(relu_goes_with_transposing_and_batches),
      op_test(one_element_and_vectors_are_taken),
      op_test(empty_dims_are_taken_and_an_empty_sum_is_zero),
      op_test(bf16_sums_in_f32_and_rounds_once),
      op_test(a_bias_in_bf16_is_added_before_rounding),
      op_test(integer_sums_wrap),
      op_test(nan_reaches_only_its_row),
      op_test(relu_lets_nan_pass),
      op_test(shapes_that_do_not_fit_are_refused),
      op_test(a_bias_that_does_not_fit_is_refused),
      op_test(wrong_inputs_are_refused),
      op_test(flops_count_the_inner_dimension),
      op_test(pieces_add_up_to_the_whole),
      op_test(the_bias_is_split_with_the_columns),
      op_test(which_dims_may_be_split),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
