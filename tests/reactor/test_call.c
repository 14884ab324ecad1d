/* Calls: what comes in, what comes out, and what is refused before anything is submitted. */
#include "rig.h"

typedef struct weights {
  int64_t factor, offset;
} weights;

static tnr_status weigh(const tnr_kernel_call *call, tnr_fault *fault) {
  const weights *attrs = call->attrs;
  (void)fault;
  for (int i = 0; i < RIG_ELEMENTS; i++)
    ((float *)call->out_data[0])[i] =
        ((const float *)call->in_data[0])[i] * (float)attrs->factor + (float)attrs->offset;
  return TNR_OK;
}

static const tnr_op_def weigh_op = {.name = "weigh",
                                    .attrs_size = sizeof(weights),
                                    .validate = rig_any_input,
                                    .infer = rig_like_input,
                                    .kernel = weigh};
#define weigh(x, ...) TNR_OP1(&weigh_op, x, weights, __VA_ARGS__)

static void the_kind_of_the_result_follows_the_inputs(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 2);
  tnr_tensor *plain = rig_sum(x, x);
  tnr_future *f = rig_sum(tnr_to_async(x), x), *g = rig_sum(x, tnr_to_async(x));
  tnr_value v = rig_sum(x, TNR_VALUE(x)), w = rig_sum(TNR_VALUE(x), f);
  assert_int_equal(v.kind, TNR_VALUE_TENSOR);
  assert_int_equal(w.kind, TNR_VALUE_FUTURE);
  assert_number(plain, 4);
  assert_number(f, 4);
  assert_number(g, 4);
  assert_number(w, 6);
  tnr_tuple *two = rig_two(x);
  tnr_future_tuple *futures = rig_two(f);
  assert_number(rig_sum_of(two), 7);
  assert_number(rig_sum_of(futures), 11);
}

static void attributes_are_copied_and_zero_where_not_named(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 2);
  weights attrs = {3, 1};
  tnr_value in = tnr_to_async(TNR_VALUE(rig_hold(x)));
  tnr_value y = tnr_call(&weigh_op, TNR_HERE, &in, 1, &attrs);
  attrs = (weights){100, 100};
  rig_open_gate();
  assert_number(y, 7);
  assert_number(weigh(x, .factor = 4), 8);
  assert_number(weigh(x, .offset = 5), 5);
  assert_number(tnr_call(&weigh_op, TNR_HERE, TNR_INPUTS(x), 1, NULL), 0);
}

static void definitions_that_lack_something_are_refused(void **state) {
  const tnr_op_def whole = {
      .name = "whole", .validate = rig_any_input, .infer = rig_like_input, .kernel = weigh};
  tnr_op_def defs[] = {whole, whole, whole, whole};
  defs[0].name = NULL;
  defs[1].validate = NULL;
  defs[2].infer = NULL;
  defs[3].kernel = NULL;
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 2);
  for (int i = 0; i < 4; i++) {
    assert_null(tnr_call(&defs[i], TNR_HERE, TNR_INPUTS(x), 1, NULL).handle);
    assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
    assert_string_equal(tnr_error_reason(tnr_error()),
                        "the op's definition lacks name, validate, infer or kernel");
  }
  assert_null(tnr_call(NULL, TNR_HERE, TNR_INPUTS(x), 1, NULL).handle);
}

static void there_must_be_inputs_and_they_must_not_be_null(void **state) {
  const tnr_value in[] = {TNR_VALUE(rig_tensor(rig_cpu(*state, 0), 2)), {TNR_VALUE_NONE, NULL}};
  assert_null(tnr_call(&rig_sum_op, TNR_HERE, in, 0, NULL).handle);
  assert_string_equal(tnr_error_reason(tnr_error()), "there are no inputs");
  tnr_error_clear();
  assert_null(tnr_call(&rig_sum_op, TNR_HERE, in, 2, NULL).handle);
  assert_string_equal(tnr_error_reason(tnr_error()), "input 1 is NULL");
}

static void calls_that_fail_leave_nothing_behind(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 2), *y = rig_tensor(rig_cpu(*state, 1), 2);
  uint64_t alive = tnr_runtime_get_stats(*state).live_handles;
  for (int i = 0; i < 100; i++) {
    assert_null(rig_sum(x, y));
    assert_null(rig_sum(x, (tnr_tensor *)NULL));
    assert_null(tnr_reshape(x, .shape = TNR_SHAPE(3)));
    assert_null(tnr_shard(x, rig_cpus(*state, 3)));
  }
  assert_int_equal(tnr_runtime_get_stats(*state).live_handles, alive);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(the_kind_of_the_result_follows_the_inputs),
      rig_test(attributes_are_copied_and_zero_where_not_named),
      rig_test(definitions_that_lack_something_are_refused),
      rig_test(there_must_be_inputs_and_they_must_not_be_null),
      rig_test(calls_that_fail_leave_nothing_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
