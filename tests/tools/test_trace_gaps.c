#include "../../tools/trace/gaps.h"

#include <string.h>

#include "check.h"
#include "tape_fixture.h"

enum { GAPS_MAX = 16 };

struct gaps {
  struct trace_gap at[GAPS_MAX];
  size_t count;
  int64_t busy;
};

static void take(const struct trace_gap *gap, void *user) {
  struct gaps *gaps = user;
  assert_true(gaps->count < GAPS_MAX);
  gaps->at[gaps->count++] = *gap;
}

static struct gaps find(const struct trace_recording *recording, uint32_t device) {
  struct gaps gaps = {0};
  struct trace_hosts hosts;
  tnr_fault fault;
  assert_int_equal(trace_hosts_init(recording, &hosts, &fault), TNR_OK);
  assert_int_equal(trace_gaps(recording, &hosts, device, take, &gaps, &gaps.busy, &fault), TNR_OK);
  trace_hosts_finish(&hosts);
  return gaps;
}

/* From `begin` to `end`, so long for each of the causes in their order. */
static void assert_gap(const struct trace_gap *gap, int64_t begin, int64_t end,
                       const int64_t *times) {
  int64_t sum = 0;
  assert_int_equal(gap->begin, begin);
  assert_int_equal(gap->end, end);
  for (int i = 0; i < TRACE_CAUSES; i++) {
    if (gap->times[i] != times[i])
      fail_msg("%s: %ld, not %ld", trace_cause_names[i], (long)gap->times[i], (long)times[i]);
    sum += gap->times[i];
  }
  assert_int_equal(sum, end - begin);
}

#define TIMES(...) ((const int64_t[TRACE_CAUSES]){__VA_ARGS__})

static void a_diamond_waits_for_the_other_device(void **state) {
  (void)state;
  tape_diamond("diamond");
  struct trace_recording recording = tape_read("diamond");
  struct gaps first = find(&recording, 0), second = find(&recording, 1);
  assert_int_equal(first.count, 4);
  assert_gap(&first.at[0], 0, 1000,
             TIMES([TRACE_NOTHING] = 100, [TRACE_DISPATCHING] = 600, [TRACE_WAKING] = 300));
  assert_gap(&first.at[1], 3000, 3100, TIMES([TRACE_WAKING] = 100));
  assert_gap(&first.at[2], 4100, 9200,
             TIMES([TRACE_OTHER_DEVICE] = 4950, [TRACE_DISPATCHING] = 50, [TRACE_WAKING] = 100));
  assert_int_equal(first.at[2].cause, TRACE_OTHER_DEVICE);
  assert_int_equal(first.at[2].waited_for, tape_row(&recording, 3));
  assert_gap(&first.at[3], 10200, 11100, TIMES([TRACE_NOTHING] = 900));
  assert_int_equal(first.at[3].run, TRACE_NONE);
  assert_int_equal(first.busy, 2000 + 1000 + 1000);
  assert_int_equal(second.count, 2);
  assert_gap(&second.at[0], 0, 3300,
             TIMES([TRACE_NOTHING] = 300, [TRACE_OTHER_DEVICE] = 2750, [TRACE_DISPATCHING] = 150,
                   [TRACE_WAKING] = 100));
  assert_gap(&second.at[1], 9000, 11100, TIMES([TRACE_NOTHING] = 2100));
  assert_int_equal(second.busy, 5700);
  trace_recording_finish(&recording);
}

static const struct tape_op one = {.number = 1, .name = "first"};

/* Closes the file of this name: what was found of dev:0. */
static struct gaps closed(struct tape_file *file, const char *name) {
  tape_close(file, 0, true);
  struct trace_recording recording = tape_read(name);
  struct gaps gaps = find(&recording, 0);
  trace_recording_finish(&recording);
  return gaps;
}

/* An op of main's that is submitted, launched and run as soon as there is room, at 4050. */
static void put_late(struct tape_file *file) {
  tape_submit(file, TAPE_MAIN, 4050, &one);
  tape_resolve(file, 4060, 1, 0);
  tape_launch(file, 4070, 1, 0);
  tape_run(file, 4100, 10, 5000, 1, 0, "first");
  tape_complete(file, 5100, 1, TNR_OK);
}

static void a_thread_that_waits_keeps_its_device_waiting(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("blocked"), 1, 0);
  tape_whole(&file, &one, 0, 100, 1000, 2000);
  tape_span(&file, TAPE_MAIN, TNR_TRACE_WAIT, 500, 2200, 1, TNR_TRACE_FOR_COMPLETE);
  tape_whole(&file, &(struct tape_op){.number = 2, .name = "second"}, 0, 5000, 5200, 6000);
  tape_close(&file, 0, true);
  struct trace_recording recording = tape_read("blocked");
  struct gaps gaps = find(&recording, 0);
  assert_int_equal(gaps.count, 3);
  assert_gap(&gaps.at[1], 2000, 5200,
             TIMES([TRACE_HOST] = 3000, [TRACE_DISPATCHING] = 20, [TRACE_WAKING] = 180));
  assert_int_equal(gaps.at[1].cause, TRACE_HOST);
  assert_int_equal(gaps.at[1].waited_for, tape_row(&recording, 1));
  trace_recording_finish(&recording);
}

static void without_a_wait_nothing_was_submitted(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("late"), 1, 0);
  tape_whole(&file, &one, 0, 100, 1000, 2000);
  tape_whole(&file, &(struct tape_op){.number = 2, .name = "second"}, 0, 5000, 5200, 6000);
  struct gaps gaps = closed(&file, "late");
  assert_gap(&gaps.at[1], 2000, 5200,
             TIMES([TRACE_NOTHING] = 3000, [TRACE_DISPATCHING] = 20, [TRACE_WAKING] = 180));
}

static void a_call_that_a_limit_holds_up(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("limit"), 2, 0);
  tape_held(&file, TAPE_MAIN, 250, 4000, 1, 0, TNR_TRACE_CALL_HELD);
  put_late(&file);
  struct gaps gaps = closed(&file, "limit");
  assert_gap(&gaps.at[0], 0, 4100,
             TIMES([TRACE_NOTHING] = 300, [TRACE_LIMIT] = 3750, [TRACE_DISPATCHING] = 20,
                   [TRACE_WAKING] = 30));
  assert_int_equal(gaps.at[0].cause, TRACE_LIMIT);
}

static void a_call_that_a_limit_refuses_is_held_up_until_there_is_room(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("refused"), 2, 0);
  tape_held(&file, TAPE_MAIN, 250, 250, 0, 0, TNR_TRACE_CALL_REFUSED);
  tape_held(&file, TAPE_MAIN, 900, 900, 0, 0, TNR_TRACE_CALL_REFUSED);   /* tried again */
  tape_held(&file, TAPE_MAIN, 2900, 2900, 0, 1, TNR_TRACE_CALL_REFUSED); /* for another device */
  tape_room(&file, 2500, 0);
  tape_room(&file, 3500, 1);
  put_late(&file);
  struct gaps gaps = closed(&file, "refused");
  assert_gap(&gaps.at[0], 0, 4100,
             TIMES([TRACE_NOTHING] = 1800, [TRACE_LIMIT] = 2250, [TRACE_DISPATCHING] = 20,
                   [TRACE_WAKING] = 30));
}

static void a_worker_that_a_limit_holds_up(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("held_worker"), 1, 0);
  tape_submit(&file, TAPE_MAIN, 100, &one);
  tape_resolve(&file, 200, 1, 0);
  tape_launch(&file, 250, 1, 0);
  tape_held(&file, TAPE_WORKER, 300, 4000, 1, 0, TNR_TRACE_WORKER_HELD);
  tape_run(&file, 4000, 10, 5000, 1, 0, "first");
  tape_complete(&file, 5100, 1, TNR_OK);
  struct gaps gaps = closed(&file, "held_worker");
  assert_gap(&gaps.at[0], 0, 4000,
             TIMES([TRACE_NOTHING] = 100, [TRACE_LIMIT] = 3700, [TRACE_DISPATCHING] = 150,
                   [TRACE_WAKING] = 50));
  assert_int_equal(gaps.at[0].cause, TRACE_LIMIT);
}

static void an_input_of_the_program_is_waited_for_on_the_host(void **state) {
  (void)state;
  const uint32_t inputs[] = {0};
  struct tape_file file = tape_open(folder_path("promise"), 1, 0);
  tape_submit(&file, TAPE_MAIN, 100,
              &(struct tape_op){.number = 1, .name = "x", .inputs = inputs, .input_count = 1});
  tape_resolve(&file, 200, 1, 1);
  tape_launch(&file, 4000, 1, 0);
  tape_run(&file, 4100, 10, 5000, 1, 0, "first");
  tape_complete(&file, 5100, 1, TNR_OK);
  struct gaps gaps = closed(&file, "promise");
  assert_gap(&gaps.at[0], 0, 4100,
             TIMES([TRACE_NOTHING] = 100, [TRACE_HOST] = 3900, [TRACE_WAKING] = 100));
}

static void a_callback_submits_when_another_device_is_done(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("callback"), 2, 0);
  tape_submit(&file, TAPE_MAIN, 100, &one);
  tape_resolve(&file, 200, 1, 0);
  tape_launch(&file, 300, 1, 1);
  tape_run(&file, 400, 10, 2900, 1, 1, "first");
  tape_complete(&file, 3000, 1, TNR_OK);
  tape_submit(&file, TAPE_DISPATCHER, 3400, &(struct tape_op){.number = 2, .name = "second"});
  tape_span(&file, TAPE_DISPATCHER, TNR_TRACE_CALLBACK, 3100, 3500, 1, 0);
  tape_resolve(&file, 3600, 2, 0);
  tape_launch(&file, 3700, 2, 0);
  tape_run(&file, 3900, 10, 5000, 2, 0, "second");
  tape_complete(&file, 5100, 2, TNR_OK);
  struct gaps gaps = closed(&file, "callback");
  assert_gap(&gaps.at[0], 0, 3900,
             TIMES([TRACE_HOST] = 400, [TRACE_OTHER_DEVICE] = 3000, [TRACE_DISPATCHING] = 300,
                   [TRACE_WAKING] = 200));
}

static void a_worker_that_waits_itself_waits_for_the_other_device(void **state) {
  (void)state;
  const uint32_t inputs[] = {1};
  struct tape_file file = tape_open(folder_path("worker"), 2, 0);
  tape_submit(&file, TAPE_MAIN, 100, &one);
  tape_submit(&file, TAPE_MAIN, 200,
              &(struct tape_op){.number = 2, .name = "x", .inputs = inputs, .input_count = 1});
  tape_resolve(&file, 210, 1, 0);
  tape_launch(&file, 220, 1, 1);
  tape_resolve(&file, 230, 2, 0);
  tape_launch(&file, 240, 2, 0);
  tape_run(&file, 400, 10, 2900, 1, 1, "first");
  tape_run(&file, 3000, 10, 3500, 2, 0, "second");
  tape_complete(&file, 3500, 1, TNR_OK);
  tape_complete(&file, 3600, 2, TNR_OK);
  struct gaps gaps = closed(&file, "worker");
  assert_gap(&gaps.at[0], 0, 3000,
             TIMES([TRACE_NOTHING] = 200, [TRACE_OTHER_DEVICE] = 2660, [TRACE_DISPATCHING] = 40,
                   [TRACE_WAKING] = 100));
}

static void a_device_without_runs_is_idle_all_the_time(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("idle"), 2, 0);
  tape_whole(&file, &one, 0, 100, 1000, 2000);
  tape_close(&file, 0, true);
  struct trace_recording recording = tape_read("idle");
  struct gaps gaps = find(&recording, 1);
  assert_int_equal(gaps.count, 1);
  assert_gap(&gaps.at[0], 0, 2010, TIMES([TRACE_NOTHING] = 2010));
  assert_int_equal(gaps.busy, 0);
  trace_recording_finish(&recording);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_diamond_waits_for_the_other_device),
      cmocka_unit_test(a_thread_that_waits_keeps_its_device_waiting),
      cmocka_unit_test(without_a_wait_nothing_was_submitted),
      cmocka_unit_test(a_call_that_a_limit_holds_up),
      cmocka_unit_test(a_call_that_a_limit_refuses_is_held_up_until_there_is_room),
      cmocka_unit_test(a_worker_that_a_limit_holds_up),
      cmocka_unit_test(an_input_of_the_program_is_waited_for_on_the_host),
      cmocka_unit_test(a_callback_submits_when_another_device_is_done),
      cmocka_unit_test(a_worker_that_waits_itself_waits_for_the_other_device),
      cmocka_unit_test(a_device_without_runs_is_idle_all_the_time),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
