/* Deadlines, priorities and cancelling without threads: on the virtual clock to the nanosecond, in
 * every order, and with real time while nobody but the program works. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenor/dump.h>

#include "rig.h"

enum { MS = 1000000, OPS = 24 };

/* ---- a runtime, and what happened in it ---- */

typedef struct record {
  tnr_runtime *runtime;
  tnr_timeline_entry entries[4096];
  int count;
  char *text;
  size_t bytes;
} record;

static void keep(const tnr_timeline_entry *entry, void *user) {
  record *to = user;
  char line[256];
  int length = tnr_timeline_format(entry, line, sizeof line);
  to->text = realloc(to->text, to->bytes + (size_t)length + 1);
  if (!to->text || length >= (int)sizeof line)
    abort();
  memcpy(to->text + to->bytes, line, (size_t)length + 1);
  to->bytes += (size_t)length;
  if (to->count < 4096)
    to->entries[to->count++] = *entry;
}

/* One sim, on which each op takes 5 ms, and two cpus. */
static record *begin(tnr_mode mode, uint64_t seed) {
  static const tnr_sim_config slow = {.launch_ns = 5 * MS};
  const tnr_device_config devices[] = {{tnr_sim_driver(), 1, &slow}, {tnr_cpu_driver(), 2, NULL}};
  bool virtual_time = mode == TNR_DETERMINISTIC;
  record *r = calloc(1, sizeof *r);
  r->runtime = tnr_runtime_create(&(tnr_runtime_options){.devices = devices,
                                                         .device_configs = 2,
                                                         .mode = mode,
                                                         .seed = seed,
                                                         .timeline = virtual_time ? keep : NULL,
                                                         .timeline_user = r});
  assert_made(r->runtime);
  assert_ok(tnr_scope_open());
  return r;
}

/* The timeline's text, to be freed. */
static char *end(record *r) {
  char *text = r->text;
  assert_ok(tnr_scope_close());
  assert_nothing_left(r->runtime);
  free(r);
  return text;
}

static tnr_future *zeros_on(const record *r, const char *device) {
  tnr_device *where = tnr_runtime_device(r->runtime, device);
  tnr_future *zeros = tnr_to_async(tnr_tensor_create(where, TNR_F32, TNR_SHAPE(4), NULL));
  assert_ok(tnr_wait(zeros, TNR_COMPLETE, INT64_MAX));
  return zeros;
}

/* When the op that the site's line numbers passed this; -1: never. */
static int64_t when(const record *r, tnr_timeline_kind kind, int line) {
  for (int i = 0; i < r->count; i++)
    if (r->entries[i].kind == kind && r->entries[i].site.line == line)
      return r->entries[i].at;
  return -1;
}

/* An op with a line of its own, under terms. */
static tnr_value op_under(tnr_value x, int line, tnr_terms terms) {
  assert_ok(tnr_terms_open_with(&terms));
  tnr_value made = tnr_call(&rig_plus_one_op, (tnr_site){"a.c", line}, &x, 1, NULL);
  assert_ok(tnr_terms_close());
  assert_made(made.handle);
  return made;
}

/* ---- virtual time ---- */

static void ops_fail_at_their_deadline_to_the_nanosecond(void **state) {
  (void)state;
  record *r = begin(TNR_DETERMINISTIC, 0);
  tnr_value x = TNR_VALUE(zeros_on(r, "sim:0")), made[10];
  int64_t start = tnr_runtime_now(r->runtime);
  for (int i = 0; i < 10; i++)
    made[i] = op_under(x, 1 + i, (tnr_terms){.timeout_ns = 22 * MS});
  assert_fails(tnr_wait(made[9], TNR_COMPLETE, INT64_MAX), TNR_ETIMEDOUT);
  assert_int_equal(tnr_runtime_now(r->runtime) - start, 22 * MS);
  assert_ok(tnr_wait(made[4], TNR_COMPLETE, INT64_MAX)); /* began at 20 ms */
  assert_int_equal(tnr_runtime_now(r->runtime) - start, 25 * MS);
  for (int i = 0; i < 10; i++) {
    assert_int_equal(when(r, TNR_TIMELINE_COMPLETE, 1 + i) - start,
                     i < 5 ? (i + 1) * 5 * MS : 22 * MS);
    assert_int_equal(when(r, TNR_TIMELINE_START, 1 + i) >= 0, i < 5);
  }
  free(end(r));
}

static void what_begins_at_its_very_deadline_is_in_time(void **state) {
  (void)state;
  record *r = begin(TNR_DETERMINISTIC, 0);
  tnr_value x = TNR_VALUE(zeros_on(r, "sim:0")), made[3];
  for (int i = 0; i < 3; i++)
    made[i] = op_under(x, 1 + i, (tnr_terms){.timeout_ns = 5 * MS});
  assert_ok(tnr_wait(made[1], TNR_COMPLETE, INT64_MAX));
  assert_fails(tnr_wait(made[2], TNR_COMPLETE, INT64_MAX), TNR_ETIMEDOUT);
  free(end(r));
}

/* Who waits until then hears of it. */
static void a_wait_as_long_as_the_deadline_is_long_enough(void **state) {
  (void)state;
  record *r = begin(TNR_DETERMINISTIC, 0);
  tnr_promise *never = tnr_promise_create(r->runtime);
  tnr_value x = TNR_VALUE(tnr_promise_future(never));
  tnr_value f = op_under(x, 1, (tnr_terms){.timeout_ns = 7});
  assert_fails(tnr_wait(f, TNR_COMPLETE, 7), TNR_ETIMEDOUT);
  assert_non_null(tnr_future_error(f));
  free(end(r));
}

/* Nothing else would ever happen. */
static void time_passes_up_to_a_deadline(void **state) {
  (void)state;
  record *r = begin(TNR_DETERMINISTIC, 0);
  tnr_promise *never = tnr_promise_create(r->runtime);
  tnr_group *group = tnr_group_create(r->runtime, .timeout_ns = 3600000000000); /* an hour */
  tnr_value x = TNR_VALUE(tnr_promise_future(never));
  tnr_value soon = op_under(x, 1, (tnr_terms){.timeout_ns = 7});
  tnr_value late = op_under(x, 2, (tnr_terms){.group = group});
  assert_fails(tnr_wait(late, TNR_COMPLETE, INT64_MAX), TNR_ETIMEDOUT);
  assert_true(tnr_runtime_now(r->runtime) == 3600000000000);
  assert_int_equal(when(r, TNR_TIMELINE_COMPLETE, 1), 7);
  assert_fails(tnr_wait(soon, TNR_COMPLETE, 0), TNR_ETIMEDOUT);
  assert_ok(tnr_group_wait(group, INT64_MAX));
  assert_string_equal(tnr_error_reason(tnr_future_error(late)),
                      "had not started when the 3.6e+06 ms of its group were over");
  free(end(r));
}

static void a_composites_time_is_over_before_its_body_runs(void **state) {
  (void)state;
  record *r = begin(TNR_DETERMINISTIC, 0);
  tnr_promise *never = tnr_promise_create(r->runtime);
  tnr_future *x = tnr_promise_future(never);
  assert_ok(tnr_terms_open(.timeout_ns = 9 * MS));
  tnr_future *f = tnr_attention(x, x, x);
  assert_ok(tnr_terms_close());
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_ETIMEDOUT);
  assert_int_equal(tnr_runtime_now(r->runtime), 9 * MS);
  free(end(r));
}

static void high_ones_overtake_and_low_ones_do_not_starve(void **state) {
  (void)state;
  enum { PASSED_OVER = 16 };
  record *r = begin(TNR_DETERMINISTIC, 0);
  tnr_value x = TNR_VALUE(zeros_on(r, "sim:0")), last = x;
  int64_t start = tnr_runtime_now(r->runtime);
  last = op_under(x, 1, (tnr_terms){.priority = TNR_PRIORITY_LOW});
  for (int i = 0; i < OPS; i++)
    last = op_under(x, 2 + i, (tnr_terms){.priority = TNR_PRIORITY_HIGH});
  assert_ok(tnr_wait(last, TNR_COMPLETE, INT64_MAX));
  assert_int_equal(when(r, TNR_TIMELINE_START, 1) - start, PASSED_OVER * 5 * MS);
  for (int i = 0; i < OPS; i++)
    assert_int_equal(when(r, TNR_TIMELINE_START, 2 + i) - start, (i + (i >= PASSED_OVER)) * 5 * MS);
  free(end(r));
}

/* ---- orders ---- */

/* Much under terms, some of it cancelled, some too late. What nobody cancelled and had no deadline
 * has its right number. */
static void program(record *r) {
  tnr_group *group = tnr_group_create(r->runtime, .timeout_ns = 40 * MS),
            *gone = tnr_group_create(r->runtime);
  tnr_future *x = zeros_on(r, "sim:0"), *y = zeros_on(r, "cpu:0"), *made[OPS];
  for (int i = 0; i < OPS; i++) {
    tnr_future *from = i < 3 || i % 5 == 0 ? x : made[i - 3];
    assert_ok(tnr_terms_open(.group = i % 4 == 1   ? group
                                      : i % 4 == 3 ? gone
                                                   : NULL,
                             .priority = (tnr_priority)(i % 4)));
    made[i] = i % 7 == 6 ? rig_plus_one(tnr_to_device(y, tnr_runtime_device(r->runtime, "sim:0")))
                         : rig_plus_one(from);
    assert_ok(tnr_terms_close());
    assert_made(made[i]);
  }
  assert_ok(tnr_cancel(made[8]));
  assert_ok(tnr_group_cancel(gone));
  for (int i = 0; i < OPS; i++) {
    tnr_status status = tnr_wait(made[i], TNR_COMPLETE, INT64_MAX);
    assert_true(status == TNR_OK || status == TNR_ECANCELED || status == TNR_ETIMEDOUT);
    assert_true(status == TNR_ECANCELED || i != 8);
  }
  assert_number(made[2], 1);
  assert_number(made[0], 1);
  tnr_group_stats stats = tnr_group_get_stats(gone);
  assert_int_equal(stats.submitted, stats.completed + stats.canceled + stats.failed);
}

static void every_order_is_right_and_can_be_had_again(void **state) {
  (void)state;
  char *natural = NULL;
  int other = 0;
  for (uint64_t seed = 0; seed < (CHECK_SANITIZED ? 60 : 400); seed++) {
    record *once = begin(TNR_DETERMINISTIC, seed), *again = begin(TNR_DETERMINISTIC, seed);
    program(once);
    program(again);
    char *second = end(again), *first = end(once);
    assert_string_equal(first, second);
    free(second);
    if (!natural)
      natural = strdup(first);
    other += strcmp(first, natural) != 0;
    free(first);
  }
  free(natural);
  assert_true(other > 40);
}

/* ---- real time, one thread ---- */

static void a_wait_ends_with_the_deadline_of_what_it_waits_for(void **state) {
  (void)state;
  record *r = begin(TNR_ONE_THREAD, 0);
  tnr_promise *never = tnr_promise_create(r->runtime);
  int64_t start = rig_now_ns();
  tnr_value f =
      op_under(TNR_VALUE(tnr_promise_future(never)), 1, (tnr_terms){.timeout_ns = 30 * MS});
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_ETIMEDOUT);
  assert_true(rig_now_ns() - start >= 30 * MS);
  assert_true(rig_now_ns() - start < 5000 * (int64_t)MS);
  free(end(r));
}

static void count(tnr_value future, void *user) {
  *(int *)user += tnr_error_code(tnr_future_error(future)) == TNR_ETIMEDOUT;
}

/* The program does nothing but look at the mailbox's descriptor. */
static void a_deadline_makes_the_mailbox_readable(void **state) {
  (void)state;
  record *r = begin(TNR_ONE_THREAD, 0);
  tnr_mailbox *box = tnr_mailbox_create(r->runtime);
  tnr_promise *never = tnr_promise_create(r->runtime);
  int64_t start = rig_now_ns();
  int called = 0;
  tnr_value f =
      op_under(TNR_VALUE(tnr_promise_future(never)), 1, (tnr_terms){.timeout_ns = 30 * MS});
  assert_ok(tnr_on(f, TNR_COMPLETE, count, &called, .mailbox = box));
  struct pollfd fd = {.fd = tnr_mailbox_fd(box), .events = POLLIN};
  int polls = 0;
  for (; called == 0 && polls < 50; polls++) {
    assert_int_equal(poll(&fd, 1, 20000), 1);
    assert_true(tnr_mailbox_dispatch(box) >= 0);
  }
  assert_int_equal(called, 1);
  assert_true(rig_now_ns() - start >= 30 * MS);
  assert_true(polls < 10); /* it does not turn for nothing meanwhile */
  assert_int_equal(poll(&fd, 1, 0), 0);
  assert_ok(tnr_mailbox_destroy(box));
  free(end(r));
}

static void take_line(const char *line, void *user) {
  char *text = user;
  size_t used = strlen(text);
  snprintf(text + used, 4096 - used, "%s\n", line);
}

static void a_dump_runs_nothing(void **state) {
  static const tnr_mode modes[] = {TNR_ONE_THREAD, TNR_DETERMINISTIC};
  (void)state;
  for (int i = 0; i < 2; i++) {
    record *r = begin(modes[i], 0);
    tnr_value f = op_under(TNR_VALUE(zeros_on(r, "cpu:0")), 1,
                           (tnr_terms){.timeout_ns = 60000 * (int64_t)MS});
    int64_t now = tnr_runtime_now(r->runtime);
    uint64_t completed = tnr_runtime_get_stats(r->runtime).completed;
    char text[4096] = "";
    assert_ok(tnr_runtime_dump(r->runtime, take_line, text));
    assert_non_null(
        strstr(text, "1 op and 0 other futures in flight\nrig_plus_one f32 [4]: ready; "));
    assert_non_null(strstr(text, "(a.c:1)"));
    assert_int_equal(tnr_runtime_get_stats(r->runtime).completed, completed);
    assert_true(modes[i] == TNR_ONE_THREAD || tnr_runtime_now(r->runtime) == now);
    assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
    free(end(r));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(ops_fail_at_their_deadline_to_the_nanosecond),
      rig_bare_test(what_begins_at_its_very_deadline_is_in_time),
      rig_bare_test(a_wait_as_long_as_the_deadline_is_long_enough),
      rig_bare_test(time_passes_up_to_a_deadline),
      rig_bare_test(a_composites_time_is_over_before_its_body_runs),
      rig_bare_test(high_ones_overtake_and_low_ones_do_not_starve),
      rig_bare_test(every_order_is_right_and_can_be_had_again),
      rig_bare_test(a_wait_ends_with_the_deadline_of_what_it_waits_for),
      rig_bare_test(a_deadline_makes_the_mailbox_readable),
      rig_bare_test(a_dump_runs_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
