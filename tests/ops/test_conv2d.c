#include <math.h>

#include "op_harness.h"

#define CONV(...) TNR_ATTRS(tnr_conv2d_attrs, __VA_ARGS__)

static int64_t or_one(int64_t value) {
  return value ? value : 1;
}

/* The pixel of a channel, 0 outside of the image. */
static double pixel(const op_array *x, int64_t n, int64_t c, int64_t y, int64_t column) {
  const int64_t *dims = x->desc.shape.dims;
  if (y < 0 || y >= dims[2] || column < 0 || column >= dims[3])
    return 0;
  return op_number(x, ((n * dims[1] + c) * dims[2] + y) * dims[3] + column);
}

/* The sum of ONNX Conv for one output element, in double. */
static double sum_at(const tnr_conv2d_attrs *attrs, const op_array *x, const op_array *weights,
                     const int64_t *index, int64_t outputs) {
  const int64_t *kernel = weights->desc.shape.dims;
  int64_t group = index[1] / (outputs / or_one(attrs->groups));
  int64_t top = index[2] * or_one(attrs->stride[0]) - attrs->pad_before[0];
  int64_t left = index[3] * or_one(attrs->stride[1]) - attrs->pad_before[1];
  double sum = 0;
  for (int64_t c = 0; c < kernel[1]; c++)
    for (int64_t i = 0; i < kernel[2]; i++)
      for (int64_t j = 0; j < kernel[3]; j++)
        sum += pixel(x, index[0], group * kernel[1] + c, top + i * or_one(attrs->dilation[0]),
                     left + j * or_one(attrs->dilation[1])) *
               op_number(weights, ((index[1] * kernel[1] + c) * kernel[2] + i) * kernel[3] + j);
  return sum;
}

static op_array expected(const tnr_conv2d_attrs *attrs, const op_array *x, const op_array *weights,
                         const op_array *bias, tnr_shape shape) {
  op_array out = op_array_new(x->desc.dtype, shape);
  for (int64_t i = 0; i < tnr_shape_elements(&shape); i++) {
    int64_t index[TNR_MAX_RANK];
    op_unravel(&shape, i, index);
    double sum = op_number(bias, index[1]) + sum_at(attrs, x, weights, index, shape.dims[1]);
    op_set_number(&out, i, attrs->relu && sum < 0 ? 0 : sum);
  }
  return out;
}

static void check(const tnr_conv2d_attrs *attrs, tnr_shape x_shape, tnr_shape weights_shape,
                  tnr_shape out_shape) {
  const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16};
  for (int d = 0; d < 2; d++) {
    op_array x = op_array_random(dtypes[d], x_shape, 1);
    op_array weights = op_array_random(dtypes[d], weights_shape, 2);
    op_array bias = op_array_random(dtypes[d], TNR_SHAPE(weights_shape.dims[0]), 3);
    op_assert_equal(OP(&tnr_op_conv2d, attrs, x, weights, bias),
                    expected(attrs, &x, &weights, &bias, out_shape));
  }
}

static void a_convolution_worked_by_hand(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(1, 1, 3, 3), OP_NUMBERS(1, 2, 3, 4, 5, 6, 7, 8, 9));
  op_array weights = op_array_of(TNR_F32, TNR_SHAPE(1, 1, 2, 2), OP_NUMBERS(1, 0, 0, -1));
  op_array bias = op_array_of(TNR_F32, TNR_SHAPE(1), OP_NUMBERS(10));
  op_assert_is(OP(&tnr_op_conv2d, CONV(.groups = 1), x, weights, bias), TNR_F32,
               TNR_SHAPE(1, 1, 2, 2), OP_NUMBERS(6, 6, 6, 6));
}

static void strides_and_dilations_may_differ_per_axis(void **state) {
  (void)state;
  check(CONV(.stride = {2, 3}), TNR_SHAPE(2, 3, 7, 10), TNR_SHAPE(4, 3, 3, 2),
        TNR_SHAPE(2, 4, 3, 3));
  check(CONV(.dilation = {2, 3}), TNR_SHAPE(1, 2, 7, 8), TNR_SHAPE(3, 2, 3, 2),
        TNR_SHAPE(1, 3, 3, 5));
  check(CONV(.stride = {3, 1}, .dilation = {1, 2}), TNR_SHAPE(1, 1, 8, 6), TNR_SHAPE(2, 1, 2, 2),
        TNR_SHAPE(1, 2, 3, 4));
}

static void padding_may_differ_on_all_four_sides(void **state) {
  (void)state;
  check(CONV(.pad_before = {1, 1}, .pad_after = {1, 1}), TNR_SHAPE(1, 2, 4, 4),
        TNR_SHAPE(3, 2, 3, 3), TNR_SHAPE(1, 3, 4, 4));
  check(CONV(.pad_before = {0, 2}, .pad_after = {1, 3}), TNR_SHAPE(2, 1, 3, 4),
        TNR_SHAPE(1, 1, 2, 3), TNR_SHAPE(2, 1, 3, 7));
  check(CONV(.stride = {2, 2}, .dilation = {2, 1}, .pad_before = {3, 0}, .pad_after = {0, 5}),
        TNR_SHAPE(1, 2, 5, 3), TNR_SHAPE(2, 2, 2, 2), TNR_SHAPE(1, 2, 3, 4));
}

static void windows_in_padding_alone_give_the_bias(void **state) {
  (void)state;
  check(CONV(.pad_before = {4, 4}, .pad_after = {4, 4}), TNR_SHAPE(1, 1, 1, 1),
        TNR_SHAPE(2, 1, 2, 2), TNR_SHAPE(1, 2, 8, 8));
}

static void dilation_may_jump_over_the_whole_image(void **state) {
  (void)state;
  check(CONV(.dilation = {5, 7}, .pad_before = {4, 6}, .pad_after = {4, 6}), TNR_SHAPE(1, 1, 2, 3),
        TNR_SHAPE(1, 1, 2, 2), TNR_SHAPE(1, 1, 5, 8));
}

static void groups_see_only_their_channels(void **state) {
  (void)state;
  check(CONV(.groups = 2), TNR_SHAPE(2, 4, 4, 4), TNR_SHAPE(6, 2, 3, 3), TNR_SHAPE(2, 6, 2, 2));
  check(CONV(.groups = 4), TNR_SHAPE(2, 4, 4, 4), TNR_SHAPE(4, 1, 3, 3), TNR_SHAPE(2, 4, 2, 2));
  check(CONV(.groups = 3, .pad_before = {1, 0}), TNR_SHAPE(1, 3, 3, 3), TNR_SHAPE(6, 1, 2, 2),
        TNR_SHAPE(1, 6, 3, 2));
}

static void relu_comes_after_the_bias(void **state) {
  (void)state;
  check(CONV(.relu = 1, .pad_before = {1, 1}, .pad_after = {1, 1}), TNR_SHAPE(2, 3, 4, 4),
        TNR_SHAPE(5, 3, 3, 3), TNR_SHAPE(2, 5, 4, 4));
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(1, 1, 1, 3), OP_NUMBERS(1, -2, 3));
  op_array weights = op_array_of(TNR_F32, TNR_SHAPE(1, 1, 1, 1), OP_NUMBERS(1));
  op_array bias = op_array_of(TNR_F32, TNR_SHAPE(1), OP_NUMBERS(-1.5));
  op_assert_is(OP(&tnr_op_conv2d, CONV(.relu = 1), x, weights, bias), TNR_F32,
               TNR_SHAPE(1, 1, 1, 3), OP_NUMBERS(0, 0, 1.5));
}

static void one_by_one_windows_mix_channels(void **state) {
  (void)state;
  check(CONV(.groups = 1), TNR_SHAPE(2, 5, 3, 3), TNR_SHAPE(4, 5, 1, 1), TNR_SHAPE(2, 4, 3, 3));
  check(CONV(.groups = 1), TNR_SHAPE(1, 1, 1, 1), TNR_SHAPE(1, 1, 1, 1), TNR_SHAPE(1, 1, 1, 1));
}

static void empty_dims_are_taken_and_no_channels_give_the_bias(void **state) {
  (void)state;
  check(CONV(.groups = 1), TNR_SHAPE(0, 2, 3, 3), TNR_SHAPE(4, 2, 2, 2), TNR_SHAPE(0, 4, 2, 2));
  check(CONV(.groups = 1), TNR_SHAPE(2, 2, 3, 3), TNR_SHAPE(0, 2, 2, 2), TNR_SHAPE(2, 0, 2, 2));
  check(CONV(.groups = 1), TNR_SHAPE(2, 0, 3, 3), TNR_SHAPE(4, 0, 2, 2), TNR_SHAPE(2, 4, 2, 2));
  check(CONV(.pad_before = {2, 0}), TNR_SHAPE(1, 1, 0, 3), TNR_SHAPE(1, 1, 2, 2),
        TNR_SHAPE(1, 1, 1, 2));
}

static void bf16_sums_in_f32_and_rounds_once(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_BF16, TNR_SHAPE(1, 1, 2, 2), OP_NUMBERS(256, 1, 1, 1));
  op_array weights = op_array_of(TNR_BF16, TNR_SHAPE(1, 1, 2, 2), OP_NUMBERS(1, 1, 1, 1));
  op_array bias = op_array_of(TNR_BF16, TNR_SHAPE(1), OP_NUMBERS(3));
  op_assert_is(OP(&tnr_op_conv2d, CONV(.groups = 1), x, weights, bias), TNR_BF16,
               TNR_SHAPE(1, 1, 1, 1), OP_NUMBERS(262));
}

static void shapes_that_do_not_fit_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(1, 4, 3, 3), 1);
  op_array weights = op_array_random(TNR_F32, TNR_SHAPE(6, 2, 2, 2), 1);
  op_array wide = op_array_random(TNR_F32, TNR_SHAPE(6, 4, 2, 5), 1);
  op_array none = op_array_new(TNR_F32, TNR_SHAPE(6, 4, 0, 5));
  op_array bias = op_array_random(TNR_F32, TNR_SHAPE(6), 1);
  op_array huge = op_array_new(TNR_F32, TNR_SHAPE(0, 2, INT64_MAX, 3));
  const tnr_op_def *def = &tnr_op_conv2d;
  op_assert_fails(def, CONV(.groups = 1), TNR_ESHAPE,
                  "x has 4 channels, but weights are for 1 groups of 2", x, weights, bias);
  op_assert_fails(def, CONV(.groups = 4), TNR_ESHAPE,
                  "x has 4 channels, but weights are for 4 groups of 2", x, weights, bias);
  op_assert_fails(def, CONV(.groups = 2), TNR_ESHAPE, "bias has 2 elements for 6 output channels",
                  x, weights, op_array_new(TNR_F32, TNR_SHAPE(2)));
  op_assert_fails(def, CONV(.groups = 2), TNR_ESHAPE,
                  "3 output channels do not divide into 2 groups", x,
                  op_array_new(TNR_F32, TNR_SHAPE(3, 2, 1, 1)), bias);
  op_assert_fails(def, CONV(.groups = 1), TNR_ESHAPE,
                  "a window of width 5 does not fit into the padded width 3", x, wide, bias);
  op_assert_fails(def, CONV(.dilation = {3, 1}, .groups = 2), TNR_ESHAPE,
                  "a window of height 4 does not fit into the padded height 3", x, weights, bias);
  op_assert_fails(def, CONV(.groups = 1), TNR_ESHAPE, "weights have an empty window, 0 by 5", x,
                  none, bias);
  op_assert_fails(def, CONV(.pad_after = {1, 0}), TNR_EOVERFLOW,
                  "the padded height does not fit into 63 bits", huge, weights, bias);
  op_assert_fails(def, CONV(.groups = 2), TNR_ESHAPE, "x has rank 1, but needs to be [n, c, h, w]",
                  bias, weights, bias);
  op_assert_fails(def, CONV(.groups = 2), TNR_ESHAPE,
                  "weights has rank 1, but needs to be [o, c / groups, kh, kw]", x, bias, bias);
  op_assert_fails(def, CONV(.groups = 2), TNR_ESHAPE, "bias has rank 4, but needs to be [o]", x,
                  weights, weights);
}

static void wrong_attributes_and_inputs_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(1, 2, 3, 3), 1);
  op_array weights = op_array_random(TNR_F32, TNR_SHAPE(6, 2, 2, 2), 1);
  op_array bias = op_array_random(TNR_F32, TNR_SHAPE(6), 1);
  op_array i32 = op_array_random(TNR_I32, TNR_SHAPE(1, 2, 3, 3), 1);
  const tnr_op_def *def = &tnr_op_conv2d;
  op_assert_fails(def, CONV(.groups = -1), TNR_EINVAL, "groups is -1", x, weights, bias);
  op_assert_fails(def, CONV(.stride = {1, -1}), TNR_EINVAL,
                  "stride along the width is -1, not 1 to 2147483647", x, weights, bias);
  op_assert_fails(def, CONV(.dilation = {-2, 1}), TNR_EINVAL,
                  "dilation along the height is -2, not 1 to 2147483647", x, weights, bias);
  op_assert_fails(def, CONV(.pad_before = {-1, 0}), TNR_EINVAL,
                  "padding before along the height is -1, not 0 to 2147483647", x, weights, bias);
  op_assert_fails(def, CONV(.pad_after = {0, INT64_MAX}), TNR_EINVAL,
                  "padding after along the width is 9223372036854775807, not 0 to 2147483647", x,
                  weights, bias);
  op_assert_fails(def, CONV(.groups = 1), TNR_EDTYPE,
                  "dtypes differ: input 0 is i32 and input 1 is f32", i32, weights, bias);
  op_assert_fails(def, CONV(.groups = 1), TNR_EDTYPE,
                  "i32 is not among the dtypes it takes: f32, bf16", i32, i32, i32);
  op_assert_fails(def, CONV(.groups = 1), TNR_EINVAL, "takes 3 inputs, got 2", x, weights);
}

static void images_or_filters_may_be_split_over_devices(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(4, 4, 4, 4), 1);
  op_array weights = op_array_random(TNR_F32, TNR_SHAPE(8, 4, 2, 2), 2);
  op_array bias = op_array_random(TNR_F32, TNR_SHAPE(8), 3);
  op_array depthwise = op_array_random(TNR_F32, TNR_SHAPE(8, 1, 2, 2), 2);
  const tnr_op_def *def = &tnr_op_conv2d;
  assert_int_equal(op_shard_of(def, CONV(.groups = 1), OP_DIMS(0, -1, -1), x, weights, bias), 0);
  assert_int_equal(op_shard_of(def, CONV(.groups = 1), OP_DIMS(-1, 0, 0), x, weights, bias), 1);
  assert_int_equal(op_assert_shards_right(def, CONV(.groups = 1), x, weights, bias), 2 + 2);
  assert_int_equal(op_assert_shards_right(def, CONV(.groups = 4), x, depthwise, bias), 1 + 1);
  op_assert_shard_refused(
      def, CONV(.groups = 1), OP_DIMS(1, 1, -1),
      "only x can be split over devices along dim 0 (n), or, with 1 group, weights and bias along "
      "dim 0 (o): gather or replicate the others first",
      x, weights, bias);
}

static void the_primitive_and_flops_have_the_defaults_filled_in(void **state) {
  (void)state;
  tnr_desc in[3] = {
      {TNR_SHAPE(1, 4, 9, 9), TNR_F32}, {TNR_SHAPE(6, 2, 3, 3), TNR_F32}, {TNR_SHAPE(6), TNR_F32}};
  tnr_desc out = {TNR_SHAPE(1, 6, 9, 4), TNR_F32};
  tnr_op_call call = {
      .attrs = CONV(.stride = {0, 2}, .pad_before = {1, 0}, .pad_after = {1, 0}, .groups = 2),
      .in_count = 3,
      .in = in};
  tnr_primitive primitive = {.kind = TNR_PRIMITIVE_NONE};
  tnr_op_conv2d.primitive(&call, &primitive);
  assert_int_equal(primitive.kind, TNR_PRIMITIVE_CONV2D);
  assert_int_equal(primitive.stride[0], 1);
  assert_int_equal(primitive.stride[1], 2);
  assert_int_equal(primitive.dilation[0], 1);
  assert_int_equal(primitive.pad_before[0], 1);
  assert_int_equal(primitive.pad_after[1], 0);
  assert_int_equal(primitive.groups, 2);
  assert_true(tnr_op_conv2d.flops(&call, &out, 1) == (2 * 2 * 9 + 1) * 6 * 9 * 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(a_convolution_worked_by_hand),
      op_test(strides_and_dilations_may_differ_per_axis),
      op_test(padding_may_differ_on_all_four_sides),
      op_test(windows_in_padding_alone_give_the_bias),
      op_test(dilation_may_jump_over_the_whole_image),
      op_test(groups_see_only_their_channels),
      op_test(one_by_one_windows_mix_channels),
      op_test(relu_comes_after_the_bias),
      op_test(empty_dims_are_taken_and_no_channels_give_the_bias),
      op_test(bf16_sums_in_f32_and_rounds_once),
      op_test(shapes_that_do_not_fit_are_refused),
      op_test(wrong_attributes_and_inputs_are_refused),
      op_test(images_or_filters_may_be_split_over_devices),
      op_test(the_primitive_and_flops_have_the_defaults_filled_in),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
