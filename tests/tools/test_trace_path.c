#include "../../tools/trace/path.h"

#include <string.h>

#include "check.h"
#include "tape_fixture.h"

/* Both, of a recording of the folder. */
struct found {
  struct trace_recording recording;
  struct trace_hosts hosts;
  struct trace_path path;
  struct trace_gains gains;
};

static struct found find(const char *name) {
  struct found f = {.recording = tape_read(name)};
  tnr_fault fault;
  assert_int_equal(trace_hosts_init(&f.recording, &f.hosts, &fault), TNR_OK);
  assert_int_equal(trace_path_find(&f.recording, &f.hosts, &f.path, &fault), TNR_OK);
  assert_int_equal(trace_gains_find(&f.recording, &f.hosts, &f.path, 8, &f.gains, &fault), TNR_OK);
  return f;
}

static void finish(struct found *f) {
  trace_gains_finish(&f->gains);
  trace_path_finish(&f->path);
  trace_hosts_finish(&f->hosts);
  trace_recording_finish(&f->recording);
}

struct expected {
  enum trace_what what;
  int64_t begin, end;
  uint32_t op; /* its number; 0: any */
};

static void assert_steps(const struct found *f, const struct expected *expected, size_t count) {
  assert_int_equal(f->path.steps.count, count);
  for (size_t i = 0; i < count; i++) {
    const struct trace_step *step = &f->path.steps.at[i];
    if (step->what != expected[i].what || step->begin != expected[i].begin ||
        step->end != expected[i].end)
      fail_msg("step %zu is %s from %ld to %ld", i, trace_what_names[step->what], (long)step->begin,
               (long)step->end);
    if (expected[i].op)
      assert_int_equal(step->op, tape_row(&f->recording, expected[i].op));
  }
}

static const struct trace_gain *gain_of(const struct found *f, const char *name) {
  for (size_t i = 0; i < f->gains.rows.count; i++) {
    const struct trace_gain *gain = &f->gains.rows.at[i];
    const char *called = gain->sort == TRACE_FREE_NAME   ? trace_string(&f->recording, gain->name)
                         : gain->sort == TRACE_FREE_WHAT ? trace_what_names[gain->what]
                                                         : "waits";
    if (strcmp(called, name) == 0)
      return gain;
  }
  fail_msg("there is no gain of %s", name);
  return NULL;
}

static void assert_gain(const struct found *f, const char *name, int64_t time, int64_t gain) {
  const struct trace_gain *found = gain_of(f, name);
  if (found->time != time || found->gain != gain)
    fail_msg("%s takes %ld and would gain %ld, not %ld and %ld", name, (long)found->time,
             (long)found->gain, (long)time, (long)gain);
}

static void of_a_diamond_it_is_the_longer_side(void **state) {
  (void)state;
  tape_diamond("diamond");
  struct found f = find("diamond");
  const struct expected steps[] = {
      {TRACE_BEFORE, 0, 100, 0},       {TRACE_DISPATCH, 100, 700, 1},
      {TRACE_TAKE_UP, 700, 1000, 1},   {TRACE_CREATE, 1000, 1100, 1},
      {TRACE_EXECUTE, 1100, 3000, 1},  {TRACE_DISPATCH, 3000, 3050, 1},
      {TRACE_DISPATCH, 3050, 3200, 3}, {TRACE_TAKE_UP, 3200, 3300, 3},
      {TRACE_CREATE, 3300, 3400, 3},   {TRACE_EXECUTE, 3400, 9000, 3},
      {TRACE_DISPATCH, 9000, 9050, 3}, {TRACE_DISPATCH, 9050, 9100, 4},
      {TRACE_TAKE_UP, 9100, 9200, 4},  {TRACE_CREATE, 9200, 9300, 4},
      {TRACE_EXECUTE, 9300, 10200, 4}, {TRACE_DISPATCH, 10200, 11000, 4},
  };
  assert_steps(&f, steps, sizeof steps / sizeof *steps);
  assert_int_equal(f.path.end, 11000);
  finish(&f);
}

/* Without the longer side the end is decided by the shorter one: 5000 of its 5700 are gained. */
static void what_could_be_gained_is_limited_by_the_rest(void **state) {
  (void)state;
  tape_diamond("diamond");
  struct found f = find("diamond");
  assert_gain(&f, "right", 5700, 5000);
  assert_gain(&f, "source", 2000, 2000);
  assert_gain(&f, "sink", 1000, 1000);
  assert_gain(&f, "dispatcher", 1700, 1700);
  assert_gain(&f, "worker", 500, 500);
  assert_gain(&f, "before", 100, 100);
  assert_gain(&f, "waits", 10600, 0);
  assert_string_equal(trace_string(&f.recording, f.gains.rows.at[0].name), "right");
  finish(&f);
}

static void a_wait_in_the_middle_is_on_it(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("blocked"), 1, 0);
  tape_submit(&file, TAPE_MAIN, 100, &(struct tape_op){.number = 1, .name = "first"});
  tape_span(&file, TAPE_MAIN, TNR_TRACE_WAIT, 500, 2200, 1, TNR_TRACE_FOR_COMPLETE);
  tape_submit(&file, TAPE_MAIN, 5000, &(struct tape_op){.number = 2, .name = "second"});
  tape_resolve(&file, 200, 1, 0);
  tape_launch(&file, 200, 1, 0);
  tape_complete(&file, 2100, 1, TNR_OK);
  tape_resolve(&file, 5050, 2, 0);
  tape_launch(&file, 5100, 2, 0);
  tape_complete(&file, 6100, 2, TNR_OK);
  tape_run(&file, 1000, 0, 2000, 1, 0, "first");
  tape_run(&file, 5200, 0, 6000, 2, 0, "second");
  tape_close(&file, 0, true);
  struct found f = find("blocked");
  const struct expected steps[] = {
      {TRACE_BEFORE, 0, 100, 0},        {TRACE_DISPATCH, 100, 200, 1},
      {TRACE_TAKE_UP, 200, 1000, 1},    {TRACE_EXECUTE, 1000, 2000, 1},
      {TRACE_DISPATCH, 2000, 2100, 1},  {TRACE_THREAD_WAKE, 2100, 2200, 1},
      {TRACE_HOST_CODE, 2200, 5000, 2}, {TRACE_DISPATCH, 5000, 5100, 2},
      {TRACE_TAKE_UP, 5100, 5200, 2},   {TRACE_EXECUTE, 5200, 6000, 2},
      {TRACE_DISPATCH, 6000, 6100, 2},
  };
  assert_steps(&f, steps, sizeof steps / sizeof *steps);
  assert_gain(&f, "host code", 2800, 2900);
  assert_gain(&f, "thread wake", 100, 100);
  assert_gain(&f, "waits", 1700, 1700);
  finish(&f);
}

static void a_full_queue_is_followed_along_the_worker(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("queue"), 1, 0);
  for (uint32_t i = 1; i <= 3; i++)
    tape_submit(&file, TAPE_MAIN, i * 10, &(struct tape_op){.number = i, .name = "op"});
  for (uint32_t i = 1; i <= 3; i++) {
    tape_resolve(&file, 100 + i, i, 0);
    tape_launch(&file, 100 + i, i, 0);
  }
  for (uint32_t i = 1; i <= 3; i++)
    tape_run(&file, i * 1000, 0, i * 1000 + 900, i, 0, "op");
  tape_signal(&file, 3900, 0);
  for (uint32_t i = 1; i <= 3; i++)
    tape_complete(&file, 4000 + i, i, TNR_OK);
  tape_close(&file, 0, true);
  struct found f = find("queue");
  const struct expected steps[] = {
      {TRACE_BEFORE, 0, 10, 0},        {TRACE_DISPATCH, 10, 101, 1},
      {TRACE_TAKE_UP, 101, 1000, 1},   {TRACE_EXECUTE, 1000, 1900, 1},
      {TRACE_TAKE_UP, 1900, 2000, 2},  {TRACE_EXECUTE, 2000, 2900, 2},
      {TRACE_TAKE_UP, 2900, 3000, 3},  {TRACE_EXECUTE, 3000, 3900, 3},
      {TRACE_DISPATCH, 3900, 4003, 3},
  };
  assert_steps(&f, steps, sizeof steps / sizeof *steps);
  assert_gain(&f, "op", 2700, 2700);
  finish(&f);
}

static void limits_callbacks_and_copies_have_their_names(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("several"), 1, 0);
  tape_submit(&file, TAPE_MAIN, 100, &(struct tape_op){.number = 1, .name = "to_device"});
  tape_resolve(&file, 150, 1, 0);
  tape_launch(&file, 200, 1, 0);
  tape_held(&file, TAPE_WORKER, 250, 950, 1, 0, TNR_TRACE_WORKER_HELD);
  tape_move(&file, 1000, 1, 0xffff, 0, 4096);
  tape_begin(&file, 950, 1000, 1, 0);
  tape_end(&file, 2000, 1, 0);
  tape_complete(&file, 2100, 1, TNR_OK);
  tape_submit(&file, TAPE_DISPATCHER, 2500, &(struct tape_op){.number = 2, .name = "second"});
  tape_span(&file, TAPE_DISPATCHER, TNR_TRACE_CALLBACK, 2200, 2600, 1, 0);
  tape_resolve(&file, 2700, 2, 0);
  tape_launch(&file, 2700, 2, 0);
  tape_run(&file, 2800, 0, 3000, 2, 0, "second");
  tape_complete(&file, 3100, 2, TNR_OK);
  tape_close(&file, 0, true);
  struct found f = find("several");
  const struct expected steps[] = {
      {TRACE_BEFORE, 0, 100, 0},          {TRACE_DISPATCH, 100, 200, 1},
      {TRACE_TAKE_UP, 200, 250, 1},       {TRACE_HELD_BACK, 250, 950, 1},
      {TRACE_CREATE, 950, 1000, 1},       {TRACE_COPY, 1000, 2000, 1},
      {TRACE_DISPATCH, 2000, 2100, 1},    {TRACE_DISPATCH, 2100, 2200, 1},
      {TRACE_IN_CALLBACK, 2200, 2500, 2}, {TRACE_DISPATCH, 2500, 2700, 2},
      {TRACE_TAKE_UP, 2700, 2800, 2},     {TRACE_EXECUTE, 2800, 3000, 2},
      {TRACE_DISPATCH, 3000, 3100, 2},
  };
  assert_steps(&f, steps, sizeof steps / sizeof *steps);
  assert_gain(&f, "a limit", 700, 700);
  assert_gain(&f, "to_device", 1050, 1050);
  finish(&f);
}

static void a_call_that_a_limit_holds_up(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("held_call"), 1, 0);
  tape_held(&file, TAPE_MAIN, 200, 900, 1, 0, TNR_TRACE_CALL_HELD);
  tape_whole(&file, &(struct tape_op){.number = 1, .name = "first"}, 0, 950, 1000, 2000);
  tape_close(&file, 0, true);
  struct found f = find("held_call");
  const struct expected steps[] = {
      {TRACE_BEFORE, 0, 200, 0},      {TRACE_HELD_BACK, 200, 900, 1},
      {TRACE_HOST_CODE, 900, 950, 1}, {TRACE_DISPATCH, 950, 970, 1},
      {TRACE_TAKE_UP, 970, 1000, 1},  {TRACE_CREATE, 1000, 1010, 1},
      {TRACE_EXECUTE, 1010, 2000, 1}, {TRACE_DISPATCH, 2000, 2010, 1},
  };
  assert_steps(&f, steps, sizeof steps / sizeof *steps);
  assert_gain(&f, "a limit", 700, 700);
  finish(&f);
}

static void an_empty_recording_has_none(void **state) {
  (void)state;
  struct tape_file file = tape_open(folder_path("empty"), 1, 0);
  tape_close(&file, 0, true);
  struct found f = find("empty");
  assert_int_equal(f.path.steps.count, 0);
  assert_int_equal(f.gains.rows.count, 0);
  finish(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(of_a_diamond_it_is_the_longer_side),
      cmocka_unit_test(what_could_be_gained_is_limited_by_the_rest),
      cmocka_unit_test(a_wait_in_the_middle_is_on_it),
      cmocka_unit_test(a_full_queue_is_followed_along_the_worker),
      cmocka_unit_test(limits_callbacks_and_copies_have_their_names),
      cmocka_unit_test(a_call_that_a_limit_holds_up),
      cmocka_unit_test(an_empty_recording_has_none),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
