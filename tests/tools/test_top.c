/* `tenor top` looks at this very process: what it says is what the counters say. */
#include "check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live.h"

enum { TEXT_MAX = 1 << 17, CHAIN = 200 };

static char folder[] = "/tmp/tenor_top_XXXXXX";
static char text[TEXT_MAX];

/* Its output on stdout and stderr is in `text`; returns the exit status. */
static int top(const char *arguments) {
  char line[512];
  snprintf(line, sizeof line, "%s top %s 2>&1", TENOR_COMMAND, arguments);
  FILE *output = popen(line, "r");
  assert_non_null(output);
  size_t length = fread(text, 1, sizeof text - 1, output);
  text[length] = '\0';
  int status = pclose(output);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static int top_here(const char *options) {
  char arguments[256];
  snprintf(arguments, sizeof arguments, "%s %d", options, (int)getpid());
  return top(arguments);
}

static void assert_says(const char *part) {
  if (!strstr(text, part))
    fail_msg("'%s' does not say '%s'", text, part);
}

static tnr_runtime *live_runtime(void) {
  const tnr_device_config cpu = {.driver = tnr_cpu_driver(), .count = 2};
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = &cpu, .device_configs = 1, .live = true});
  assert_made(runtime);
  return runtime;
}

static void run_chain(tnr_runtime *runtime) {
  float number = -1;
  assert_ok(tnr_scope_open());
  tnr_device *device = tnr_runtime_device_at(runtime, 1);
  tnr_future *x = tnr_to_async(tnr_tensor_create(device, TNR_F32, TNR_SHAPE(1), &number));
  for (int i = 0; i < CHAIN; i++)
    x = tnr_relu(x);
  assert_ok(tnr_wait(x, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_scope_close());
}

static int set_up(void **state) {
  tnr_error_clear();
  *state = live_runtime();
  run_chain(*state);
  return 0;
}

static int tear_down(void **state) {
  assert_ok(tnr_runtime_destroy(*state, TNR_DRAIN));
  return 0;
}

/* ---- what it says ---- */

static uint64_t number_in(const json_t *object, const char *name) {
  const json_t *number = json_object_get(object, name);
  if (!json_is_integer(number))
    fail_msg("there is no number '%s'", name);
  return (uint64_t)json_integer_value(number);
}

static const json_t *device_in(const json_t *root, const char *name) {
  size_t i;
  const json_t *device;
  json_array_foreach(json_object_get(root, "device_stats"), i, device) {
    if (strcmp(json_string_value(json_object_get(device, "name")), name) == 0)
      return device;
  }
  fail_msg("there is no device '%s'", name);
  return NULL;
}

static void its_json_has_the_counters(void **state) {
  json_error_t error;
  tnr_stats stats = {.size = sizeof stats};
  tnr_device_stats device = {.size = sizeof device};
  assert_int_equal(top_here("--once --json"), 0);
  assert_ok(tnr_stats_read(*state, &stats));
  assert_ok(tnr_stats_read_device(tnr_runtime_device_at(*state, 1), &device));
  json_t *root = json_loads(text, 0, &error);
  if (!root)
    fail_msg("%s: '%s'", error.text, text);
  assert_int_equal(number_in(root, "pid"), getpid());
  assert_int_equal(number_in(root, "submitted"), stats.submitted);
  assert_int_equal(number_in(root, "completed"), stats.completed);
  assert_true(stats.completed >= CHAIN);
  assert_int_equal(number_in(root, "latency_p99_ns"), stats.latency_p99_ns);
  assert_int_equal(number_in(device_in(root, "cpu:1"), "done"), device.done);
  assert_int_equal(number_in(device_in(root, "cpu:1"), "program_hits"), device.program_hits);
  assert_true(json_is_null(json_object_get(root, "oldest")));
  assert_true(json_array_size(json_object_get(root, "latencies")) > 0);
  json_decref(root);
}

static void its_picture_names_devices_and_rates(void **state) {
  (void)state;
  assert_int_equal(top_here("--once --interval 0.05"), 0);
  assert_says("in flight");
  assert_says("latency  p50");
  assert_says("cpu:0");
  assert_says("cpu:1");
  assert_says("host");
  assert_says("no op is queued");
  assert_null(strchr(text, '\033')); /* for pipes and logs */
}

static void all_runtimes_of_the_process_are_shown(void **state) {
  (void)state;
  tnr_runtime *other = live_runtime();
  assert_int_equal(top_here("--once --json"), 0);
  const char *second = strstr(text, "}\n{");
  assert_non_null(second);
  assert_ok(tnr_runtime_destroy(other, TNR_DRAIN));
  assert_int_equal(top_here("--once --json"), 0);
  assert_null(strstr(text, "}\n{"));
}

static void processes_that_can_be_looked_at_are_listed(void **state) {
  char expected[32];
  (void)state;
  snprintf(expected, sizeof expected, "%d\n", (int)getpid());
  assert_int_equal(top(""), 0);
  assert_string_equal(text, expected);
}

/* ---- what makes no sense ---- */

static void what_cannot_be_looked_at_is_said(void **state) {
  (void)state;
  assert_int_equal(top("--once 1"), 1);
  assert_says("process 1 does not listen");
  assert_says("TENOR_LIVE=1");
  assert_int_equal(top("nobody"), 2);
  assert_says("'nobody' is no number of a process");
  assert_int_equal(top("1 2"), 2);
  assert_int_equal(top("--interval 0 1"), 2);
  assert_says("'0' is no interval");
  assert_int_equal(top("--nonsense"), 2);
  assert_int_equal(top("--help"), 0);
  assert_says("Usage: tenor top");
}

/* ---- the latencies of an interval ---- */

static void quantiles_are_of_what_is_new(void **state) {
  (void)state;
  static live_sample before, now;
  live_field *max = &now.fields.at[now.fields.count++];
  snprintf(max->name, sizeof max->name, "latency_max_ns");
  max->value = 10000;
  assert_int_equal(live_quantile(&now, NULL, 0.5), 0);
  now.latencies[now.latency_count++] = (live_latency){100, 90};
  now.latencies[now.latency_count++] = (live_latency){1000, 10};
  now.latencies[now.latency_count++] = (live_latency){20000, 1};
  assert_int_equal(live_quantile(&now, NULL, 0.5), 100);
  assert_int_equal(live_quantile(&now, NULL, 0.99), 1000);
  assert_int_equal(live_quantile(&now, NULL, 1), 10000);
  before.latencies[before.latency_count++] = (live_latency){100, 90};
  assert_int_equal(live_quantile(&now, &before, 0.5), 1000);
  assert_int_equal(live_quantile(&now, &now, 0.5), 0);
}

static int enter_folder(void **state) {
  (void)state;
  return !mkdtemp(folder) || setenv("XDG_RUNTIME_DIR", folder, 1) != 0;
}

static int leave_folder(void **state) {
  (void)state;
  return rmdir(folder); /* nothing is left in it */
}

#define top_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      top_test(its_json_has_the_counters),
      top_test(its_picture_names_devices_and_rates),
      top_test(all_runtimes_of_the_process_are_shown),
      top_test(processes_that_can_be_looked_at_are_listed),
      cmocka_unit_test(what_cannot_be_looked_at_is_said),
      cmocka_unit_test(quantiles_are_of_what_is_new),
  };
  return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
