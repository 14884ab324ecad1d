/* Element types: sizes, names, and the conversions of bf16 and f16 against an oracle that works in
 * doubles, for every one of their values. */
#include "check.h"

#include <math.h>
#include <string.h>

static void sizes_and_names_are_known(void **state) {
  (void)state;
  static const struct {
    tnr_dtype dtype;
    const char *name;
    size_t size;
  } all[] = {{TNR_F32, "f32", 4}, {TNR_BF16, "bf16", 2}, {TNR_F16, "f16", 2},
             {TNR_I8, "i8", 1},   {TNR_U8, "u8", 1},     {TNR_I32, "i32", 4},
             {TNR_I64, "i64", 8}, {TNR_BOOL, "bool", 1}};
  assert_int_equal(sizeof all / sizeof all[0], TNR_DTYPE_COUNT);
  for (int i = 0; i < TNR_DTYPE_COUNT; i++) {
    assert_string_equal(tnr_dtype_name(all[i].dtype), all[i].name);
    assert_int_equal(tnr_dtype_size(all[i].dtype), all[i].size);
  }
}

static void no_dtype_has_no_size(void **state) {
  (void)state;
  const tnr_dtype wrong[] = {TNR_DTYPE_COUNT, (tnr_dtype)-1, (tnr_dtype)1000};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(tnr_dtype_size(wrong[i]), 0);
    assert_string_equal(tnr_dtype_name(wrong[i]), "?");
  }
}

/* A 16-bit format: sign, exponent, mantissa. */
typedef struct format {
  int exponent_bits, mantissa_bits;
  float (*widen)(uint16_t bits);
  uint16_t (*narrow)(float value);
} format;

static const format formats[] = {{8, 7, tnr_bf16_to_f32, tnr_f32_to_bf16},
                                 {5, 10, tnr_f16_to_f32, tnr_f32_to_f16}};

static int all_ones(const format *f) {
  return (1 << f->exponent_bits) - 1;
}

/* What the bits mean, by the definition of the format; NaN for NaN. */
static double meaning(const format *f, unsigned bits) {
  int exponent = (int)(bits >> f->mantissa_bits) & all_ones(f);
  int mantissa = (int)(bits & ((1u << f->mantissa_bits) - 1));
  int bias = (1 << (f->exponent_bits - 1)) - 1;
  double sign = bits & 0x8000u ? -1 : 1;
  if (exponent == all_ones(f))
    return mantissa ? (double)NAN : sign * (double)INFINITY;
  if (exponent == 0)
    return sign * ldexp(mantissa, 1 - bias - f->mantissa_bits);
  return sign * ldexp((1 << f->mantissa_bits) + mantissa, exponent - bias - f->mantissa_bits);
}

static void expect_bits(const format *f, float value, unsigned right) {
  unsigned is = f->narrow(value);
  if (is != right)
    fail_msg("%a became %04x, not %04x", (double)value, is, right);
}

static void every_value_widens_to_what_it_means(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++)
    for (unsigned bits = 0; bits < 0x10000; bits++) {
      double right = meaning(&formats[i], bits);
      float is = formats[i].widen((uint16_t)bits);
      if (!((isnan(right) && isnan(is)) ||
            ((double)is == right && !signbit(is) == !signbit(right))))
        fail_msg("%04x became %a, not %a", bits, (double)is, right);
    }
}

static void every_value_comes_back(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++)
    for (unsigned bits = 0; bits < 0x10000; bits++) {
      float wide = formats[i].widen((uint16_t)bits);
      if (isnan(wide))
        assert_true(isnan(formats[i].widen(formats[i].narrow(wide))));
      else
        expect_bits(&formats[i], wide, bits);
    }
}

/* Between neighbours: the middle goes to the even one, what is next to it to the nearer one. The
 * neighbour of the greatest value stands where the next value would, and is infinity. */
static void values_between_two_round_to_nearest_and_ties_to_even(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    const format *f = &formats[i];
    unsigned infinity = (unsigned)all_ones(f) << f->mantissa_bits;
    for (unsigned bits = 0; bits < infinity; bits++) {
      double low = meaning(f, bits), step = meaning(f, bits) - meaning(f, bits ? bits - 1 : 0);
      double high = bits + 1 < infinity ? meaning(f, bits + 1) : low + step;
      float middle = (float)((low + high) / 2);
      unsigned even = bits + (bits & 1);
      expect_bits(f, middle, even);
      expect_bits(f, nextafterf(middle, 0), bits);
      expect_bits(f, nextafterf(middle, INFINITY), bits + 1);
      expect_bits(f, -middle, even | 0x8000u);
    }
  }
}

static void what_is_out_of_range_is_infinite_and_what_is_too_small_is_zero(void **state) {
  (void)state;
  expect_bits(&formats[1], 65520, 0x7c00);
  expect_bits(&formats[1], 1e30f, 0x7c00);
  expect_bits(&formats[1], -INFINITY, 0xfc00);
  expect_bits(&formats[1], 0x1p-26f, 0);
  expect_bits(&formats[1], -0x1p-149f, 0x8000);
  expect_bits(&formats[0], 3.4028235e38f, 0x7f80);
  expect_bits(&formats[0], -0.0f, 0x8000);
}

static void nan_stays_nan_whatever_its_payload(void **state) {
  (void)state;
  static const uint32_t nans[] = {0x7f800001, 0x7fc00000, 0x7fffffff, 0xff800001, 0x7f80ffff};
  for (int i = 0; i < 5; i++) {
    float nan;
    memcpy(&nan, &nans[i], sizeof nan);
    assert_true(isnan(tnr_bf16_to_f32(tnr_f32_to_bf16(nan))));
    assert_true(isnan(tnr_f16_to_f32(tnr_f32_to_f16(nan))));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_and_names_are_known),
      cmocka_unit_test(no_dtype_has_no_size),
      cmocka_unit_test(every_value_widens_to_what_it_means),
      cmocka_unit_test(every_value_comes_back),
      cmocka_unit_test(values_between_two_round_to_nearest_and_ties_to_even),
      cmocka_unit_test(what_is_out_of_range_is_infinite_and_what_is_too_small_is_zero),
      cmocka_unit_test(nan_stays_nan_whatever_its_payload),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
