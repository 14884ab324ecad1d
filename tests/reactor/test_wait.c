/* Waiting, with and without a limit; asking; callbacks; and the threads that must not block. */
#include <stdlib.h>

#include "rig.h"

enum { MS = 1000000 };

static tnr_future *held_future(tnr_runtime *runtime) {
  return rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
}

/* What waits behind it on another device is not created before it is complete. */
static tnr_future *behind(tnr_runtime *runtime, tnr_future *f) {
  return tnr_to_device(f, rig_cpu(runtime, 1));
}

static void get_waits_for_created_only(void **state) {
  check_needs_threads();
  tnr_future *f = held_future(*state);
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
  tnr_future *f = behind(*state, held_future(*state));
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
  tnr_future *f = behind(*state, held_future(*state));
  int64_t start = rig_now_ns();
  assert_null(tnr_get_for(f, 20 * MS));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ETIMEDOUT);
  assert_true(rig_now_ns() - start >= 20 * MS);
  assert_fails(tnr_wait(f, TNR_COMPLETE, 1), TNR_ETIMEDOUT);
  rig_open_gate();
  assert_number(f, 1);
}

static void a_wait_with_time_left_ends_at_the_moment(void **state) {
  tnr_future *f = behind(*state, held_future(*state));
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

static void a_callback_of_null_is_refused(void **state) {
  tnr_future *f = held_future(*state);
  assert_fails(tnr_on(f, TNR_COMPLETE, NULL, NULL), TNR_EINVAL);
}

/* ---- where callbacks run ---- */

static void callbacks_run_on_one_thread_that_is_nobody_elses(void **state) {
  check_needs_threads();
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1), *y = rig_tensor(rig_cpu(*state, 1), 1);
  for (int i = 0; i < 50; i++) {
    assert_ok(
        tnr_on(rig_plus_one(tnr_to_async(x)), i % 2 ? TNR_CREATED : TNR_COMPLETE, rig_log, NULL));
    assert_ok(tnr_on(rig_plus_one(y), TNR_COMPLETE, rig_log, NULL));
  }
  rig_await_log(100);
  for (int i = 0; i < 100; i++)
    assert_true(pthread_equal(rig_log_at(i).thread, rig_log_at(0).thread));
  assert_false(pthread_equal(rig_log_at(0).thread, pthread_self()));
}

static void a_callback_on_what_is_complete_still_runs_on_the_dispatcher(void **state) {
  check_needs_threads();
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_true(tnr_passed(x, TNR_COMPLETE));
  assert_ok(tnr_on(x, TNR_COMPLETE, rig_log, NULL));
  rig_await_log(1);
  assert_false(pthread_equal(rig_log_at(0).thread, pthread_self()));
}

/* ---- callbacks on the dispatcher that register and submit ---- */

typedef struct nested {
  atomic_int inside, nested_calls, seen_inside, done;
} nested;

static void inner(tnr_value future, void *user) {
  (void)future;
  nested *record = user;
  atomic_fetch_add(&record->seen_inside, atomic_load(&record->inside));
  atomic_fetch_add(&record->nested_calls, 1);
}

static void outer(tnr_value future, void *user) {
  nested *record = user;
  atomic_store(&record->inside, 1);
  for (int i = 0; i < 10; i++)
    if (tnr_on(future, i % 2 ? TNR_CREATED : TNR_COMPLETE, inner, user) != TNR_OK)
      abort();
  atomic_store(&record->inside, 0);
  atomic_store(&record->done, 1);
}

static void a_callback_is_never_called_inside_its_registration(void **state) {
  nested record = {0};
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, outer, &record));
  rig_await(&record.nested_calls, 10);
  assert_int_equal(record.seen_inside, 0);
}

/* ---- threads that must not block ---- */

typedef struct refusals {
  tnr_runtime *runtime;
  tnr_future *pending;     /* neither created nor complete */
  tnr_future_tuple *tuple; /* likewise */
  tnr_tensor *incomplete;  /* created */
  tnr_tensor *far;         /* complete, in memory of a device */
  tnr_future *created;
  tnr_status got[12];
  bool all_null;
  atomic_int done;
} refusals;

static tnr_status code_of(const void *handle, bool *all_null) {
  *all_null &= !handle;
  return tnr_error_code(tnr_error());
}

static void try_to_block(refusals *r) {
  float data[RIG_ELEMENTS];
  int n = 0;
  r->all_null = true;
  tnr_error_clear();
  r->got[n++] = code_of(tnr_get(r->pending), &r->all_null);
  r->got[n++] = code_of(tnr_get(r->tuple), &r->all_null);
  r->got[n++] = code_of(tnr_get_for(r->pending, MS), &r->all_null);
  r->got[n++] = code_of(tnr_get(TNR_VALUE(r->pending)).handle, &r->all_null);
  r->got[n++] = tnr_wait(r->pending, TNR_CREATED, INT64_MAX);
  r->got[n++] = tnr_wait(r->incomplete, TNR_COMPLETE, INT64_MAX);
  r->got[n++] = tnr_tensor_read(r->incomplete, data, sizeof data);
  r->got[n++] = tnr_tensor_read_for(r->incomplete, data, sizeof data, MS);
  r->got[n++] = tnr_tensor_read(r->far, data, sizeof data);
  r->got[n++] = tnr_synchronize_device(rig_cpu(r->runtime, 0));
  r->got[n++] = tnr_synchronize_device(tnr_runtime_device(r->runtime, "host"));
  r->got[n++] = tnr_runtime_destroy(r->runtime, TNR_DRAIN);
  tnr_error_clear();
  atomic_store(&r->done, 1);
}

static refusals refusals_of(tnr_runtime *runtime) {
  tnr_future *held = held_future(runtime);
  tnr_tensor *far = rig_tensor(rig_sim(runtime, 0), 1);
  assert_ok(tnr_wait(far, TNR_COMPLETE, INT64_MAX));
  return (refusals){.runtime = runtime,
                    .pending = behind(runtime, held),
                    .tuple = rig_two(behind(runtime, held)),
                    .incomplete = tnr_get(held),
                    .far = far};
}

static void assert_all_refused(const refusals *r, const char *thread) {
  assert_true(r->all_null);
  for (int i = 0; i < 12; i++)
    if (r->got[i] != TNR_EDEADLK)
      fail_msg("blocking call %d on the %s gave %s", i, thread, tnr_status_name(r->got[i]));
}

static void block_in_callback(tnr_value future, void *user) {
  (void)future;
  try_to_block(user);
}

static void no_blocking_call_blocks_the_dispatcher(void **state) {
  refusals r = refusals_of(*state);
  assert_ok(tnr_on(rig_tensor(rig_cpu(*state, 2), 0), TNR_CREATED, block_in_callback, &r));
  rig_await(&r.done, 1);
  assert_all_refused(&r, "dispatcher");
}

static refusals *of_worker;

static void block_on_worker(void) {
  try_to_block(of_worker);
}

static void no_blocking_call_blocks_a_worker(void **state) {
  refusals r = refusals_of(*state);
  of_worker = &r;
  rig_worker_function = block_on_worker;
  tnr_future *f = rig_on_worker(tnr_to_async(rig_tensor(rig_cpu(*state, 2), 0)));
  rig_await(&r.done, 1);
  assert_all_refused(&r, "worker");
  assert_number(f, 0);
}

/* What needs no waiting is answered there too. */
static void get_in_callback(tnr_value future, void *user) {
  refusals *r = user;
  tnr_value tensor = tnr_get(future);
  float data[RIG_ELEMENTS] = {0};
  r->got[0] = tnr_wait(future, TNR_COMPLETE, INT64_MAX);
  r->got[1] = tnr_tensor_read(tnr_value_tensor(tensor), data, sizeof data);
  r->got[2] = tnr_get_for(r->pending, 0) ? TNR_OK : tnr_error_code(tnr_error());
  r->all_null = data[0] == 2;
  tnr_release(tensor.handle);
  tnr_error_clear();
  atomic_store(&r->done, 1);
}

static void what_is_there_can_be_got_on_the_dispatcher(void **state) {
  refusals r = {.pending = behind(*state, held_future(*state))};
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 2), 1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, get_in_callback, &r));
  rig_await(&r.done, 1);
  assert_int_equal(r.got[0], TNR_OK);
  assert_int_equal(r.got[1], TNR_OK);
  assert_int_equal(r.got[2], TNR_ETIMEDOUT);
  assert_true(r.all_null);
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
    tnr_future *f = behind(*state, held_future(*state));
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
      rig_test(a_callback_of_null_is_refused),
      rig_test(callbacks_run_on_one_thread_that_is_nobody_elses),
      rig_test(a_callback_on_what_is_complete_still_runs_on_the_dispatcher),
      rig_test(a_callback_is_never_called_inside_its_registration),
      rig_test(no_blocking_call_blocks_the_dispatcher),
      rig_test(no_blocking_call_blocks_a_worker),
      rig_test(what_is_there_can_be_got_on_the_dispatcher),
      rig_test(a_failure_before_created_is_told_with_its_own_error),
      rig_test(many_threads_wait_for_one_future),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
