/* What the library keeps for a thread, and the roles that a thread of the program may take. */
#include "rig.h"

#include "reactor/thread.h"

/* Roles look at the address of a runtime only. */
static tnr_runtime *const one = (tnr_runtime *)8, *const other = (tnr_runtime *)16;

static void a_thread_serves_what_it_plays_for(void **state) {
  (void)state;
  tnr_role dispatcher, worker;
  tnr_role_init(&dispatcher, one, 0);
  tnr_role_init(&worker, one, 3);
  assert_int_equal(tnr_thread_service(one), TNR_SERVES_NOT);
  tnr_role_enter(&dispatcher);
  assert_int_equal(tnr_thread_service(one), TNR_SERVES_AS_DISPATCHER);
  assert_int_equal(tnr_thread_service(other), TNR_SERVES_NOT);
  assert_ptr_equal(tnr_this_thread.group, one);
  assert_int_equal(tnr_this_thread.index, 0);
  tnr_role_leave(&dispatcher);
  tnr_role_enter(&worker);
  assert_int_equal(tnr_thread_service(one), TNR_SERVES_AS_WORKER);
  assert_int_equal(tnr_this_thread.index, 3);
  tnr_role_leave(&worker);
  assert_int_equal(tnr_thread_service(one), TNR_SERVES_NOT);
  assert_null(tnr_this_thread.group);
  tnr_role_finish(&dispatcher);
  tnr_role_finish(&worker);
}

static void the_outer_role_still_counts_inside_another(void **state) {
  (void)state;
  tnr_role outer, inner;
  tnr_role_init(&outer, one, 0);
  tnr_role_init(&inner, other, 1);
  for (int i = 0; i < 2; i++) {
    tnr_role_enter(&outer);
    tnr_role_enter(&inner);
    assert_int_equal(tnr_thread_service(one), TNR_SERVES_AS_DISPATCHER);
    assert_int_equal(tnr_thread_service(other), TNR_SERVES_AS_WORKER);
    tnr_role_leave(&inner);
    assert_int_equal(tnr_thread_service(one), TNR_SERVES_AS_DISPATCHER);
    assert_int_equal(tnr_thread_service(other), TNR_SERVES_NOT);
    tnr_role_leave(&outer);
  }
  tnr_role_finish(&outer);
  tnr_role_finish(&inner);
}

static void errors_and_scopes_are_the_roles_own(void **state) {
  tnr_role role;
  tnr_future *mine = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)), *none = NULL;
  tnr_role_init(&role, one, 0);
  assert_fails(tnr_wait(none, TNR_COMPLETE, 0), TNR_EINVAL);
  const tnr_error *error = tnr_error();
  tnr_role_enter(&role);
  assert_null(tnr_error());
  assert_fails(tnr_scope_close(), TNR_EINVAL); /* the rig's is out of reach */
  assert_ok(tnr_scope_open());
  assert_ptr_not_equal(tnr_error(), error);
  tnr_future *inside = rig_plus_one(mine);
  assert_made(inside);
  tnr_role_leave(&role);
  assert_ptr_equal(tnr_error(), error);
  assert_number(inside, 2); /* the role's scope is still open */
  tnr_role_enter(&role);
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  tnr_role_leave(&role);
  tnr_role_finish(&role); /* closes the scope, and releases the error */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_thread_serves_what_it_plays_for),
      cmocka_unit_test(the_outer_role_still_counts_inside_another),
      rig_test(errors_and_scopes_are_the_roles_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
