/* Shapes and descriptions: what is valid, how many elements and bytes, and the sentences. */
#include "check.h"

#include <string.h>

static void a_shape_is_made_of_its_dims(void **state) {
  (void)state;
  tnr_shape shape = TNR_SHAPE(2, 3, 4);
  assert_int_equal(shape.rank, 3);
  assert_int_equal(shape.dims[0], 2);
  assert_int_equal(shape.dims[2], 4);
  for (int i = 3; i < TNR_MAX_RANK; i++)
    assert_int_equal(shape.dims[i], 0);
  assert_int_equal(TNR_SCALAR.rank, 0);
}

static void elements_are_the_product_of_dims(void **state) {
  (void)state;
  const struct {
    tnr_shape shape;
    int64_t elements;
  } cases[] = {{TNR_SCALAR, 1},
               {TNR_SHAPE(7), 7},
               {TNR_SHAPE(2, 3, 4), 24},
               {TNR_SHAPE(5, 0, 4), 0},
               {TNR_SHAPE(INT64_MAX), INT64_MAX},
               {TNR_SHAPE(INT64_MAX, INT64_MAX, 0), 0},
               {TNR_SHAPE(1, 1, 1, 1, 1, 1, 1, 9), 9}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_true(tnr_shape_valid(&cases[i].shape));
    assert_int_equal(tnr_shape_elements(&cases[i].shape), cases[i].elements);
  }
}

static void what_is_out_of_range_is_not_valid(void **state) {
  (void)state;
  const int64_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  const tnr_shape shapes[] = {tnr_shape_of(9, nine), tnr_shape_of(-1, nine), TNR_SHAPE(2, -1),
                              TNR_SHAPE(INT64_MAX, 2),
                              TNR_SHAPE((int64_t)1 << 32, (int64_t)1 << 31)};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
    assert_false(tnr_shape_valid(&shapes[i]));
}

static void shapes_are_equal_by_rank_and_dims(void **state) {
  (void)state;
  tnr_shape a = TNR_SHAPE(2, 3), same = TNR_SHAPE(2, 3), longer = TNR_SHAPE(2, 3, 1);
  tnr_shape turned = TNR_SHAPE(3, 2);
  same.dims[5] = 77; /* beyond the rank */
  assert_true(tnr_shape_equal(&a, &same));
  assert_false(tnr_shape_equal(&a, &longer));
  assert_false(tnr_shape_equal(&a, &turned));
}

static void expect_text(tnr_shape shape, const char *right) {
  char text[TNR_SHAPE_TEXT_MAX];
  assert_string_equal(tnr_shape_format(&shape, text, sizeof text), right);
}

static void shapes_are_written_in_brackets(void **state) {
  (void)state;
  const int64_t nine[9] = {1};
  expect_text(TNR_SCALAR, "[]");
  expect_text(TNR_SHAPE(5), "[5]");
  expect_text(TNR_SHAPE(2, 0, -3), "[2, 0, -3]");
  expect_text(tnr_shape_of(9, nine), "[rank 9]");
  const int64_t m = INT64_MIN;
  tnr_shape longest = TNR_SHAPE(m, m, m, m, m, m, m, m);
  char text[TNR_SHAPE_TEXT_MAX];
  assert_int_equal(strlen(tnr_shape_format(&longest, text, sizeof text)), 8 * 20 + 7 * 2 + 2);
}

static void a_text_that_does_not_fit_is_cut(void **state) {
  (void)state;
  tnr_shape shape = TNR_SHAPE(1234, 5678);
  for (size_t size = 1; size < 14; size++) {
    char text[16];
    memset(text, '#', sizeof text);
    tnr_shape_format(&shape, text, size);
    assert_true(strlen(text) < size);
    assert_memory_equal(text, "[1234, 5678]", strlen(text));
    assert_int_equal(text[size], '#');
  }
}

static void expect_bytes(tnr_dtype dtype, tnr_shape shape, size_t right) {
  tnr_desc desc = {shape, dtype};
  size_t bytes = 0;
  assert_int_equal(tnr_desc_bytes(&desc, &bytes, NULL), TNR_OK);
  assert_int_equal(bytes, right);
}

static void bytes_are_elements_times_size(void **state) {
  (void)state;
  expect_bytes(TNR_F32, TNR_SHAPE(3, 5), 60);
  expect_bytes(TNR_BOOL, TNR_SCALAR, 1);
  expect_bytes(TNR_I64, TNR_SHAPE(0, 9), 0);
  expect_bytes(TNR_I64, TNR_SHAPE(INT64_MAX / 8), (size_t)INT64_MAX / 8 * 8);
}

static void expect_refused(tnr_dtype dtype, tnr_shape shape, tnr_status code,
                           const char *sentence) {
  tnr_desc desc = {shape, dtype};
  tnr_fault fault;
  size_t bytes;
  assert_int_equal(tnr_desc_bytes(&desc, &bytes, &fault), code);
  assert_int_equal(fault.code, code);
  assert_string_equal(fault.message, sentence);
}

static void what_has_no_size_is_refused_with_a_sentence(void **state) {
  (void)state;
  const int64_t nine[9] = {1};
  expect_refused(TNR_DTYPE_COUNT, TNR_SCALAR, TNR_EDTYPE, "8 is not a dtype");
  expect_refused(TNR_F32, TNR_SHAPE(4, -2), TNR_ESHAPE, "shape [4, -2] has a negative dimension");
  expect_refused(TNR_F32, tnr_shape_of(9, nine), TNR_ESHAPE,
                 "a tensor has 0 to 8 dimensions, not 9");
  expect_refused(TNR_F32, TNR_SHAPE(INT64_MAX, 4), TNR_EOVERFLOW,
                 "the size of a tensor of shape [9223372036854775807, 4] does not fit 63 bits");
  expect_refused(TNR_I64, TNR_SHAPE(INT64_MAX / 4), TNR_EOVERFLOW,
                 "the size of a tensor of shape [2305843009213693951] does not fit 63 bits");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_shape_is_made_of_its_dims),
      cmocka_unit_test(elements_are_the_product_of_dims),
      cmocka_unit_test(what_is_out_of_range_is_not_valid),
      cmocka_unit_test(shapes_are_equal_by_rank_and_dims),
      cmocka_unit_test(shapes_are_written_in_brackets),
      cmocka_unit_test(a_text_that_does_not_fit_is_cut),
      cmocka_unit_test(bytes_are_elements_times_size),
      cmocka_unit_test(what_has_no_size_is_refused_with_a_sentence),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
