/* The null device takes any op and does nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tenor/driver.h>

static tnr_status fail_if_called(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)call;
  return tnr_fail(fault, TNR_EKERNEL, "the null device ran a kernel");
}

static void programs_run_without_touching_data(void **state) {
  (void)state;
  const tnr_desc desc = {TNR_SHAPE(2, 3), TNR_F32};
  const tnr_program_spec spec = {.name = "test",
                                 .in_count = 1,
                                 .out_count = 1,
                                 .in = &desc,
                                 .out = &desc,
                                 .kernel = fail_if_called};
  const void *in = NULL;
  void *out = NULL;
  tnr_program *program = NULL;
  tnr_fault fault;
  assert_int_equal(tnr_null_driver()->program_create(NULL, &spec, &program, &fault), TNR_OK);
  assert_int_equal(program->run(program, &in, &out, &fault), TNR_OK);
  program->destroy(program);
}

static void says_that_it_does_not_compute(void **state) {
  (void)state;
  assert_true(tnr_null_driver()->no_compute);
  assert_true(tnr_null_driver()->host_memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(programs_run_without_touching_data),
      cmocka_unit_test(says_that_it_does_not_compute),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
