/* Terms and groups: who belongs where, what is counted, and waiting for and cancelling many as one.
 */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static tnr_future *blocked(tnr_runtime *runtime, int index) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, index), 1)));
  assert_made(held);
  rig_await_held(1);
  return held;
}

static tnr_group *group_of(tnr_runtime *runtime) {
  tnr_group *group = tnr_group_create(runtime, .name = "tested");
  assert_made(group);
  return group;
}

static tnr_future *plus_one_in(tnr_group *group, tnr_future *x) {
  assert_ok(tnr_terms_open(.group = group));
  tnr_future *made = rig_plus_one(x);
  assert_ok(tnr_terms_close());
  assert_made(made);
  return made;
}

#define assert_stats(group, ...)                                                                   \
  check_stats(group, (tnr_group_stats){__VA_ARGS__}, __FILE__, __LINE__)

static void check_stats(tnr_group *group, tnr_group_stats expected, const char *file, int line) {
  tnr_group_stats stats = {0};
  for (int i = 0; i < 5000; i++) { /* the dispatcher and the worker tell a little later */
    stats = tnr_group_get_stats(group);
    if (memcmp(&stats, &expected, sizeof stats) == 0)
      return;
    if (!rig_step())
      rig_sleep_ms(1);
  }
  print_error("submitted %ju, waiting %ju, queued %ju, running %ju, completed %ju, failed %ju, "
              "canceled %ju\n",
              (uintmax_t)stats.submitted, (uintmax_t)stats.waiting, (uintmax_t)stats.queued,
              (uintmax_t)stats.running, (uintmax_t)stats.completed, (uintmax_t)stats.failed,
              (uintmax_t)stats.canceled);
  _fail(file, line);
}

/* ---- counting ---- */

static void a_group_counts_its_ops(void **state) {
  check_needs_threads();
  tnr_group *group = group_of(*state);
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  assert_stats(group, .submitted = 0);
  assert_ok(tnr_terms_open(.group = group));
  tnr_future *running = rig_hold(x), *queued = rig_plus_one(running);
  tnr_future *waiting = tnr_to_device(queued, rig_cpu(*state, 1)), *failing = rig_fail(queued);
  tnr_future *canceled = rig_plus_one(queued);
  assert_ok(tnr_terms_close());
  rig_await_held(1);
  assert_stats(group, .submitted = 5, .waiting = 1, .queued = 3, .running = 1);
  assert_ok(tnr_cancel(canceled));
  assert_stats(group, .submitted = 5, .waiting = 1, .queued = 2, .running = 1, .canceled = 1);
  assert_made(rig_plus_one(running)); /* no member */
  rig_open_gate();
  assert_ok(tnr_group_wait(group, INT64_MAX));
  assert_number(waiting, 2);
  assert_int_equal(tnr_wait(failing, TNR_COMPLETE, 0), TNR_EKERNEL);
  assert_stats(group, .submitted = 5, .completed = 3, .failed = 1, .canceled = 1);
}

static void an_op_on_many_devices_counts_once(void **state) {
  check_needs_threads();
  tnr_group *group = group_of(*state);
  const tnr_mesh *mesh = rig_cpus(*state, 4);
  tnr_future *x = tnr_to_async(tnr_replicate(rig_tensor(rig_cpu(*state, 0), 1), mesh));
  assert_ok(tnr_terms_open(.group = group));
  tnr_future *f = rig_hold(x);
  assert_ok(tnr_terms_close());
  rig_await_held(4);
  assert_stats(group, .submitted = 1, .running = 1);
  rig_open_gate();
  assert_number(tnr_gather(f), 1);
  assert_stats(group, .submitted = 1, .completed = 1);
}

static void plain_calls_count_too(void **state) {
  tnr_group *group = group_of(*state);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_ok(tnr_terms_open(.group = group));
  tnr_tensor *y = rig_plus_one(x);
  assert_null(rig_sum(x, rig_tensor(rig_cpu(*state, 1), 1))); /* fails at once: never submitted */
  assert_ok(tnr_terms_close());
  assert_number(y, 2);
  assert_ok(tnr_group_wait(group, INT64_MAX));
  assert_stats(group, .submitted = 1, .completed = 1);
}

static void a_parent_counts_its_childrens_ops(void **state) {
  check_needs_threads();
  tnr_group *parent = group_of(*state);
  tnr_group *child = tnr_group_create(*state, .parent = parent);
  tnr_future *held = blocked(*state, 0);
  tnr_future *a = plus_one_in(parent, held), *b = plus_one_in(child, held);
  assert_stats(parent, .submitted = 2, .queued = 2);
  assert_stats(child, .submitted = 1, .queued = 1);
  assert_int_equal(tnr_group_wait(parent, 1000000), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_ok(tnr_group_wait(parent, INT64_MAX));
  assert_true(tnr_passed(a, TNR_COMPLETE) && tnr_passed(b, TNR_COMPLETE));
  assert_stats(parent, .submitted = 2, .completed = 2);
}

/* ---- waiting ---- */

static void an_empty_group_is_done(void **state) {
  tnr_group *group = group_of(*state);
  assert_ok(tnr_group_wait(group, INT64_MAX));
  tnr_future_tuple *done = tnr_group_done(group);
  assert_ok(tnr_wait(done, TNR_COMPLETE, INT64_MAX));
  assert_int_equal(tnr_tuple_count(tnr_get(done)), 0);
}

static void a_group_is_done_after_its_callbacks(void **state) {
  check_needs_threads();
  tnr_group *group = group_of(*state);
  tnr_future *held = blocked(*state, 0);
  for (int i = 0; i < 10; i++)
    assert_ok(tnr_on(plus_one_in(group, held), TNR_COMPLETE, rig_log, RIG_WHAT(i)));
  assert_ok(tnr_on(tnr_group_done(group), TNR_COMPLETE, rig_log, RIG_WHAT(10)));
  assert_int_equal(tnr_group_wait(group, 1000000), TNR_ETIMEDOUT);
  assert_int_equal(rig_log_count(), 0);
  rig_open_gate();
  rig_await_log(11);
  for (int i = 0; i < 11; i++)
    assert_int_equal(rig_log_at(i).what, i);
}

/* Nobody else holds either of them when it is done. */
static void a_group_may_be_released_before_it_is_done(void **state) {
  for (int i = 0; i < 200; i++) {
    assert_ok(tnr_scope_open());
    tnr_group *group = group_of(*state);
    assert_made(tnr_group_done(group));
    assert_made(plus_one_in(group, tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1))));
    assert_made(tnr_group_done(group));
    assert_ok(tnr_scope_close());
  }
}

static void a_group_may_be_done_again_and_again(void **state) {
  tnr_group *group = group_of(*state);
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  for (int i = 0; i < 200; i++) {
    tnr_future *f = plus_one_in(group, x);
    assert_ok(tnr_group_wait(group, INT64_MAX));
    assert_true(tnr_passed(f, TNR_COMPLETE));
  }
  assert_stats(group, .submitted = 200, .completed = 200);
}

static void who_gives_up_waiting_leaves_nothing(void **state) {
  check_needs_threads();
  tnr_group *group = group_of(*state);
  (void)plus_one_in(group, blocked(*state, 0));
  assert_int_equal(tnr_group_wait(group, 0), TNR_ETIMEDOUT);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 1)));
  uint64_t before = tnr_runtime_get_stats(*state).live_handles, after = 0;
  for (int i = 0; i < 300; i++)
    assert_int_equal(tnr_group_wait(group, 1000), TNR_ETIMEDOUT);
  for (int i = 0; i < 5000; i++) {
    after = tnr_runtime_get_stats(*state).live_handles;
    if (after <= before)
      return;
    if (!rig_step())
      rig_sleep_ms(1);
  }
  fail_msg("%ju handles, %ju before", (uintmax_t)after, (uintmax_t)before);
}

static tnr_group *waited_for;
static atomic_int refusal;

static void wait_here(tnr_value future, void *user) {
  (void)future;
  (void)user;
  atomic_store(&refusal, (int)tnr_group_wait(waited_for, INT64_MAX));
}

static void a_callback_must_not_wait_for_a_group(void **state) {
  waited_for = group_of(*state);
  atomic_store(&refusal, 0);
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, wait_here, NULL));
  rig_await(&refusal, 1);
  assert_int_equal(refusal, TNR_EDEADLK);
}

static void waiting_for_a_group_may_be_cancelled(void **state) {
  check_needs_threads();
  tnr_group *group = group_of(*state);
  (void)plus_one_in(group, blocked(*state, 0));
  tnr_future_tuple *done = tnr_group_done(group);
  assert_ok(tnr_cancel(done));
  assert_int_equal(tnr_wait(done, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  assert_string_equal(tnr_error_op(tnr_error()), "group_done");
  rig_open_gate();
  assert_ok(tnr_group_wait(group, INT64_MAX));
}

/* ---- cancelling ---- */

static void a_group_is_cancelled_as_one(void **state) {
  check_needs_threads();
  tnr_group *group = group_of(*state), *other = group_of(*state);
  tnr_future *held = blocked(*state, 0), *f[4];
  for (int i = 0; i < 3; i++)
    f[i] = plus_one_in(group, held);
  f[3] = plus_one_in(group, tnr_to_device(held, rig_cpu(*state, 1)));
  tnr_future *stays = plus_one_in(other, held), *outside = rig_plus_one(f[0]);
  assert_ok(tnr_group_cancel(group));
  int line = __LINE__ - 1;
  for (int i = 0; i < 4; i++)
    assert_int_equal(tnr_wait(f[i], TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  assert_int_equal(tnr_wait(outside, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  const tnr_error *error = tnr_future_error(f[3]);
  assert_ptr_equal(error, tnr_future_error(f[0]));
  assert_string_equal(tnr_error_reason(error), "group 'tested' was cancelled");
  assert_string_equal(tnr_error_file(error), __FILE__);
  assert_int_equal(tnr_error_line(error), line);
  assert_ok(tnr_group_wait(group, INT64_MAX));
  assert_stats(group, .submitted = 4, .canceled = 4);
  /* and all that comes later */
  tnr_future *late = plus_one_in(group, tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1)));
  assert_int_equal(tnr_wait(late, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  rig_open_gate();
  assert_number(stays, 2);
}

static tnr_value first_plus_one(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_plus_one(in[0]);
}

/* That it is done is given up, and complete at once, in the midst of what is cancelled. */
static void who_alone_awaits_a_groups_end_may_be_cancelled(void **state) {
  check_needs_threads();
  static const tnr_composite_def waits = {
      .name = "waits", .needs_shapes = true, .body = first_plus_one};
  tnr_group *group = group_of(*state);
  tnr_future *held = plus_one_in(group, blocked(*state, 0));
  for (int i = 0; i < 2; i++) {
    assert_ok(tnr_scope_open());
    const tnr_value in[] = {TNR_VALUE(held), TNR_VALUE(tnr_group_done(group))};
    tnr_value f = tnr_keep(i == 0 ? tnr_call(&rig_sum_op, TNR_HERE, in, 2, NULL)
                                  : tnr_call_composite(&waits, TNR_HERE, in, 2, NULL));
    assert_ok(tnr_scope_close());
    rig_await_turn(*state);
    assert_ok(tnr_cancel(f));
    assert_int_equal(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
    rig_await_turn(*state);
  }
  rig_open_gate();
  assert_number(held, 2);
}

static void children_are_cancelled_with_their_parent(void **state) {
  check_needs_threads();
  tnr_group *parent = group_of(*state);
  tnr_group *child = tnr_group_create(*state, .parent = parent);
  tnr_group *grandchild = tnr_group_create(*state, .parent = child);
  tnr_future *held = blocked(*state, 0);
  tnr_future *a = plus_one_in(parent, held), *b = plus_one_in(grandchild, held);
  assert_ok(tnr_group_cancel(child));
  assert_int_equal(tnr_wait(b, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  assert_false(tnr_passed(a, TNR_COMPLETE));
  assert_ok(tnr_group_cancel(parent));
  assert_int_equal(tnr_wait(a, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  tnr_group *later = tnr_group_create(*state, .parent = parent);
  tnr_future *c = plus_one_in(later, tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1)));
  assert_int_equal(tnr_wait(c, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
}

static void a_composite_that_waits_is_a_member(void **state) {
  check_needs_threads();
  tnr_group *group = group_of(*state), *canceled = group_of(*state);
  tnr_future *moved = tnr_to_device(blocked(*state, 0), rig_cpu(*state, 1));
  assert_ok(tnr_terms_open(.group = group));
  tnr_future *f = rig_deferred(moved);
  assert_ok(tnr_terms_close());
  assert_ok(tnr_terms_open(.group = canceled));
  tnr_future *g = rig_deferred(moved), *h = rig_deferred(g);
  assert_ok(tnr_terms_close());
  assert_int_equal(tnr_group_wait(group, 1000000), TNR_ETIMEDOUT);
  assert_ok(tnr_group_cancel(canceled));
  assert_int_equal(tnr_wait(g, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  assert_int_equal(tnr_wait(h, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  assert_ok(tnr_group_wait(canceled, INT64_MAX));
  rig_open_gate();
  assert_ok(tnr_group_wait(group, INT64_MAX));
  assert_true(tnr_passed(f, TNR_COMPLETE));
  assert_number(f, 3);
  assert_stats(group, .submitted = 2, .completed = 2); /* the body's */
}

/* ---- terms ---- */

static void terms_nest(void **state) {
  tnr_group *outer = group_of(*state), *inner = group_of(*state);
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  assert_ok(tnr_terms_open(.group = outer));
  assert_made(rig_plus_one(x));
  assert_ok(tnr_terms_open(.group = inner, .timeout_ns = TNR_NO_TIMEOUT));
  assert_made(rig_plus_one(x));
  assert_ok(tnr_terms_open(.priority = TNR_PRIORITY_LOW));
  assert_made(rig_plus_one(x));
  assert_ok(tnr_terms_close());
  assert_ok(tnr_terms_close());
  assert_made(rig_plus_one(x));
  assert_ok(tnr_terms_close());
  assert_made(rig_plus_one(x));
  assert_fails(tnr_terms_close(), TNR_EINVAL);
  assert_stats(outer, .submitted = 2, .completed = 2);
  assert_stats(inner, .submitted = 2, .completed = 2);
}

static tnr_group *entered;

static void submit_again(tnr_value future, void *user) {
  bool under_terms = user;
  if (under_terms && tnr_terms_open(.group = entered) != TNR_OK)
    abort();
  tnr_value made = rig_plus_one(future);
  if (under_terms && tnr_terms_close() != TNR_OK)
    abort();
  if (tnr_on(made, TNR_COMPLETE, rig_log, user) != TNR_OK)
    abort();
  tnr_release(made.handle);
}

static void callbacks_submit_under_terms_of_their_own(void **state) {
  entered = group_of(*state);
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)), *f = plus_one_in(entered, x);
  assert_ok(tnr_on(f, TNR_COMPLETE, submit_again, NULL));
  assert_ok(tnr_on(f, TNR_COMPLETE, submit_again, RIG_WHAT(1)));
  rig_await_log(2);
  assert_stats(entered, .submitted = 2, .completed = 2);
}

static void *open_and_end(void *group) {
  for (int i = 0; i < 3; i++)
    if (tnr_terms_open(.group = group) != TNR_OK)
      abort();
  return NULL;
}

static void a_threads_end_closes_its_terms(void **state) {
  tnr_group *group = group_of(*state);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, open_and_end, group), 0);
  pthread_join(thread, NULL);
  /* the teardown finds no handle left */
}

static void a_group_belongs_to_its_runtime(void **state) {
  check_needs_threads();
  tnr_group *group = group_of(*state);
  tnr_runtime *other = rig_runtime();
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(other, 0), 1));
  assert_null(tnr_group_create(other, .parent = group));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_ok(tnr_terms_open(.group = group));
  assert_null(rig_plus_one(x));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_null(rig_deferred(rig_plus_one(x)));
  assert_ok(tnr_terms_close());
  tnr_future *late = tnr_to_device(rig_hold(x), rig_cpu(other, 1));
  assert_ok(tnr_terms_open(.group = group));
  assert_null(rig_deferred(late));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_ok(tnr_terms_close());
  rig_open_gate();
  assert_ok(tnr_runtime_destroy(other, TNR_DRAIN));
}

static void what_makes_no_sense_is_refused(void **state) {
  tnr_error_clear();
  assert_fails(tnr_terms_open(.priority = (tnr_priority)9), TNR_EINVAL);
  assert_fails(tnr_terms_open_with(NULL), TNR_EINVAL);
  assert_null(tnr_group_create(*state, .priority = (tnr_priority)-1));
  assert_null(tnr_group_create(*state, .timeout_ns = -5));
  tnr_error_clear();
  assert_fails(tnr_group_cancel(NULL), TNR_EINVAL);
  assert_fails(tnr_group_wait(NULL, 0), TNR_EINVAL);
  assert_null(tnr_group_done(NULL));
  assert_int_equal(tnr_group_get_stats(NULL).submitted, 0);
}

static void groups_outlive_their_runtime(void **state) {
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  tnr_group *group = group_of(runtime);
  tnr_group *child = tnr_group_create(runtime, .parent = group);
  tnr_future *f = plus_one_in(child, tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_number(f, 2);
  assert_int_equal(tnr_group_get_stats(group).completed, 1);
  assert_fails(tnr_group_cancel(group), TNR_ECLOSED);
  assert_fails(tnr_group_wait(group, 0), TNR_ECLOSED);
  assert_ok(tnr_terms_open(.group = group));
  assert_null(rig_plus_one(f));
  assert_ok(tnr_terms_close());
}

static void scopes_own_groups(void **state) {
  assert_ok(tnr_scope_open());
  tnr_group *kept = tnr_keep(group_of(*state));
  assert_made(group_of(*state));
  assert_ok(tnr_scope_close());
  assert_stats(kept, .submitted = 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_group_counts_its_ops),
      rig_test(an_op_on_many_devices_counts_once),
      rig_test(plain_calls_count_too),
      rig_test(a_parent_counts_its_childrens_ops),
      rig_test(an_empty_group_is_done),
      rig_test(a_group_is_done_after_its_callbacks),
      rig_test(a_group_may_be_released_before_it_is_done),
      rig_test(a_group_may_be_done_again_and_again),
      rig_test(who_gives_up_waiting_leaves_nothing),
      rig_test(a_callback_must_not_wait_for_a_group),
      rig_test(waiting_for_a_group_may_be_cancelled),
      rig_test(a_group_is_cancelled_as_one),
      rig_test(who_alone_awaits_a_groups_end_may_be_cancelled),
      rig_test(children_are_cancelled_with_their_parent),
      rig_test(a_composite_that_waits_is_a_member),
      rig_test(terms_nest),
      rig_test(callbacks_submit_under_terms_of_their_own),
      rig_test(a_threads_end_closes_its_terms),
      rig_test(a_group_belongs_to_its_runtime),
      rig_test(what_makes_no_sense_is_refused),
      rig_test(groups_outlive_their_runtime),
      rig_test(scopes_own_groups),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
