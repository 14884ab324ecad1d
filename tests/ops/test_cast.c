#include <math.h>

#include "op_harness.h"

#define TO(d) TNR_ATTRS(tnr_cast_attrs, .dtype = (d))

static const tnr_dtype floats[] = {TNR_F32, TNR_BF16, TNR_F16};
static const tnr_dtype integers[] = {TNR_I8, TNR_U8, TNR_I32, TNR_I64};

static void small_numbers_pass_from_any_dtype_to_any(void **state) {
  (void)state;
  for (int from = 0; from < TNR_DTYPE_COUNT; from++)
    for (int to = 0; to < TNR_DTYPE_COUNT; to++) {
      op_array x = op_array_of((tnr_dtype)from, TNR_SHAPE(2, 2), OP_NUMBERS(0, 1, 1, 0));
      op_assert_is(OP(&tnr_op_cast, TO(to), x), (tnr_dtype)to, TNR_SHAPE(2, 2),
                   OP_NUMBERS(0, 1, 1, 0));
    }
}

static void floats_are_truncated_towards_zero(void **state) {
  (void)state;
  for (int f = 0; f < 3; f++)
    for (int i = 0; i < 4; i++) {
      op_array x = op_array_of(floats[f], TNR_SHAPE(3), OP_NUMBERS(2.75, 0.5, 100.5));
      op_assert_is(OP(&tnr_op_cast, TO(integers[i]), x), integers[i], TNR_SHAPE(3),
                   OP_NUMBERS(2, 0, 100));
      op_array below = op_array_of(floats[f], TNR_SHAPE(2), OP_NUMBERS(-0.75, -2.75));
      double last = integers[i] == TNR_U8 ? 0 : -2;
      op_assert_is(OP(&tnr_op_cast, TO(integers[i]), below), integers[i], TNR_SHAPE(2),
                   OP_NUMBERS(0, last));
    }
}

static void floats_saturate_and_nan_gives_zero(void **state) {
  (void)state;
  static const int64_t greatest[] = {INT8_MAX, UINT8_MAX, INT32_MAX, INT64_MAX};
  static const int64_t least[] = {INT8_MIN, 0, INT32_MIN, INT64_MIN};
  op_array x =
      op_array_of(TNR_F32, TNR_SHAPE(5), OP_NUMBERS(1e30, INFINITY, -1e30, -INFINITY, NAN));
  for (int i = 0; i < 4; i++) {
    op_array wide = OP(&tnr_op_cast, TO(TNR_I64), OP(&tnr_op_cast, TO(integers[i]), x));
    const int64_t right[] = {greatest[i], greatest[i], least[i], least[i], 0};
    assert_memory_equal(wide.data, right, sizeof right);
  }
}

static void the_edges_of_i32_and_i64_are_kept(void **state) {
  (void)state;
  op_array x =
      op_array_of(TNR_F32, TNR_SHAPE(3), OP_NUMBERS(2147483520.0, 2147483648.0, -2147483648.0));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_I32), x), TNR_I32, TNR_SHAPE(3),
               OP_NUMBERS(2147483520.0, INT32_MAX, INT32_MIN));
  op_array wide = op_array_of(TNR_F32, TNR_SHAPE(2), OP_NUMBERS(9223371487098961920.0, 0x1p63));
  op_array out = OP(&tnr_op_cast, TO(TNR_I64), wide);
  assert_int_equal(((int64_t *)out.data)[0], 9223371487098961920);
  assert_int_equal(((int64_t *)out.data)[1], INT64_MAX);
}

static void integers_wrap_when_narrowed(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_I32, TNR_SHAPE(4), OP_NUMBERS(257, -1, 128, -129));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_I8), x), TNR_I8, TNR_SHAPE(4), OP_NUMBERS(1, -1, -128, 127));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_U8), x), TNR_U8, TNR_SHAPE(4), OP_NUMBERS(1, 255, 128, 127));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_I64), x), TNR_I64, TNR_SHAPE(4),
               OP_NUMBERS(257, -1, 128, -129));
  op_array u8 = op_array_of(TNR_U8, TNR_SHAPE(1), OP_NUMBERS(200));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_I8), u8), TNR_I8, TNR_SHAPE(1), OP_NUMBERS(-56));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_F32), u8), TNR_F32, TNR_SHAPE(1), OP_NUMBERS(200));
}

static void what_is_not_zero_is_true(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(5), OP_NUMBERS(0, -0.0, 0.25, NAN, -1));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_BOOL), x), TNR_BOOL, TNR_SHAPE(5),
               OP_NUMBERS(0, 0, 1, 1, 1));
  op_array i32 = op_array_of(TNR_I32, TNR_SHAPE(3), OP_NUMBERS(0, 256, -1));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_BOOL), i32), TNR_BOOL, TNR_SHAPE(3), OP_NUMBERS(0, 1, 1));
}

static void narrower_floats_round_to_even(void **state) {
  (void)state;
  op_array x = op_array_of(TNR_F32, TNR_SHAPE(4), OP_NUMBERS(257, 259, 1e6, NAN));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_BF16), x), TNR_BF16, TNR_SHAPE(4),
               OP_NUMBERS(256, 260, 999424, NAN));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_F16), x), TNR_F16, TNR_SHAPE(4),
               OP_NUMBERS(257, 259, INFINITY, NAN));
  op_array i32 = op_array_of(TNR_I32, TNR_SHAPE(2), OP_NUMBERS(16777217, 257));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_F32), i32), TNR_F32, TNR_SHAPE(2),
               OP_NUMBERS(16777216, 257));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_BF16), i32), TNR_BF16, TNR_SHAPE(2),
               OP_NUMBERS(16777216, 256));
}

static void scalars_and_empty_tensors_keep_their_shape(void **state) {
  (void)state;
  op_array scalar = op_array_of(TNR_F32, TNR_SCALAR, OP_NUMBERS(5.5));
  op_assert_is(OP(&tnr_op_cast, TO(TNR_I8), scalar), TNR_I8, TNR_SCALAR, OP_NUMBERS(5));
  op_array empty = op_array_new(TNR_F32, TNR_SHAPE(2, 0));
  for (int to = 0; to < TNR_DTYPE_COUNT; to++)
    op_assert_is(OP(&tnr_op_cast, TO(to), empty), (tnr_dtype)to, TNR_SHAPE(2, 0), OP_NO_NUMBERS);
}

static void what_is_no_dtype_is_refused(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_F32, TNR_SHAPE(2), 1);
  op_assert_fails(&tnr_op_cast, TO(8), TNR_EINVAL, "8 is not a dtype", x);
  op_assert_fails(&tnr_op_cast, TO(-1), TNR_EINVAL, "-1 is not a dtype", x);
  op_assert_fails(&tnr_op_cast, TO(TNR_I8), TNR_EINVAL, "takes 1 input, got 2", x, x);
}

static void pieces_along_any_dim_add_up_to_the_whole(void **state) {
  (void)state;
  op_array x = op_array_random(TNR_I32, TNR_SHAPE(4, 8), 1);
  assert_int_equal(op_assert_shards_right(&tnr_op_cast, TO(TNR_BF16), x), 2 + 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      op_test(small_numbers_pass_from_any_dtype_to_any),
      op_test(floats_are_truncated_towards_zero),
      op_test(floats_saturate_and_nan_gives_zero),
      op_test(the_edges_of_i32_and_i64_are_kept),
      op_test(integers_wrap_when_narrowed),
      op_test(what_is_not_zero_is_true),
      op_test(narrower_floats_round_to_even),
      op_test(scalars_and_empty_tensors_keep_their_shape),
      op_test(what_is_no_dtype_is_refused),
      op_test(pieces_along_any_dim_add_up_to_the_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
