/* One element of a buffer, read or written as the widest type of its class. */
#ifndef TENOR_OPS_ELEMENT_H
#define TENOR_OPS_ELEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include <tenor/dtype.h>

static inline bool dtype_is_float(tnr_dtype dtype) {
  return dtype == TNR_F32 || dtype == TNR_BF16 || dtype == TNR_F16;
}

/* f32, bf16, f16. */
static inline float load_float(tnr_dtype dtype, const void *data, int64_t index) {
  switch (dtype) {
  case TNR_BF16:
    return tnr_bf16_to_f32(((const uint16_t *)data)[index]);
  case TNR_F16:
    return tnr_f16_to_f32(((const uint16_t *)data)[index]);
  default:
    return ((const float *)data)[index];
  }
}

/* f32, bf16, f16: rounds to nearest, ties to even. */
static inline void store_float(tnr_dtype dtype, void *data, int64_t index, float value) {
  switch (dtype) {
  case TNR_BF16:
    ((uint16_t *)data)[index] = tnr_f32_to_bf16(value);
    break;
  case TNR_F16:
    ((uint16_t *)data)[index] = tnr_f32_to_f16(value);
    break;
  default:
    ((float *)data)[index] = value;
  }
}

/* i8, u8, i32, i64, bool. */
static inline int64_t load_integer(tnr_dtype dtype, const void *data, int64_t index) {
  switch (dtype) {
  case TNR_I8:
    return ((const int8_t *)data)[index];
  case TNR_I32:
    return ((const int32_t *)data)[index];
  case TNR_I64:
    return ((const int64_t *)data)[index];
  default:
    return ((const uint8_t *)data)[index];
  }
}

/* i8, u8, i32, i64: keeps the low bits. bool: 1 for what is not 0. */
static inline void store_integer(tnr_dtype dtype, void *data, int64_t index, int64_t value) {
  switch (dtype) {
  case TNR_I8:
    ((int8_t *)data)[index] = (int8_t)value;
    break;
  case TNR_I32:
    ((int32_t *)data)[index] = (int32_t)value;
    break;
  case TNR_I64:
    ((int64_t *)data)[index] = value;
    break;
  case TNR_BOOL:
    ((uint8_t *)data)[index] = value != 0;
    break;
  default:
    ((uint8_t *)data)[index] = (uint8_t)value;
  }
}

#endif
