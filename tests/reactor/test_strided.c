/* Memory with gaps: what counts as dense, and copies against a copy element by element. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "reactor/strided.h"

#define STRIDES(...) ((const int64_t[]){__VA_ARGS__})

static bool is_dense(tnr_shape shape, const int64_t *strides) {
  return tnr_strided_is_dense(&shape, strides);
}

static void row_major_without_gaps_is_dense(void **state) {
  (void)state;
  assert_true(is_dense(TNR_SHAPE(2, 3, 4), STRIDES(12, 4, 1)));
  assert_true(is_dense(TNR_SCALAR, NULL));
  assert_true(is_dense(TNR_SHAPE(5), STRIDES(1)));
  assert_false(is_dense(TNR_SHAPE(2, 3, 4), STRIDES(1, 2, 6)));
  assert_false(is_dense(TNR_SHAPE(2, 3, 4), STRIDES(24, 4, 1)));
  assert_false(is_dense(TNR_SHAPE(5), STRIDES(-1)));
  assert_false(is_dense(TNR_SHAPE(5), STRIDES(0)));
}

static void a_dim_of_one_or_none_lies_as_it_likes(void **state) {
  (void)state;
  assert_true(is_dense(TNR_SHAPE(1, 3, 1, 2), STRIDES(-99, 2, 77, 1)));
  assert_true(is_dense(TNR_SHAPE(3, 0, 2), STRIDES(5, 5, 5)));
}

/* ---- copies ---- */

enum { ROOM = 1 << 15, MIDDLE = ROOM / 2 };

/* The elements one by one, in order. */
static void copy_slowly(const tnr_desc *desc, const char *from, const int64_t *strides, char *to) {
  size_t size = tnr_dtype_size(desc->dtype);
  int64_t count = tnr_shape_elements(&desc->shape), index[TNR_MAX_RANK] = {0};
  for (int64_t n = 0; n < count; n++, to += size) {
    int64_t at = 0;
    for (int64_t i = 0; i < desc->shape.rank; i++)
      at += index[i] * strides[i];
    memcpy(to, from + at * (int64_t)size, size);
    for (int64_t i = desc->shape.rank; i-- > 0 && ++index[i] == desc->shape.dims[i];)
      index[i] = 0;
  }
}

/* Few enough elements, near enough, that all of them are in the room. */
static void random_layout(tnr_desc *desc, int64_t *strides) {
  desc->dtype = (tnr_dtype)(rand() % TNR_DTYPE_COUNT);
  desc->shape = (tnr_shape){.rank = rand() % 6};
  int64_t dense = 1;
  for (int64_t i = desc->shape.rank; i-- > 0;) {
    desc->shape.dims[i] = rand() % 10 ? 1 + rand() % 4 : 0;
    strides[i] = rand() % 2 ? dense : rand() % 99 - 49;
    dense *= desc->shape.dims[i];
  }
}

static void copies_are_right_whatever_the_strides(void **state) {
  static char from[ROOM], quick[ROOM], slow[ROOM];
  (void)state;
  srand(7);
  for (int i = 0; i < ROOM; i++)
    from[i] = (char)rand();
  for (int round = 0; round < CHECK_MANY(20000); round++) {
    tnr_desc desc;
    int64_t strides[TNR_MAX_RANK];
    random_layout(&desc, strides);
    memset(quick, 0, 8192);
    memset(slow, 0, 8192);
    const char *middle = from + MIDDLE + rand() % 3; /* aligned to nothing */
    tnr_strided_copy(&desc, middle, strides, quick);
    copy_slowly(&desc, middle, strides, slow);
    assert_memory_equal(quick, slow, 8192);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(row_major_without_gaps_is_dense),
      cmocka_unit_test(a_dim_of_one_or_none_lies_as_it_likes),
      cmocka_unit_test(copies_are_right_whatever_the_strides),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
