#include "../../tools/trace/summary.h"

#include <string.h>

#include "check.h"
#include "tape_fixture.h"

struct made {
  struct trace_recording recording;
  struct trace_summary summary;
};

static struct made make(const char *name) {
  struct made made = {.recording = tape_read(name)};
  struct trace_hosts hosts;
  tnr_fault fault;
  assert_int_equal(trace_hosts_init(&made.recording, &hosts, &fault), TNR_OK);
  assert_int_equal(trace_summary_make(&made.recording, &hosts, &made.summary, &fault), TNR_OK);
  trace_hosts_finish(&hosts);
  return made;
}

static void finish(struct made *made) {
  trace_summary_finish(&made->summary);
  trace_recording_finish(&made->recording);
}

static void ops_come_with_their_times(void **state) {
  (void)state;
  enum { RUNS = 200 };
  struct tape_file file = tape_open(folder_path("ops"), 1, 0);
  uint64_t at = 1000;
  for (uint32_t i = 1; i <= RUNS; i++) { /* of lengths 1 to 200 times 10 */
    tape_submit(&file, TAPE_MAIN, i, &(struct tape_op){.number = i, .name = "op"});
    tape_run(&file, at, 5, at + 10 * i, i, 0, "op");
    at += 10 * i;
  }
  tape_submit(&file, TAPE_MAIN, 500, &(struct tape_op){.number = 900, .name = "rare"});
  tape_run(&file, at, 0, at + 1000000, 900, 0, "rare");
  tape_complete(&file, at + 1000010, 900, TNR_EKERNEL);
  tape_close(&file, 0, false);
  struct made made = make("ops");
  assert_string_equal(trace_string(&made.recording, made.summary.ops.at[0].name), "rare");
  const struct trace_op_row *row = trace_summary_find(&made.recording, &made.summary, "op");
  assert_non_null(row);
  assert_int_equal(row->runs, RUNS);
  assert_int_equal(row->total, 10 * RUNS * (RUNS + 1) / 2);
  assert_int_equal(row->p50, 1000);
  assert_int_equal(row->p99, 1980);
  assert_int_equal(row->longest, 2000);
  assert_int_equal(row->bytes, 8 * RUNS);
  assert_int_equal(row->failed, 0);
  assert_int_equal(made.summary.ops.at[0].failed, 1);
  assert_int_equal(made.summary.op_count, RUNS + 1);
  assert_int_equal(made.summary.unfinished, RUNS);
  finish(&made);
}

static void devices_are_busy_or_wait(void **state) {
  (void)state;
  tape_diamond("diamond");
  struct made made = make("diamond");
  const struct trace_device_row *rows = made.summary.devices;
  assert_int_equal(rows[0].busy, 4000);
  assert_int_equal(rows[0].idle, 7100);
  assert_int_equal(rows[0].runs, 3);
  assert_int_equal(rows[0].causes[TRACE_OTHER_DEVICE], 4950);
  assert_int_equal(rows[0].longest_gap, 5100);
  assert_int_equal(rows[1].busy, 5700);
  assert_int_equal(rows[1].causes[TRACE_NOTHING], 2400);
  finish(&made);
}

static const struct trace_thread_row *thread(const struct made *made, uint32_t kind) {
  for (uint32_t i = 0; i < made->recording.lanes.count; i++)
    if (made->recording.lanes.at[i].kind == kind)
      return &made->summary.threads[i];
  fail_msg("there is no thread of kind %u", kind);
  return NULL;
}

/* Devices run from 1000 to 3000 and 3100 to 4100, 3300 to 9000, 9200 to 10200. */
static void what_a_wait_covers_is_not_hidden(void **state) {
  (void)state;
  tape_diamond("waits");
  struct made made = make("waits");
  const struct trace_thread_row *row = thread(&made, TNR_TRACE_APPLICATION);
  assert_int_equal(made.summary.running, 2000 + 5900 + 1000);
  assert_int_equal(row->waited, 10600);
  assert_int_equal(row->hidden, 0);
  assert_int_equal(row->submits, 4);
  finish(&made);
  struct tape_file file = tape_open(folder_path("free"), 1, 0);
  tape_whole(&file, &(struct tape_op){.number = 1, .name = "op"}, 0, 100, 1000, 2000);
  tape_span(&file, TAPE_MAIN, TNR_TRACE_WAIT, 1200, 1300, 1, TNR_TRACE_FOR_COMPLETE);
  tape_span(&file, TAPE_MAIN, TNR_TRACE_WAIT, 1900, 2200, 1, TNR_TRACE_FOR_COMPLETE);
  tape_close(&file, 0, true);
  made = make("free");
  assert_int_equal(thread(&made, TNR_TRACE_APPLICATION)->hidden, 1000 - 100 - 100);
  finish(&made);
}

static void the_dispatcher_rests_and_calls_back(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("rests"), 1, 0);
  tape_span(&file, TAPE_DISPATCHER, TNR_TRACE_REST, 100, 400, 0, TNR_TRACE_SLEPT);
  tape_span(&file, TAPE_DISPATCHER, TNR_TRACE_REST, 500, 600, 0, TNR_TRACE_LOOKED);
  tape_span(&file, TAPE_DISPATCHER, TNR_TRACE_CALLBACK, 700, 750, 0, 0);
  tape_wake(&file, TAPE_MAIN, 399, 0xffff);
  tape_counter(&file, 800, TNR_TRACE_CPU_TIME, TAPE_DISPATCHER, 5000);
  tape_counter(&file, 900, TNR_TRACE_CPU_TIME, TAPE_DISPATCHER, 5070);
  tape_close(&file, 0, true);
  struct made made = make("rests");
  const struct trace_thread_row *row = thread(&made, TNR_TRACE_DISPATCHER);
  assert_int_equal(row->rested, 400);
  assert_int_equal(row->slept, 300);
  assert_int_equal(row->callbacks, 50);
  assert_int_equal(row->cpu, 70);
  assert_int_equal(thread(&made, TNR_TRACE_APPLICATION)->wakes, 1);
  finish(&made);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ops_come_with_their_times),
      cmocka_unit_test(devices_are_busy_or_wait),
      cmocka_unit_test(what_a_wait_covers_is_not_hidden),
      cmocka_unit_test(the_dispatcher_rests_and_calls_back),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
