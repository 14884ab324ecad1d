/* Result codes and faults. */
#include "check.h"

#include <string.h>

static void every_code_has_its_name(void **state) {
  (void)state;
  static const char *const names[] = {
      "TNR_OK",        "TNR_EINVAL",    "TNR_ESHAPE",       "TNR_EDTYPE",  "TNR_EDEVICE",
      "TNR_EOVERFLOW", "TNR_ENOMEM",    "TNR_EUNSUPPORTED", "TNR_EKERNEL", "TNR_ESYSTEM",
      "TNR_ECLOSED",   "TNR_ECANCELED", "TNR_ETIMEDOUT",    "TNR_EDEADLK", "TNR_EAGAIN"};
  assert_int_equal(sizeof names / sizeof names[0], TNR_EAGAIN + 1);
  for (int code = TNR_OK; code <= TNR_EAGAIN; code++)
    assert_string_equal(tnr_status_name((tnr_status)code), names[code]);
  assert_string_equal(tnr_status_name((tnr_status)99), "unknown status");
}

static void a_fault_holds_a_code_and_a_sentence(void **state) {
  (void)state;
  tnr_fault fault;
  assert_int_equal(tnr_fail(&fault, TNR_ESHAPE, "%d is not %s", 3, "four"), TNR_ESHAPE);
  assert_int_equal(fault.code, TNR_ESHAPE);
  assert_string_equal(fault.message, "3 is not four");
}

static void nobody_has_to_want_the_sentence(void **state) {
  (void)state;
  assert_int_equal(tnr_fail(NULL, TNR_ENOMEM, "%s", "unheard"), TNR_ENOMEM);
}

static void a_long_sentence_is_cut(void **state) {
  (void)state;
  char sentence[2 * TNR_FAULT_MESSAGE_MAX];
  tnr_fault fault;
  memset(sentence, 'x', sizeof sentence - 1);
  sentence[sizeof sentence - 1] = '\0';
  tnr_fail(&fault, TNR_EINVAL, "%s", sentence);
  assert_int_equal(strlen(fault.message), TNR_FAULT_MESSAGE_MAX - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_code_has_its_name),
      cmocka_unit_test(a_fault_holds_a_code_and_a_sentence),
      cmocka_unit_test(nobody_has_to_want_the_sentence),
      cmocka_unit_test(a_long_sentence_is_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
