/* Attributes as text: what the ops say of them, and what does not fit. */
#include "ops/words.h"

#include <string.h>

#include "check.h"

static const char *describe(const tnr_op_def *def, const void *attrs) {
  static char text[240];
  assert_non_null(def->describe);
  memset(text, 'x', sizeof text);
  def->describe(attrs, text, sizeof text);
  return text;
}

#define assert_described(op, expected, type, ...)                                                  \
  assert_string_equal(describe(&op, TNR_ATTRS(type, __VA_ARGS__)), expected)

static void every_op_with_attributes_says_them(void **state) {
  (void)state;
  assert_described(tnr_op_matmul, "", tnr_matmul_attrs, 0);
  assert_described(tnr_op_matmul, "transpose_a, transpose_b", tnr_matmul_attrs, .transpose_a = true,
                   .transpose_b = true);
  assert_described(tnr_op_softmax, "axis = -1", tnr_softmax_attrs, .axis = -1);
  assert_described(tnr_op_argmax, "axis = 0, keep_dims", tnr_argmax_attrs, .keep_dims = 1);
  assert_described(tnr_op_split, "dim = 1, parts = 2", tnr_split_attrs, .dim = 1, .parts = 2);
  assert_described(tnr_op_concat, "dim = 3", tnr_concat_attrs, .dim = 3);
  assert_described(tnr_op_flatten, "axis = 1", tnr_flatten_attrs, .axis = 1);
  assert_described(tnr_op_reshape, "shape = [2, -1]", tnr_reshape_attrs, .shape = TNR_SHAPE(2, -1));
  assert_described(tnr_op_cast, "dtype = bf16", tnr_cast_attrs, .dtype = TNR_BF16);
  assert_described(tnr_op_transpose, "", tnr_transpose_attrs, .permuted = 0);
  assert_described(tnr_op_transpose, "permutation = [1, 0]", tnr_transpose_attrs,
                   .permutation = {1, 0}, .permuted = 2);
  assert_described(tnr_op_conv2d, "stride = [2, 2], pad_before = [1, 1], groups = 4",
                   tnr_conv2d_attrs, .stride = {2, 2}, .pad_before = {1, 1}, .groups = 4);
  assert_described(tnr_op_max_pool2d, "kernel = [3, 2]", tnr_max_pool2d_attrs, .kernel = {3, 2});
}

static void what_does_not_fit_is_left_out(void **state) {
  (void)state;
  for (size_t size = 1; size < 40; size++) {
    char text[48];
    memset(text, 'x', sizeof text);
    tnr_words words = tnr_words_begin(text, size);
    tnr_words_number(&words, "number", -12345);
    tnr_words_list(&words, "list", (const int64_t[]){7, 0, 9}, 3);
    tnr_words_flag(&words, "flag", true);
    const char *whole = "number = -12345, list = [7, 0, 9], flag";
    size_t length = strlen(text);
    assert_true(length < size);
    assert_int_equal(length, size - 1 < strlen(whole) ? size - 1 : strlen(whole));
    assert_memory_equal(text, whole, length);
    assert_int_equal(text[size], 'x');
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_op_with_attributes_says_them),
      cmocka_unit_test(what_does_not_fit_is_left_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
