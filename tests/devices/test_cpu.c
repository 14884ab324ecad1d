/* Where the threads of the cpu device run, and how many there are. */
#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <sched.h>
#include <stdatomic.h>

#include <tenor.h>

enum { DEVICES = 2, SIDE = 512 };

static tnr_runtime *runtime_with(bool pin, int threads) {
  const tnr_device_config devices = {.driver = tnr_cpu_driver(), .count = DEVICES};
  tnr_runtime *runtime = tnr_runtime_create(&(tnr_runtime_options){
      .devices = &devices, .device_configs = 1, .pin = pin, .threads_per_device = threads});
  assert_made(runtime);
  return runtime;
}

/* ---- an op that tells where its worker may run ---- */

static cpu_set_t seen; /* written by a worker before its op is complete */

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  (void)call, (void)fault;
  return TNR_OK;
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  tnr_op_add_output(outputs, call->in[0].dtype, call->in[0].shape);
  return TNR_OK;
}

static tnr_status look(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)call;
  if (sched_getaffinity(0, sizeof seen, &seen) != 0)
    return tnr_fail(fault, TNR_EKERNEL, "the CPUs of the worker cannot be asked for");
  return TNR_OK;
}

static const tnr_op_def look_op = {
    .name = "look", .validate = validate, .infer = infer, .kernel = look};

static cpu_set_t cpus_of_worker(tnr_device *device) {
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SCALAR, NULL);
  tnr_value in = tnr_value_of_tensor(x);
  tnr_value out = tnr_call(&look_op, TNR_HERE, &in, 1, NULL);
  assert_ok(tnr_wait(out, TNR_COMPLETE, INT64_MAX));
  tnr_release(out.handle);
  tnr_release(x);
  return seen;
}

static void workers_are_pinned_when_asked(void **state) {
  (void)state;
  tnr_runtime *runtime = runtime_with(true, 1);
  cpu_set_t allowed, at[DEVICES], both;
  assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  for (int i = 0; i < DEVICES; i++) {
    at[i] = cpus_of_worker(tnr_runtime_device_at(runtime, i));
    assert_int_equal(CPU_COUNT(&at[i]), 1);
  }
  CPU_AND(&both, &at[0], &at[1]);
  assert_int_equal(CPU_COUNT(&both), CPU_COUNT(&allowed) > 1 ? 0 : 1);
  assert_nothing_left(runtime);
}

static void workers_go_where_they_like_otherwise(void **state) {
  (void)state;
  tnr_runtime *runtime = runtime_with(false, 1);
  cpu_set_t allowed, at = cpus_of_worker(tnr_runtime_device_at(runtime, 0));
  assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  assert_true(CPU_EQUAL(&at, &allowed));
  assert_nothing_left(runtime);
}

/* ---- how many threads ---- */

static int count_threads(void) {
  DIR *tasks = opendir("/proc/self/task");
  assert_non_null(tasks);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(tasks));)
    count += entry->d_name[0] != '.';
  closedir(tasks);
  return count;
}

static void multiply(tnr_device *device) {
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(SIDE, SIDE), NULL);
  tnr_tensor *y = tnr_matmul(x, x);
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  tnr_release(y);
  tnr_release(x);
}

/* How many threads kernels have started beside the workers. */
static int threads_beside(int threads_per_device) {
  tnr_runtime *runtime = runtime_with(false, threads_per_device);
  int before = count_threads();
  for (int i = 0; i < DEVICES; i++)
    multiply(tnr_runtime_device_at(runtime, i));
  int beside = count_threads() - before;
  assert_nothing_left(runtime);
  return beside;
}

static void kernels_run_on_the_worker_alone_unless_asked(void **state) {
  (void)state;
  assert_int_equal(threads_beside(0), 0);
}

static void a_device_has_as_many_threads_as_asked(void **state) {
  (void)state;
  assert_int_equal(threads_beside(2), DEVICES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(workers_are_pinned_when_asked),
      cmocka_unit_test(workers_go_where_they_like_otherwise),
      cmocka_unit_test(kernels_run_on_the_worker_alone_unless_asked),
      cmocka_unit_test(a_device_has_as_many_threads_as_asked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
