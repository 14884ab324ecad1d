/* Waiting, with and without a limit; asking. The threads that must not block are in
 * test_blocking.c. */
#include <stdlib.h>

#include "rig.h"

enum { MS = 1000000 };

/* What waits behind it on another device is not created before it is complete. */
static tnr_future *behind(tnr_runtime *runtime, tnr_future *f) {
  return tnr_to_device(f, rig_cpu(runtime, 1));
}

static void get_waits_for_created_only(void **state) {
  check_needs_threads();
  tnr_future *f = rig_held(*state);
  tnr_tensor *tensor = tnr_get(f);
  assert_made(tensor);
  assert_false(tnr_passed(f, TNR_COMPLETE));
  assert_false(tnr_passed(tensor, TNR_COMPLETE));
  assert_true(tnr_passed(tensor, TNR_CREATED));
}

static void a_plain_call_returns_before_its_kernel_has_run(void **state) {
  tnr_tensor *y = rig_hold(rig_tensor(rig_cpu(*state, 0), 3));
  assert_made(y);
  assert_false(tnr_passed(y, TNR_COMPLETE));
  tnr_tensor *z = rig_plus_one(y);
  rig_open_gate();
  assert_number(z, 4);
  assert_number(y, 3);
}

static void asking_does_not_wait(void **state) {
  tnr_future *f = behind(*state, rig_held(*state));
  assert_null(tnr_get_for(f, 0));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ETIMEDOUT);
  assert_string_equal(tnr_error_reason(tnr_error()), "the future is not created yet");
  assert_fails(tnr_wait(f, TNR_COMPLETE, 0), TNR_ETIMEDOUT);
  assert_fails(tnr_wait(f, TNR_COMPLETE, -5), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_wait(f, TNR_COMPLETE, 0));
  assert_made(tnr_get_for(f, 0));
}

static void a_wait_ends_when_its_time_runs_out(void **state) {
  check_needs_threads();
  tnr_future *f = behind(*state, rig_held(*state));
  int64_t start = rig_now_ns();
  assert_null(tnr_get_for(f, 20 * MS));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ETIMEDOUT);
  assert_true(rig_now_ns() - start >= 20 * MS);
  assert_fails(tnr_wait(f, TNR_COMPLETE, 1), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_number(f, 1);
}

static void a_wait_with_time_left_ends_at_the_moment(void **state) {
  tnr_future *f = behind(*state, rig_held(*state));
  rig_open_gate();
  assert_ok(tnr_wait(f, TNR_CREATED, 60000 * (int64_t)MS));
  assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX - 1));
}

static void any_kind_of_handle_can_be_waited_for(void **state) {
  check_needs_threads();
  tnr_tensor *plain = rig_hold(rig_tensor(rig_cpu(*state, 0), 1));
  tnr_tuple *tuple = tnr_tuple_of(plain, plain);
  assert_fails(tnr_wait(plain, TNR_COMPLETE, MS), TNR_ETIMEDOUT);
  assert_fails(tnr_wait(tuple, TNR_COMPLETE, MS), TNR_ETIMEDOUT);
  assert_ok(tnr_wait(plain, TNR_CREATED, 0));
  assert_ok(tnr_wait(tuple, TNR_CREATED, 0));
  assert_ok(tnr_on(plain, TNR_COMPLETE, rig_log, RIG_WHAT(1)));
  assert_ok(tnr_on(tuple, TNR_COMPLETE, rig_log, RIG_WHAT(2)));
  rig_open_gate();
  assert_ok(tnr_wait(tuple, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_wait(TNR_VALUE(plain), TNR_COMPLETE, INT64_MAX));
  rig_await_log(2);
}

static void getting_what_is_plain_gives_it_back_retained(void **state) {
  tnr_tensor *plain = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_tuple *tuple = tnr_tuple_of(plain);
  assert_ptr_equal(tnr_get(plain), plain);
  assert_ptr_equal(tnr_get(tuple), tuple);
  assert_ptr_equal(tnr_get_for(TNR_VALUE(tuple), 0).handle, tuple);
}

static void waiting_for_null_says_so_or_keeps_the_first_error(void **state) {
  (void)state;
  tnr_future *none = NULL;
  assert_fails(tnr_wait(none, TNR_COMPLETE, 0), TNR_EINVAL);
  assert_string_equal(tnr_error_reason(tnr_error()), "the handle is NULL");
  assert_fails(tnr_on(none, TNR_COMPLETE, rig_log, NULL), TNR_EINVAL);
  assert_false(tnr_passed(none, TNR_CREATED));
  assert_null(tnr_future_error(none));
  assert_null(tnr_get(none));
}

/* ---- many waiters ---- */

static void wait_on_thread(void *user, int index) {
  tnr_future *f = user;
  tnr_status status =
      tnr_wait(f, index % 2 ? TNR_CREATED : TNR_COMPLETE, index % 4 < 2 ? INT64_MAX : MS / 10);
  if (status != TNR_OK && !(index % 4 >= 2 && status == TNR_ETIMEDOUT))
    abort();
  if (index == 0)
    return;
  if (index == 15)
    rig_open_gate();
}

static void many_threads_wait_for_one_future(void **state) {
  for (int round = 0; round < CHECK_MANY(200); round++) {
    if (check_mode() == TNR_THREADS)
      rig_close_gate();
    else
      rig_open_gate();
    tnr_future *f = behind(*state, rig_held(*state));
    rig_threads(16, wait_on_thread, f);
    assert_number(f, 1);
  }
}

static tnr_status got_code;
static atomic_int got_called;

static void get_when_created(tnr_value future, void *user) {
  *(bool *)user = tnr_passed(future, TNR_CREATED);
  tnr_value got = tnr_get(future);
  got_code = got.handle ? TNR_OK : tnr_error_code(tnr_error());
  tnr_release(got.handle);
  atomic_fetch_add(&got_called, 1);
}

static void a_failure_before_created_is_told_with_its_own_error(void **state) {
  bool passed = false;
  atomic_store(&got_called, 0);
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  tnr_future *wrong = tnr_reshape(held, .shape = TNR_SHAPE(3));
  assert_ok(tnr_on(wrong, TNR_CREATED, get_when_created, &passed));
  rig_open_gate();
  rig_await(&got_called, 1);
  assert_true(passed);
  assert_int_equal(got_code, TNR_ESHAPE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(get_waits_for_created_only),
      rig_test(a_plain_call_returns_before_its_kernel_has_run),
      rig_test(asking_does_not_wait),
      rig_test(a_wait_ends_when_its_time_runs_out),
      rig_test(a_wait_with_time_left_ends_at_the_moment),
      rig_test(any_kind_of_handle_can_be_waited_for),
      rig_test(getting_what_is_plain_gives_it_back_retained),
      rig_test(waiting_for_null_says_so_or_keeps_the_first_error),
      rig_test(a_failure_before_created_is_told_with_its_own_error),
      rig_test(many_threads_wait_for_one_future),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
