/* Errors are values: what they say, whose they are, and that the first one stays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static const tnr_op_def nameless = {.attrs_size = 0};

/* Asserts all parts of tnr_error(), and that it was made by the call in `line` of this file. */
static void check_error(tnr_status code, const char *op, const char *reason, const char *shapes,
                        int line) {
  const tnr_error *error = tnr_error();
  assert_non_null(error);
  assert_string_equal(tnr_error_reason(error), reason);
  assert_int_equal(tnr_error_code(error), code);
  assert_string_equal(tnr_error_op(error), op);
  assert_string_equal(tnr_error_shapes(error), shapes);
  assert_string_equal(tnr_error_file(error), __FILE__);
  assert_int_equal(tnr_error_line(error), line);
  char message[1000];
  snprintf(message, sizeof message, "%s: %s%s%s (%s:%d)", op, reason, *shapes ? "; inputs " : "",
           shapes, __FILE__, line);
  assert_string_equal(tnr_error_message(error), message);
  tnr_error_clear();
}

/* The same of a future, which fails. */
static void check_future(tnr_value future, tnr_status code, const char *op, const char *reason,
                         const char *shapes, int line) {
  assert_fails(tnr_wait(future, TNR_COMPLETE, INT64_MAX), code);
  assert_ptr_equal(tnr_error(), tnr_future_error(future));
  check_error(code, op, reason, shapes, line);
}

static tnr_tensor *matrix(tnr_device *device, tnr_dtype dtype, int64_t rows, int64_t columns) {
  tnr_tensor *made = tnr_tensor_create(device, dtype, TNR_SHAPE(rows, columns), NULL);
  assert_made(made);
  return made;
}

static void no_error_is_all_empty(void **state) {
  (void)state;
  assert_null(tnr_error());
  assert_int_equal(tnr_error_code(NULL), TNR_OK);
  assert_string_equal(tnr_error_message(NULL), "");
  assert_string_equal(tnr_error_file(NULL), "");
  assert_int_equal(tnr_error_line(NULL), 0);
}

static void shapes_that_do_not_fit(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  tnr_tensor *a = matrix(device, TNR_F32, 3, 4), *b = matrix(device, TNR_F32, 5, 6);
  assert_null(tnr_matmul(a, b));
  check_error(TNR_ESHAPE, "matmul", "inner dimensions differ: 4 and 5", "f32 [3, 4], f32 [5, 6]",
              __LINE__ - 2);
  tnr_future *f = tnr_matmul(tnr_to_async(a), b);
  check_future(TNR_VALUE(f), TNR_ESHAPE, "matmul", "inner dimensions differ: 4 and 5",
               "f32 [3, 4], f32 [5, 6]", __LINE__ - 2);
}

static void dtypes_that_do_not_fit(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  tnr_tensor *a = matrix(device, TNR_F32, 2, 2), *b = matrix(device, TNR_I32, 2, 2);
  assert_null(rig_sum(a, b));
  check_error(TNR_EDTYPE, "rig_sum", "takes f32, not i32", "f32 [2, 2], i32 [2, 2]", __LINE__ - 1);
  assert_null(tnr_add(a, b));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EDTYPE);
  tnr_future *f = rig_sum(tnr_to_async(a), b);
  check_future(TNR_VALUE(f), TNR_EDTYPE, "rig_sum", "takes f32, not i32", "f32 [2, 2], i32 [2, 2]",
               __LINE__ - 2);
}

static void devices_that_differ(void **state) {
  tnr_tensor *a = rig_tensor(rig_cpu(*state, 0), 1), *b = rig_tensor(rig_cpu(*state, 1), 1);
  assert_null(rig_sum(a, b));
  check_error(TNR_EDEVICE, "rig_sum", "input 0 lives on cpu:0, but input 1 on cpu:1",
              "f32 [4], f32 [4]", __LINE__ - 2);
  tnr_future *f = rig_sum(a, rig_plus_one(tnr_to_async(b)));
  check_future(TNR_VALUE(f), TNR_EDEVICE, "rig_sum", "input 0 lives on cpu:0, but input 1 on cpu:1",
               "f32 [4], f32 [4]", __LINE__ - 2);
}

static void inputs_on_the_host(void **state) {
  tnr_tensor *host = rig_tensor(tnr_runtime_device(*state, "host"), 1);
  assert_null(rig_plus_one(host));
  check_error(TNR_EDEVICE, "rig_plus_one",
              "input 0 lives on the host; move it to a device with tnr_to_device", "f32 [4]",
              __LINE__ - 3);
  tnr_future *f = rig_plus_one(tnr_to_async(host));
  check_future(TNR_VALUE(f), TNR_EDEVICE, "rig_plus_one",
               "all inputs live on the host; move them to a device with tnr_to_device", "f32 [4]",
               __LINE__ - 3);
  f = rig_sum(tnr_to_async(host), rig_tensor(rig_cpu(*state, 0), 1));
  check_future(TNR_VALUE(f), TNR_EDEVICE, "rig_sum",
               "input 0 lives on the host; move it to a device with tnr_to_device",
               "f32 [4], f32 [4]", __LINE__ - 3);
}

static void shard_counts_that_differ(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_tensor *two = tnr_shard(x, rig_cpus(*state, 2)), *four = tnr_shard(x, rig_cpus(*state, 4));
  assert_null(rig_sum(two, four));
  check_error(TNR_EDEVICE, "rig_sum", "input 0 is on 2 devices, input 1 on 4", "f32 [4], f32 [4]",
              __LINE__ - 2);
  assert_null(rig_sum(x, four));
  check_error(TNR_EDEVICE, "rig_sum", "input 0 is on 1 device, input 1 on 4", "f32 [4], f32 [4]",
              __LINE__ - 2);
  tnr_future *f = rig_sum(tnr_to_async(two), four);
  check_future(TNR_VALUE(f), TNR_EDEVICE, "rig_sum", "input 0 is on 2 devices, input 1 on 4",
               "f32 [4], f32 [4]", __LINE__ - 2);
  assert_null(tnr_replicate(two, rig_cpus(*state, 4)));
  check_error(TNR_EDEVICE, "replicate", "the input is on 2 devices already; gather it first",
              "f32 [4]", __LINE__ - 2);
}

static void dims_that_do_not_divide(void **state) {
  tnr_tensor *x = matrix(rig_cpu(*state, 0), TNR_F32, 6, 4);
  assert_null(tnr_shard(x, rig_cpus(*state, 4)));
  check_error(TNR_EDEVICE, "shard", "dimension 0 of size 6 does not divide into 4 pieces",
              "f32 [6, 4]", __LINE__ - 2);
  assert_null(tnr_shard(x, rig_cpus(*state, 4), .dim = 2));
  check_error(TNR_EINVAL, "shard", "there is no dimension 2 to split along in 2", "f32 [6, 4]",
              __LINE__ - 2);
}

static void sizes_that_do_not_fit(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  assert_null(tnr_tensor_create(device, TNR_F32, TNR_SHAPE(1ll << 40, 1ll << 40), NULL));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EOVERFLOW);
  assert_string_equal(
      tnr_error_reason(tnr_error()),
      "the size of a tensor of shape [1099511627776, 1099511627776] does not fit 63 bits");
  tnr_tensor *tall = matrix(device, TNR_F32, 1ll << 32, 0),
             *wide = matrix(device, TNR_F32, 0, 1ll << 32);
  assert_null(tnr_matmul(tall, wide));
  int line = __LINE__ - 1;
  check_error(TNR_EOVERFLOW, "matmul",
              "the size of a tensor of shape [4294967296, 4294967296] does not fit 63 bits",
              "f32 [4294967296, 0], f32 [0, 4294967296]", line);
  tnr_future *f = tnr_matmul(tnr_to_async(tall), wide);
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_EOVERFLOW);
}

static void shapes_that_are_none(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  assert_null(tnr_tensor_create(device, TNR_F32, TNR_SHAPE(2, -1), NULL));
  assert_string_equal(tnr_error_reason(tnr_error()), "shape [2, -1] has a negative dimension");
  assert_null(tnr_tensor_create(device, TNR_F32, TNR_SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1), NULL));
  assert_string_equal(tnr_error_reason(tnr_error()), "a tensor has 0 to 8 dimensions, not 9");
  assert_null(tnr_tensor_create(device, (tnr_dtype)99, TNR_SHAPE(1), NULL));
  assert_string_equal(tnr_error_reason(tnr_error()), "99 is not a dtype");
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EDTYPE);
}

/* More than any allocator gives, and asked for without one. */
static void memory_that_there_is_not(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  assert_null(tnr_tensor_create(device, TNR_F32, TNR_SHAPE(1ll << 46), NULL));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ENOMEM);
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "out of memory on cpu:0 for a tensor of 281474976710656 bytes");
  tnr_tensor *tall = matrix(device, TNR_F32, 1 << 23, 0),
             *wide = matrix(device, TNR_F32, 0, 1 << 23);
  assert_null(tnr_matmul(tall, wide));
  int line = __LINE__ - 1;
  const char *reason = "out of memory on cpu:0 for a tensor of 281474976710656 bytes";
  check_error(TNR_ENOMEM, "matmul", reason, "f32 [8388608, 0], f32 [0, 8388608]", line);
  tnr_future *f = tnr_matmul(tnr_to_async(tall), wide), *child = tnr_relu(f);
  assert_fails(tnr_wait(child, TNR_COMPLETE, INT64_MAX), TNR_ENOMEM);
  assert_string_equal(tnr_error_reason(tnr_error()), reason);
  assert_ptr_equal(tnr_future_error(child), tnr_future_error(f));
}

static void a_closed_runtime(void **state) {
  tnr_runtime *runtime = rig_runtime();
  tnr_tensor *x = rig_tensor(rig_cpu(runtime, 0), 1);
  tnr_future *f = tnr_to_async(x);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_null(rig_plus_one(x));
  check_error(TNR_ECLOSED, "rig_plus_one", "the runtime has been closed", "", __LINE__ - 1);
  assert_null(rig_plus_one(f));
  check_error(TNR_ECLOSED, "rig_plus_one", "the runtime has been closed", "", __LINE__ - 1);
  assert_null(tnr_tuple_of(f, f));
  check_error(TNR_ECLOSED, "all", "the runtime has been closed", "", __LINE__ - 1);
  assert_null(tnr_any(&f, 1, TNR_HERE));
  check_error(TNR_ECLOSED, "any", "the runtime has been closed", "", __LINE__ - 1);
  (void)state;
}

static void kernels_that_fail(void **state) {
  tnr_future *f = rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  check_future(TNR_VALUE(f), TNR_EKERNEL, "rig_fail", "no", "f32 [4]", __LINE__ - 1);
  tnr_tensor *x = rig_fail(rig_tensor(rig_cpu(*state, 0), 1));
  float data[RIG_ELEMENTS];
  assert_fails(tnr_tensor_read(x, data, sizeof data), TNR_EKERNEL);
  check_error(TNR_EKERNEL, "rig_fail", "no", "f32 [4]", __LINE__ - 3);
}

/* ---- whose error, and which ---- */

static void null_keeps_the_first_error(void **state) {
  tnr_tensor *a = matrix(rig_cpu(*state, 0), TNR_F32, 3, 4);
  tnr_tensor *last = rig_plus_one(rig_sum(rig_plus_one(tnr_matmul(a, a)), a));
  assert_null(last);
  const tnr_error *first = tnr_error();
  assert_string_equal(tnr_error_op(first), "matmul");
  assert_null(tnr_to_async(last));
  assert_null(tnr_tuple_of(last, a));
  assert_null(tnr_at(rig_two(last), 0));
  assert_null(tnr_to_device(last, rig_cpu(*state, 1)));
  assert_null(tnr_get(last));
  assert_null(tnr_keep(last));
  assert_fails(tnr_wait(last, TNR_COMPLETE, 0), TNR_ESHAPE);
  assert_fails(tnr_on(last, TNR_COMPLETE, rig_log, NULL), TNR_ESHAPE);
  float data[1];
  assert_fails(tnr_tensor_read(last, data, sizeof data), TNR_ESHAPE);
  assert_ptr_equal(tnr_error(), first);
}

static void null_without_an_error_before_says_so(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_null(rig_sum(x, (tnr_tensor *)NULL));
  check_error(TNR_EINVAL, "rig_sum", "input 1 is NULL", "", __LINE__ - 1);
  assert_null(tnr_to_device(x, NULL));
  check_error(TNR_EINVAL, "to_device", "the device is NULL", "", __LINE__ - 1);
  assert_null(tnr_shard(x, NULL));
  check_error(TNR_EINVAL, "shard", "the mesh is NULL", "", __LINE__ - 1);
  assert_null(tnr_call(&nameless, TNR_HERE, TNR_INPUTS(x), 1, NULL).handle);
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
}

static void an_error_can_be_kept(void **state) {
  tnr_tensor *a = matrix(rig_cpu(*state, 0), TNR_F32, 3, 4);
  assert_null(tnr_matmul(a, a));
  const tnr_error *kept = tnr_retain((void *)tnr_error());
  assert_null(tnr_at(rig_two(rig_tensor(rig_cpu(*state, 0), 1)), 9));
  assert_ptr_not_equal(tnr_error(), kept);
  tnr_error_clear();
  assert_null(tnr_error());
  assert_string_equal(tnr_error_op(kept), "matmul");
  tnr_release((void *)kept);
}

static void fail_on_thread(void *user, int index) {
  tnr_tensor *x = user;
  if (tnr_error())
    abort();
  for (int i = 0; i < 100; i++) {
    tnr_tuple *two = rig_two(x);
    if (tnr_at(two, index + 10))
      abort();
    char reason[100];
    snprintf(reason, sizeof reason, "there is no element %d in a tuple of 2", index + 10);
    if (strcmp(tnr_error_reason(tnr_error()), reason) != 0)
      abort();
    tnr_release(two);
  }
}

static void each_thread_has_its_own_error(void **state) {
  rig_threads(8, fail_on_thread, rig_tensor(rig_cpu(*state, 0), 1));
  assert_null(tnr_error());
}

static void a_call_that_succeeds_leaves_the_error_alone(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_null(tnr_at(rig_two(x), 9));
  const tnr_error *error = tnr_error();
  assert_number(rig_plus_one(x), 2);
  assert_ptr_equal(tnr_error(), error);
}

/* ---- many inputs ---- */

static void what_is_not_known_of_inputs_is_said(void **state) {
  tnr_future *failed = rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_fails(tnr_wait(failed, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  tnr_value many[20];
  for (int i = 0; i < 20; i++)
    many[i] = TNR_VALUE(rig_tensor(rig_cpu(*state, i == 19), (float)i));
  tnr_value sum = tnr_call(&rig_sum_op, TNR_HERE, many, 20, NULL);
  assert_null(sum.handle);
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "input 0 lives on cpu:0, but input 19 on cpu:1");
  assert_int_equal(strlen(tnr_error_shapes(tnr_error())), 16 * strlen("f32 [4]") + 15 * 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(no_error_is_all_empty),
      rig_test(shapes_that_do_not_fit),
      rig_test(dtypes_that_do_not_fit),
      rig_test(devices_that_differ),
      rig_test(inputs_on_the_host),
      rig_test(shard_counts_that_differ),
      rig_test(dims_that_do_not_divide),
      rig_test(sizes_that_do_not_fit),
      rig_test(shapes_that_are_none),
      rig_test(memory_that_there_is_not),
      rig_test(a_closed_runtime),
      rig_test(kernels_that_fail),
      rig_test(null_keeps_the_first_error),
      rig_test(null_without_an_error_before_says_so),
      rig_test(an_error_can_be_kept),
      rig_test(each_thread_has_its_own_error),
      rig_test(a_call_that_succeeds_leaves_the_error_alone),
      rig_test(what_is_not_known_of_inputs_is_said),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
