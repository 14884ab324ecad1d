/* Views of tensors in host memory: no copy, how long they live, where and when they can be had. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

enum { MS = 1000000 };

static void assert_views(tnr_tensor *x, float number) {
  tnr_host_view view;
  assert_ok(tnr_tensor_view(x, &view));
  assert_int_equal(view.bytes, tnr_tensor_bytes(x));
  assert_ptr_equal(view.tensor, x);
  for (size_t i = 0; i < view.bytes / sizeof(float); i++)
    assert_true(((const float *)view.data)[i] == number);
  tnr_host_view_release(&view);
  assert_null(view.data);
  assert_null(view.tensor);
  assert_int_equal(view.bytes, 0);
}

static void a_view_shows_what_is_there(void **state) {
  assert_views(rig_tensor(rig_cpu(*state, 0), 5), 5);
  assert_views(rig_tensor(tnr_runtime_device(*state, "host"), 6), 6);
  assert_views(rig_plus_one(rig_tensor(rig_cpu(*state, 0), 5)), 6);
}

static void count_release(void *user) {
  atomic_fetch_add((atomic_int *)user, 1);
}

static void a_view_is_no_copy(void **state) {
  const float data[RIG_ELEMENTS] = {1, 1, 1, 1};
  atomic_int released = 0;
  tnr_host_view view, other;
  assert_ok(tnr_scope_open());
  tnr_tensor *x = tnr_tensor_borrow(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data,
                                    count_release, &released);
  assert_ok(tnr_tensor_view(x, &view));
  assert_ok(tnr_tensor_view(tnr_reshape(x, .shape = TNR_SHAPE(2, 2)), &other));
  assert_ptr_equal(view.data, data);
  assert_ptr_equal(other.data, data);
  assert_int_equal(tnr_tensor_rank(other.tensor), 2);
  assert_ok(tnr_scope_close());
  tnr_host_view_release(&view);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(released, 0);
  tnr_host_view_release(&other);
  rig_await(&released, 1);
}

static void releasing_twice_or_nothing_is_fine(void **state) {
  tnr_host_view view;
  assert_ok(tnr_tensor_view(rig_tensor(rig_cpu(*state, 0), 5), &view));
  tnr_host_view_release(&view);
  tnr_host_view_release(&view);
  tnr_host_view_release(NULL);
}

static void scalars_and_empty_tensors_have_views(void **state) {
  const float pi = 3.25f;
  tnr_host_view view;
  assert_ok(
      tnr_tensor_view(tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SCALAR, &pi), &view));
  assert_true(*(const float *)view.data == pi);
  tnr_host_view_release(&view);
  assert_ok(tnr_tensor_view(tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(0, 3), NULL),
                            &view));
  assert_int_equal(view.bytes, 0);
  assert_non_null(view.data);
  tnr_host_view_release(&view);
}

static void a_view_outlives_all_else(void **state) {
  tnr_host_view view;
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  tnr_tensor *x = rig_tensor(rig_cpu(runtime, 0), 3), *y = rig_plus_one(x);
  assert_made(y);
  assert_ok(tnr_tensor_view(y, &view));
  tnr_release(x);
  tnr_release(y);
  assert_ok(tnr_runtime_destroy(runtime, TNR_ABORT));
  assert_true(((const float *)view.data)[RIG_ELEMENTS - 1] == 4);
  assert_int_equal(tnr_tensor_dtype(view.tensor), TNR_F32);
  tnr_host_view_release(&view);
}

/* ---- where ---- */

static void assert_refused(tnr_tensor *x, const char *reason) {
  tnr_host_view view = {.bytes = 99};
  assert_made(x);
  assert_fails(tnr_tensor_view(x, &view), TNR_EDEVICE);
  assert_string_equal(tnr_error_reason(tnr_error()), reason);
  assert_null(view.data);
  assert_null(view.tensor);
  assert_int_equal(view.bytes, 0);
}

/* Said at once, although the data is not there yet. */
static void what_is_elsewhere_or_split_has_no_view(void **state) {
  tnr_tensor *far = rig_hold(rig_tensor(rig_sim(*state, 1), 1));
  tnr_tensor *split = tnr_shard(rig_hold(rig_tensor(rig_cpu(*state, 0), 1)), rig_cpus(*state, 2));
  assert_refused(far, "tensor_view: the data is in the memory of sim:1; move it to the host with "
                      "tnr_to_device, or copy it with tnr_tensor_read");
  assert_refused(split, "tensor_view: the tensor is split over 2 devices; put it together with "
                        "tnr_gather, or copy it with tnr_tensor_read");
  rig_open_gate();
  assert_views(tnr_to_device(far, tnr_runtime_device(*state, "host")), 1);
  assert_views(tnr_gather(split), 1);
}

static void of_a_replicated_tensor_the_first_copy_is_shown(void **state) {
  assert_views(tnr_replicate(rig_tensor(rig_cpu(*state, 0), 2), rig_cpus(*state, 3)), 2);
}

/* ---- when ---- */

static void a_view_waits_for_the_data(void **state) {
  check_needs_threads();
  tnr_tensor *x = rig_hold(rig_tensor(rig_cpu(*state, 0), 5));
  tnr_host_view view;
  assert_fails(tnr_tensor_view_for(x, &view, 0), TNR_ETIMEDOUT);
  int64_t start = rig_now_ns();
  assert_fails(tnr_tensor_view_for(x, &view, 10 * MS), TNR_ETIMEDOUT);
  assert_true(rig_now_ns() - start >= 10 * MS);
  assert_null(view.tensor);
  rig_open_gate();
  assert_views(x, 5);
  assert_ok(tnr_tensor_view_for(x, &view, 0));
  tnr_host_view_release(&view);
}

static void what_failed_has_no_view_but_an_error(void **state) {
  tnr_host_view view;
  assert_fails(tnr_tensor_view(rig_fail(rig_tensor(rig_cpu(*state, 0), 5)), &view), TNR_EKERNEL);
  assert_string_equal(tnr_error_reason(tnr_error()), "no");
  assert_null(view.tensor);
  assert_fails(tnr_tensor_view(NULL, &view), TNR_EKERNEL); /* the first error stays */
  tnr_error_clear();
  assert_fails(tnr_tensor_view(NULL, &view), TNR_EINVAL);
  assert_fails(tnr_tensor_view(rig_tensor(rig_cpu(*state, 0), 5), NULL), TNR_EINVAL);
}

/* ---- in callbacks ---- */

typedef struct seen {
  tnr_status status;
  float number;
  atomic_int done;
} seen;

static void view_in_callback(tnr_value future, void *user) {
  seen *record = user;
  tnr_host_view view;
  tnr_value got = tnr_get(future);
  record->status = tnr_tensor_view(tnr_value_tensor(got), &view);
  if (record->status == TNR_OK)
    record->number = ((const float *)view.data)[0];
  tnr_host_view_release(&view);
  tnr_release(got.handle);
  atomic_store(&record->done, 1);
}

static void in_a_callback_for_complete_it_is_there_at_once(void **state) {
  seen record = {.status = TNR_EINVAL};
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, view_in_callback, &record));
  rig_await(&record.done, 1);
  assert_int_equal(record.status, TNR_OK);
  assert_true(record.number == 2);
}

/* From a device with memory of its own by an op, so that nobody waits. */
static void in_a_callback_behind_a_copy_to_the_host_too(void **state) {
  seen record = {.status = TNR_EINVAL};
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_sim(*state, 0), 1)));
  tnr_future *here = tnr_to_device(f, tnr_runtime_device(*state, "host"));
  assert_ok(tnr_on(here, TNR_COMPLETE, view_in_callback, &record));
  rig_await(&record.done, 1);
  assert_int_equal(record.status, TNR_OK);
  assert_true(record.number == 2);
}

static void in_a_callback_before_that_it_does_not_wait(void **state) {
  check_needs_threads();
  seen record = {.status = TNR_OK};
  tnr_future *f = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_ok(tnr_on(f, TNR_CREATED, view_in_callback, &record));
  rig_await(&record.done, 1);
  assert_int_equal(record.status, TNR_EDEADLK);
}

/* ---- many ---- */

static void view_on_thread(void *user, int index) {
  for (int i = 0; i < CHECK_MANY(2000); i++) {
    tnr_tensor *y = rig_plus_one((tnr_tensor *)user);
    tnr_host_view view, again;
    if (!y || tnr_tensor_view(y, &view) != TNR_OK)
      abort();
    tnr_release(y);
    if (tnr_tensor_view_for(view.tensor, &again, 0) != TNR_OK || again.data != view.data)
      abort();
    tnr_host_view_release(i % 2 ? &view : &again);
    if (((const float *)(i % 2 ? again : view).data)[index % RIG_ELEMENTS] != 8)
      abort();
    tnr_host_view_release(i % 2 ? &again : &view);
  }
}

static void many_threads_view_what_others_let_go(void **state) {
  rig_threads(8, view_on_thread, rig_tensor(rig_cpu(*state, 0), 7));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_view_shows_what_is_there),
      rig_test(a_view_is_no_copy),
      rig_test(releasing_twice_or_nothing_is_fine),
      rig_test(scalars_and_empty_tensors_have_views),
      rig_bare_test(a_view_outlives_all_else),
      rig_test(what_is_elsewhere_or_split_has_no_view),
      rig_test(of_a_replicated_tensor_the_first_copy_is_shown),
      rig_test(a_view_waits_for_the_data),
      rig_test(what_failed_has_no_view_but_an_error),
      rig_test(in_a_callback_for_complete_it_is_there_at_once),
      rig_test(in_a_callback_behind_a_copy_to_the_host_too),
      rig_test(in_a_callback_before_that_it_does_not_wait),
      rig_test(many_threads_view_what_others_let_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
