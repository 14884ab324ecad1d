#include <tenor/dtype.h>

#include <stdbool.h>
#include <string.h>

static const struct {
  const char *name;
  size_t size;
} dtypes[TNR_DTYPE_COUNT] = {
    [TNR_F32] = {"f32", 4}, [TNR_BF16] = {"bf16", 2}, [TNR_F16] = {"f16", 2},
    [TNR_I8] = {"i8", 1},   [TNR_U8] = {"u8", 1},     [TNR_I32] = {"i32", 4},
    [TNR_I64] = {"i64", 8}, [TNR_BOOL] = {"bool", 1},
};

static bool known(tnr_dtype dtype) {
  return (unsigned)dtype < TNR_DTYPE_COUNT;
}

size_t tnr_dtype_size(tnr_dtype dtype) {
  return known(dtype) ? dtypes[dtype].size : 0;
}

const char *tnr_dtype_name(tnr_dtype dtype) {
  return known(dtype) ? dtypes[dtype].name : "?";
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

float tnr_bf16_to_f32(uint16_t bits) {
  return float_of((uint32_t)bits << 16);
}

uint16_t tnr_f32_to_bf16(float value) {
  uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) /* NaN: keep it one when the payload is cut off */
    return (uint16_t)(bits >> 16 | 0x40u);
  return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

float tnr_f16_to_f32(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 0x1fu,
           mantissa = half & 0x3ffu;
  if (exponent == 0x1f)
    return float_of(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0)
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
  float subnormal = (float)mantissa * 0x1p-24f;
  return sign ? -subnormal : subnormal;
}

/* Rounds the value mantissa * 2^-shift to nearest even. */
static uint32_t round_shift(uint32_t mantissa, unsigned shift) {
  uint32_t half = 1u << (shift - 1), kept = mantissa >> shift, rest = mantissa & (2 * half - 1);
  return kept + (rest > half || (rest == half && (kept & 1u)));
}

uint16_t tnr_f32_to_f16(float value) {
  uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return (uint16_t)(sign | 0x7e00u);
  if (magnitude >= 0x47800000u) /* 65536 and more, infinity too */
    return (uint16_t)(sign | 0x7c00u);
  if (magnitude >= 0x38800000u) /* normal in f16; a carry out of the mantissa is right as well */
    return (uint16_t)(sign | round_shift(magnitude - 0x38000000u, 13));
  unsigned shift = 126 - (magnitude >> 23);
  if (shift > 24) /* less than half of the smallest subnormal */
    return (uint16_t)sign;
  return (uint16_t)(sign | round_shift((magnitude & 0x7fffffu) | 0x800000u, shift));
}
