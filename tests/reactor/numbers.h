/* Arrays of whole numbers, and what ops give on them, in naive plain C: the serial reference of
 * random graphs. A number is exact in its dtype, so that results can be compared bit for bit. */
#ifndef TENOR_TESTS_NUMBERS_H
#define TENOR_TESTS_NUMBERS_H

#include <tenor.h>

/* i32 or i64, which wrap, or f32, whole and below 2^24 in magnitude. */
typedef struct numbers {
  tnr_desc desc;
  int64_t *at; /* row-major; NULL where an operation has no exact result */
} numbers;

numbers numbers_new(tnr_dtype dtype, tnr_shape shape);
numbers numbers_copy(const numbers *of);
void numbers_free(numbers *array);

/* Results have `at` NULL when shapes do not fit, a float would not be exact, or something is
 * divided by zero. */
numbers numbers_binary(const tnr_op_def *def, const numbers *a, const numbers *b);
numbers numbers_relu(const numbers *x);
numbers numbers_cast(const numbers *x, tnr_dtype dtype);
numbers numbers_matmul(const numbers *a, const numbers *b); /* [m, k] and [k, n] */
numbers numbers_slice(const numbers *x, int dim, int64_t parts, int64_t index);
numbers numbers_concat(const numbers *const *x, int count, int dim);
numbers numbers_reshape(const numbers *x, tnr_shape shape);
numbers numbers_transpose(const numbers *x); /* dims reversed */

/* As they lie in a tensor's memory. */
void numbers_store(const numbers *array, void *out);
bool numbers_are(const numbers *array, const void *stored);

#endif
