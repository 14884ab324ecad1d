#include <math.h>

#include "op_harness.h"

#define POOL(...) TNR_ATTRS(tnr_max_pool2d_attrs, __VA_ARGS__)

/* The greatest pixel of one window, looking at each of its taps. */
static double greatest_at(const tnr_max_pool2d_attrs *attrs, const op_array *x,
                          const int64_t *index) {
  const int64_t *dims = x->desc.shape.dims;
  double best = -INFINITY;
  for (int64_t i = 0; i < attrs->kernel[0]; i++)
    for (int64_t j = 0; j < attrs->kernel[1]; j++) {
      int64_t stride[2] = {attrs->stride[0] ? attrs->stride[0] : attrs->kernel[0],
                           attrs->stride[1] ? attrs->stride[1] : attrs->kernel[1]};
      int64_t row = index[2] * stride[0] - attrs->pad_before[0] +
                    i * (attrs->dilation[0] ? attrs->dilation[0] : 1);
      int64_t column = index[3] * stride[1] - attrs->pad_before[1] +
                       j * (attrs->dilation[1] ? attrs->dilation[1] : 1);
      if (row < 0 || row >= dims[2] || column < 0 || column >= dims[3])
        continue;
      best = fmax(
          best, op_number(x, ((index[0] * dims[1] + index[1]) * dims[2] + row) * dims[3] + column));
    }
  return best;
}

static void check(const tnr_max_pool2d_attrs *attrs, tnr_shape x_shape, tnr_shape out_shape) {
  const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16};
  for (int d = 0; d < 2; d++) {
    op_array x = op_array_random(dtypes[d], x_shape, 1);
    op_array right = op_array_new(dtypes[d], out_shape);
    for (int64_t i = 0; i < tnr_shape_elements(&out_shape); i++) {
      int64_t index[TNR_MAX_RANK];
      op_unravel(&out_shape, i, index);
      op_set_number(&right, i, greatest_at(attrs, &x, index));
    }
    op_assert_equal(OP(&tnr_op_max_pool2d, attrs, x), right);
  }
}

static void windows_do_not_overlap_by_default(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(1, 1, 2, 4), OP_NUMBERS(1, 2, -5, -6, 3, 4, -7, -8));
  op_assert_is(OP(&tnr_op_max_pool2d, POOL(.kernel = {2, 2}), x), TNR_F32, TNR_SHAPE(1, 1, 1, 2),
               OP_NUMBERS(4, -5));
  check(POOL(.kernel = {2, 3}), TNR_SHAPE(2, 3, 6, 9), TNR_SHAPE(2, 3, 3, 3));
  check(POOL(.kernel = {2, 2}), TNR_SHAPE(1, 1, 5, 5), TNR_SHAPE(1, 1, 2, 2));
}

static void strides_dilations_and_padding_may_differ_per_side(void **state) {
  (void)state;
  check(POOL(.kernel = {3, 2}, .stride = {1, 3}), TNR_SHAPE(2, 2, 6, 8), TNR_SHAPE(2, 2, 4, 3));
  check(POOL(.kernel = {2, 2}, .stride = {1, 1}, .dilation = {2, 3}), TNR_SHAPE(1, 2, 6, 6),
        TNR_SHAPE(1, 2, 4, 3));
  check(POOL(.kernel = {3, 3}, .stride = {2, 2}, .pad_before = {1, 0}, .pad_after = {0, 2}),
        TNR_SHAPE(1, 2, 6, 5), TNR_SHAPE(1, 2, 3, 3));
}

static void padding_never_wins(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(1, 1, 1, 2), OP_NUMBERS(-3, -INFINITY));
  op_assert_is(
      OP(&tnr_op_max_pool2d,
         POOL(.kernel = {2, 2}, .stride = {1, 1}, .pad_before = {1, 0}, .pad_after = {0, 1}), x),
      TNR_F32, TNR_SHAPE(1, 1, 1, 2), OP_NUMBERS(-3, -INFINITY));
}

static void nan_counts_as_greatest(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(1, 1, 2, 4), OP_NUMBERS(NAN, 2, 5, 6, 3, 4, 7, NAN));
  op_assert_is(OP(&tnr_op_max_pool2d, POOL(.kernel = {2, 2}), x), TNR_F32, TNR_SHAPE(1, 1, 1, 2),
               OP_NUMBERS(NAN, NAN));
}

static void one_pixel_and_no_images_are_taken(void **state) {
  (void)state;
  check(POOL(.kernel = {1, 1}), TNR_SHAPE(1, 1, 1, 1), TNR_SHAPE(1, 1, 1, 1));
  check(POOL(.kernel = {2, 2}), TNR_SHAPE(0, 3, 4, 4), TNR_SHAPE(0, 3, 2, 2));
  check(POOL(.kernel = {2, 2}), TNR_SHAPE(3, 0, 4, 4), TNR_SHAPE(3, 0, 2, 2));
}

static void windows_in_padding_alone_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(1, 1, 2, 2), 1);
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(1, 1, 0, 2));
  const tnr_op_def *def = &tnr_op_max_pool2d;
  const char *rows = "a window of 2 along dim 2 would lie in padding alone";
  const char *columns = "a window of 2 along dim 3 would lie in padding alone";
  op_assert_fails(def, POOL(.kernel = {2, 2}, .pad_before = {2, 0}), TNR_ESHAPE, rows, x);
  op_assert_fails(def, POOL(.kernel = {2, 2}, .pad_after = {0, 2}), TNR_ESHAPE, columns, x);
  op_assert_fails(def, POOL(.kernel = {2, 2}, .pad_before = {1, 0}, .pad_after = {1, 0}),
                  TNR_ESHAPE, rows, empty);
  check(POOL(.kernel = {2, 1}, .stride = {1, 1}, .dilation = {2, 1}, .pad_before = {1, 0}),
        TNR_SHAPE(1, 1, 2, 2), TNR_SHAPE(1, 1, 1, 2));
}

static void windows_with_the_image_between_their_taps_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(1, 1, 2, 2), 1);
  op_assert_fails(&tnr_op_max_pool2d,
                  POOL(.kernel = {2, 1}, .stride = {1, 1}, .dilation = {5, 1}, .pad_before = {3, 0},
                       .pad_after = {1, 0}),
                  TNR_ESHAPE, "a window of 2 along dim 2 would lie in padding alone", x);
  check(POOL(.kernel = {2, 1}, .stride = {1, 1}, .dilation = {4, 1}, .pad_before = {3, 0}),
        TNR_SHAPE(1, 1, 2, 2), TNR_SHAPE(1, 1, 1, 2));
}

static void wrong_calls_are_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(1, 1, 2, 2), 1);
  op_array i32 = op_array_random(TNR_I32, TNR_SHAPE(1, 1, 2, 2), 1);
  op_array flat = op_array_random(TNR_F32, TNR_SHAPE(4), 1);
  const tnr_op_def *def = &tnr_op_max_pool2d;
  op_assert_fails(def, POOL(.kernel = {0, 2}), TNR_EINVAL,
                  "kernel along the height is 0, not 1 to 2147483647", x);
  op_assert_fails(def, POOL(.kernel = {2, 2}, .stride = {1, -1}), TNR_EINVAL,
                  "stride along the width is -1, not 1 to 2147483647", x);
  op_assert_fails(def, POOL(.kernel = {2, 3}), TNR_ESHAPE,
                  "a window of width 3 does not fit into the padded width 2", x);
  op_assert_fails(def, POOL(.kernel = {1, 1}), TNR_ESHAPE,
                  "x has rank 1, but needs to be [n, c, h, w]", flat);
  op_assert_fails(def, POOL(.kernel = {1, 1}), TNR_EDTYPE,
                  "i32 is not among the dtypes it takes: f32, bf16", i32);
  op_assert_fails(def, POOL(.kernel = {1, 1}), TNR_EINVAL, "takes 1 input, got 2", x, x);
}

static void images_or_channels_may_be_split_over_devices(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(4, 8, 4, 4), 1);
  const tnr_op_def *def = &tnr_op_max_pool2d;
  assert_int_equal(op_assert_shards_right(def, POOL(.kernel = {2, 2}), x), 2 + 2);
  assert_int_equal(op_shard_of(def, POOL(.kernel = {2, 2}), OP_DIMS(0), x), 0);
  op_assert_shard_refused(def, POOL(.kernel = {2, 2}), OP_DIMS(2),
                          "the input is split over devices along dim 2, where windows cross from "
                          "piece to piece: gather it first",
                          x);
}

static void the_primitive_and_flops_have_the_defaults_filled_in(void **state) {
  (void)state;
  tnr_desc in = {TNR_SHAPE(1, 2, 6, 6), TNR_F32}, out = {TNR_SHAPE(1, 2, 3, 2), TNR_F32};
  tnr_op_call call = {
      .attrs = POOL(.kernel = {2, 3}, .pad_after = {0, 1}), .in_count = 1, .in = &in};
  tnr_primitive primitive = {.kind = TNR_PRIMITIVE_NONE};
  tnr_op_max_pool2d.primitive(&call, &primitive);
  assert_int_equal(primitive.kind, TNR_PRIMITIVE_MAX_POOL2D);
  assert_int_equal(primitive.kernel[1], 3);
  assert_int_equal(primitive.stride[0], 2);
  assert_int_equal(primitive.stride[1], 3);
  assert_int_equal(primitive.dilation[1], 1);
  assert_int_equal(primitive.pad_after[1], 1);
  assert_true(tnr_op_max_pool2d.flops(&call, &out, 1) == 6 * 12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(windows_do_not_overlap_by_default),
      op_test(strides_dilations_and_padding_may_differ_per_side),
      op_test(padding_never_wins),
      op_test(nan_counts_as_greatest),
      op_test(one_pixel_and_no_images_are_taken),
      op_test(windows_in_padding_alone_are_refused),
      op_test(windows_with_the_image_between_their_taps_are_refused),
      op_test(wrong_calls_are_refused),
      op_test(images_or_channels_may_be_split_over_devices),
      op_test(the_primitive_and_flops_have_the_defaults_filled_in),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
