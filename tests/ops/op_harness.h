/* Runs an op's own functions on plain buffers, without a runtime: what validate, infer, the kernel
 * and the shard rule say, and nothing else. All of it belongs to the test's main thread. */
#ifndef TENOR_TESTS_OP_HARNESS_H
#define TENOR_TESTS_OP_HARNESS_H

#include "check.h"

/* A dense tensor in a buffer of exactly its size. Buffers live until op_free_arrays. */
typedef struct op_array {
  tnr_desc desc;
  void *data;
} op_array;

enum { OP_MOST_OUTPUTS = 8, OP_MOST_INPUTS = 4 };

/* A test that frees its arrays at the end. */
#define op_test(function) cmocka_unit_test_teardown(function, op_free_arrays)
int op_free_arrays(void **state);

/* Numbers for op_array_of, with how many they are. */
#define OP_NUMBERS(...)                                                                            \
  ((const double[]){__VA_ARGS__}), (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double))
#define OP_NO_NUMBERS NULL, 0

/* `count` numbers, which must fill the shape, converted to the dtype. */
op_array op_array_of(tnr_dtype dtype, tnr_shape shape, const double *numbers, int count);

/* Of any content. */
op_array op_array_new(tnr_dtype dtype, tnr_shape shape);

/* Whole numbers from -4 to 4 (0 to 8 where there is no sign, 0 and 1 for bool), so that sums and
 * products of a few of them are exact in every dtype. The same seed gives the same numbers. */
op_array op_array_random(tnr_dtype dtype, tnr_shape shape, unsigned seed);

/* One element as a double, and back, rounded to the dtype. */
double op_number(const op_array *array, int64_t index);
void op_set_number(const op_array *array, int64_t index, double number);

/* From the position of an element in memory to its place along each dim, and back. */
void op_unravel(const tnr_shape *shape, int64_t position, int64_t index[TNR_MAX_RANK]);
int64_t op_ravel(const tnr_shape *shape, const int64_t index[TNR_MAX_RANK]);

/* The number at an index of a shape that the array broadcasts to. */
double op_broadcast_number(const op_array *array, const tnr_shape *shape,
                           const int64_t index[TNR_MAX_RANK]);

typedef struct op_result {
  tnr_status status;
  tnr_fault fault;
  int count;
  op_array out[OP_MOST_OUTPUTS];
} op_result;

/* Validates, infers, and runs the kernel (an alias: copies). Any status. */
op_result op_run(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count);

/* Runs only the kernel (an alias: copies), into arrays that are there. */
tnr_status op_run_kernel(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                         const op_array *out, int out_count, tnr_fault *fault);

void op_describe(const op_array *arrays, int count, tnr_desc *out);

#define OP_ARRAYS(...)                                                                             \
  ((const op_array[]){__VA_ARGS__}),                                                               \
      (int)(sizeof((const op_array[]){__VA_ARGS__}) / sizeof(op_array))

/* OP(def, attrs, a, …): the one output of a run that must succeed. */
#define OP(def, attrs, ...) op_output(def, attrs, OP_ARRAYS(__VA_ARGS__), __FILE__, __LINE__)
op_array op_output(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                   const char *file, int line);

/* What further failures are about, to be printed with them; until op_free_arrays. */
void op_note(const char *format, ...) TNR_PRINTF(1, 2);

/* Asserts dtype, shape and numbers: equal, NaN to NaN. */
#define op_assert_is(array, dtype, shape, ...)                                                     \
  op_check_is(array, op_array_of(dtype, shape, __VA_ARGS__), 0, __FILE__, __LINE__)

/* Asserts that two arrays are alike but for `tolerance`, absolute and relative. */
#define op_assert_near(array, expected, tolerance)                                                 \
  op_check_is(array, expected, tolerance, __FILE__, __LINE__)
#define op_assert_equal(array, expected) op_check_is(array, expected, 0, __FILE__, __LINE__)
void op_check_is(op_array array, op_array expected, double tolerance, const char *file, int line);

/* op_assert_fails(def, attrs, code, sentence, a, …): the run fails with just that. */
#define op_assert_fails(def, attrs, code, sentence, ...)                                           \
  op_check_fails(def, attrs, OP_ARRAYS(__VA_ARGS__), code, sentence, __FILE__, __LINE__)
void op_check_fails(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                    tnr_status code, const char *sentence, const char *file, int line);

/* Asserts that, for inputs split over 2 and over 4 devices along each choice of dims, what the
 * shard rule accepts gives piece by piece, put together, the very bytes of the whole; and that what
 * it refuses is TNR_EDEVICE with a sentence. Gives the number of choices accepted. */
#define op_assert_shards_right(def, attrs, ...)                                                    \
  op_check_shards(def, attrs, OP_ARRAYS(__VA_ARGS__), __FILE__, __LINE__)
int op_check_shards(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                    const char *file, int line);

#define OP_DIMS(...) ((const int[]){__VA_ARGS__})

/* The dim along which output 0 is split when inputs are split along in_dims; -1 when that is
 * refused. */
#define op_shard_of(def, attrs, in_dims, ...)                                                      \
  op_shard_rule(def, attrs, OP_ARRAYS(__VA_ARGS__), in_dims, NULL)
int op_shard_rule(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                  const int *in_dims, tnr_fault *fault);

/* Asserts the sentence of a refusal by the shard rule. */
#define op_assert_shard_refused(def, attrs, in_dims, sentence, ...)                                \
  op_check_shard_refused(def, attrs, OP_ARRAYS(__VA_ARGS__), in_dims, sentence, __FILE__, __LINE__)
void op_check_shard_refused(const tnr_op_def *def, const void *attrs, const op_array *in,
                            int in_count, const int *in_dims, const char *sentence,
                            const char *file, int line);

#endif
