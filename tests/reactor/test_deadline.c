/* Deadlines: of ops, of groups and of a runtime. What has not started by then fails then, not
 * earlier, and not when its turn would have come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define MS(n) ((int64_t)(n)*1000000)

static tnr_future *plus_one_within(tnr_future *x, int64_t timeout_ns) {
  assert_ok(tnr_terms_open(.timeout_ns = timeout_ns));
  tnr_future *made = rig_plus_one(x);
  assert_ok(tnr_terms_close());
  assert_made(made);
  return made;
}

/* Waits for it to fail; that the wait fails is not enough. */
#define assert_late(x) check_late(TNR_VALUE(x), #x, __FILE__, __LINE__)

static void check_late(tnr_value x, const char *what, const char *file, int line) {
  check_status(tnr_wait(x, TNR_COMPLETE, MS(20000)), TNR_ETIMEDOUT, what, file, line);
  check_status(tnr_error_code(tnr_value_error(x)), TNR_ETIMEDOUT, what, file, line);
}

/* ---- ops ---- */

static void a_queued_op_fails_at_its_deadline(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  int64_t begin = rig_now_ns();
  tnr_future *f = plus_one_within(held, MS(30)), *behind = rig_plus_one(f);
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(0)));
  assert_late(f);
  int64_t took = rig_now_ns() - begin;
  assert_true(took >= MS(30));
  assert_true(took < MS(2000));
  assert_late(behind);
  assert_ptr_equal(tnr_future_error(behind), tnr_future_error(f));
  const tnr_error *error = tnr_future_error(f);
  assert_string_equal(tnr_error_reason(error), "had not started within 30 ms");
  assert_string_equal(tnr_error_op(error), "rig_plus_one");
  assert_string_equal(tnr_error_file(error), __FILE__);
  assert_false(tnr_passed(held, TNR_COMPLETE));
  rig_open_gate();
  assert_number(held, 1);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_log_count(), 1);
}

static void a_waiting_op_fails_at_its_deadline(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0), *moved = tnr_to_device(held, rig_cpu(*state, 1));
  tnr_future *f = plus_one_within(moved, MS(5)), *sibling = rig_plus_one(moved);
  assert_late(f);
  rig_open_gate();
  assert_number(sibling, 2);
}

static void what_only_it_needed_is_not_run(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_scope_open());
  tnr_future *f = tnr_keep(plus_one_within(rig_on_worker(rig_on_worker(held)), MS(300)));
  assert_ok(tnr_scope_close());
  assert_late(f);
  rig_await_turn(*state); /* what it needed ends right after it */
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 0);
}

/* The deadline is for its start. */
static void an_op_that_runs_is_let_run(void **state) {
  check_needs_threads();
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  assert_ok(tnr_terms_open(.timeout_ns = MS(20)));
  tnr_future *f = rig_hold(x), *behind = rig_plus_one(f);
  assert_ok(tnr_terms_close());
  tnr_future *after = rig_plus_one(f);
  rig_await_held(1);
  assert_late(behind);
  rig_sleep_ms(20);
  assert_false(tnr_passed(f, TNR_COMPLETE));
  rig_open_gate();
  assert_number(f, 1);
  assert_number(after, 2);
}

static void deadlines_that_are_met_are_forgotten(void **state) {
  tnr_future *f = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0));
  assert_ok(tnr_terms_open(.timeout_ns = MS(20000)));
  for (int i = 0; i < 100; i++)
    f = rig_plus_one(f);
  assert_ok(tnr_terms_close());
  assert_number(f, 100);
  f = plus_one_within(f, MS(200));
  assert_number(f, 101);
  rig_sleep_ms(250);
  assert_null(tnr_future_error(f));
}

static void no_deadline_comes_early(void **state) {
  check_needs_threads();
  enum { OPS = 60 };
  tnr_future *held = rig_block(*state, 0), *f[OPS];
  int64_t end[OPS];
  for (int i = 0; i < OPS; i++) {
    int64_t limit = MS(1 + i * 7 % 25);
    end[i] = rig_now_ns() + limit;
    f[i] = plus_one_within(held, limit);
    if (i % 8 == 0)
      rig_sleep_ms(1);
  }
  for (int complete = 0; complete < OPS;) {
    complete = 0;
    for (int i = 0; i < OPS; i++) {
      bool is_complete = tnr_passed(f[i], TNR_COMPLETE);
      if (is_complete && rig_now_ns() < end[i])
        fail_msg("op %d failed early", i);
      complete += is_complete;
    }
  }
  for (int i = 0; i < OPS; i++)
    assert_late(f[i]);
}

static void the_shortest_time_is_too_short_behind_a_queue(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_late(plus_one_within(held, 1));
  assert_late(plus_one_within(tnr_to_device(held, rig_sim(*state, 0)), 1));
}

/* While the dispatcher has its hands full. */
static void a_busy_dispatcher_keeps_the_time(void **state) {
  check_needs_threads();
  tnr_future *late = plus_one_within(rig_block(*state, 0), MS(10));
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1));
  int64_t begin = rig_now_ns();
  while (!tnr_passed(late, TNR_COMPLETE) && rig_now_ns() - begin < MS(5000)) {
    assert_ok(tnr_scope_open());
    tnr_future *f = x;
    for (int i = 0; i < 200; i++)
      f = rig_plus_one(f);
    assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
    assert_ok(tnr_scope_close());
  }
  assert_late(late);
}

static void copies_and_ops_on_meshes_have_deadlines(void **state) {
  check_needs_threads();
  tnr_runtime *runtime = *state;
  const tnr_mesh *mesh = rig_cpus(runtime, 2);
  tnr_tensor *copies = tnr_replicate(rig_tensor(rig_cpu(runtime, 0), 1), mesh);
  assert_made(rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)))); /* else it has begun */
  tnr_future *held = rig_block(runtime, 1);
  rig_await_held(2);
  assert_ok(tnr_terms_open(.timeout_ns = MS(10)));
  tnr_future *up = tnr_to_device(held, rig_sim(runtime, 0));
  tnr_future *on_mesh = rig_plus_one(rig_plus_one(tnr_to_async(copies)));
  assert_ok(tnr_terms_close());
  assert_late(up);
  assert_late(on_mesh);
}

static tnr_value body(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_plus_one(rig_hold(in[0]));
}

static const tnr_composite_def deferred_def = {
    .name = "deferred", .needs_shapes = true, .body = body};

/* It waits for a shape; and what its body submits, later, has the same time each. */
static void a_composite_that_waits_has_a_deadline(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_terms_open(.timeout_ns = MS(10)));
  tnr_future *f =
      TNR_COMPOSITE1(&deferred_def, tnr_to_device(held, rig_cpu(*state, 1)), tnr_no_attrs, );
  assert_ok(tnr_terms_close());
  assert_late(f);
}

static void a_composites_body_runs_under_its_terms(void **state) {
  check_needs_threads();
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_future *moved = tnr_to_device(rig_plus_one(x), rig_cpu(*state, 1));
  assert_ok(tnr_terms_open(.timeout_ns = MS(50)));
  tnr_future *f = TNR_COMPOSITE1(&deferred_def, moved, tnr_no_attrs, );
  assert_ok(tnr_terms_close());
  rig_await_held(1); /* its first op runs, and is let run; its second is late */
  assert_late(f);
  assert_string_equal(tnr_error_op(tnr_future_error(f)), "deferred/rig_plus_one");
}

/* ---- groups ---- */

static void a_group_ends_as_one(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  int64_t begin = rig_now_ns();
  tnr_group *group = tnr_group_create(*state, .name = "request 7", .timeout_ns = MS(40));
  assert_made(group);
  assert_ok(tnr_terms_open(.group = group));
  tnr_future *first = rig_plus_one(held);
  rig_sleep_ms(10);
  tnr_future *second = tnr_to_device(held, rig_cpu(*state, 1));
  tnr_future *sooner = plus_one_within(held, MS(1)), *later = plus_one_within(held, MS(60000));
  assert_ok(tnr_terms_close());
  tnr_future *other = rig_plus_one(held);
  assert_late(sooner);
  assert_late(first);
  assert_late(second);
  assert_late(later);
  assert_true(rig_now_ns() - begin >= MS(40));
  assert_string_equal(tnr_error_reason(tnr_future_error(sooner)), "had not started within 1 ms");
  const char *reason = "had not started when the 40 ms of group 'request 7' were over";
  assert_string_equal(tnr_error_reason(tnr_future_error(first)), reason);
  assert_string_equal(tnr_error_reason(tnr_future_error(later)), reason);
  assert_ok(tnr_terms_open(.group = group));
  tnr_future *too_late = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1)));
  assert_ok(tnr_terms_close());
  assert_late(too_late);
  assert_int_equal(tnr_group_get_stats(group).failed, 5);
  rig_open_gate();
  assert_number(other, 2);
}

static void a_child_ends_with_its_parent(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  tnr_group *parent = tnr_group_create(*state, .name = "parent", .timeout_ns = MS(10));
  tnr_group *child = tnr_group_create(*state, .timeout_ns = MS(60000), .parent = parent);
  assert_ok(tnr_terms_open(.group = child));
  tnr_future *f = rig_plus_one(held);
  assert_ok(tnr_terms_close());
  assert_late(f);
  assert_int_equal(tnr_group_get_stats(parent).failed, 1);
}

/* ---- a runtime's default ---- */

static tnr_runtime *impatient_runtime(int64_t timeout_ns) {
  const tnr_device_config devices = {.driver = tnr_cpu_driver(), .count = 2};
  tnr_runtime *runtime = tnr_runtime_create(&(tnr_runtime_options){
      .devices = &devices, .device_configs = 1, .op_timeout_ns = timeout_ns});
  assert_made(runtime);
  return runtime;
}

static void a_runtime_has_a_default(void **state) {
  check_needs_threads();
  (void)state;
  tnr_runtime *runtime = impatient_runtime(MS(30));
  assert_ok(tnr_scope_open());
  int64_t begin = rig_now_ns();
  tnr_future *held = rig_block(runtime, 0), *f = rig_plus_one(held);
  tnr_future *patient = plus_one_within(held, TNR_NO_TIMEOUT);
  assert_ok(tnr_terms_open(.priority = TNR_PRIORITY_HIGH));
  tnr_future *inherits = rig_plus_one(held);
  assert_ok(tnr_terms_close());
  assert_late(f);
  assert_late(inherits);
  assert_true(rig_now_ns() - begin >= MS(30));
  assert_string_equal(tnr_error_reason(tnr_future_error(f)), "had not started within 30 ms");
  rig_open_gate();
  assert_number(patient, 2);
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
}

static void a_million_deadlines_cost_little(void **state) {
  check_needs_threads();
  enum { OPS = CHECK_MANY(200000) };
  (void)state;
  tnr_runtime *runtime = impatient_runtime(MS(100000));
  assert_ok(tnr_scope_open());
  tnr_future *f = rig_block(runtime, 0), *all[2] = {f, f};
  for (int i = 0; i < OPS; i++)
    all[i % 2] = rig_plus_one(all[i % 2]);
  rig_open_gate();
  assert_number(all[0], OPS / 2 + 1);
  assert_number(all[1], OPS / 2 + 1);
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
}

static void options_that_make_no_sense_are_refused(void **state) {
  (void)state;
  assert_null(tnr_runtime_create(&(tnr_runtime_options){.op_timeout_ns = -1}));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
}

/* With deadlines in flight. */
static void a_runtime_may_end_before_its_deadlines(void **state) {
  check_needs_threads();
  (void)state;
  for (int how = 0; how < 2; how++) {
    rig_close_gate();
    tnr_runtime *runtime = impatient_runtime(MS(60000));
    assert_ok(tnr_scope_open());
    tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
    tnr_future *f = plus_one_within(held, MS(70000)), *g = rig_plus_one(f);
    assert_ok(tnr_on(g, TNR_COMPLETE, rig_log, NULL));
    rig_open_gate();
    assert_ok(tnr_runtime_destroy(runtime, (tnr_shutdown)how));
    assert_int_equal(rig_log_count(), how + 1);
    assert_ok(tnr_scope_close());
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_queued_op_fails_at_its_deadline),
      rig_test(a_waiting_op_fails_at_its_deadline),
      rig_test(what_only_it_needed_is_not_run),
      rig_test(an_op_that_runs_is_let_run),
      rig_test(deadlines_that_are_met_are_forgotten),
      rig_test(no_deadline_comes_early),
      rig_test(the_shortest_time_is_too_short_behind_a_queue),
      rig_test(a_busy_dispatcher_keeps_the_time),
      rig_test(copies_and_ops_on_meshes_have_deadlines),
      rig_test(a_composite_that_waits_has_a_deadline),
      rig_test(a_composites_body_runs_under_its_terms),
      rig_test(a_group_ends_as_one),
      rig_test(a_child_ends_with_its_parent),
      rig_bare_test(a_runtime_has_a_default),
      rig_bare_test(a_million_deadlines_cost_little),
      rig_bare_test(options_that_make_no_sense_are_refused),
      rig_bare_test(a_runtime_may_end_before_its_deadlines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
