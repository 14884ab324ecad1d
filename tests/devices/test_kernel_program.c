/* The program that any driver can have: it runs the op's plain kernel. */
#include "check.h"

/* ---- programs ---- */

static tnr_status sum_and_difference(const tnr_kernel_call *call, tnr_fault *fault) {
  const int32_t *a = call->in_data[0], *b = call->in_data[1];
  int32_t *sum = call->out_data[0], *difference = call->out_data[1];
  if (call->in_count != 2 || call->out_count != 2 || *(const int *)call->attrs != 7)
    return tnr_fail(fault, TNR_EINVAL, "the call is not what it should be");
  for (int64_t i = 0; i < tnr_shape_elements(&call->out[0].shape); i++) {
    sum[i] = a[i] + b[i];
    difference[i] = a[i] - b[i];
  }
  return TNR_OK;
}

static void the_kernel_gets_what_the_program_was_made_for(void **state) {
  (void)state;
  const tnr_desc pair = {TNR_SHAPE(2), TNR_I32}, in[] = {pair, pair}, out[] = {pair, pair};
  const int attrs = 7;
  const tnr_program_spec spec = {.name = "both",
                                 .attrs = &attrs,
                                 .in_count = 2,
                                 .out_count = 2,
                                 .in = in,
                                 .out = out,
                                 .kernel = sum_and_difference};
  const int32_t a[] = {5, 9}, b[] = {3, -4};
  int32_t sum[2], difference[2];
  tnr_program *program;
  assert_int_equal(tnr_kernel_program(NULL, &spec, &program, NULL), TNR_OK);
  for (int i = 0; i < 3; i++)
    assert_int_equal(
        program->run(program, (const void *const[]){a, b}, (void *const[]){sum, difference}, NULL),
        TNR_OK);
  assert_true(sum[0] == 8 && sum[1] == 5 && difference[0] == 2 && difference[1] == 13);
  program->destroy(program);
}

static tnr_status refuse(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)call;
  return tnr_fail(fault, TNR_EKERNEL, "no");
}

static void a_fault_of_the_kernel_is_one_of_the_program(void **state) {
  (void)state;
  const tnr_program_spec spec = {.name = "refuse", .kernel = refuse};
  tnr_program *program;
  tnr_fault fault;
  assert_int_equal(tnr_kernel_program(NULL, &spec, &program, &fault), TNR_OK);
  assert_int_equal(program->run(program, NULL, NULL, &fault), TNR_EKERNEL);
  assert_string_equal(fault.message, "no");
  program->destroy(program);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_kernel_gets_what_the_program_was_made_for),
      cmocka_unit_test(a_fault_of_the_kernel_is_one_of_the_program),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
