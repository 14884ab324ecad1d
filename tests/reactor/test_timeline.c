/* A timeline's entries as text. */
#include <string.h>

#include "reactor/runtime.h"
#include "rig.h"

static void expect(const tnr_timeline_entry *entry, const char *line) {
  char text[200];
  assert_int_equal(tnr_timeline_format(entry, text, sizeof text), strlen(line));
  assert_string_equal(text, line);
}

static void an_entry_is_one_line(void **state) {
  tnr_timeline_entry entry = {.at = 0, .kind = TNR_TIMELINE_SUBMIT, .number = 1, .op = "relu"};
  expect(&entry, "0 submit #1 relu\n");
  entry = (tnr_timeline_entry){.at = 5000,
                               .kind = TNR_TIMELINE_END,
                               .number = 12,
                               .op = "matmul",
                               .composite = "linear",
                               .site = {"model.c", 13},
                               .device = rig_sim(*state, 1)};
  expect(&entry, "5000 end #12 linear/matmul on sim:1 (model.c:13)\n");
  entry = (tnr_timeline_entry){.at = INT64_MAX,
                               .kind = TNR_TIMELINE_COMPLETE,
                               .number = UINT32_MAX,
                               .op = "div",
                               .status = TNR_EKERNEL,
                               .site = {"model.c", 14}};
  expect(&entry, "9223372036854775807 complete #4294967295 div TNR_EKERNEL (model.c:14)\n");
}

static void what_does_not_fit_is_cut_and_measured(void **state) {
  (void)state;
  const tnr_timeline_entry entry = {.kind = TNR_TIMELINE_LAUNCH, .number = 3, .op = "split"};
  const char *whole = "0 launch #3 split\n";
  int length = (int)strlen(whole);
  assert_int_equal(tnr_timeline_format(&entry, NULL, 0), length);
  for (int size = 1; size <= length + 1; size++) {
    char text[32];
    memset(text, '?', sizeof text);
    assert_int_equal(tnr_timeline_format(&entry, text, (size_t)size), length);
    assert_int_equal(strlen(text), size - 1);
    assert_memory_equal(text, whole, size - 1);
    assert_int_equal(text[size], '?');
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(an_entry_is_one_line),
      cmocka_unit_test(what_does_not_fit_is_cut_and_measured),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
