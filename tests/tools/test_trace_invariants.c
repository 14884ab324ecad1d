#include "../../tools/trace/invariants.h"

#include <string.h>

#include "check.h"
#include "tape_fixture.h"

/* What is found, of which only the last stays. */
struct seen {
  struct trace_violation last;
  uint64_t count;
};

static void take(const struct trace_violation *violation, void *user) {
  struct seen *seen = user;
  seen->last = *violation;
  seen->count++;
}

static struct trace_checked check(const char *name, int64_t slack, struct seen *seen) {
  struct trace_recording recording = tape_read(name);
  struct trace_checked checked;
  tnr_fault fault;
  *seen = (struct seen){0};
  assert_int_equal(trace_check(&recording, slack, take, seen, &checked, &fault), TNR_OK);
  trace_recording_finish(&recording);
  return checked;
}

/* Exactly these violations of this rule, and none of another; so says the last of them. */
static void assert_violated(const char *name, enum trace_rule rule, uint64_t times,
                            const char *what) {
  struct seen seen;
  struct trace_checked checked = check(name, 0, &seen);
  for (int i = 0; i < TRACE_RULES; i++)
    if (checked.counts[i] != (i == (int)rule ? times : 0))
      fail_msg("%s: '%s' was violated %lu times", name, trace_rule_names[i],
               (unsigned long)checked.counts[i]);
  if (times > 0 && strcmp(seen.last.what, what) != 0)
    fail_msg("%s: '%s', not '%s'", name, seen.last.what, what);
}

static void assert_holds(const char *name) {
  assert_violated(name, TRACE_RULE_JOURNEY, 0, "");
}

/* When an op is where; NEVER: not at all. */
struct journey {
  uint64_t submitted, resolved, launched, began, created, ended, completed;
};
#define NEVER UINT64_MAX

static const struct journey usual = {100, 200, 300, 400, 450, 800, 900};

static void put_journey(struct tape_file *file, const struct tape_op *op, struct journey at,
                        unsigned status) {
  if (at.submitted != NEVER)
    tape_submit(file, TAPE_MAIN, at.submitted, op);
  if (at.resolved != NEVER)
    tape_resolve(file, at.resolved, op->number, 0);
  if (at.launched != NEVER)
    tape_launch(file, at.launched, op->number, 0);
  if (at.ended != NEVER)
    tape_run(file, at.began, at.created - at.began, at.ended, op->number, 0, op->name);
  if (at.completed != NEVER)
    tape_complete(file, at.completed, op->number, status);
}

static const struct tape_op op_1 = {.number = 1, .name = "first"};

static void write_one(const char *name, struct journey at, bool drained) {
  struct tape_file file = tape_open(folder_path(name), 1, 0);
  put_journey(&file, &op_1, at, TNR_OK);
  tape_close(&file, 0, drained);
}

static void what_is_right_is_right(void **state) {
  (void)state;
  tape_diamond("diamond");
  assert_holds("diamond");
  write_one("usual", usual, true);
  assert_holds("usual");
}

/* The dispatcher's tape has its own order, so that only moments of other threads can contradict. */
static void journeys_out_of_order_are_found(void **state) {
  (void)state;
  struct journey at = usual;
  at.submitted = 250;
  write_one("journey", at, true);
  assert_violated("journey", TRACE_RULE_JOURNEY, 1, "was resolved before it was submitted");
  at = usual;
  at.began = 290;
  write_one("journey", at, true);
  assert_violated("journey", TRACE_RULE_JOURNEY, 1, "began before it was launched");
  at = usual;
  at.submitted = NEVER;
  write_one("journey", at, true);
  assert_violated("journey", TRACE_RULE_JOURNEY, 1, "was never submitted");
}

static void completion_before_its_time_is_found(void **state) {
  (void)state;
  struct journey at = usual;
  at.ended = 950;
  write_one("early", at, true);
  assert_violated("early", TRACE_RULE_CREATED, 1, "was complete before its run ended");
  at.created = 920;
  write_one("early", at, true);
  assert_violated("early", TRACE_RULE_CREATED, 2, "was complete before its run ended");
  struct tape_file file = tape_open(folder_path("early"), 1, 0);
  tape_submit(&file, TAPE_MAIN, 100, &op_1);
  tape_launch(&file, 200, 1, 0);
  tape_begin(&file, 300, 400, 1, 0);
  tape_complete(&file, 900, 1, TNR_OK);
  tape_close(&file, 0, true);
  assert_violated("early", TRACE_RULE_CREATED, 1, "was complete, and its run never ended");
}

/* Who cancels an op does not wait for it. */
static void what_is_given_up_may_end_later(void **state) {
  (void)state;
  struct journey at = usual;
  at.ended = 950;
  struct tape_file file = tape_open(folder_path("given_up"), 1, 0);
  put_journey(&file, &op_1, at, TNR_ECANCELED);
  tape_submit(&file, TAPE_MAIN, 990, &(struct tape_op){.number = 2, .name = "never ran"});
  tape_complete(&file, 1000, 2, TNR_ETIMEDOUT);
  tape_close(&file, 0, true);
  assert_holds("given_up");
}

static void slack_lets_small_contradictions_pass(void **state) {
  (void)state;
  struct seen seen;
  struct journey at = usual;
  at.ended = 950;
  write_one("slack", at, true);
  assert_int_equal(check("slack", 49, &seen).counts[TRACE_RULE_CREATED], 1);
  assert_int_equal(check("slack", 50, &seen).counts[TRACE_RULE_CREATED], 0);
}

static void ends_are_counted(void **state) {
  (void)state;
  struct seen seen;
  struct journey at = usual;
  at.completed = NEVER;
  write_one("endless", at, true);
  assert_violated("endless", TRACE_RULE_ENDS, 1,
                  "never ended, though the runtime had ended everything");
  write_one("endless", at, false);
  assert_holds("endless");
  assert_int_equal(check("endless", 0, &seen).unfinished, 1);
  struct tape_file file = tape_open(folder_path("twice"), 1, 0);
  put_journey(&file, &op_1, usual, TNR_OK);
  tape_complete(&file, 950, 1, TNR_OK);
  tape_close(&file, 0, true);
  assert_violated("twice", TRACE_RULE_ENDS, 1, "ended twice");
}

static void what_happens_twice_is_found(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    static const char *const what[] = {"was submitted twice", "was launched twice", "ran twice"};
    struct tape_file file = tape_open(folder_path("again"), 1, 0);
    tape_submit(&file, TAPE_MAIN, 100, &op_1);
    if (i == 0)
      tape_submit(&file, TAPE_MAIN, 110, &op_1);
    tape_resolve(&file, 200, 1, 0);
    tape_launch(&file, 300, 1, 0);
    if (i == 1)
      tape_launch(&file, 310, 1, 0);
    tape_run(&file, 400, 10, 500, 1, 0, "first");
    if (i == 2)
      tape_run(&file, 500, 10, 600, 1, 0, "first");
    tape_complete(&file, 900, 1, TNR_OK);
    tape_close(&file, 0, true);
    assert_violated("again", TRACE_RULE_RUNS, 1, what[i]);
  }
}

/* A pair, of which the second has the first as input, at `created` of its own. */
static void write_pair(const char *name, uint64_t created, unsigned first, unsigned second,
                       uint8_t priority, bool reversed) {
  const uint32_t inputs[] = {1};
  const struct tape_op op_2 = {
      .number = 2, .name = "second", .inputs = inputs, .input_count = 1, .priority = priority};
  struct tape_file file = tape_open(folder_path(name), 2, 0);
  tape_submit(&file, TAPE_MAIN, 100, &op_1);
  tape_submit(&file, TAPE_MAIN, 110, &op_2);
  tape_resolve(&file, 200, 1, 0);
  tape_resolve(&file, 200, 2, 1);
  tape_launch(&file, 300, reversed ? 2 : 1, 0);
  tape_launch(&file, 310, reversed ? 1 : 2, reversed ? 0 : 1);
  tape_run(&file, 400, 10, 800, 1, 0, "first");
  tape_run(&file, created > 820 ? 820 : created, created > 820 ? created - 820 : 0, 1000, 2,
           reversed ? 0 : 1, "second");
  tape_complete(&file, 1010, 1, first);
  tape_complete(&file, 1010, 2, second);
  tape_close(&file, 0, true);
}

static void nothing_runs_before_its_inputs(void **state) {
  (void)state;
  write_pair("inputs", 830, TNR_OK, TNR_OK, 0, false);
  assert_holds("inputs");
  write_pair("inputs", 790, TNR_OK, TNR_OK, 0, false);
  assert_violated("inputs", TRACE_RULE_INPUTS, 1, "ran before its input was there");
}

static void queues_keep_their_order(void **state) {
  (void)state;
  write_pair("queue", 830, TNR_OK, TNR_OK, 0, true);
  assert_violated("queue", TRACE_RULE_QUEUE, 1, "overtook another op in its device's queue");
  write_pair("queue", 830, TNR_OK, TNR_OK, 1, true); /* another priority has another order */
  assert_holds("queue");
}

static void failures_are_passed_on(void **state) {
  (void)state;
  write_pair("failure", 830, TNR_EKERNEL, TNR_EKERNEL, 0, false);
  assert_holds("failure");
  write_pair("failure", 830, TNR_EKERNEL, TNR_OK, 0, false);
  assert_violated("failure", TRACE_RULE_FAILURE, 1, "ended well, though an input of it failed");
  struct tape_file file = tape_open(folder_path("failure"), 1, 0);
  tape_submit(&file, TAPE_MAIN, 100, &op_1);
  tape_error(&file, 200, 1, TNR_EKERNEL, "no");
  tape_complete(&file, 300, 1, TNR_OK);
  tape_close(&file, 0, true);
  assert_violated("failure", TRACE_RULE_FAILURE, 1, "failed, and ended as if it had not");
}

static void records_are_counted(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("records"), 1, 0);
  put_journey(&file, &op_1, usual, TNR_OK);
  file.records += 3; /* it will say so */
  tape_close(&file, 0, true);
  assert_violated("records", TRACE_RULE_RECORDS, 1,
                  "records are neither there nor counted as lost");
}

/* Without the records that were lost nothing can be said of what is not there. */
static void what_is_missing_from_a_partial_recording_is_no_violation(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    struct journey at = usual;
    struct tape_file file = tape_open(folder_path("partial"), 1, i == 2 ? TNR_TRACE_FLIGHT : 0);
    at.submitted = at.completed = NEVER;
    put_journey(&file, &op_1, at, TNR_OK);
    if (i == 1)
      tape_cut(&file);
    else
      tape_close(&file, i == 0 ? 2 : 0, true);
    assert_holds("partial");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_right_is_right),
      cmocka_unit_test(journeys_out_of_order_are_found),
      cmocka_unit_test(completion_before_its_time_is_found),
      cmocka_unit_test(what_is_given_up_may_end_later),
      cmocka_unit_test(slack_lets_small_contradictions_pass),
      cmocka_unit_test(ends_are_counted),
      cmocka_unit_test(what_happens_twice_is_found),
      cmocka_unit_test(nothing_runs_before_its_inputs),
      cmocka_unit_test(queues_keep_their_order),
      cmocka_unit_test(failures_are_passed_on),
      cmocka_unit_test(records_are_counted),
      cmocka_unit_test(what_is_missing_from_a_partial_recording_is_no_violation),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
