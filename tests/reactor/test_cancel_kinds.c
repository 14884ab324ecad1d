/* Cancelling each kind of future: elements, joins, sources, copies, composites that wait. */
#include <string.h>

#include "cancelled.h"

static void a_tuple_goes_on_for_its_other_elements(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  tnr_future_tuple *two = rig_two(held);
  tnr_future *gone = tnr_at(two, 0), *stays = tnr_at(two, 1);
  tnr_future *behind_gone = rig_plus_one(gone), *behind = rig_plus_one(stays);
  assert_ok(tnr_on(gone, TNR_COMPLETE, rig_log, RIG_WHAT(0)));
  assert_ok(tnr_cancel(gone));
  assert_canceled(behind_gone);
  rig_open_gate();
  assert_number(behind, 4);
  rig_await_log(1);
  assert_int_equal(rig_log_at(0).code, TNR_ECANCELED);
  assert_int_equal(tnr_wait(gone, TNR_COMPLETE, INT64_MAX), TNR_ECANCELED);
  assert_null(tnr_get(gone));
  assert_string_equal(tnr_error_op(tnr_future_error(gone)), "at");
  assert_ptr_equal(tnr_future_error(behind_gone), tnr_future_error(gone));
  assert_number(tnr_at(two, 0), 2);
}

static void a_tuple_ends_with_its_only_element(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_scope_open());
  tnr_future *element = tnr_keep(tnr_at(rig_two(counted(held)), 0));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(element));
  assert_canceled(element);
  rig_await_turn(*state);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 0);
}

static void elements_that_are_inputs_give_up_their_tuple(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_scope_open());
  tnr_future_tuple *two = rig_two(counted(held));
  tnr_future *a = tnr_at(two, 0), *b = tnr_at(two, 1);
  tnr_future *f = tnr_keep(rig_sum(rig_sum(a, b), a));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(f));
  assert_canceled(f);
  rig_await_turn(*state);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 0);
}

static void an_any_of_gives_up_its_members(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_scope_open());
  tnr_future *kept = tnr_keep(counted(held));
  tnr_future *members[] = {counted(held), tnr_at(rig_two(counted(held)), 0), kept};
  tnr_future *any = tnr_keep(tnr_any(members, 3, TNR_HERE)), *behind = tnr_keep(rig_plus_one(any));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(any));
  assert_canceled(any);
  assert_canceled(behind);
  assert_string_equal(tnr_error_op(tnr_future_error(any)), "any");
  rig_await_turn(*state);
  rig_open_gate();
  assert_number(kept, 1);
  assert_int_equal(rig_runs, 1);
}

static void an_all_of_gives_up_its_members(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_scope_open());
  tnr_future *kept = tnr_keep(counted(held));
  tnr_future_tuple *two = rig_two(counted(held));
  const tnr_value members[] = {TNR_VALUE(counted(held)), TNR_VALUE(tnr_at(two, 0)),
                               TNR_VALUE(tnr_at(two, 1)), TNR_VALUE(kept), TNR_VALUE(kept)};
  tnr_value all = tnr_keep(tnr_all(members, 5, TNR_HERE));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(all));
  assert_canceled(all);
  assert_canceled(tnr_at(all, 0)); /* its members can still be asked for */
  rig_await_turn(*state);
  rig_open_gate();
  assert_number(tnr_at(all, 3), 1);
  assert_int_equal(rig_runs, 1);
}

static void a_source_gives_up_its_tensor(void **state) {
  check_needs_threads();
  (void)rig_block(*state, 0);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_ok(tnr_scope_open());
  tnr_tensor *kept = tnr_keep(rig_on_worker(x));
  tnr_future *a = tnr_keep(tnr_to_async(kept)), *b = tnr_keep(tnr_to_async(rig_on_worker(x)));
  tnr_future_tuple *c = tnr_keep(tnr_to_async(rig_two(rig_on_worker(x))));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(a));
  assert_ok(tnr_cancel(b));
  assert_ok(tnr_cancel(c));
  assert_canceled(a);
  assert_canceled(b);
  assert_canceled(c);
  rig_await_turn(*state);
  rig_open_gate();
  assert_number(kept, 1);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 1);
}

static void a_tensor_stands_for_the_op_that_makes_it(void **state) {
  check_needs_threads();
  (void)rig_block(*state, 0);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_tensor *y = rig_on_worker(x), *z = rig_plus_one(y);
  tnr_tuple *two = rig_two(x);
  tnr_future *f = rig_plus_one(tnr_to_async(y));
  assert_ok(tnr_cancel(y));
  assert_ok(tnr_cancel(two));
  assert_canceled(z);
  assert_canceled(f);
  assert_canceled(two);
  assert_string_equal(tnr_error_op(tnr_value_error(TNR_VALUE(z))), "rig_on_worker");
  float data[RIG_ELEMENTS];
  assert_fails(tnr_tensor_read(z, data, sizeof data), TNR_ECANCELED);
  assert_fails(tnr_tensor_read(tnr_at(two, 1), data, sizeof data), TNR_ECANCELED);
}

static void copies_and_ops_on_meshes_end_too(void **state) {
  check_needs_threads();
  tnr_runtime *runtime = *state;
  tnr_future *held = rig_block(runtime, 1);
  const tnr_mesh *mesh = rig_cpus(runtime, 3);
  tnr_future *x = tnr_to_async(tnr_replicate(rig_tensor(rig_cpu(runtime, 0), 1), mesh));
  tnr_future *f = rig_plus_one(x), *behind = rig_plus_one(rig_plus_one(f));
  tnr_future *gathered = tnr_gather(behind);
  tnr_future *up = tnr_to_device(rig_plus_one(held), rig_sim(runtime, 0));
  assert_ok(tnr_cancel(f));
  assert_ok(tnr_cancel(up));
  assert_canceled(behind);
  assert_canceled(gathered);
  assert_canceled(rig_plus_one(up));
  rig_open_gate();
  assert_number(tnr_to_device(x, rig_cpu(runtime, 0)), 1);
}

/* The first device has nothing left of the middle one, so that the last one is found before it. */
static void what_a_device_is_at_ends_with_what_it_descends_from(void **state) {
  check_needs_threads();
  tnr_runtime *runtime = *state;
  (void)rig_block(runtime, 1);
  const tnr_mesh *mesh = rig_cpus(runtime, 2);
  tnr_future *x = tnr_to_async(tnr_replicate(rig_tensor(rig_cpu(runtime, 0), 1), mesh));
  tnr_future *first = rig_plus_one(x), *last = rig_hold(rig_plus_one(first));
  assert_made(last);
  for (int i = 0; i < 3; i++) {
    rig_await_turn(runtime);
    rig_sleep_ms(1);
  }
  assert_ok(tnr_cancel(first));
  assert_canceled(last);
  rig_open_gate();
  assert_number(tnr_to_device(x, rig_cpu(runtime, 0)), 1);
}

/* ---- composites that wait for shapes ---- */

static tnr_value body(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_on_worker(rig_plus_one(in[0]));
}

static const tnr_composite_def deferred_def = {
    .name = "deferred", .needs_shapes = true, .body = body};
#define deferred(x) TNR_COMPOSITE1(&deferred_def, x, tnr_no_attrs, )

static tnr_value body_that_holds(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_hold(rig_plus_one(in[0]));
}

static const tnr_composite_def held_def = {
    .name = "held", .needs_shapes = true, .body = body_that_holds};
#define held_until_open(x) TNR_COMPOSITE1(&held_def, x, tnr_no_attrs, )

static void a_composite_ends_before_its_body_runs(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0);
  assert_ok(tnr_scope_open());
  tnr_future *waits = tnr_to_device(counted(held), rig_cpu(*state, 1));
  tnr_future *f = tnr_keep(deferred(waits)), *behind = tnr_keep(rig_plus_one(f));
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(f));
  assert_canceled(f);
  assert_canceled(behind);
  assert_string_equal(tnr_error_op(tnr_future_error(f)), "deferred");
  rig_await_turn(*state);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(rig_runs, 0);
}

static void a_composite_gives_up_what_its_body_made(void **state) {
  check_needs_threads();
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 1), 1)), *late = rig_plus_one(x);
  tnr_future *created = tnr_to_device(late, rig_cpu(*state, 0));
  assert_ok(tnr_wait(created, TNR_CREATED, INT64_MAX));
  (void)rig_block(*state, 0);
  tnr_future *again = tnr_to_device(rig_plus_one(late), rig_cpu(*state, 1));
  tnr_future *f = held_until_open(rig_sum(again, late));
  assert_ok(tnr_cancel(f));
  assert_canceled(f);
  tnr_future *g = deferred(tnr_to_async(rig_plus_one(rig_tensor(rig_cpu(*state, 0), 1))));
  assert_ok(tnr_wait(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)), TNR_CREATED, INT64_MAX));
  assert_ok(tnr_cancel(g));
  assert_canceled(g);
  rig_open_gate();
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
}

static void a_composite_does_not_wait_for_the_rest(void **state) {
  check_needs_threads();
  tnr_future *held = rig_block(*state, 0), *f = rig_plus_one(held);
  const tnr_value both[] = {TNR_VALUE(f), TNR_VALUE(rig_plus_one(held))};
  tnr_value made = tnr_call_composite(&deferred_def, TNR_HERE, both, 2, NULL);
  assert_ok(tnr_cancel(f));
  assert_canceled(made);
  assert_ptr_equal(tnr_future_error(made), tnr_future_error(f));
}

/* Cancelled from its end and from its beginning. */
static void cancel_a_chain(tnr_future *x, bool from_its_end) {
  enum { LONG = CHECK_MANY(20000) };
  tnr_future *first = rig_plus_one(x), *f = first;
  assert_ok(tnr_scope_open());
  for (int i = 0; i < LONG; i++) {
    f = i % 2 ? tnr_any(&f, 1, TNR_HERE) : deferred(f);
    assert_made(f);
  }
  f = tnr_keep(f);
  assert_ok(tnr_scope_close());
  assert_ok(tnr_cancel(from_its_end ? f : first));
  assert_canceled(f);
}

static void chains_of_choices_and_composites_need_no_stack(void **state) {
  check_needs_threads();
  (void)state;
  rig_limit_stacks(256);
  tnr_runtime *runtime = rig_runtime();
  assert_ok(tnr_scope_open());
  tnr_future *moved = tnr_to_device(rig_block(runtime, 0), rig_cpu(runtime, 1));
  cancel_a_chain(moved, true);
  cancel_a_chain(moved, false);
  rig_open_gate();
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
  assert_int_equal(rig_runs, 0);
}

/* Nothing of it is kept until the queue gets there. */
int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_tuple_goes_on_for_its_other_elements),
      rig_test(a_tuple_ends_with_its_only_element),
      rig_test(elements_that_are_inputs_give_up_their_tuple),
      rig_test(an_any_of_gives_up_its_members),
      rig_test(an_all_of_gives_up_its_members),
      rig_test(a_source_gives_up_its_tensor),
      rig_test(a_tensor_stands_for_the_op_that_makes_it),
      rig_test(copies_and_ops_on_meshes_end_too),
      rig_test(what_a_device_is_at_ends_with_what_it_descends_from),
      rig_test(a_composite_ends_before_its_body_runs),
      rig_test(a_composite_gives_up_what_its_body_made),
      rig_test(a_composite_does_not_wait_for_the_rest),
      rig_bare_test(chains_of_choices_and_composites_need_no_stack),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
