/* Composites: bodies that run at once and bodies that wait for shapes, and what bodies do wrong. */
#include <stdlib.h>

#include "rig.h"

#define COMPOSITE1(def, x)       TNR_COMPOSITE1(&(def), x, tnr_no_attrs, )
#define COMPOSITE1_TUPLE(def, x) TNR_COMPOSITE1_TUPLE(&(def), x, tnr_no_attrs, )

/* ---- bodies ---- */

static tnr_value plus_two(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_plus_one(rig_plus_one(in[0]));
}

static atomic_int bodies;

/* x plus its number of elements, by one at a time. */
static tnr_value plus_count(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  tnr_desc desc;
  atomic_fetch_add(&bodies, 1);
  if (!tnr_value_desc(in[0], &desc))
    return (tnr_value){TNR_VALUE_NONE, NULL};
  tnr_value x = in[0];
  for (int64_t i = 0; i < tnr_shape_elements(&desc.shape); i++)
    x = rig_plus_one(x);
  return x;
}

static tnr_value identity(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return in[0];
}

static tnr_value fails(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_plus_one(rig_fail(rig_plus_one(in[0])));
}

static tnr_value misfit(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_plus_one(tnr_matmul(in[0], in[0]));
}

static tnr_value nothing(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  (void)rig_plus_one(in[0]).kind;
  return (tnr_value){TNR_VALUE_NONE, NULL};
}

static tnr_value two(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return tnr_tuple_of(rig_plus_one(in[0]), in[0]);
}

static tnr_value always_async(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_plus_one(tnr_to_async(in[0]));
}

static tnr_value plain_constant(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return tnr_value_of_tensor(tnr_scalar(tnr_value_mesh(in[0]), TNR_F32, 9));
}

static const tnr_composite_def plus_two_def = {.name = "plus_two", .body = plus_two},
                               identity_def = {.name = "identity", .body = identity},
                               fails_def = {.name = "fails", .body = fails},
                               misfit_def = {.name = "misfit", .body = misfit},
                               nothing_def = {.name = "nothing", .body = nothing},
                               two_def = {.name = "two", .result = TNR_OP_TUPLE, .body = two},
                               not_two_def = {.name = "not_two", .body = two},
                               not_one_def = {.name = "not_one",
                                              .result = TNR_OP_TUPLE,
                                              .body = plus_two},
                               async_def = {.name = "always_async", .body = always_async},
                               constant_def = {.name = "plain_constant", .body = plain_constant};

/* The same, but they look at shapes. */
static const tnr_composite_def
    late_plus_count_def = {.name = "late_plus_count", .needs_shapes = true, .body = plus_count},
    late_identity_def = {.name = "late_identity", .needs_shapes = true, .body = identity},
    late_fails_def = {.name = "late_fails", .needs_shapes = true, .body = fails},
    late_misfit_def = {.name = "late_misfit", .needs_shapes = true, .body = misfit},
    late_nothing_def = {.name = "late_nothing", .needs_shapes = true, .body = nothing},
    late_two_def = {.name = "late_two", .needs_shapes = true, .result = TNR_OP_TUPLE, .body = two},
    late_not_two_def = {.name = "late_not_two", .needs_shapes = true, .body = two},
    late_constant_def = {.name = "late_constant", .needs_shapes = true, .body = plain_constant};

static tnr_value nested(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return COMPOSITE1(late_plus_count_def, COMPOSITE1(plus_two_def, in[0]));
}

static const tnr_composite_def nested_def = {.name = "nested", .body = nested},
                               late_nested_def = {
                                   .name = "late_nested", .needs_shapes = true, .body = nested};

/* A future that is not created before the gate opens: it is behind a held op of another device. */
static tnr_future *unknown(tnr_runtime *runtime, float number) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), number)));
  return tnr_to_device(held, rig_cpu(runtime, 1));
}

static tnr_tensor *plain(tnr_runtime *runtime, float number) {
  return rig_tensor(rig_cpu(runtime, 1), number);
}

/* ---- at once ---- */

static void one_body_serves_plain_and_async(void **state) {
  tnr_tensor *x = plain(*state, 1), *y = COMPOSITE1(plus_two_def, x);
  tnr_future *f = COMPOSITE1(plus_two_def, tnr_to_async(x));
  tnr_value v = COMPOSITE1(plus_two_def, TNR_VALUE(x));
  assert_number(y, 3);
  assert_number(f, 3);
  assert_number(v, 3);
}

static void one_body_serves_several_devices(void **state) {
  tnr_tensor *pieces = tnr_shard(plain(*state, 1), rig_cpus(*state, 4));
  tnr_tensor *y = COMPOSITE1(late_plus_count_def, pieces);
  assert_int_equal(tnr_tensor_shard_dim(y), 0);
  assert_number(y, 1 + RIG_ELEMENTS);
  assert_number(COMPOSITE1(plus_two_def, tnr_to_async(pieces)), 3);
}

static void two_results(void **state) {
  tnr_tuple *t = COMPOSITE1_TUPLE(two_def, plain(*state, 1));
  assert_number(tnr_at(t, 0), 2);
  assert_number(tnr_at(t, 1), 1);
  tnr_future_tuple *f = COMPOSITE1_TUPLE(two_def, unknown(*state, 4));
  rig_open_gate();
  assert_number(tnr_at(f, 0), 5);
}

static void an_input_may_be_the_result(void **state) {
  tnr_tensor *x = plain(*state, 1);
  assert_ptr_equal(COMPOSITE1(identity_def, x), x);
  tnr_future *f = unknown(*state, 2);
  assert_ptr_equal(COMPOSITE1(identity_def, f), f);
  assert_ok(tnr_scope_open());
  tnr_future *g = COMPOSITE1(identity_def, f);
  assert_ok(tnr_scope_close());
  rig_open_gate();
  assert_number(f, 2);
  (void)g;
}

static void a_plain_result_of_async_inputs_becomes_a_future(void **state) {
  tnr_future *f = COMPOSITE1(constant_def, tnr_to_async(plain(*state, 1)));
  assert_made(f);
  assert_number(f, 9);
}

static void without_a_scope_the_result_is_the_callers(void **state) {
  assert_ok(tnr_scope_close());
  tnr_tensor *x = plain(*state, 1);
  tnr_tensor *y = COMPOSITE1(plus_two_def, x), *same = COMPOSITE1(identity_def, x);
  assert_number(y, 3);
  tnr_release(same);
  tnr_release(y);
  tnr_release(x);
}

/* ---- later ---- */

static void a_body_that_needs_shapes_waits_for_them_and_the_caller_does_not(void **state) {
  atomic_store(&bodies, 0);
  tnr_future *f = COMPOSITE1(late_plus_count_def, unknown(*state, 1));
  assert_made(f);
  assert_false(tnr_passed(f, TNR_CREATED));
  assert_int_equal(bodies, 0);
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2)));
  rig_open_gate();
  assert_number(f, 1 + RIG_ELEMENTS);
  assert_int_equal(bodies, 1);
  rig_await_log(2);
  assert_int_equal(rig_log_at(0).what, 1);
  assert_int_equal(rig_log_at(1).what, 2);
  assert_ptr_equal(rig_log_at(1).future.handle, f);
}

static void a_body_whose_shapes_are_known_runs_at_once(void **state) {
  check_needs_threads();
  atomic_store(&bodies, 0);
  tnr_future *x = rig_hold(tnr_to_async(plain(*state, 1)));
  assert_ok(tnr_wait(x, TNR_CREATED, INT64_MAX));
  tnr_future *f = COMPOSITE1(late_plus_count_def, x);
  assert_int_equal(bodies, 1);
  rig_open_gate();
  assert_number(f, 1 + RIG_ELEMENTS);
}

static void what_waits_for_a_late_composite_goes_on_after_it(void **state) {
  tnr_future *f = COMPOSITE1(late_plus_count_def, unknown(*state, 1));
  tnr_future *g = rig_sum(rig_plus_one(f), plain(*state, 10));
  tnr_future_tuple *t = COMPOSITE1_TUPLE(late_two_def, f);
  tnr_future *h = COMPOSITE1(late_plus_count_def, tnr_at(t, 0));
  rig_open_gate();
  assert_number(g, 12 + RIG_ELEMENTS);
  assert_number(h, 2 + 2 * RIG_ELEMENTS);
  assert_number(tnr_to_device(f, rig_sim(*state, 0)), 1 + RIG_ELEMENTS);
}

static void composites_nest(void **state) {
  tnr_future *x = unknown(*state, 1);
  tnr_future *f = COMPOSITE1(nested_def, x), *g = COMPOSITE1(late_nested_def, x);
  tnr_tensor *y = COMPOSITE1(late_nested_def, plain(*state, 1));
  rig_open_gate();
  assert_number(f, 3 + RIG_ELEMENTS);
  assert_number(g, 3 + RIG_ELEMENTS);
  assert_number(y, 3 + RIG_ELEMENTS);
}

static void a_late_result_may_be_an_input_or_a_plain_tensor(void **state) {
  tnr_future *x = unknown(*state, 1);
  tnr_future *f = COMPOSITE1(late_identity_def, x), *g = COMPOSITE1(late_constant_def, x);
  rig_open_gate();
  assert_number(f, 1);
  assert_number(g, 9);
}

static tnr_future *long_chain(tnr_future *chain, const tnr_composite_def *def, int links) {
  tnr_retain(chain);
  for (int i = 0; i < links; i++) {
    assert_ok(tnr_scope_open());
    tnr_future *next = COMPOSITE1(*def, chain);
    assert_made(next);
    tnr_retain(next);
    tnr_release(chain);
    chain = next;
    assert_ok(tnr_scope_close());
  }
  return chain;
}

static void a_long_chain_of_late_composites_needs_no_stack(void **state) {
  tnr_future *x = unknown(*state, 1);
  tnr_future *f = long_chain(x, &late_identity_def, CHECK_MANY(100000));
  tnr_future *g = long_chain(x, &late_plus_count_def, CHECK_MANY(10000));
  rig_open_gate();
  assert_number(f, 1);
  assert_number(g, 1 + RIG_ELEMENTS * CHECK_MANY(10000));
  tnr_release(f);
  tnr_release(g);
}

static void a_failed_chain_of_late_composites_needs_no_stack_either(void **state) {
  tnr_future *x = tnr_to_device(rig_fail_late(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1))),
                                rig_cpu(*state, 1));
  tnr_future *f = long_chain(x, &late_identity_def, CHECK_MANY(100000));
  rig_open_gate();
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(f), tnr_future_error(x));
  tnr_release(f);
}

/* ---- errors ---- */

static void check_user_call(const tnr_error *error, const char *op, int line) {
  assert_string_equal(tnr_error_op(error), op);
  assert_string_equal(tnr_error_file(error), __FILE__);
  assert_int_equal(tnr_error_line(error), line);
}

static void errors_name_composite_and_op_and_the_users_call(void **state) {
  assert_null(COMPOSITE1(misfit_def, plain(*state, 1)));
  check_user_call(tnr_error(), "misfit/matmul", __LINE__ - 1);
  tnr_future *f = COMPOSITE1(misfit_def, tnr_to_async(plain(*state, 1)));
  int line = __LINE__ - 1;
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_ESHAPE);
  check_user_call(tnr_future_error(f), "misfit/matmul", line);
  f = COMPOSITE1(late_misfit_def, unknown(*state, 1));
  line = __LINE__ - 1;
  rig_open_gate();
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_ESHAPE);
  check_user_call(tnr_future_error(f), "late_misfit/matmul", line);
}

static void errors_of_calls_that_fail_at_once_do_so_too(void **state) {
  (void)state;
  tnr_tensor *none = NULL;
  tnr_error_clear();
  assert_null(COMPOSITE1(plus_two_def, none));
  check_user_call(tnr_error(), "plus_two", __LINE__ - 1);
}

static tnr_value bad_element(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return tnr_at(rig_two(in[0]), 7);
}

static void elements_that_a_body_asks_for_in_vain_name_the_users_call(void **state) {
  static const tnr_composite_def bad = {.name = "bad", .body = bad_element};
  tnr_error_clear();
  assert_null(COMPOSITE1(bad, plain(*state, 1)));
  check_user_call(tnr_error(), "bad/at", __LINE__ - 1);
  tnr_future *f = COMPOSITE1(bad, tnr_to_async(plain(*state, 1)));
  int line = __LINE__ - 1;
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_EINVAL);
  check_user_call(tnr_future_error(f), "bad/at", line);
}

static void a_kernel_that_fails_inside_fails_the_composite(void **state) {
  tnr_future *f = COMPOSITE1(fails_def, tnr_to_async(plain(*state, 1)));
  int line = __LINE__ - 1;
  tnr_future *g = COMPOSITE1(late_fails_def, unknown(*state, 1));
  rig_open_gate();
  assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  check_user_call(tnr_future_error(f), "fails/rig_fail", line);
  assert_fails(tnr_wait(g, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  check_user_call(tnr_future_error(g), "late_fails/rig_fail", line + 2);
}

static void wrong(tnr_value value, tnr_status status, const char *reason) {
  if (value.kind == TNR_VALUE_NONE)
    assert_int_equal(tnr_error_code(tnr_error()), status);
  else
    assert_fails(tnr_wait(value, TNR_COMPLETE, INT64_MAX), status);
  assert_string_equal(tnr_error_reason(tnr_error()), reason);
  tnr_error_clear();
}

static tnr_value call(const tnr_composite_def *def, tnr_value x) {
  return tnr_call_composite(def, TNR_HERE, &x, 1, NULL);
}

static void bodies_that_return_the_wrong_kind_are_told(void **state) {
  tnr_value x = TNR_VALUE(plain(*state, 1)), f = tnr_to_async(x), u = TNR_VALUE(unknown(*state, 1));
  tnr_value late[] = {call(&late_nothing_def, u), call(&late_not_two_def, u)};
  rig_open_gate();
  wrong(call(&nothing_def, x), TNR_EINVAL, "the composite's body returned nothing");
  wrong(call(&nothing_def, f), TNR_EINVAL, "the composite's body returned nothing");
  wrong(late[0], TNR_EINVAL, "the composite's body returned nothing");
  wrong(call(&not_two_def, x), TNR_EINVAL, "the composite's body returned a tuple, not a tensor");
  wrong(call(&not_two_def, f), TNR_EINVAL, "the composite's body returned a tuple, not a tensor");
  wrong(late[1], TNR_EINVAL, "the composite's body returned a tuple, not a tensor");
  wrong(call(&not_one_def, x), TNR_EINVAL, "the composite's body returned a tensor, not a tuple");
}

static void a_body_that_makes_plain_inputs_async_is_told(void **state) {
  assert_null(COMPOSITE1(async_def, plain(*state, 1)));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_string_equal(tnr_error_op(tnr_error()), "always_async");
  assert_number(COMPOSITE1(async_def, tnr_to_async(plain(*state, 1))), 2);
}

static void definitions_that_lack_something_are_refused(void **state) {
  static const tnr_composite_def nameless = {.body = identity}, bodiless = {.name = "bodiless"};
  tnr_tensor *x = plain(*state, 1);
  assert_null(COMPOSITE1(nameless, x));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_null(COMPOSITE1(bodiless, x));
  assert_null(tnr_call_composite(NULL, TNR_HERE, TNR_INPUTS(x), 1, NULL).handle);
}

/* Failed already, or while the body waits for it: the same. */
static void an_input_that_failed_fails_a_late_composite_with_its_error(void **state) {
  tnr_future *failed = rig_fail_late(tnr_to_async(plain(*state, 1)));
  tnr_future *behind = tnr_to_device(failed, rig_cpu(*state, 2));
  tnr_future *before = COMPOSITE1(late_plus_count_def, behind);
  rig_open_gate();
  assert_fails(tnr_wait(before, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  tnr_error_clear();
  tnr_future *after = COMPOSITE1(late_plus_count_def, behind);
  assert_made(after);
  assert_fails(tnr_wait(after, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ptr_equal(tnr_future_error(before), tnr_future_error(failed));
  assert_ptr_equal(tnr_future_error(after), tnr_future_error(failed));
}

typedef struct countdown_attrs {
  int64_t left;
} countdown_attrs;

static tnr_value countdown(const tnr_value *in, int in_count, const void *attrs);
static const tnr_composite_def countdown_def = {.name = "countdown",
                                                .attrs_size = sizeof(countdown_attrs),
                                                .needs_shapes = true,
                                                .body = countdown};

/* Like a decoding loop: each round calls the next one from within. */
static tnr_value countdown(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  const countdown_attrs *at = attrs, next = {at->left - 1};
  tnr_value x = rig_plus_one(in[0]);
  return at->left == 1 ? x : tnr_call_composite(&countdown_def, TNR_HERE, &x, 1, &next);
}

static void late_composites_nest_deeply_without_a_stack(void **state) {
  const countdown_attrs rounds = {CHECK_MANY(100000)};
  tnr_value x = TNR_VALUE(unknown(*state, 0));
  tnr_value f = tnr_call_composite(&countdown_def, TNR_HERE, &x, 1, &rounds);
  assert_made(f.handle);
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1)));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(2)));
  rig_open_gate();
  assert_number(f, (float)rounds.left);
  rig_await_log(2);
  assert_int_equal(rig_log_at(0).what, 1);
  assert_int_equal(rig_log_at(1).what, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(one_body_serves_plain_and_async),
      rig_test(one_body_serves_several_devices),
      rig_test(two_results),
      rig_test(an_input_may_be_the_result),
      rig_test(a_plain_result_of_async_inputs_becomes_a_future),
      rig_test(without_a_scope_the_result_is_the_callers),
      rig_test(a_body_that_needs_shapes_waits_for_them_and_the_caller_does_not),
      rig_test(a_body_whose_shapes_are_known_runs_at_once),
      rig_test(what_waits_for_a_late_composite_goes_on_after_it),
      rig_test(composites_nest),
      rig_test(a_late_result_may_be_an_input_or_a_plain_tensor),
      rig_test(a_long_chain_of_late_composites_needs_no_stack),
      rig_test(a_failed_chain_of_late_composites_needs_no_stack_either),
      rig_test(late_composites_nest_deeply_without_a_stack),
      rig_test(errors_name_composite_and_op_and_the_users_call),
      rig_test(errors_of_calls_that_fail_at_once_do_so_too),
      rig_test(elements_that_a_body_asks_for_in_vain_name_the_users_call),
      rig_test(a_kernel_that_fails_inside_fails_the_composite),
      rig_test(bodies_that_return_the_wrong_kind_are_told),
      rig_test(a_body_that_makes_plain_inputs_async_is_told),
      rig_test(definitions_that_lack_something_are_refused),
      rig_test(an_input_that_failed_fails_a_late_composite_with_its_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
