/* Cancelling: what ends, at once and with which error, what goes on, and what is not run because
 * nobody needs it. Most of it behind a device that stands still. */
#include <stdio.h>
#include <string.h>

#include "cancelled.h"

/* ---- what ends ---- */

static void a_queued_op_ends_at_once(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0), *f = counted(held);
  char where[512];
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2)));
  assert_false(tnr_passed(f, TNR_CREATED));
  assert_ok(tnr_cancel(f));
  snprintf(where, sizeof where, "cancelled at %s:%d", __FILE__, __LINE__ - 1);
  assert_canceled(f);
  rig_await_log(2);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(rig_log_at(i).what, i + 1);
    assert_int_equal(rig_log_at(i).code, TNR_ECANCELED);
  }
  const tnr_error *error = tnr_future_error(f);
  assert_string_equal(tnr_error_op(error), "rig_on_worker");
  assert_string_equal(tnr_error_reason(error), where);
  assert_string_equal(tnr_error_file(error), __FILE__);
  assert_null(tnr_get(f));
  assert_ptr_equal(tnr_error(), error);
  assert_false(tnr_passed(held, TNR_COMPLETE));
  rig_await_turn(*state);
  rig_open_gate();
  assert_number(held, 1);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 0);
  assert_int_equal(rig_log_count(), 2);
}

static void a_waiting_op_ends_at_once(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  tnr_future *moved = tnr_to_device(held, rig_cpu(*state, 1)), *f = rig_plus_one(moved);
  assert_ok(tnr_cancel(moved));
  assert_canceled(f);
  assert_ptr_equal(tnr_future_error(f), tnr_future_error(moved));
  assert_string_equal(tnr_error_op(tnr_future_error(f)), "to_device");
}

/* In the queue behind it, elsewhere, and waiting for something that does not come. */
static void all_that_descends_ends_with_the_same_error(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0),
             *never = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1))),
             *f = rig_plus_one(held);
  tnr_future *queued = rig_plus_one(rig_plus_one(f));
  tnr_future *moved = tnr_to_device(queued, rig_sim(*state, 0));
  tnr_future *both = rig_sum(f, tnr_to_device(never, rig_cpu(*state, 0)));
  tnr_future_tuple *two = rig_two(f);
  tnr_future *element = tnr_at(two, 1), *any = tnr_any(&f, 1, TNR_HERE);
  tnr_future *behind_any = rig_plus_one(any), *behind_element = rig_plus_one(element);
  tnr_future_tuple *all = tnr_tuple_of(f, held);
  const tnr_value descendants[] = {
      TNR_VALUE(queued), TNR_VALUE(moved),      TNR_VALUE(both),           TNR_VALUE(two),
      TNR_VALUE(any),    TNR_VALUE(behind_any), TNR_VALUE(behind_element), TNR_VALUE(all)};
  assert_ok(tnr_cancel(f));
  for (size_t i = 0; i < sizeof descendants / sizeof descendants[0]; i++) {
    assert_canceled(descendants[i]);
    assert_ptr_equal(tnr_future_error(descendants[i]), tnr_future_error(f));
  }
  assert_ptr_equal(tnr_future_error(element), tnr_future_error(f));
  assert_canceled(rig_plus_one(f)); /* and what is submitted now */
  assert_canceled(rig_sum(tnr_to_device(never, rig_cpu(*state, 0)), f));
  assert_false(tnr_passed(held, TNR_COMPLETE));
}

static void siblings_go_on(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0), *shared = rig_plus_one(held);
  tnr_future *f = rig_plus_one(shared), *sibling = rig_plus_one(shared);
  tnr_future *first = rig_plus_one(held);
  tnr_future *chosen = tnr_any((tnr_future *[]){f, sibling}, 2, TNR_HERE);
  assert_ok(tnr_cancel(f));
  assert_canceled(f);
  rig_open_gate();
  assert_number(sibling, 3);
  assert_number(first, 2);
  assert_number(chosen, 3);
  assert_number(shared, 2);
}

static void a_running_kernel_finishes_and_its_result_is_dropped(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0), *behind = rig_plus_one(held);
  tnr_future *other = counted(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 5)));
  assert_ok(tnr_cancel(held));
  assert_canceled(held);
  assert_canceled(behind);
  assert_null(tnr_get(held));
  assert_false(tnr_passed(other, TNR_COMPLETE));
  rig_open_gate();
  assert_number(other, 5);
}

static void what_is_complete_stays_so(void **state) {
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_number(f, 2);
  assert_ok(tnr_cancel(f));
  assert_ok(tnr_cancel(tnr_get(f)));
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_null(tnr_future_error(f));
  assert_number(rig_plus_one(f), 3);
}

static void cancelling_twice_is_cancelling_once(void **state) {
  check_needs_threads();
  tnr_future *f = rig_plus_one(rig_block(*state, 0));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(0)));
  for (int i = 0; i < 100; i++)
    assert_ok(tnr_cancel(f));
  assert_canceled(f);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_log_count(), 1);
}

/* ---- what is needed ---- */

static void what_only_it_needed_is_not_run(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_scope_open());
  tnr_future *f = counted(counted(counted(held)));
  tnr_future *elsewhere =
      tnr_to_device(counted(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1))), rig_cpu(*state, 1));
  tnr_future *last = rig_sum(tnr_to_device(f, rig_cpu(*state, 1)), elsewhere);
  assert_made(tnr_keep(last));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(last));
  assert_canceled(last);
  rig_await_turn(*state);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 0);
}

/* By a handle, a callback, another op, a tensor, an element. */
static void what_somebody_else_needs_is_run(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  tnr_future *by_handle = counted(held), *f[6] = {rig_plus_one(by_handle)};
  assert_ok(tnr_scope_open());
  tnr_future *by_callback = counted(held), *by_op = counted(held), *by_element = counted(held);
  tnr_tensor *by_tensor = rig_on_worker(tnr_get(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1))));
  tnr_future_tuple *two = rig_two(by_element);
  assert_ok(tnr_on(by_callback, TNR_COMPLETE, rig_log, RIG_WHAT(0)));
  f[1] = tnr_keep(rig_plus_one(by_callback));
  f[2] = tnr_keep(rig_plus_one(by_op));
  tnr_future *other = tnr_keep(rig_plus_one(by_op));
  f[3] = tnr_keep(rig_plus_one(tnr_to_async(by_tensor)));
  tnr_tensor *tensor = tnr_keep(by_tensor);
  f[4] = tnr_keep(rig_plus_one(tnr_at(two, 0)));
  tnr_future *element = tnr_keep(tnr_at(two, 1));
  assert_ok(tnr_scope_close());
  for (int i = 0; i < 5; i++)
    assert_ok(tnr_cancel(f[i]));
  for (int i = 0; i < 5; i++)
    assert_canceled(f[i]);
  rig_await_turn(*state);
  rig_open_gate();
  rig_await_log(1);
  assert_int_equal(rig_log_at(0).code, TNR_OK);
  assert_number(by_handle, 1);
  assert_number(other, 2);
  assert_number(tensor, 1);
  assert_number(element, 3);
  assert_int_equal(rig_runs, 5);
}

static void what_two_need_is_run_until_both_are_cancelled(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_scope_open());
  tnr_future *shared = counted(held);
  tnr_future *a = tnr_keep(rig_plus_one(shared)), *b = tnr_keep(rig_plus_one(shared));
  tnr_future *c = tnr_keep(rig_plus_one(counted(held)));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(a));
  assert_ok(tnr_cancel(c));
  assert_canceled(c);
  assert_ok(tnr_cancel(b));
  assert_canceled(b);
  rig_await_turn(*state);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 0);
}

static void a_plain_calls_result_counts_as_a_handle(void **state) {
  check_needs_threads();
  (void)rig_block(*state, 0);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_ok(tnr_scope_open());
  tnr_tensor *kept = tnr_keep(rig_on_worker(x)), *dropped = rig_on_worker(x);
  tnr_tensor *a = tnr_keep(rig_plus_one(kept)), *b = tnr_keep(rig_plus_one(dropped));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(a));
  assert_ok(tnr_cancel(b));
  assert_canceled(a);
  assert_canceled(b);
  float data[RIG_ELEMENTS];
  assert_fails(tnr_tensor_read(a, data, sizeof data), TNR_ECANCELED);
  rig_await_turn(*state);
  rig_open_gate();
  assert_number(kept, 1);
  assert_int_equal(rig_runs, 1);
}

/* ---- very much ---- */

enum { MANY = CHECK_MANY(100000) };

static void a_long_queue_ends_at_once_and_needs_no_stack(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0), *first = rig_plus_one(held), *f = first;
  assert_ok(tnr_scope_open());
  for (int i = 0; i < MANY; i++) {
    f = rig_on_worker(f);
    if (i % 1000 == 0) {
      tnr_keep(f);
      assert_ok(tnr_scope_close());
      assert_ok(tnr_scope_open());
    }
  }
  f = tnr_keep(f);
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(first));
  assert_canceled(f);
  rig_await_turn(*state);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 0);
}

/* What nobody needs is found from its end. */
static void what_a_long_queue_needed_is_not_run(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0), *f = held;
  assert_ok(tnr_scope_open());
  for (int i = 0; i < MANY; i++)
    f = rig_on_worker(f);
  f = tnr_keep(f);
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(f));
  assert_canceled(f);
  assert_ok(tnr_wait(rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1))), TNR_COMPLETE,
                     INT64_MAX));
  rig_await_turn(*state);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 0);
}

static void what_was_not_in_the_workers_hands_goes_at_once(void **state) {
  check_needs_threads();
  enum { OPS = 5000, IN_HAND = 1100 };
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_scope_open());
  for (int i = 0; i < OPS; i++) {
    tnr_future *f = rig_plus_one(held);
    assert_made(f);
    if (i >= IN_HAND)
      assert_ok(tnr_cancel(f));
  }
  assert_ok(tnr_scope_close());
  uint64_t left = OPS;
  for (int i = 0; left > IN_HAND + 100 && i < 10000; i++) {
    rig_sleep_ms(1);
    left = tnr_runtime_get_stats(*state).live_handles;
  }
  assert_in_range(left, 1, IN_HAND + 100);
}

/* ---- asking for it ---- */

static void cancel_all_of_them(tnr_value future, void *user) {
  tnr_future **f = user;
  (void)future;
  for (int i = 0; i < 2; i++)
    if (tnr_cancel(f[i]) != TNR_OK)
      abort();
}

static void callbacks_may_cancel(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0), *f[2] = {rig_plus_one(held), counted(held)};
  tnr_future *done = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1)));
  assert_ok(tnr_on(f[0], TNR_COMPLETE, rig_log, RIG_WHAT(0)));
  assert_ok(tnr_on(done, TNR_COMPLETE, cancel_all_of_them, f));
  rig_await_log(1);
  assert_int_equal(rig_log_at(0).code, TNR_ECANCELED);
  assert_canceled(f[1]);
}

static void waiting_threads_go_on(void **state) {
  check_needs_threads();
  tnr_future *f = rig_plus_one(rig_block(*state, 0)), *both[] = {f, f};
  tnr_future *done = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1)));
  assert_ok(tnr_on(done, TNR_COMPLETE, cancel_all_of_them, both));
  assert_null(tnr_get(f));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ECANCELED);
}

static void nothing_cannot_be_cancelled(void **state) {
  (void)state;
  tnr_future *nothing = NULL;
  tnr_error_clear();
  assert_fails(tnr_cancel(nothing), TNR_EINVAL);
  tnr_runtime *runtime = rig_runtime();
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_fails(tnr_cancel(f), TNR_ECLOSED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_queued_op_ends_at_once),
      rig_test(a_waiting_op_ends_at_once),
      rig_test(all_that_descends_ends_with_the_same_error),
      rig_test(siblings_go_on),
      rig_test(a_running_kernel_finishes_and_its_result_is_dropped),
      rig_test(what_is_complete_stays_so),
      rig_test(cancelling_twice_is_cancelling_once),
      rig_test(what_only_it_needed_is_not_run),
      rig_test(what_somebody_else_needs_is_run),
      rig_test(what_two_need_is_run_until_both_are_cancelled),
      rig_test(a_plain_calls_result_counts_as_a_handle),
      rig_test(a_long_queue_ends_at_once_and_needs_no_stack),
      rig_test(what_a_long_queue_needed_is_not_run),
      rig_test(what_was_not_in_the_workers_hands_goes_at_once),
      rig_test(callbacks_may_cancel),
      rig_test(waiting_threads_go_on),
      rig_test(nothing_cannot_be_cancelled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
