/* What a stuck graph says of itself, and that saying it disturbs nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenor/dump.h>

#include "rig.h"

enum { LINES_MAX = 4000, LINE_MAX = 400 };

typedef struct dump {
  int count;
  char lines[LINES_MAX][LINE_MAX];
} dump;

static dump last;

static void take_line(const char *line, void *user) {
  dump *into = user;
  if (into->count < LINES_MAX)
    snprintf(into->lines[into->count++], LINE_MAX, "%s", line);
}

static void take_dump(tnr_runtime *runtime) {
  last.count = 0;
  assert_ok(tnr_runtime_dump(runtime, take_line, &last));
  assert_in_range(last.count, 1, LINES_MAX);
}

static void fail_with_lines(const char *what) {
  for (int i = 0; i < last.count; i++)
    print_error("%s\n", last.lines[i]);
  fail_msg("there should be a line: %s", what);
}

/* A line that begins and ends so; ages are cut out. Returns its number. */
static int line_of(const char *begin, const char *end) {
  for (int i = 0; i < last.count; i++) {
    const char *line = last.lines[i];
    size_t length = strlen(line);
    if (strncmp(line, begin, strlen(begin)) == 0 && length >= strlen(end) &&
        strcmp(line + length - strlen(end), end) == 0)
      return i;
  }
  fail_with_lines(begin);
  return -1;
}

static const char *here(int line) {
  static char text[4][300];
  static int next;
  char *out = text[next = (next + 1) % 4];
  snprintf(out, sizeof text[0], "(%s:%d)", __FILE__, line);
  return out;
}

static const char *with(const char *format, const char *a, const char *b) {
  static char text[4][LINE_MAX];
  static int next;
  char *out = text[next = (next + 1) % 4];
  snprintf(out, sizeof text[0], format, a, b);
  return out;
}

static void a_stuck_graph_explains_itself(void **state) {
  check_needs_threads();
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future *held = rig_hold(x);
  int held_line = __LINE__ - 1;
  tnr_future *queued = rig_plus_one(held);
  int queued_line = __LINE__ - 1;
  tnr_future *moved = tnr_to_device(queued, rig_cpu(*state, 1));
  int moved_line = __LINE__ - 1;
  tnr_future *sum = rig_sum(moved, tnr_to_device(held, rig_cpu(*state, 1)));
  int sum_line = __LINE__ - 1;
  rig_await_held(1);
  take_dump(*state);
  assert_string_equal(last.lines[0], "5 ops and 0 other futures in flight");
  int a = line_of("rig_hold f32 [4]: running on cpu:0; submitted 0.", here(held_line));
  int b = line_of("rig_plus_one f32 [4]: queued on cpu:0; submitted 0.", here(queued_line));
  int c = line_of(with("to_device not known yet: waiting for rig_plus_one %s; submitted ",
                       here(queued_line), ""),
                  here(moved_line));
  int d =
      line_of(with("rig_sum not known yet, not known yet: waiting for to_device %s and to_device "
                   "%s; submitted ",
                   here(moved_line), here(sum_line)),
              here(sum_line));
  (void)sum;
  assert_true(a < b && b < c && c < d);
  assert_int_equal(last.count, 6);
  rig_open_gate();
  assert_number(sum, 3);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 1)));
  take_dump(*state);
  assert_string_equal(last.lines[0], "0 ops and 0 other futures in flight");
  assert_int_equal(last.count, 1);
}

static void it_tells_which_promises_are_open(void **state) {
  check_needs_threads();
  tnr_promise *p = tnr_promise_create(*state);
  int promise_line = __LINE__ - 1;
  tnr_future *f = rig_plus_one(tnr_promise_future(p));
  int line = __LINE__ - 1;
  take_dump(*state);
  assert_string_equal(last.lines[0], "1 op and 1 other future in flight");
  line_of(with("rig_plus_one not known yet: waiting for promise %s; submitted ", here(promise_line),
               ""),
          here(line));
  line_of("promise: not complete yet", here(promise_line));
  assert_ok(tnr_promise_fulfil(p, rig_hold(rig_tensor(rig_cpu(*state, 0), 1))));
  take_dump(*state);
  line_of("promise: not complete yet", here(promise_line));
  rig_open_gate();
  assert_number(f, 2);
}

static void it_tells_how_long_ago(void **state) {
  check_needs_threads();
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  rig_await_held(1);
  assert_made(held);
  rig_sleep_ms(60);
  take_dump(*state);
  const char *age = strstr(last.lines[1], "submitted ");
  assert_non_null(age);
  double seconds = atof(age + strlen("submitted "));
  assert_true(seconds >= 0.05 && seconds < 10);
}

static void it_tells_terms(void **state) {
  check_needs_threads();
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  tnr_group *group = tnr_group_create(*state, .name = "request 7", .timeout_ns = 45000000000);
  assert_ok(tnr_terms_open(.group = group, .priority = TNR_PRIORITY_HIGH));
  tnr_future *f = rig_plus_one(held);
  assert_ok(tnr_terms_close());
  assert_made(f);
  rig_await_held(1);
  take_dump(*state);
  int line = line_of("rig_plus_one f32 [4]: waiting for rig_hold", " s");
  assert_non_null(strstr(last.lines[line], ", high priority, group 'request 7', deadline in 4"));
}

static tnr_value body(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_plus_one(in[0]);
}

static const tnr_composite_def deferred_def = {
    .name = "deferred", .needs_shapes = true, .body = body};
static const tnr_composite_def plain_def = {.name = "plain", .body = body};

/* Composites, choices, elements, tuples, meshes: what ops may wait for. */
static void it_names_other_futures(void **state) {
  check_needs_threads();
  tnr_runtime *runtime = *state;
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
  tnr_future *moved = tnr_to_device(held, rig_cpu(runtime, 1));
  tnr_future *composite = TNR_COMPOSITE1(&deferred_def, moved, tnr_no_attrs, );
  int composite_line = __LINE__ - 1;
  tnr_future *any = tnr_any(&moved, 1, TNR_HERE);
  int any_line = __LINE__ - 1;
  assert_made(rig_sum(composite, any));
  assert_made(rig_plus_one(tnr_at(rig_two(moved), 0)));
  assert_made(TNR_COMPOSITE1(&plain_def, moved, tnr_no_attrs, ));
  rig_await_held(1);
  take_dump(runtime);
  assert_string_equal(last.lines[0], "6 ops and 2 other futures in flight");
  (void)line_of(with("rig_sum not known yet, not known yet: waiting for deferred %s and any %s; ",
                     here(composite_line), here(any_line)),
                ")");
  (void)line_of("deferred: not complete yet", here(composite_line));
  (void)line_of("any: not complete yet", here(any_line));
  (void)line_of("rig_plus_one not known yet: waiting for rig_two (", ")");
  (void)line_of("plain/rig_plus_one not known yet: waiting for to_device (", ")");
}

static void it_names_meshes(void **state) {
  check_needs_threads();
  const tnr_mesh *mesh = rig_cpus(*state, 3);
  tnr_tensor *x = tnr_replicate(rig_tensor(rig_cpu(*state, 0), 1), mesh);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_made(rig_hold(tnr_to_async(x)));
  rig_await_held(3);
  take_dump(*state);
  assert_string_equal(last.lines[0], "1 op and 0 other futures in flight");
  (void)line_of("rig_hold f32 [4]: running on cpu:0 and 2 more; submitted ", ")");
}

/* A wide and deep graph behind one op: everything is found, once. */
static void it_finds_everything(void **state) {
  check_needs_threads();
  enum { OPS = 3000 };
  static tnr_future *f[OPS];
  unsigned seed = 3;
  f[0] = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  int ops = 1;
  for (int i = 1; i < OPS; i++) {
    tnr_future *a = f[rand_r(&seed) % (unsigned)i], *b = f[rand_r(&seed) % (unsigned)i];
    tnr_device *device = rig_cpu(*state, rand_r(&seed) % 4);
    tnr_future *there = tnr_to_device(a, device), *also = tnr_to_device(b, device);
    ops += (there != a) + (also != b) + 1;
    f[i] = rig_sum(there, also);
    assert_made(f[i]);
    if (ops > OPS)
      break;
  }
  rig_await_held(1);
  take_dump(*state);
  char expected[64];
  snprintf(expected, sizeof expected, "%d ops and 0 other futures in flight", ops);
  assert_string_equal(last.lines[0], expected);
  assert_int_equal(last.count, ops + 1);
  take_dump(*state); /* and again */
  assert_string_equal(last.lines[0], expected);
}

static void what_ended_early_is_told_while_a_worker_has_it(void **state) {
  check_needs_threads();
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  rig_await_held(1);
  assert_ok(tnr_cancel(held));
  assert_int_equal(tnr_wait(held, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  take_dump(*state);
  (void)line_of("rig_hold f32 [4]: failed early, still in a queue; submitted ", ")");
}

/* ---- at any time ---- */

static atomic_bool stops;

static void dump_for_ever(void *user, int index) {
  static dump into[2];
  while (!atomic_load(&stops)) {
    into[index].count = 0;
    if (tnr_runtime_dump(user, take_line, &into[index]) != TNR_OK)
      abort();
    rig_sleep_ms(1);
  }
}

static void *dump_on_thread(void *runtime) {
  rig_threads(2, dump_for_ever, runtime);
  return NULL;
}

static void it_disturbs_nothing(void **state) {
  pthread_t thread;
  atomic_store(&stops, false);
  rig_open_gate();
  assert_int_equal(pthread_create(&thread, NULL, dump_on_thread, *state), 0);
  tnr_future *f = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0));
  for (int i = 0; i < CHECK_MANY(20000); i++) {
    f = rig_plus_one(f);
    if (i % 50 == 0)
      f = tnr_to_device(f, rig_cpu(*state, i / 50 % 2));
    if (i % 30 == 0)
      assert_ok(tnr_cancel(rig_plus_one(f)));
    if (i % 500 == 0)
      assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  }
  assert_number(f, CHECK_MANY(20000));
  atomic_store(&stops, true);
  pthread_join(thread, NULL);
}

static atomic_int refusal;

static void dump_here(tnr_value future, void *user) {
  (void)future;
  atomic_store(&refusal, (int)tnr_runtime_dump(user, take_line, &last));
}

static void the_dispatcher_cannot_ask(void **state) {
  atomic_store(&refusal, 0);
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, dump_here, *state));
  rig_await(&refusal, 1);
  assert_int_equal(refusal, TNR_EDEADLK);
  assert_fails(tnr_runtime_dump(NULL, take_line, NULL), TNR_EINVAL);
  assert_fails(tnr_runtime_dump(*state, NULL, NULL), TNR_EINVAL);
}

static void *destroy(void *runtime) {
  if (tnr_runtime_destroy(runtime, TNR_DRAIN) != TNR_OK)
    abort();
  return NULL;
}

static void a_runtime_that_does_not_end_says_why(void **state) {
  check_needs_threads();
  (void)state;
  pthread_t thread;
  tnr_runtime *runtime = rig_runtime();
  assert_ok(tnr_scope_open());
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
  rig_await_held(1);
  assert_int_equal(pthread_create(&thread, NULL, destroy, runtime), 0);
  while (rig_plus_one(held)) /* until it has been closed */
    rig_sleep_ms(1);
  take_dump(runtime);
  (void)line_of("rig_hold f32 [4]: running on cpu:0; submitted ", ")");
  rig_open_gate();
  pthread_join(thread, NULL);
  assert_ok(tnr_scope_close());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_stuck_graph_explains_itself),
      rig_test(it_tells_which_promises_are_open),
      rig_test(it_tells_how_long_ago),
      rig_test(it_tells_terms),
      rig_test(it_names_other_futures),
      rig_test(it_names_meshes),
      rig_test(it_finds_everything),
      rig_test(what_ended_early_is_told_while_a_worker_has_it),
      rig_test(it_disturbs_nothing),
      rig_test(the_dispatcher_cannot_ask),
      rig_bare_test(a_runtime_that_does_not_end_says_why),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
