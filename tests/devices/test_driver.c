/* The contract with a driver: what is checked of its vtable, when its functions are called, and
 * what becomes of their failures. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "devices/machine.h"

/* ---- a driver that records ---- */

/* What was seen of one device. All counts are atomic, and asserted on the main thread. */
typedef struct probe {
  atomic_int opened, closed, started, stopped, created, ran, destroyed;
  atomic_int late; /* calls that came too early, too late, or on another thread than the worker */
  _Atomic uintptr_t worker;
  tnr_status refuse_open, refuse_create, refuse_run; /* immutable while a runtime exists */
} probe;

typedef struct probe_program {
  tnr_program base;
  probe *by;
} probe_program;

static uintptr_t self(void) {
  return (uintptr_t)pthread_self();
}

static void check_worker(probe *p) {
  if (p->worker != self() || p->closed)
    p->late++;
}

static tnr_status probe_open(const tnr_device_info *info, void **state, tnr_fault *fault) {
  probe *p = (probe *)info->config;
  if (p->refuse_open != TNR_OK)
    return tnr_fail(fault, p->refuse_open, "no such device: %s", info->name);
  p->opened++;
  *state = p;
  return TNR_OK;
}

static void probe_close(void *state) {
  ((probe *)state)->closed++;
}

static void probe_start(void *state) {
  probe *p = state;
  p->worker = self();
  p->started++;
}

static void probe_stop(void *state) {
  probe *p = state;
  check_worker(p);
  p->stopped++;
}

static tnr_status probe_run(tnr_program *program, const void *const *in, void *const *out,
                            tnr_fault *fault) {
  probe *p = ((probe_program *)program)->by;
  (void)in;
  (void)out;
  check_worker(p);
  p->ran++;
  return p->refuse_run == TNR_OK ? TNR_OK : tnr_fail(fault, p->refuse_run, "the device burns");
}

static void probe_destroy(tnr_program *program) {
  probe *p = ((probe_program *)program)->by;
  if (p->closed)
    p->late++;
  p->destroyed++;
  free(program);
}

static tnr_status probe_create(void *state, const tnr_program_spec *spec, tnr_program **out,
                               tnr_fault *fault) {
  probe *p = state;
  check_worker(p);
  if (p->refuse_create != TNR_OK)
    return tnr_fail(fault, p->refuse_create, "%s is beyond this device", spec->name);
  probe_program *made = malloc(sizeof *made);
  *made = (probe_program){{.run = probe_run, .destroy = probe_destroy}, p};
  *out = &made->base;
  p->created++;
  return TNR_OK;
}

static const tnr_driver probe_driver = {.kind = "probe",
                                        .host_memory = true,
                                        .no_compute = true,
                                        .open = probe_open,
                                        .close = probe_close,
                                        .worker_start = probe_start,
                                        .worker_stop = probe_stop,
                                        .program_create = probe_create};

static tnr_runtime *runtime_with(const tnr_driver *driver, const void *config) {
  const tnr_device_config devices = {.driver = driver, .count = 1, .config = config};
  return tnr_runtime_create(&(tnr_runtime_options){.devices = &devices, .device_configs = 1});
}

static tnr_tensor *zeros(tnr_runtime *runtime) {
  return tnr_tensor_create(tnr_runtime_device_at(runtime, 0), TNR_F32, TNR_SHAPE(4), NULL);
}

/* ---- the vtable ---- */

static void expect_refused(const tnr_driver *driver, const char *sentence) {
  tnr_fault fault;
  assert_int_equal(tnr_driver_check(driver, &fault), TNR_EINVAL);
  assert_string_equal(fault.message, sentence);
  assert_null(runtime_with(driver, NULL));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_string_equal(tnr_error_reason(tnr_error()), sentence);
}

static void a_vtable_with_holes_is_refused(void **state) {
  (void)state;
  tnr_driver driver = probe_driver;
  expect_refused(NULL, "a device driver has no kind");
  driver.kind = NULL;
  expect_refused(&driver, "a device driver has no kind");
  driver.kind = "";
  expect_refused(&driver, "a device driver has no kind");
  driver.kind = "host";
  expect_refused(&driver, "'host' is not a kind of device");
  driver.kind = "a:b";
  expect_refused(&driver, "'a:b' is no name for a kind of device: too long, or a colon");
  driver.kind = "a-name-that-is-much-too-long";
  assert_null(runtime_with(&driver, NULL));
  driver = probe_driver;
  driver.program_create = NULL;
  expect_refused(&driver, "the driver 'probe' has no program_create");
}

static void what_is_optional_may_be_left_out(void **state) {
  (void)state;
  const tnr_driver least = {.kind = "least", .program_create = tnr_kernel_program};
  tnr_runtime *runtime = runtime_with(&least, NULL);
  assert_made(runtime);
  float numbers[4] = {-1, 2, -3, 4};
  assert_ok(tnr_scope_open());
  tnr_device *device = tnr_runtime_device(runtime, "least:0");
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(4), numbers);
  assert_ok(tnr_tensor_read(tnr_relu(x), numbers, sizeof numbers));
  assert_true(numbers[0] == 0 && numbers[1] == 2 && numbers[2] == 0 && numbers[3] == 4);
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
}

/* ---- when functions are called ---- */

static void each_function_is_called_in_its_time_and_on_its_thread(void **state) {
  (void)state;
  probe p = {0};
  tnr_runtime *runtime = runtime_with(&probe_driver, &p);
  assert_made(runtime);
  assert_int_equal(p.opened, 1);
  assert_ok(tnr_scope_open());
  tnr_tensor *x = zeros(runtime);
  for (int i = 0; i < 3; i++)
    assert_made(tnr_relu(x));
  assert_made(tnr_add(x, x));
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
  assert_int_equal(p.started, 1);
  assert_int_equal(p.stopped, 1);
  assert_int_equal(p.created, 2);
  assert_int_equal(p.ran, 4);
  assert_int_equal(p.destroyed, 2);
  assert_int_equal(p.closed, 1);
  assert_int_equal(p.late, 0);
  assert_int_not_equal(p.worker, self());
}

static void a_device_closes_when_the_last_handle_is_gone(void **state) {
  (void)state;
  probe p = {0};
  tnr_runtime *runtime = runtime_with(&probe_driver, &p);
  tnr_tensor *x = zeros(runtime);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_int_equal(p.closed, 0);
  tnr_release(x);
  assert_int_equal(p.closed, 1);
}

/* ---- what becomes of failures ---- */

static void a_device_that_does_not_open_is_the_error_of_the_runtime(void **state) {
  (void)state;
  probe p = {.refuse_open = TNR_ESYSTEM};
  assert_null(runtime_with(&probe_driver, &p));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESYSTEM);
  assert_string_equal(tnr_error_reason(tnr_error()), "no such device: probe:0");
  assert_int_equal(p.opened + p.closed + p.started, 0);
}

static void an_op_that_the_device_cannot_do_fails_and_is_asked_for_again(void **state) {
  (void)state;
  probe p = {.refuse_create = TNR_EUNSUPPORTED};
  tnr_runtime *runtime = runtime_with(&probe_driver, &p);
  assert_ok(tnr_scope_open());
  tnr_tensor *x = zeros(runtime), *failed = tnr_relu(x);
  assert_made(failed);
  assert_fails(tnr_wait(failed, TNR_COMPLETE, INT64_MAX), TNR_EUNSUPPORTED);
  assert_string_equal(tnr_error_reason(tnr_error()), "relu is beyond this device");
  assert_string_equal(tnr_error_op(tnr_error()), "relu");
  assert_string_equal(tnr_error_shapes(tnr_error()), "f32 [4]");
  p.refuse_create = TNR_OK; /* the worker has nothing to do */
  tnr_tensor *again = tnr_relu(x);
  assert_ok(tnr_wait(again, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
  assert_int_equal(p.created, p.destroyed);
}

static void a_program_that_fails_fails_its_descendants(void **state) {
  (void)state;
  probe p = {.refuse_run = TNR_EKERNEL};
  tnr_runtime *runtime = runtime_with(&probe_driver, &p);
  assert_ok(tnr_scope_open());
  tnr_future *failed = tnr_relu(tnr_to_async(zeros(runtime)));
  tnr_future *child = tnr_relu(failed);
  assert_fails(tnr_wait(child, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_string_equal(tnr_error_reason(tnr_error()), "the device burns");
  assert_ptr_equal(tnr_future_error(child), tnr_future_error(failed));
  assert_int_equal(p.ran, 1);
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_vtable_with_holes_is_refused),
      cmocka_unit_test(what_is_optional_may_be_left_out),
      cmocka_unit_test(each_function_is_called_in_its_time_and_on_its_thread),
      cmocka_unit_test(a_device_closes_when_the_last_handle_is_gone),
      cmocka_unit_test(a_device_that_does_not_open_is_the_error_of_the_runtime),
      cmocka_unit_test(an_op_that_the_device_cannot_do_fails_and_is_asked_for_again),
      cmocka_unit_test(a_program_that_fails_fails_its_descendants),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
