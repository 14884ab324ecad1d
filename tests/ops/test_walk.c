#include "op_harness.h"

#include "ops/walk.h"

static int rows_of(tnr_walk *walk) {
  int rows = 1;
  while (tnr_walk_next(walk))
    rows++;
  return rows;
}

static void dense_operands_give_a_single_row(void **state) {
  (void)state;
  tnr_shape shape = TNR_SHAPE(2, 1, 3, 4);
  int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK];
  tnr_walk_dense_strides(&shape, strides[0]);
  tnr_walk_dense_strides(&shape, strides[1]);
  tnr_walk walk;
  tnr_walk_start(&walk, &shape, strides);
  assert_int_equal(walk.count, 24);
  assert_int_equal(walk.step[0], 1);
  assert_int_equal(rows_of(&walk), 1);
}

static void a_repeated_operand_breaks_rows_where_it_is_repeated(void **state) {
  (void)state;
  tnr_shape shape = TNR_SHAPE(2, 3, 4, 5);
  int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK] = {{60, 20, 5, 1}, {0, 0, 5, 1}};
  tnr_walk walk;
  tnr_walk_start(&walk, &shape, strides);
  assert_int_equal(walk.count, 20);
  assert_int_equal(rows_of(&walk), 6);
  assert_int_equal(walk.rank, 1);
}

static void offsets_are_those_of_the_index(void **state) {
  (void)state;
  tnr_shape shape = TNR_SHAPE(2, 3, 4);
  int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK] = {{1, 2, 6}, {100, 10, 0}};
  tnr_walk walk;
  tnr_walk_start(&walk, &shape, strides);
  for (int64_t i = 0; i < 2; i++)
    for (int64_t j = 0; j < 3; j++) {
      assert_int_equal(walk.count, 4);
      assert_int_equal(walk.offset[0], i + 2 * j);
      assert_int_equal(walk.offset[1], 100 * i + 10 * j);
      assert_int_equal(tnr_walk_next(&walk), i != 1 || j != 2);
    }
}

static void a_scalar_is_one_row_of_one(void **state) {
  (void)state;
  int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK] = {{0}};
  tnr_walk walk;
  tnr_walk_start(&walk, &(tnr_shape){.rank = 0}, strides);
  assert_int_equal(walk.count, 1);
  assert_int_equal(rows_of(&walk), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dense_operands_give_a_single_row),
      cmocka_unit_test(a_repeated_operand_breaks_rows_where_it_is_repeated),
      cmocka_unit_test(offsets_are_those_of_the_index),
      cmocka_unit_test(a_scalar_is_one_row_of_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
