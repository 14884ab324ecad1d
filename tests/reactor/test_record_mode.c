/* Recordings of runtimes without threads: nobody else writes the file, and where time is made, the
 * same program gives the same bytes. */
#include "recorded.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "threadless.h"

/* ---- made time ---- */

enum { US = 1000 };

typedef struct heard {
  int count;
  tnr_timeline_entry last;
} heard;

static void hear(const tnr_timeline_entry *entry, void *user) {
  heard *h = user;
  h->count++;
  h->last = *entry;
}

/* Two devices whose every op and copy takes 5 µs. */
static tnr_runtime *virtual_runtime(const tnr_trace_options *trace, uint64_t seed, heard *h) {
  static const tnr_sim_config slow = {.launch_ns = 5 * US};
  const tnr_device_config device = {.driver = tnr_sim_driver(), .count = 2, .config = &slow};
  tnr_runtime *runtime = tnr_runtime_create(&(tnr_runtime_options){.devices = &device,
                                                                   .device_configs = 1,
                                                                   .mode = TNR_DETERMINISTIC,
                                                                   .seed = seed,
                                                                   .trace = trace,
                                                                   .timeline = h ? hear : NULL,
                                                                   .timeline_user = h});
  assert_made(runtime);
  return runtime;
}

static void run_program(tnr_runtime *runtime, int length) {
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_async(rig_tensor(tnr_runtime_device_at(runtime, 0), 0));
  for (int i = 0; i < length; i++) {
    x = rig_plus_one(x);
    if (i % 10 == 9)
      x = tnr_to_device(x, tnr_runtime_device_at(runtime, i / 10 % 2));
  }
  assert_number(x, (float)length);
  assert_fails(tnr_wait(rig_fail(x), TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ok(tnr_scope_close());
}

static void record_program(const char *name, uint64_t seed, heard *h, int length) {
  const tnr_trace_options trace = {.path = folder_path(name), .bytes_per_thread = 128 << 10};
  tnr_runtime *runtime = virtual_runtime(&trace, seed, h);
  run_program(runtime, length);
  assert_int_equal(tnr_trace_get_stats(runtime).lost, 0);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
}

static bool same_bytes(const char *a, const char *b) {
  recorded left = recorded_read(folder_path(a)), right = recorded_read(folder_path(b));
  bool same = left.bytes == right.bytes && memcmp(left.memory, right.memory, left.bytes) == 0;
  recorded_finish(&left);
  recorded_finish(&right);
  return same;
}

static void the_same_program_gives_the_same_bytes(void **state) {
  (void)state;
  enum { LONG = 4000 }; /* many chunks */
  record_program("once", 0, NULL, LONG);
  record_program("again", 0, NULL, LONG);
  assert_true(same_bytes("once", "again"));
  record_program("seed", 7, NULL, LONG);
  record_program("seed again", 7, NULL, LONG);
  assert_true(same_bytes("seed", "seed again"));
  assert_false(same_bytes("once", "seed"));
}

static void nothing_in_the_file_tells_of_the_machine(void **state) {
  (void)state;
  record_program("made", 0, NULL, 20);
  recorded r = recorded_read(folder_path("made"));
  assert_true(r.file.flags & TNR_TRACE_MADE_TIME);
  assert_int_equal(r.file.pid, 0);
  assert_int_equal(r.file.start_realtime, 0);
  assert_int_equal(r.file.start, 0);
  assert_int_equal(recorded_count(&r, TNR_TRACE_COUNTER, 0) > 0, true);
  for (size_t i = 0; i < r.count; i++)
    if (r.events[i].type == TNR_TRACE_COUNTER)
      assert_int_not_equal(r.events[i].what, TNR_TRACE_CPU_TIME);
  recorded_finish(&r);
}

static uint64_t took(const recorded *r, uint32_t op) {
  const recorded_event *begin = recorded_find(r, TNR_TRACE_BEGIN, op);
  const recorded_event *end = recorded_find(r, TNR_TRACE_END, op);
  assert_non_null(begin);
  assert_non_null(end);
  assert_int_equal(recorded_count(r, TNR_TRACE_BEGIN, op), 1);
  assert_int_equal(recorded_count(r, TNR_TRACE_END, op), 1);
  return end->time - begin->time;
}

static void ops_take_the_time_that_was_made_for_them(void **state) {
  (void)state;
  record_program("times", 0, NULL, 20);
  recorded r = recorded_read(folder_path("times"));
  uint64_t before = 0;
  for (int i = 0; i < 20; i++) {
    uint32_t op = recorded_op(&r, "rig_plus_one", i);
    assert_int_equal(took(&r, op), 5 * US);
    assert_true(recorded_find(&r, TNR_TRACE_BEGIN, op)->time >= before);
    before = recorded_find(&r, TNR_TRACE_END, op)->time;
    assert_true(recorded_find(&r, TNR_TRACE_COMPLETE, op)->time >= before);
  }
  assert_int_equal(took(&r, recorded_op(&r, "to_device", 1)), 5 * US);
  recorded_finish(&r);
}

/* The timeline goes on as if nothing was recorded, and its numbers are the recording's. */
static void a_timeline_and_a_recording_know_the_same_ops(void **state) {
  (void)state;
  heard alone = {0}, beside = {0};
  tnr_runtime *runtime = virtual_runtime(NULL, 0, &alone);
  run_program(runtime, 50);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  record_program("both", 0, &beside, 50);
  assert_int_equal(alone.count, beside.count);
  assert_int_equal(alone.last.number, beside.last.number);
  assert_int_equal(alone.last.at, beside.last.at);
  recorded r = recorded_read(folder_path("both"));
  assert_int_equal(recorded_op(&r, "rig_fail", 0), beside.last.number);
  assert_int_equal(recorded_find(&r, TNR_TRACE_COMPLETE, beside.last.number)->time,
                   (uint64_t)beside.last.at);
  recorded_finish(&r);
}

/* ---- no other thread ---- */

static void recording_makes_no_thread(void **state) {
  (void)state;
  int before = threadless_count_threads();
  tnr_runtime *runtime = threadless_runtime(TNR_ONE_THREAD);
  assert_ok(tnr_trace_start(
      runtime, &(tnr_trace_options){.path = folder_path("alone"), .bytes_per_thread = 128 << 10}));
  run_program(runtime, 3000);
  assert_int_equal(threadless_count_threads(), before);
  assert_int_equal(tnr_trace_get_stats(runtime).lost, 0);
  assert_ok(tnr_trace_stop(runtime));
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  recorded r = recorded_read(folder_path("alone"));
  assert_int_equal(r.total->lost, 0);
  assert_int_equal(r.records, r.total->records);
  uint32_t last = recorded_op(&r, "rig_fail", 0);
  assert_int_equal(recorded_find(&r, TNR_TRACE_COMPLETE, last)->kind, TNR_TRACE_DISPATCHER);
  assert_int_equal(recorded_find(&r, TNR_TRACE_SUBMIT, last)->kind, TNR_TRACE_APPLICATION);
  recorded_finish(&r);
}

static void in_flight_a_failure_and_a_signal_write_at_once(void **state) {
  (void)state;
  tnr_runtime *runtime = threadless_runtime(TNR_ONE_THREAD);
  assert_ok(tnr_trace_start(runtime, &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT,
                                                          .path = folder_path("flight"),
                                                          .on_failure = true,
                                                          .signal = SIGUSR1}));
  run_program(runtime, 100);
  assert_true(folder_has("flight"));
  assert_false(folder_has("flight.2"));
  raise(SIGUSR1);
  assert_true(folder_has("flight.2"));
  assert_ok(tnr_trace_stop(runtime));
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  recorded r = recorded_read(folder_path("flight"));
  assert_int_equal(recorded_op(&r, "rig_plus_one", 99) != 0, true);
  recorded_finish(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(the_same_program_gives_the_same_bytes),
      rig_bare_test(nothing_in_the_file_tells_of_the_machine),
      rig_bare_test(ops_take_the_time_that_was_made_for_them),
      rig_bare_test(a_timeline_and_a_recording_know_the_same_ops),
      rig_bare_test(recording_makes_no_thread),
      rig_bare_test(in_flight_a_failure_and_a_signal_write_at_once),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
