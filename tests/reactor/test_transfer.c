/* Data in and out: copies, strides, scalars, reading and its limits. For memory that is not copied
 * see test_lending.c. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

enum { MS = 1000000, PLACES = 3 };

static void what_is_put_in_comes_out_everywhere(void **state) {
  for (int p = 0; p < PLACES; p++) {
    tnr_tensor *x = tnr_tensor_create(rig_place(*state, p), TNR_I32, TNR_SHAPE(3, 4), rig_counting);
    rig_assert_reads(x, rig_counting, sizeof rig_counting);
    assert_int_equal(tnr_tensor_dtype(x), TNR_I32);
    assert_int_equal(tnr_tensor_dim(x, -1), 4);
    assert_ptr_equal(tnr_mesh_device(tnr_tensor_mesh(x), 0), rig_place(*state, p));
  }
}

static void every_dtype_comes_out_as_it_went_in(void **state) {
  for (int d = 0; d < TNR_DTYPE_COUNT; d++)
    for (int p = 0; p < PLACES; p++) {
      size_t bytes = 5 * tnr_dtype_size((tnr_dtype)d);
      unsigned char data[40];
      for (size_t i = 0; i < sizeof data; i++)
        data[i] = d == TNR_BOOL ? i % 2 : (unsigned char)(i * 7);
      tnr_tensor *x = tnr_tensor_create(rig_place(*state, p), (tnr_dtype)d, TNR_SHAPE(5), data);
      rig_assert_reads(x, data, bytes);
    }
}

static void without_data_all_is_zero(void **state) {
  static const int32_t zeros[6];
  for (int p = 0; p < PLACES; p++)
    rig_assert_reads(tnr_tensor_create(rig_place(*state, p), TNR_I32, TNR_SHAPE(2, 3), NULL), zeros,
                     sizeof zeros);
}

static void scalars_and_empty_tensors_are_tensors(void **state) {
  const float pi = 3.25f;
  for (int p = 0; p < PLACES; p++) {
    tnr_tensor *scalar = tnr_tensor_create(rig_place(*state, p), TNR_F32, TNR_SCALAR, &pi);
    rig_assert_reads(scalar, &pi, sizeof pi);
    assert_int_equal(tnr_tensor_rank(scalar), 0);
    tnr_tensor *empty = tnr_tensor_create(rig_place(*state, p), TNR_F32, TNR_SHAPE(3, 0, 2), &pi);
    assert_made(empty);
    assert_ok(tnr_tensor_read(empty, NULL, 0));
    assert_ok(tnr_wait(empty, TNR_COMPLETE, INT64_MAX));
  }
}

static void data_is_read_before_create_returns(void **state) {
  for (int p = 0; p < PLACES; p++) {
    int32_t data[12];
    memcpy(data, rig_counting, sizeof data);
    tnr_tensor *x = tnr_tensor_create(rig_place(*state, p), TNR_I32, TNR_SHAPE(12), data);
    memset(data, 0, sizeof data);
    rig_assert_reads(x, rig_counting, sizeof rig_counting);
  }
}

/* ---- strides ---- */

static void strides_may_skip_turn_and_repeat(void **state) {
  const int64_t transposed[] = {1, 4}, backwards[] = {-4, -1}, repeated[] = {0, 1},
                every_other[] = {8, 2};
  const int32_t as_transposed[] = {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11};
  const int32_t as_backwards[] = {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
  const int32_t as_repeated[] = {0, 1, 2, 3, 0, 1, 2, 3}, as_every_other[] = {0, 2, 8, 10};
  for (int p = 0; p < PLACES; p++) {
    tnr_device *device = rig_place(*state, p);
    rig_assert_reads(
        tnr_tensor_create_strided(device, TNR_I32, TNR_SHAPE(4, 3), rig_counting, transposed),
        as_transposed, sizeof as_transposed);
    rig_assert_reads(
        tnr_tensor_create_strided(device, TNR_I32, TNR_SHAPE(3, 4), rig_counting + 11, backwards),
        as_backwards, sizeof as_backwards);
    rig_assert_reads(
        tnr_tensor_create_strided(device, TNR_I32, TNR_SHAPE(2, 4), rig_counting, repeated),
        as_repeated, sizeof as_repeated);
    rig_assert_reads(
        tnr_tensor_create_strided(device, TNR_I32, TNR_SHAPE(2, 2), rig_counting, every_other),
        as_every_other, sizeof as_every_other);
  }
}

static void strides_of_nothing_are_not_looked_at(void **state) {
  const int64_t wild[] = {1ll << 60, 1ll << 60};
  assert_made(tnr_tensor_create_strided(rig_place(*state, 1), TNR_I32, TNR_SHAPE(0, 3),
                                        rig_counting, wild));
  assert_null(
      tnr_tensor_create_strided(rig_place(*state, 1), TNR_I32, TNR_SHAPE(2), rig_counting, NULL));
  assert_string_equal(tnr_error_reason(tnr_error()), "tensor_create_strided: strides is NULL");
}

/* ---- scalars ---- */

static void scalars_are_converted_and_on_every_device(void **state) {
  const uint16_t bf16 = tnr_f32_to_bf16(2.5f), f16 = tnr_f32_to_f16(2.5f);
  const float f32 = 2.5f;
  const int8_t i8 = 2;
  const int64_t i64 = 2;
  const uint8_t boolean = 1;
  const tnr_mesh *mesh = rig_cpus(*state, 3);
  rig_assert_reads(tnr_scalar(mesh, TNR_F32, 2.5), &f32, sizeof f32);
  rig_assert_reads(tnr_scalar(mesh, TNR_BF16, 2.5), &bf16, sizeof bf16);
  rig_assert_reads(tnr_scalar(mesh, TNR_F16, 2.5), &f16, sizeof f16);
  rig_assert_reads(tnr_scalar(mesh, TNR_I8, 2.5), &i8, sizeof i8);
  rig_assert_reads(tnr_scalar(mesh, TNR_I64, 2.5), &i64, sizeof i64);
  rig_assert_reads(tnr_scalar(mesh, TNR_BOOL, 2.5), &boolean, sizeof boolean);
  tnr_tensor *x = tnr_scalar(tnr_mesh_of((tnr_device *[]){rig_sim(*state, 1)}, 1), TNR_F32, 2.5);
  rig_assert_reads(x, &f32, sizeof f32);
  assert_int_equal(tnr_mesh_count(tnr_tensor_mesh(tnr_scalar(mesh, TNR_F32, 1))), 3);
  assert_null(tnr_scalar(NULL, TNR_F32, 1));
  assert_null(tnr_scalar(mesh, TNR_DTYPE_COUNT, 1));
}

/* ---- reading ---- */

static void reading_waits_for_the_data(void **state) {
  check_needs_threads();
  tnr_tensor *x = rig_hold(rig_tensor(rig_cpu(*state, 0), 5));
  float data[RIG_ELEMENTS] = {-1};
  assert_fails(tnr_tensor_read_for(x, data, sizeof data, 0), TNR_ETIMEDOUT);
  int64_t start = rig_now_ns();
  assert_fails(tnr_tensor_read_for(x, data, sizeof data, 10 * MS), TNR_ETIMEDOUT);
  assert_true(rig_now_ns() - start >= 10 * MS);
  assert_true(data[0] == -1);
  rig_open_gate();
  assert_ok(tnr_tensor_read_for(x, data, sizeof data, 60000 * (int64_t)MS));
  assert_true(data[0] == 5);
}

static void reading_from_a_device_with_its_own_memory_has_a_limit_too(void **state) {
  check_needs_threads();
  tnr_tensor *x = rig_hold(rig_tensor(rig_sim(*state, 0), 5));
  float data[RIG_ELEMENTS] = {-1};
  assert_fails(tnr_tensor_read_for(x, data, sizeof data, 5 * MS), TNR_ETIMEDOUT);
  assert_true(data[0] == -1);
  rig_open_gate();
  assert_number(x, 5);
}

static void a_read_that_gives_up_on_the_copy_writes_nothing(void **state) {
  check_needs_threads();
  tnr_tensor *there = rig_tensor(rig_sim(*state, 0), 5), *held = rig_hold(there);
  float data[RIG_ELEMENTS] = {-1};
  rig_await_held(1);
  assert_ok(tnr_wait(there, TNR_COMPLETE, INT64_MAX));
  assert_fails(tnr_tensor_read_for(there, data, sizeof data, 5 * MS), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_number(held, 5);
  assert_true(data[0] == -1);
}

static void a_buffer_of_another_size_is_refused(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 5);
  float data[RIG_ELEMENTS + 1];
  assert_fails(tnr_tensor_read(x, data, sizeof data), TNR_EINVAL);
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "tensor_read: the tensor has 16 bytes, the buffer 20");
  assert_fails(tnr_tensor_read(x, NULL, 16), TNR_EINVAL);
  tnr_error_clear();
  assert_fails(tnr_tensor_read(NULL, data, 4), TNR_EINVAL);
}

static void read_on_thread(void *user, int index) {
  float data[RIG_ELEMENTS];
  (void)index;
  if (tnr_tensor_read(user, data, sizeof data) != TNR_OK || data[3] != 6)
    abort();
}

static void many_threads_read_one_tensor(void **state) {
  tnr_tensor *x = rig_plus_one(rig_hold(rig_tensor(rig_sim(*state, 0), 5)));
  rig_open_gate();
  rig_threads(16, read_on_thread, x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(what_is_put_in_comes_out_everywhere),
      rig_test(every_dtype_comes_out_as_it_went_in),
      rig_test(without_data_all_is_zero),
      rig_test(scalars_and_empty_tensors_are_tensors),
      rig_test(data_is_read_before_create_returns),
      rig_test(strides_may_skip_turn_and_repeat),
      rig_test(strides_of_nothing_are_not_looked_at),
      rig_test(scalars_are_converted_and_on_every_device),
      rig_test(reading_waits_for_the_data),
      rig_test(reading_from_a_device_with_its_own_memory_has_a_limit_too),
      rig_test(a_read_that_gives_up_on_the_copy_writes_nothing),
      rig_test(a_buffer_of_another_size_is_refused),
      rig_test(many_threads_read_one_tensor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
