/* Counters: they say what has happened, in the struct and in the text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/latency.h"
#include "rig.h"

static tnr_stats stats_of(tnr_runtime *runtime) {
  tnr_stats stats = {.size = sizeof stats};
  assert_ok(tnr_stats_read(runtime, &stats));
  return stats;
}

static tnr_device_stats device_stats(const tnr_device *device) {
  tnr_device_stats stats = {.size = sizeof stats};
  assert_ok(tnr_stats_read_device(device, &stats));
  return stats;
}

/* ---- ops ---- */

static void ops_are_counted_where_they_ran(void **state) {
  enum { FIRST = 30, SECOND = 12 };
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0));
  tnr_future *y = tnr_to_async(rig_tensor(rig_cpu(*state, 1), 0));
  tnr_stats before = stats_of(*state);
  uint64_t done[2] = {device_stats(rig_cpu(*state, 0)).done, device_stats(rig_cpu(*state, 1)).done};
  for (int i = 0; i < FIRST; i++)
    x = rig_plus_one(x);
  for (int i = 0; i < SECOND; i++)
    y = rig_plus_one(y);
  assert_number(x, FIRST);
  assert_number(y, SECOND);
  tnr_stats after = stats_of(*state);
  assert_int_equal(after.submitted - before.submitted, FIRST + SECOND);
  assert_int_equal(after.completed - before.completed, FIRST + SECOND);
  assert_int_equal(after.in_flight, 0);
  assert_int_equal(after.failed, 0);
  assert_int_equal(after.devices, 6);
  for (int i = 0; i < 2; i++) {
    tnr_device_stats device = device_stats(rig_cpu(*state, i));
    assert_int_equal(device.done - done[i], i == 0 ? FIRST : SECOND);
    assert_int_equal(device.queued, 0);
    assert_int_equal(device.running, 0);
  }
  tnr_runtime_stats same = tnr_runtime_get_stats(*state);
  assert_int_equal(after.submitted, same.submitted);
  assert_int_equal(after.handles, same.live_handles);
}

static void what_is_queued_and_what_runs_is_seen(void **state) {
  enum { BEHIND = 3000 }; /* more than a worker has in hand */
  check_needs_threads();
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1))), *x = held;
  for (int i = 0; i < BEHIND; i++)
    x = rig_plus_one(x);
  rig_await_held(1);
  tnr_device_stats device;
  do {
    device = device_stats(rig_cpu(*state, 0));
  } while (device.queued < BEHIND);
  assert_int_equal(device.queued, BEHIND);
  assert_int_equal(device.running, 1);
  assert_int_equal(stats_of(*state).in_flight, BEHIND + 1);
  rig_open_gate();
  assert_ok(tnr_wait(x, TNR_COMPLETE, INT64_MAX));
  device = device_stats(rig_cpu(*state, 0));
  assert_int_equal(device.queued, 0);
  assert_int_equal(device.running, 0);
  assert_int_equal(stats_of(*state).in_flight, 0);
}

static void what_fails_is_counted_with_its_descendants(void **state) {
  tnr_future *bad = rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  tnr_future *child = rig_plus_one(bad);
  assert_fails(tnr_wait(child, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_int_equal(stats_of(*state).failed, 2);
}

static void an_op_on_several_devices_counts_on_each(void **state) {
  enum { PARTS = 3 };
  uint64_t before[PARTS];
  tnr_tensor *x = tnr_scalar(rig_cpus(*state, PARTS), TNR_F32, 1);
  assert_ok(tnr_wait(x, TNR_COMPLETE, INT64_MAX)); /* filling it counts, too */
  for (int i = 0; i < PARTS; i++)
    before[i] = device_stats(rig_cpu(*state, i)).done;
  assert_ok(tnr_wait(rig_plus_one(tnr_to_async(x)), TNR_COMPLETE, INT64_MAX));
  for (int i = 0; i < PARTS; i++)
    assert_int_equal(device_stats(rig_cpu(*state, i)).done - before[i], 1);
}

static void copies_are_counted_with_their_bytes(void **state) {
  tnr_tensor *x = rig_tensor(rig_sim(*state, 0), 1);
  assert_ok(tnr_wait(x, TNR_COMPLETE, INT64_MAX));
  tnr_device_stats before = device_stats(rig_sim(*state, 1));
  tnr_future *y = tnr_to_device(tnr_to_async(x), rig_sim(*state, 1));
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  tnr_device_stats after = device_stats(rig_sim(*state, 1));
  assert_int_equal(after.copies - before.copies, 1);
  assert_int_equal(after.copied_bytes - before.copied_bytes, RIG_ELEMENTS * sizeof(float));
}

static void memory_and_programs_are_those_of_the_device(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_number(rig_plus_one(x), 2);
  tnr_device_stats device = device_stats(rig_cpu(*state, 0));
  tnr_memory_stats memory = tnr_device_memory(rig_cpu(*state, 0));
  tnr_program_stats programs = tnr_device_programs(rig_cpu(*state, 0));
  assert_int_equal(device.live_bytes, memory.live_bytes);
  assert_int_equal(device.reserved_bytes, memory.reserved_bytes);
  assert_int_equal(device.program_misses, programs.misses);
  assert_int_equal(device.programs, programs.entries);
  assert_true(device.programs > 0);
  assert_int_equal(device_stats(tnr_runtime_device(*state, "host")).done, 0);
}

static void what_recordings_lose_is_counted(void **state) {
  assert_ok(tnr_trace_start(
      *state, &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT, .bytes_per_thread = 128 << 10}));
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0));
  for (int i = 0; i < 8000; i++)
    x = rig_plus_one(x);
  assert_number(x, 8000);
  tnr_stats stats = stats_of(*state);
  assert_true(stats.trace_recorded > 8000);
  assert_true(stats.trace_forgotten > 0);
  assert_int_equal(stats.trace_lost, 0);
  assert_ok(tnr_trace_stop(*state));
}

/* ---- latencies ---- */

static void buckets_are_where_they_should_be(void **state) {
  (void)state;
  for (uint64_t ns = 0; ns < 5000; ns++) {
    int bucket = tnr_latency_bucket(ns);
    assert_true(ns < tnr_latency_end(bucket));
    assert_true(bucket == 0 || ns >= tnr_latency_end(bucket - 1));
  }
  for (int bit = 3; bit < 41; bit++) {
    uint64_t ns = UINT64_C(1) << bit;
    assert_int_equal(tnr_latency_end(tnr_latency_bucket(ns) - 1), ns);
    assert_true((double)tnr_latency_end(tnr_latency_bucket(ns)) <= 1.125 * (double)ns);
  }
  assert_int_equal(tnr_latency_bucket(UINT64_MAX), TNR_LATENCY_BUCKETS - 1);
}

static void quantiles_are_close(void **state) {
  (void)state;
  static tnr_latency latency;
  assert_int_equal(tnr_latency_quantile(&latency, 0.5), 0);
  for (int i = 1; i <= 1000; i++)
    tnr_latency_note(&latency, i * 1000);
  const struct { double share, expected; } cases[] = {{0.5, 500e3}, {0.9, 900e3}, {0.99, 990e3}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double found = (double)tnr_latency_quantile(&latency, cases[i].share);
    assert_true(found >= cases[i].expected && found <= 1.126 * cases[i].expected);
  }
  assert_int_equal(tnr_latency_quantile(&latency, 1), 1000000);
  tnr_latency_note(&latency, -5); /* a clock of many CPUs */
  assert_int_equal(tnr_latency_quantile(&latency, 0), 1);
}

static void slow_ops_show_in_the_latencies(void **state) {
  check_needs_threads();
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  rig_await_held(1);
  rig_sleep_ms(20);
  rig_open_gate();
  assert_ok(tnr_wait(held, TNR_COMPLETE, INT64_MAX));
  tnr_stats stats = stats_of(*state);
  assert_true(stats.latency_samples > 0);
  assert_true(stats.latency_max_ns >= 20000000);
  assert_true(stats.latency_p50_ns <= stats.latency_p90_ns);
  assert_true(stats.latency_p90_ns <= stats.latency_p99_ns);
  assert_true(stats.latency_p99_ns <= stats.latency_max_ns);
  assert_true(stats.latency_sum_ns >= stats.latency_max_ns);
}

/* ---- the struct's version ---- */

static void an_older_caller_gets_what_it_knows(void **state) {
  struct {
    size_t size;
    uint64_t submitted, behind;
  } old = {.size = sizeof(size_t) + sizeof(uint64_t), .behind = 77};
  assert_number(rig_plus_one(rig_tensor(rig_cpu(*state, 0), 1)), 2);
  assert_ok(tnr_stats_read(*state, (tnr_stats *)&old));
  assert_int_equal(old.submitted, stats_of(*state).submitted);
  assert_int_equal(old.behind, 77);
  assert_int_equal(old.size, 16);
}

static void a_newer_caller_gets_zeroes(void **state) {
  struct {
    tnr_stats known;
    uint64_t unknown;
  } later = {.known.size = sizeof later, .unknown = 77};
  assert_ok(tnr_stats_read(*state, &later.known));
  assert_int_equal(later.unknown, 0);
  assert_int_equal(later.known.devices, 6);
}

static void what_makes_no_sense_is_refused(void **state) {
  tnr_stats stats = {.size = sizeof stats};
  tnr_device_stats device = {.size = sizeof device};
  assert_fails(tnr_stats_read(NULL, &stats), TNR_EINVAL);
  assert_fails(tnr_stats_read(*state, NULL), TNR_EINVAL);
  assert_fails(tnr_stats_read_device(NULL, &device), TNR_EINVAL);
  stats.size = 0;
  device.size = 7;
  assert_fails(tnr_stats_read(*state, &stats), TNR_EINVAL);
  assert_fails(tnr_stats_read_device(rig_cpu(*state, 0), &device), TNR_EINVAL);
  assert_int_equal(tnr_stats_prometheus(NULL, NULL, NULL, 0), 0);
}

/* ---- the text ---- */

static char text[65536];

/* The number behind this on its line. */
static uint64_t number_behind(const char *name) {
  char start[128];
  snprintf(start, sizeof start, "\n%s ", name);
  const char *at = strstr(text, start);
  if (!at)
    fail_msg("there is no '%s'", name);
  return strtoull(at + strlen(start), NULL, 10);
}

static void the_text_has_the_same_numbers(void **state) {
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 2), 0));
  for (int i = 0; i < 100; i++)
    x = rig_plus_one(x);
  assert_number(x, 100);
  tnr_stats stats = stats_of(*state);
  size_t length = tnr_stats_prometheus(*state, NULL, text, sizeof text);
  assert_in_range(length, 1000, sizeof text - 1);
  assert_int_equal(strlen(text), length);
  assert_int_equal(number_behind("tenor_ops_submitted_total"), stats.submitted);
  assert_int_equal(number_behind("tenor_ops_completed_total"), stats.completed);
  assert_int_equal(number_behind("tenor_ops_in_flight"), 0);
  assert_int_equal(number_behind("tenor_op_latency_seconds_count"), stats.latency_samples);
  assert_int_equal(number_behind("tenor_op_latency_seconds_bucket{le=\"+Inf\"}"),
                   stats.latency_samples);
  assert_int_equal(number_behind("tenor_device_ops_done_total{device=\"cpu:2\"}"),
                   device_stats(rig_cpu(*state, 2)).done);
  assert_int_equal(number_behind("tenor_device_memory_bytes{device=\"host\"}"),
                   device_stats(tnr_runtime_device(*state, "host")).live_bytes);
}

static void every_line_has_the_callers_labels(void **state) {
  tnr_stats_prometheus(*state, "app=\"a\"", text, sizeof text);
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
    if (line[0] != '#' && !strstr(line, "{app=\"a\"} ") && !strstr(line, "{app=\"a\","))
      fail_msg("'%s' has no label", line);
}

/* Of a runtime with one device, whose text is written sooner. */
static void what_does_not_fit_is_cut(void **state) {
  (void)state;
  const tnr_device_config device = {.driver = tnr_null_driver(), .count = 1};
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = &device, .device_configs = 1, CHECK_MODE});
  assert_made(runtime);
  size_t length = tnr_stats_prometheus(runtime, NULL, NULL, 0);
  for (size_t size = 1; size < 200; size++) {
    memset(text, 'x', sizeof text);
    assert_true(tnr_stats_prometheus(runtime, NULL, text, size) >= length / 2);
    assert_int_equal(strlen(text), size - 1);
    assert_int_equal(text[size], 'x');
  }
  assert_nothing_left(runtime);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(ops_are_counted_where_they_ran),
      rig_test(what_is_queued_and_what_runs_is_seen),
      rig_test(what_fails_is_counted_with_its_descendants),
      rig_test(an_op_on_several_devices_counts_on_each),
      rig_test(copies_are_counted_with_their_bytes),
      rig_test(memory_and_programs_are_those_of_the_device),
      rig_test(what_recordings_lose_is_counted),
      cmocka_unit_test(buckets_are_where_they_should_be),
      cmocka_unit_test(quantiles_are_close),
      rig_test(slow_ops_show_in_the_latencies),
      rig_test(an_older_caller_gets_what_it_knows),
      rig_test(a_newer_caller_gets_zeroes),
      rig_test(what_makes_no_sense_is_refused),
      rig_test(the_text_has_the_same_numbers),
      rig_test(every_line_has_the_callers_labels),
      rig_bare_test(what_does_not_fit_is_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
