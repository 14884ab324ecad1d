/* Callbacks: where and when they run. */
#include <stdlib.h>

#include "post.h"

static void a_callback_of_null_is_refused(void **state) {
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
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

/* ---- where else they may run ---- */

static void one_future_may_tell_several_places(void **state) {
  check_needs_threads();
  enum { EACH = 100 };
  tnr_mailbox *boxes[2] = {post_box(*state), post_box(*state)};
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  for (int i = 0; i < 3 * EACH; i++)
    assert_ok(tnr_on(f, i % 2 ? TNR_CREATED : TNR_COMPLETE, rig_log, RIG_WHAT(i),
                     .mailbox = i % 3 < 2 ? boxes[i % 3] : NULL));
  post_run(boxes[0], EACH);
  post_run(boxes[1], EACH);
  rig_await_log(3 * EACH);
  int here = 0, seen[3 * EACH] = {0};
  for (int i = 0; i < 3 * EACH; i++) {
    rig_entry entry = rig_log_at(i);
    seen[entry.what]++;
    here += pthread_equal(entry.thread, pthread_self()) != 0;
    assert_int_equal(pthread_equal(entry.thread, pthread_self()) != 0, entry.what % 3 < 2);
  }
  assert_int_equal(here, 2 * EACH);
  for (int i = 0; i < 3 * EACH; i++)
    assert_int_equal(seen[i], 1);
  post_close(boxes[0]);
  post_close(boxes[1]);
}

static void a_refused_callback_is_never_called(void **state) {
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  tnr_tensor *x = rig_tensor(rig_cpu(runtime, 0), 1);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_fails(tnr_on(x, TNR_COMPLETE, rig_log, NULL), TNR_ECLOSED);
  tnr_release(x);
  assert_int_equal(rig_log_count(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_callback_of_null_is_refused),
      rig_test(callbacks_run_on_one_thread_that_is_nobody_elses),
      rig_test(a_callback_on_what_is_complete_still_runs_on_the_dispatcher),
      rig_test(a_callback_is_never_called_inside_its_registration),
      rig_test(one_future_may_tell_several_places),
      rig_bare_test(a_refused_callback_is_never_called),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
