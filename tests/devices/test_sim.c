/* The simulated device: right numbers, an accelerator's timing, and hardly any CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <time.h>

#include <cmocka.h>

#include <tenor/driver.h>

enum { MS = 1000000 }; /* ns */

static int64_t clock_ns(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000 * MS + time.tv_nsec;
}

static tnr_status twice(const tnr_kernel_call *call, tnr_fault *fault) {
  const float *in = call->in_data[0];
  float *out = call->out_data[0];
  (void)fault;
  for (int64_t i = 0; i < tnr_shape_elements(&call->in[0].shape); i++)
    out[i] = 2 * in[i];
  return TNR_OK;
}

static tnr_status refuse(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)call;
  return tnr_fail(fault, TNR_EKERNEL, "no");
}

static const tnr_desc pair = {{1, {2}}, TNR_F32};

typedef struct run_time {
  int64_t wall, cpu; /* ns */
} run_time;

/* Runs an op of `flops` so many times on a device with this cost model. */
static run_time time_ops(const tnr_sim_config *config, double flops, int times,
                         tnr_kernel_fn *kernel, tnr_status expected) {
  const tnr_driver *driver = tnr_sim_driver();
  const tnr_device_info info = {.name = "sim:0", .threads = 1, .config = config};
  const tnr_program_spec spec = {.name = "test",
                                 .in_count = 1,
                                 .out_count = 1,
                                 .in = &pair,
                                 .out = &pair,
                                 .kernel = kernel,
                                 .flops = flops};
  const float in[2] = {1, 3};
  float out[2] = {0, 0};
  void *device;
  tnr_program *program;
  assert_int_equal(driver->open(&info, &device, NULL), TNR_OK);
  driver->worker_start(device);
  assert_int_equal(driver->program_create(device, &spec, &program, NULL), TNR_OK);
  int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < times; i++)
    assert_int_equal(program->run(program, (const void *const[]){in}, (void *const[]){out}, NULL),
                     expected);
  run_time time = {clock_ns(CLOCK_MONOTONIC) - wall, clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu};
  if (expected == TNR_OK)
    assert_true(out[0] == 2 && out[1] == 6);
  driver->worker_stop(device);
  program->destroy(program);
  driver->close(device);
  return time;
}

static void an_op_takes_its_time_without_the_cpu(void **state) {
  (void)state;
  const tnr_sim_config config = {.launch_ns = 5 * MS, .flops_per_second = 1e9};
  run_time time = time_ops(&config, 15e6, 1, twice, TNR_OK);
  assert_in_range(time.wall, 20 * MS - MS / 10, 40 * MS);
  assert_in_range(time.cpu, 0, 5 * MS);
}

static void memory_traffic_takes_time_too(void **state) {
  (void)state;
  const tnr_sim_config config = {.bytes_per_second = 800}; /* of 16 bytes: 20 ms */
  run_time time = time_ops(&config, 1e6, 1, twice, TNR_OK);
  assert_in_range(time.wall, 20 * MS - MS / 10, 40 * MS);
}

static void many_short_ops_take_as_long_together_as_the_model_says(void **state) {
  (void)state;
  const tnr_sim_config config = {.launch_ns = 10000};
  run_time time = time_ops(&config, 0, 3000, twice, TNR_OK);
  assert_in_range(time.wall, 30 * MS - MS, 60 * MS);
}

static void a_failing_kernel_reports_its_fault(void **state) {
  (void)state;
  time_ops(NULL, 0, 1, refuse, TNR_EKERNEL);
}

static void a_copy_takes_its_time(void **state) {
  (void)state;
  const tnr_driver *driver = tnr_sim_driver();
  const tnr_sim_config config = {.launch_ns = 10 * MS, .bytes_per_second = 200};
  const tnr_device_info info = {.name = "sim:0", .threads = 1, .config = &config};
  char from[6] = "a-b-", to[5] = "....";
  void *device;
  assert_int_equal(driver->open(&info, &device, NULL), TNR_OK);
  int64_t wall = clock_ns(CLOCK_MONOTONIC);
  driver->copy(device, to, 3, from, 2, 1, 2);
  assert_in_range(clock_ns(CLOCK_MONOTONIC) - wall, 20 * MS - MS / 10, 40 * MS);
  assert_string_equal(to, "a..b");
  driver->close(device);
}

/* ---- virtual time ---- */

/* A clock that moves when it is told to. */
typedef struct still_clock {
  tnr_clock clock;
  int64_t time; /* ns */
} still_clock;

static int64_t still_now(tnr_clock *clock) {
  return ((still_clock *)clock)->time;
}

static void still_sleep_until(tnr_clock *clock, int64_t ns) {
  ((still_clock *)clock)->time = ns;
}

static void virtual_time_passes_exactly_as_the_model_says_and_real_time_does_not(void **state) {
  (void)state;
  const tnr_driver *driver = tnr_sim_driver();
  const tnr_sim_config config = {.launch_ns = 1000 * (int64_t)MS, .flops_per_second = 2};
  still_clock still = {{still_now, still_sleep_until}, 7};
  const tnr_device_info info = {
      .name = "sim:0", .threads = 1, .config = &config, .clock = &still.clock};
  const tnr_program_spec spec = {.name = "test",
                                 .in_count = 1,
                                 .out_count = 1,
                                 .in = &pair,
                                 .out = &pair,
                                 .kernel = twice,
                                 .flops = 6};
  const float in[2] = {1, 3};
  float out[2] = {0, 0};
  void *device;
  tnr_program *program;
  int64_t wall = clock_ns(CLOCK_MONOTONIC);
  assert_int_equal(driver->open(&info, &device, NULL), TNR_OK);
  driver->worker_start(device);
  assert_int_equal(driver->program_create(device, &spec, &program, NULL), TNR_OK);
  for (int i = 0; i < 3; i++)
    assert_int_equal(program->run(program, (const void *const[]){in}, (void *const[]){out}, NULL),
                     TNR_OK);
  assert_true(out[0] == 2 && out[1] == 6);
  assert_int_equal(still.time, 7 + 3 * 4000 * (int64_t)MS);
  driver->copy(device, out, 8, in, 8, 8, 1);
  assert_int_equal(still.time, 7 + 13 * 1000 * (int64_t)MS);
  still.time = INT64_MAX - 5;
  driver->copy(device, out, 8, in, 8, 8, 1);
  assert_int_equal(still.time, INT64_MAX);
  driver->worker_stop(device);
  assert_in_range(clock_ns(CLOCK_MONOTONIC) - wall, 0, 1000 * (int64_t)MS - 1);
  program->destroy(program);
  driver->close(device);
}

static void a_thread_gets_its_settings_back(void **state) {
  (void)state;
  const tnr_driver *driver = tnr_sim_driver();
  const tnr_device_info info = {.name = "sim:0", .threads = 1};
  void *device;
  int before = prctl(PR_GET_TIMERSLACK);
  assert_int_equal(driver->open(&info, &device, NULL), TNR_OK);
  driver->worker_start(device);
  assert_int_not_equal(prctl(PR_GET_TIMERSLACK), before);
  driver->worker_stop(device);
  assert_int_equal(prctl(PR_GET_TIMERSLACK), before);
  driver->close(device);
}

static void a_senseless_model_is_refused(void **state) {
  (void)state;
  const tnr_sim_config config = {.launch_ns = -1};
  const tnr_device_info info = {.name = "sim:0", .threads = 1, .config = &config};
  void *device;
  tnr_fault fault;
  assert_int_equal(tnr_sim_driver()->open(&info, &device, &fault), TNR_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_op_takes_its_time_without_the_cpu),
      cmocka_unit_test(memory_traffic_takes_time_too),
      cmocka_unit_test(many_short_ops_take_as_long_together_as_the_model_says),
      cmocka_unit_test(a_failing_kernel_reports_its_fault),
      cmocka_unit_test(a_copy_takes_its_time),
      cmocka_unit_test(virtual_time_passes_exactly_as_the_model_says_and_real_time_does_not),
      cmocka_unit_test(a_thread_gets_its_settings_back),
      cmocka_unit_test(a_senseless_model_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
