/* Scopes: who owns what, and that nested calls leak nothing. */
#include <stdlib.h>

#include "rig.h"

static uint64_t alive(tnr_runtime *runtime) {
  return tnr_runtime_get_stats(runtime).live_handles;
}

/* The rig's own scope is closed, so that these tests begin outside of any. */
static tnr_tensor *outside(void **state) {
  assert_ok(tnr_scope_close());
  return rig_tensor(rig_cpu(*state, 0), 1);
}

static void assert_none_left_over(tnr_runtime *runtime, uint64_t before) {
  assert_ok(tnr_synchronize_device(rig_cpu(runtime, 0)));
  for (int ms = 0; ms < 5000 && alive(runtime) > before; ms++)
    rig_sleep_ms(1);
  assert_int_equal(alive(runtime), before);
}

static void nested_calls_in_a_scope_leak_nothing(void **state) {
  tnr_tensor *x = outside(state);
  uint64_t before = alive(*state);
  for (int i = 0; i < CHECK_MANY(2000); i++) {
    assert_ok(tnr_scope_open());
    tnr_future *f = rig_sum(rig_plus_one(rig_plus_one(tnr_to_async(x))),
                            tnr_at(rig_two(rig_sum_of(tnr_tuple_of(x, x))), 1));
    assert_made(f);
    if (i % 100 == 0)
      assert_number(f, 7);
    assert_ok(tnr_scope_close());
  }
  assert_none_left_over(*state, before);
  tnr_release(x);
}

static void kept_handles_survive_the_scope(void **state) {
  tnr_tensor *x = outside(state);
  assert_ok(tnr_scope_open());
  tnr_tensor *y = tnr_keep(rig_plus_one(rig_plus_one(x)));
  tnr_future *f = tnr_keep(rig_plus_one(tnr_to_async(y)));
  tnr_tuple *t = tnr_keep(rig_two(y));
  tnr_future_tuple *ft = tnr_keep(rig_two(f));
  tnr_value v = tnr_keep(TNR_VALUE(rig_plus_one(y)));
  assert_ok(tnr_scope_close());
  assert_number(y, 3);
  assert_number(f, 4);
  tnr_tensor *second = tnr_at(t, 1);
  assert_number(second, 5);
  assert_number(v, 4);
  void *const handles[] = {x, y, f, t, ft, v.handle, second};
  for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
    tnr_release(handles[i]);
}

static void a_handle_kept_moves_out_by_one_scope(void **state) {
  tnr_tensor *x = outside(state);
  uint64_t before = alive(*state);
  assert_ok(tnr_scope_open());
  assert_ok(tnr_scope_open());
  tnr_tensor *y = tnr_keep(rig_plus_one(x));
  assert_ok(tnr_scope_close());
  assert_number(y, 2);
  assert_ok(tnr_scope_close());
  assert_none_left_over(*state, before);
  tnr_release(x);
}

static void the_callers_own_handles_are_left_alone(void **state) {
  tnr_tensor *x = outside(state);
  assert_ok(tnr_scope_open());
  assert_ptr_equal(tnr_keep(x), x);
  assert_null(tnr_keep((tnr_tensor *)NULL));
  tnr_retain(x);
  assert_ok(tnr_scope_close());
  tnr_release(x);
  assert_number(x, 1);
  tnr_release(x);
}

/* One handle, owned by a scope several times over. */
static void a_handle_that_a_scope_owns_twice_is_kept_once(void **state) {
  tnr_tensor *x = outside(state);
  assert_ok(tnr_scope_open());
  tnr_tensor *again = tnr_get(x), *once_more = tnr_get(x);
  assert_ptr_equal(again, once_more);
  tnr_tensor *kept = tnr_keep(again);
  assert_ok(tnr_scope_close());
  tnr_release(kept);
  assert_number(x, 1);
  tnr_release(x);
}

static void scopes_nest_deeply(void **state) {
  enum { DEPTH = 1000 };
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 0);
  for (int i = 0; i < DEPTH; i++) {
    assert_ok(tnr_scope_open());
    x = rig_plus_one(x);
  }
  for (int i = 0; i < DEPTH; i++) {
    tnr_keep(x);
    assert_ok(tnr_scope_close());
  }
  assert_number(x, DEPTH);
}

static void closing_what_is_not_open_is_refused(void **state) {
  tnr_release(outside(state));
  assert_fails(tnr_scope_close(), TNR_EINVAL);
  assert_string_equal(tnr_error_reason(tnr_error()), "no scope is open on this thread");
}

static void use_scope(void *user, int index) {
  tnr_runtime *runtime = user;
  if (tnr_scope_close() != TNR_EINVAL || tnr_scope_open() != TNR_OK)
    abort();
  tnr_tensor *x =
      tnr_tensor_create(tnr_runtime_device_at(runtime, index % 4), TNR_F32, TNR_SHAPE(1), NULL);
  for (int i = 0; i < 100; i++)
    x = rig_plus_one(x);
  if (!x || (index % 2 && tnr_scope_close() != TNR_OK))
    abort();
}

static void each_thread_has_scopes_of_its_own_and_its_end_closes_them(void **state) {
  rig_threads(8, use_scope, *state);
}

static void what_is_left_in_a_scope_still_runs(void **state) {
  assert_ok(tnr_scope_open());
  tnr_future *f = rig_plus_one(rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1))));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, NULL));
  assert_ok(tnr_scope_close());
  rig_open_gate();
  rig_await_log(1);
  assert_int_equal(rig_log_at(0).code, TNR_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(nested_calls_in_a_scope_leak_nothing),
      rig_test(kept_handles_survive_the_scope),
      rig_test(a_handle_kept_moves_out_by_one_scope),
      rig_test(the_callers_own_handles_are_left_alone),
      rig_test(a_handle_that_a_scope_owns_twice_is_kept_once),
      rig_test(scopes_nest_deeply),
      rig_test(closing_what_is_not_open_is_refused),
      rig_test(each_thread_has_scopes_of_its_own_and_its_end_closes_them),
      rig_test(what_is_left_in_a_scope_still_runs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
