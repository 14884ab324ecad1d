/* Elementwise ops of two inputs: all but the arithmetic. An op defines two functions,
 *   static inline float NAME_float(float x, float y)
 *   static inline int64_t NAME_integer(int64_t x, int64_t y)
 * and TNR_BINARY_ROWS(NAME) makes from them NAME_rows for tnr_binary_run. */
#ifndef TENOR_OPS_BINARY_H
#define TENOR_OPS_BINARY_H

#include <tenor/op.h>

tnr_status tnr_binary_validate(const tnr_op_call *call, tnr_fault *fault);
tnr_status tnr_binary_infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault);
tnr_status tnr_binary_shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                            int out_count, int *out_dims, tnr_fault *fault);

/* One row of the output; steps are in elements, 0 where an input is repeated. */
typedef struct tnr_binary_row {
  void *out;
  const void *a, *b;
  int64_t a_step, b_step, count;
} tnr_binary_row;

typedef void tnr_binary_row_fn(const tnr_binary_row *row);

/* Calls rows[dtype] for each row of the output. */
void tnr_binary_run(const tnr_kernel_call *call, tnr_binary_row_fn *const rows[TNR_DTYPE_COUNT]);

/* Two loops, so that the compiler can vectorize the dense one. */
#define TNR_BINARY_ROW(NAME, TYPE, LOAD, STORE, FUNCTION)                                          \
  static void NAME(const tnr_binary_row *row) {                                                    \
    TYPE *restrict out = row->out;                                                                 \
    const TYPE *a = row->a, *b = row->b;                                                           \
    if (row->a_step == 1 && row->b_step == 1)                                                      \
      for (int64_t i = 0; i < row->count; i++)                                                     \
        out[i] = STORE(FUNCTION(LOAD(a[i]), LOAD(b[i])));                                          \
    else                                                                                           \
      for (int64_t i = 0; i < row->count; i++)                                                     \
        out[i] = STORE(FUNCTION(LOAD(a[i * row->a_step]), LOAD(b[i * row->b_step])));              \
  }

#define TNR_BINARY_ROWS(NAME)                                                                      \
  TNR_BINARY_ROW(NAME##_f32, float, (float), (float), NAME##_float)                                \
  TNR_BINARY_ROW(NAME##_bf16, uint16_t, tnr_bf16_to_f32, tnr_f32_to_bf16, NAME##_float)            \
  TNR_BINARY_ROW(NAME##_i8, int8_t, (int64_t), (int8_t), NAME##_integer)                           \
  TNR_BINARY_ROW(NAME##_u8, uint8_t, (int64_t), (uint8_t), NAME##_integer)                         \
  TNR_BINARY_ROW(NAME##_i32, int32_t, (int64_t), (int32_t), NAME##_integer)                        \
  TNR_BINARY_ROW(NAME##_i64, int64_t, (int64_t), (int64_t), NAME##_integer)                        \
  static tnr_binary_row_fn *const NAME##_rows[TNR_DTYPE_COUNT] = {                                 \
      [TNR_F32] = NAME##_f32, [TNR_BF16] = NAME##_bf16, [TNR_I8] = NAME##_i8,                      \
      [TNR_U8] = NAME##_u8,   [TNR_I32] = NAME##_i32,   [TNR_I64] = NAME##_i64};

#endif
