/* Promises whose future is cancelled: who waits for it goes on, and whoever would have fulfilled it
 * is told. */
#include "rig.h"

enum { MS = 1000000, ROUNDS = CHECK_SANITIZED ? 300 : 3000 };

/* Soon, and whatever the gate does. */
#define assert_canceled(x)                                                                         \
  check_status(tnr_wait(x, TNR_COMPLETE, 20000000000), TNR_ECANCELED, #x, __FILE__, __LINE__)

static tnr_tensor *one(void **state) {
  return rig_tensor(rig_cpu(*state, 0), 1);
}

static void an_open_promise_is_cancelled(void **state) {
  tnr_promise *p = tnr_promise_create(*state);
  const int line = __LINE__ - 1;
  tnr_future *f = tnr_promise_future(p), *sum = rig_sum(f, rig_plus_one(f));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(1)));
  assert_ok(tnr_cancel(f));
  assert_canceled(sum);
  assert_canceled(f);
  const tnr_error *error = tnr_future_error(sum);
  assert_ptr_equal(error, tnr_future_error(f));
  assert_string_equal(tnr_error_op(error), "promise");
  assert_int_equal(tnr_error_line(error), line);
  assert_fails(tnr_promise_fulfil(p, one(state)), TNR_ECANCELED);
  assert_string_equal(tnr_error_reason(tnr_error()), "its future has been cancelled");
  assert_fails(tnr_promise_fail(p, TNR_ESYSTEM, "no"), TNR_ECANCELED);
  rig_await_log(1);
  assert_int_equal(rig_log_at(0).code, TNR_ECANCELED);
}

/* What makes its tensor is queued behind an op that waits at the gate. */
static tnr_tensor *far_off(void **state) {
  tnr_tensor *held = rig_hold(one(state));
  rig_await_held(1);
  return rig_plus_one(held);
}

static void one_that_was_fulfilled_does_not_wait_for_its_data(void **state) {
  check_needs_threads();
  tnr_promise *p = tnr_promise_create(*state);
  tnr_future *f = tnr_promise_future(p), *next = rig_plus_one(f);
  tnr_tensor *x = far_off(state);
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1)));
  assert_ok(tnr_promise_fulfil(p, x));
  rig_await_log(1);
  assert_ok(tnr_cancel(f));
  assert_canceled(f);
  assert_canceled(next);
  rig_open_gate();
  assert_number(x, 2);
}

static atomic_int ran;

static void count_run(void) {
  atomic_fetch_add(&ran, 1);
}

static void it_gives_up_the_tensor_that_nobody_else_needs(void **state) {
  check_needs_threads();
  tnr_promise *p = tnr_promise_create(*state);
  tnr_future *f = tnr_promise_future(p);
  tnr_tensor *held = rig_hold(one(state));
  atomic_store(&ran, 0);
  rig_worker_function = count_run;
  rig_await_held(1);
  assert_ok(tnr_scope_open());
  tnr_tensor *x = rig_on_worker(held);
  assert_ok(tnr_promise_fulfil(p, x));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(f));
  assert_canceled(f);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(ran, 0);
}

static void one_that_only_a_cancelled_op_needed_stays_open(void **state) {
  tnr_promise *p = tnr_promise_create(*state);
  tnr_future *next = rig_plus_one(tnr_promise_future(p));
  assert_ok(tnr_cancel(next));
  assert_canceled(next);
  assert_ok(tnr_promise_fulfil(p, one(state)));
  assert_number(tnr_promise_future(p), 1);
}

static void ops_that_wait_for_it_have_deadlines(void **state) {
  tnr_promise *p = tnr_promise_create(*state);
  assert_ok(tnr_terms_open(.timeout_ns = 10 * MS));
  tnr_future *next = rig_plus_one(tnr_promise_future(p));
  assert_ok(tnr_terms_close());
  assert_fails(tnr_wait(next, TNR_COMPLETE, INT64_MAX), TNR_ETIMEDOUT);
  assert_ok(tnr_promise_fulfil(p, one(state)));
}

/* ---- races ---- */

typedef struct race {
  tnr_promise *promise;
  tnr_future *future;
  tnr_tensor *tensor;
  tnr_status fulfilled, canceled;
} race;

static void take_part(void *user, int index) {
  race *r = user;
  if (index == 0)
    r->fulfilled = tnr_promise_fulfil(r->promise, r->tensor);
  else
    r->canceled = tnr_cancel(r->future);
}

static void run_race(void **state) {
  race r = {.promise = tnr_promise_create(*state), .tensor = one(state)};
  r.future = tnr_promise_future(r.promise);
  tnr_future *next = rig_plus_one(r.future);
  rig_threads(2, take_part, &r);
  assert_int_equal(r.canceled, TNR_OK);
  tnr_status status = tnr_wait(r.future, TNR_COMPLETE, INT64_MAX);
  assert_true(status == TNR_OK || status == TNR_ECANCELED);
  assert_true(r.fulfilled == TNR_OK || r.fulfilled == TNR_ECANCELED);
  assert_true(r.fulfilled == TNR_OK || status == TNR_ECANCELED);
  tnr_status after = tnr_wait(next, TNR_COMPLETE, INT64_MAX);
  assert_true(after == TNR_OK || after == TNR_ECANCELED);
}

static void fulfilling_and_cancelling_may_race(void **state) {
  for (int i = 0; i < ROUNDS; i++) {
    assert_ok(tnr_scope_open());
    run_race(state);
    assert_ok(tnr_scope_close());
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(an_open_promise_is_cancelled),
      rig_test(one_that_was_fulfilled_does_not_wait_for_its_data),
      rig_test(it_gives_up_the_tensor_that_nobody_else_needs),
      rig_test(one_that_only_a_cancelled_op_needed_stays_open),
      rig_test(ops_that_wait_for_it_have_deadlines),
      rig_test(fulfilling_and_cancelling_may_race),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
