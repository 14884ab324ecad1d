/* Element types and their conversions. */
#ifndef TENOR_DTYPE_H
#define TENOR_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include <tenor/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tnr_dtype {
  TNR_F32 = 0, /* IEEE 754 binary32 */
  TNR_BF16,    /* the upper half of a binary32 */
  TNR_F16,     /* IEEE 754 binary16: storage and conversion */
  TNR_I8,
  TNR_U8,
  TNR_I32,
  TNR_I64,
  TNR_BOOL, /* one byte, 0 or 1 */
  TNR_DTYPE_COUNT
} tnr_dtype;

TNR_API size_t tnr_dtype_size(tnr_dtype dtype);      /* bytes; 0 for no dtype */
TNR_API const char *tnr_dtype_name(tnr_dtype dtype); /* "f32"; "?" for no dtype */

/* Conversions of one element. To bf16 and f16 they round to nearest, ties to even; NaN stays NaN.
 */
TNR_API float tnr_bf16_to_f32(uint16_t bits);
TNR_API uint16_t tnr_f32_to_bf16(float value);
TNR_API float tnr_f16_to_f32(uint16_t bits);
TNR_API uint16_t tnr_f32_to_f16(float value);

#ifdef __cplusplus
}
#endif
#endif
