#include "conformance.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/op_harness.h"

#define S TNR_SHAPE

enum { PROGRAM_CACHE = 4 };

/* The device under test; immutable while its suite runs. */
static struct {
  const tnr_driver *driver;
  const void *config;
} subject;

typedef struct rig {
  tnr_runtime *runtime;
  tnr_device *device, *other, *host;
} rig;

static int setup(void **state) {
  static rig r;
  const tnr_device_config devices = {
      .driver = subject.driver, .count = 2, .config = subject.config};
  assert_made(
      r.runtime = tnr_runtime_create(&(tnr_runtime_options){
          .devices = &devices, .device_configs = 1, .program_cache = PROGRAM_CACHE, CHECK_MODE}));
  r.device = tnr_runtime_device_at(r.runtime, 0);
  r.other = tnr_runtime_device_at(r.runtime, 1);
  r.host = tnr_runtime_device(r.runtime, "host");
  *state = &r;
  assert_ok(tnr_scope_open());
  return 0;
}

static int teardown(void **state) {
  assert_ok(tnr_scope_close());
  op_free_arrays(NULL);
  assert_nothing_left(((rig *)*state)->runtime);
  return 0;
}

/* Bytes without a pattern that a wrong offset would keep. */
static void fill(unsigned char *bytes, size_t count) {
  uint32_t bits = 12345;
  for (size_t i = 0; i < count; i++) {
    bits = bits * 1664525u + 1013904223u;
    bytes[i] = (unsigned char)(bits >> 24);
  }
}

static void expect_bytes(tnr_tensor *tensor, const void *right, size_t bytes) {
  assert_made(tensor);
  assert_int_equal(tnr_tensor_bytes(tensor), bytes);
  unsigned char *read = malloc(bytes + 1);
  assert_ok(tnr_tensor_read(tensor, read, bytes));
  assert_true(bytes == 0 || memcmp(read, right, bytes) == 0);
  free(read);
}

/* ---- memory ---- */

static void memory_is_counted(void **state) {
  const rig *r = *state;
  tnr_memory_stats before = tnr_device_memory(r->device);
  tnr_tensor *x = tnr_tensor_create(r->device, TNR_F32, S(1000), NULL);
  assert_ok(tnr_wait(x, TNR_COMPLETE, INT64_MAX));
  tnr_memory_stats with = tnr_device_memory(r->device);
  assert_true(with.live_bytes >= before.live_bytes + 4000);
  assert_true(with.peak_bytes >= with.live_bytes);
  assert_true(with.reserved_bytes >= with.live_bytes || with.reserved_bytes == 0);
  assert_true(with.allocations > before.allocations);
  assert_true(with.reused <= with.allocations);
}

static void memory_is_reused(void **state) {
  const rig *r = *state;
  enum { TIMES = 50 };
  for (int i = 0; i < TIMES; i++) {
    assert_ok(tnr_scope_open());
    assert_made(tnr_tensor_create(r->device, TNR_F32, S(300, 300), NULL));
    assert_ok(tnr_synchronize_device(r->device));
    assert_ok(tnr_scope_close());
  }
  tnr_memory_stats after = tnr_device_memory(r->device);
  assert_true(after.peak_bytes < 10 * 300 * 300 * sizeof(float));
#if !defined(__SANITIZE_ADDRESS__) /* under which nothing is pooled */
  assert_true(after.reused >= TIMES / 2);
#endif
}

static void a_tensor_without_data_is_zero(void **state) {
  const rig *r = *state;
  const unsigned char zeros[256] = {0};
  for (int i = 0; i < 3; i++) {
    assert_ok(tnr_scope_open());
    expect_bytes(tnr_tensor_create(r->device, TNR_I64, S(32), NULL), zeros, sizeof zeros);
    unsigned char junk[256];
    fill(junk, sizeof junk);
    expect_bytes(tnr_tensor_create(r->device, TNR_I64, S(32), junk), junk, sizeof junk);
    assert_ok(tnr_scope_close());
  }
}

/* ---- copies ---- */

static void what_is_put_in_comes_out(void **state) {
  const rig *r = *state;
  static const int64_t sizes[] = {0, 1, 2, 63, 64, 65, 255, 4096, 65537, (1 << 20) + 1};
  unsigned char *bytes = malloc((size_t)2 << 20);
  fill(bytes, (size_t)2 << 20);
  for (int i = 0; i < 10; i++) {
    assert_ok(tnr_scope_open());
    expect_bytes(tnr_tensor_create(r->device, TNR_U8, S(sizes[i]), bytes), bytes, (size_t)sizes[i]);
    assert_ok(tnr_scope_close());
  }
  free(bytes);
}

static void every_dtype_comes_out_as_it_was_put_in(void **state) {
  const rig *r = *state;
  unsigned char bytes[24 * 8];
  fill(bytes, sizeof bytes);
  for (int d = 0; d < TNR_DTYPE_COUNT; d++)
    expect_bytes(tnr_tensor_create(r->device, (tnr_dtype)d, S(2, 3, 4), bytes), bytes,
                 24 * tnr_dtype_size((tnr_dtype)d));
}

static void memory_with_gaps_is_gathered(void **state) {
  const rig *r = *state;
  const int32_t rows[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const int32_t turned[6] = {0, 4, 8, 1, 5, 9}, reversed[3] = {11, 10, 9};
  const int64_t by_column[] = {1, 4}, backwards[] = {-1};
  expect_bytes(tnr_tensor_create_strided(r->device, TNR_I32, S(2, 3), rows, by_column), turned,
               sizeof turned);
  expect_bytes(tnr_tensor_create_strided(r->device, TNR_I32, S(3), rows + 11, backwards), reversed,
               sizeof reversed);
}

static void count_release(void *user) {
  atomic_fetch_add((atomic_int *)user, 1);
}

static void borrowed_memory_is_given_back_once(void **state) {
  const rig *r = *state;
  atomic_int released = 0;
  _Alignas(8) unsigned char bytes[800];
  fill(bytes, sizeof bytes);
  assert_ok(tnr_scope_open());
  expect_bytes(tnr_tensor_borrow(r->device, TNR_I64, S(100), bytes, count_release, &released),
               bytes, sizeof bytes);
  assert_ok(tnr_scope_close());
  for (int i = 0; released == 0 && i < 5000; i++)
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  assert_int_equal(released, 1);
}

static void copies_between_devices_and_the_host_are_exact(void **state) {
  const rig *r = *state;
  unsigned char bytes[5000];
  fill(bytes, sizeof bytes);
  tnr_tensor *here = tnr_tensor_create(r->device, TNR_U8, S(5000), bytes);
  tnr_tensor *there = tnr_to_device(here, r->other);
  tnr_tensor *host = tnr_to_device(there, r->host);
  expect_bytes(there, bytes, sizeof bytes);
  expect_bytes(host, bytes, sizeof bytes);
  expect_bytes(tnr_to_device(host, r->device), bytes, sizeof bytes);
  assert_ptr_equal(tnr_mesh_device(tnr_tensor_mesh(there), 0), r->other);
}

static void what_is_split_over_devices_is_put_together_again(void **state) {
  const rig *r = *state;
  const tnr_mesh *both = tnr_mesh_of((tnr_device *[]){r->device, r->other}, 2);
  unsigned char bytes[4 * 6 * 10 * 2];
  fill(bytes, sizeof bytes);
  tnr_tensor *x = tnr_tensor_create(r->device, TNR_BF16, S(4, 6, 10), bytes);
  for (int dim = 0; dim < 3; dim++) {
    tnr_tensor *pieces = tnr_shard(x, both, .dim = dim);
    expect_bytes(pieces, bytes, sizeof bytes);
    expect_bytes(tnr_gather(pieces), bytes, sizeof bytes);
    expect_bytes(tnr_to_device(pieces, r->other), bytes, sizeof bytes);
  }
  expect_bytes(tnr_replicate(x, both), bytes, sizeof bytes);
}

/* ---- ops ---- */

enum {
  FLOAT = 1 << TNR_F32 | 1 << TNR_BF16,
  WIDE = 1 << TNR_I32 | 1 << TNR_I64,
  NUMBERS = FLOAT | WIDE | 1 << TNR_I8 | 1 << TNR_U8,
  ANY = (1 << TNR_DTYPE_COUNT) - 1
};

typedef struct op_case {
  const tnr_op_def *def;
  const void *attrs;
  int dtypes; /* a bit each */
  int in_count;
  tnr_shape in[3];
} op_case;

static void compare(tnr_value result, const op_result *right, const op_case *c, tnr_dtype dtype) {
  tnr_value created = tnr_get(result);
  assert_made(created.handle);
  for (int i = 0; i < right->count; i++) {
    tnr_tensor *tensor = created.kind == TNR_VALUE_TUPLE ? tnr_at(tnr_value_tuple(created), i)
                                                         : tnr_value_tensor(created);
    op_array got = op_array_new(tnr_tensor_dtype(tensor), tnr_tensor_shape(tensor));
    assert_true(tnr_shape_equal(&got.desc.shape, &right->out[i].desc.shape));
    assert_int_equal(got.desc.dtype, right->out[i].desc.dtype);
    assert_ok(tnr_tensor_read(tensor, got.data, tnr_tensor_bytes(tensor)));
    op_note("%s of %s on %s", c->def->name, tnr_dtype_name(dtype), subject.driver->kind);
    if (!subject.driver->no_compute)
      op_assert_near(got, right->out[i], dtype == TNR_F32 ? 1e-5 : 2e-2);
  }
}

static void check_case(const rig *r, const op_case *c, tnr_dtype dtype) {
  op_array in[3];
  tnr_value values[3];
  assert_ok(tnr_scope_open());
  for (int i = 0; i < c->in_count; i++) {
    in[i] = op_array_random(dtype, c->in[i], (unsigned)i + 1);
    for (int64_t k = 0; c->def == &tnr_op_div && k < tnr_shape_elements(&c->in[i]); k++)
      op_set_number(&in[i], k, 1 + (double)(k % 5));
    values[i] = TNR_VALUE(tnr_tensor_create(r->device, dtype, c->in[i], in[i].data));
  }
  op_result right = op_run(c->def, c->attrs, in, c->in_count);
  assert_int_equal(right.status, TNR_OK);
  tnr_value result = tnr_call(c->def, TNR_HERE, values, c->in_count, c->attrs);
  assert_made(result.handle);
  tnr_status status = tnr_wait(result, TNR_COMPLETE, INT64_MAX);
  if (status == TNR_EUNSUPPORTED)
    assert_true(tnr_error_reason(tnr_error())[0] != '\0');
  else if (status == TNR_OK)
    compare(result, &right, c, dtype);
  else
    assert_ok(status);
  assert_ok(tnr_scope_close());
  op_free_arrays(NULL);
}

#define ATTRS(op, ...) TNR_ATTRS(tnr_##op##_attrs, __VA_ARGS__)

static void every_op_is_right_or_says_that_it_is_not_supported(void **state) {
  const op_case cases[] = {
      {&tnr_op_matmul, ATTRS(matmul, .transpose_b = true), FLOAT | WIDE, 2, {S(2, 3, 6), S(5, 6)}},
      {&tnr_op_matmul, ATTRS(matmul, .transpose_a = true), FLOAT | WIDE, 2, {S(0, 4), S(0, 3)}},
      {&tnr_op_add, NULL, NUMBERS, 2, {S(4, 1), S(3)}},
      {&tnr_op_sub, NULL, NUMBERS, 2, {TNR_SCALAR, S(2, 3)}},
      {&tnr_op_mul, NULL, NUMBERS, 2, {S(17), S(17)}},
      {&tnr_op_div, NULL, NUMBERS, 2, {S(3, 3), S(3, 3)}},
      {&tnr_op_relu, NULL, FLOAT | WIDE | 1 << TNR_I8, 1, {S(5, 7)}},
      {&tnr_op_softmax, ATTRS(softmax, .axis = 1), FLOAT, 1, {S(3, 9)}},
      {&tnr_op_argmax, ATTRS(argmax, .axis = 0), ANY & ~(1 << TNR_F16), 1, {S(6, 2)}},
      {&tnr_op_split, ATTRS(split, .dim = 1, .parts = 3), ANY, 1, {S(2, 6)}},
      {&tnr_op_concat, ATTRS(concat, .dim = 0), ANY, 3, {S(1, 4), S(0, 4), S(3, 4)}},
      {&tnr_op_reshape, ATTRS(reshape, .shape = S(3, -1)), ANY, 1, {S(2, 6)}},
      {&tnr_op_flatten, ATTRS(flatten, .axis = 1), ANY, 1, {S(2, 3, 2)}},
      {&tnr_op_transpose, ATTRS(transpose, .permuted = 0), ANY, 1, {S(2, 3, 4)}},
      {&tnr_op_conv2d,
       ATTRS(conv2d, .pad_before = {1, 0}, .stride = {2, 1}),
       FLOAT,
       3,
       {S(2, 3, 5, 4), S(4, 3, 3, 2), S(4)}},
      {&tnr_op_max_pool2d, ATTRS(max_pool2d, .kernel = {2, 2}), FLOAT, 1, {S(1, 2, 4, 6)}},
      {&tnr_op_cast, ATTRS(cast, .dtype = TNR_I32), ANY, 1, {S(11)}},
      {&tnr_op_cast, ATTRS(cast, .dtype = TNR_F16), ANY, 1, {S(11)}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (int d = 0; d < TNR_DTYPE_COUNT; d++)
      if (cases[i].dtypes & 1 << d)
        check_case(*state, &cases[i], (tnr_dtype)d);
}

/* ---- programs ---- */

static void call_relu(const rig *r, int64_t size) {
  assert_ok(tnr_scope_open());
  assert_made(tnr_relu(tnr_tensor_create(r->device, TNR_F32, S(size), NULL)));
  assert_ok(tnr_synchronize_device(r->device));
  assert_ok(tnr_scope_close());
}

static void a_repeated_shape_is_a_hit(void **state) {
  const rig *r = *state;
  for (int i = 0; i < 10; i++)
    call_relu(r, 5);
  tnr_program_stats stats = tnr_device_programs(r->device);
  assert_int_equal(stats.misses, 1);
  assert_int_equal(stats.hits, 9);
  assert_int_equal(stats.entries, 1);
}

static void the_program_cache_is_bounded(void **state) {
  const rig *r = *state;
  for (int i = 0; i < 20; i++)
    call_relu(r, i + 1);
  tnr_program_stats stats = tnr_device_programs(r->device);
  assert_int_equal(stats.misses, 20);
  assert_int_equal(stats.entries, PROGRAM_CACHE);
  assert_int_equal(stats.evictions, 20 - PROGRAM_CACHE);
}

/* ---- order and failure ---- */

static void synchronizing_covers_ops_and_copies(void **state) {
  const rig *r = *state;
  tnr_future *x = tnr_to_async(tnr_tensor_create(r->device, TNR_F32, S(64, 64), NULL));
  for (int i = 0; i < 10; i++)
    x = tnr_matmul(x, x);
  tnr_future *copy = tnr_to_device(x, r->other);
  assert_made(copy);
  assert_ok(tnr_synchronize_device(r->device));
  assert_true(tnr_passed(x, TNR_COMPLETE));
  assert_ok(tnr_synchronize_device(r->other));
  assert_true(tnr_passed(copy, TNR_COMPLETE));
}

static tnr_status any_input(const tnr_op_call *call, tnr_fault *fault) {
  (void)call;
  (void)fault;
  return TNR_OK;
}

static tnr_status like_input(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  tnr_op_add_output(outputs, call->in[0].dtype, call->in[0].shape);
  return TNR_OK;
}

static tnr_status broken_kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)call;
  return tnr_fail(fault, TNR_EKERNEL, "broken on purpose");
}

static const tnr_op_def broken_op = {
    .name = "broken", .validate = any_input, .infer = like_input, .kernel = broken_kernel};

/* A device that does not use the plain kernel may say that it does not know the op, or not run it.
 */
static void a_kernel_that_fails_harms_nothing_else(void **state) {
  const rig *r = *state;
  tnr_value x = TNR_VALUE(tnr_tensor_create(r->device, TNR_F32, S(4), NULL));
  tnr_value before = tnr_relu(x);
  tnr_value broken = tnr_call(&broken_op, TNR_HERE, &x, 1, NULL);
  tnr_value behind = tnr_relu(broken), beside = tnr_relu(x);
  tnr_status status = tnr_wait(broken, TNR_COMPLETE, INT64_MAX);
  assert_true(status == TNR_EKERNEL || status == TNR_EUNSUPPORTED ||
              (status == TNR_OK && subject.driver->no_compute));
  assert_int_equal(tnr_wait(behind, TNR_COMPLETE, INT64_MAX), status);
  assert_ok(tnr_wait(before, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_wait(beside, TNR_COMPLETE, INT64_MAX));
}

int conformance_run(const tnr_driver *driver, const void *config) {
#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      fresh(memory_is_counted),
      fresh(memory_is_reused),
      fresh(a_tensor_without_data_is_zero),
      fresh(what_is_put_in_comes_out),
      fresh(every_dtype_comes_out_as_it_was_put_in),
      fresh(memory_with_gaps_is_gathered),
      fresh(borrowed_memory_is_given_back_once),
      fresh(copies_between_devices_and_the_host_are_exact),
      fresh(what_is_split_over_devices_is_put_together_again),
      fresh(every_op_is_right_or_says_that_it_is_not_supported),
      fresh(a_repeated_shape_is_a_hit),
      fresh(the_program_cache_is_bounded),
      fresh(synchronizing_covers_ops_and_copies),
      fresh(a_kernel_that_fails_harms_nothing_else),
  };
  subject.driver = driver;
  subject.config = config;
  print_message("device kind: %s\n", driver->kind);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
