#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "page.h"

static bool write_empty(FILE *to, void *calls) {
  ++*(int *)calls;
  return fputs("{}", to) >= 0;
}

static bool write_nothing(FILE *to, void *calls) {
  (void)to;
  ++*(int *)calls;
  return false;
}

static char *page_of(page_recording_fn *write, bool *written, int *calls) {
  char *text = NULL;
  size_t size = 0;
  FILE *to = open_memstream(&text, &size);
  assert_non_null(to);
  *calls = 0;
  *written = page_write(to, write, calls);
  assert_int_equal(fclose(to), 0);
  return text;
}

static void test_the_recording_stands_in_the_page(void **state) {
  (void)state;
  bool written;
  int calls;
  char *page = page_of(write_empty, &written, &calls);
  assert_true(written);
  assert_int_equal(calls, 1);
  assert_non_null(
      strstr(page, "<script type=\"application/json\" id=\"recording\">{}</script>\n<script>"));
  assert_null(strstr(page, "<!-- RECORDING -->"));
  assert_memory_equal(page, "<!doctype html>", 15);
  assert_string_equal(page + strlen(page) - 8, "</html>\n");
  free(page);
}

static void test_the_page_needs_no_other_file(void **state) {
  (void)state;
  static const char *const links[] = {
      "<script src", "stylesheet", "http:", "https:", "@import", "url("};
  bool written;
  int calls;
  char *page = page_of(write_empty, &written, &calls);
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    assert_null(strstr(page, links[i]));
  free(page);
}

static void test_a_failure_is_handed_on(void **state) {
  (void)state;
  bool written;
  int calls;
  free(page_of(write_nothing, &written, &calls));
  assert_false(written);
  assert_int_equal(calls, 1);
}

static void test_a_full_disk_is_told(void **state) {
  (void)state;
  int calls = 0;
  FILE *full = fopen("/dev/full", "w");
  assert_non_null(full);
  assert_int_equal(setvbuf(full, NULL, _IONBF, 0), 0);
  assert_false(page_write(full, write_empty, &calls));
  assert_int_equal(calls, 0);
  fclose(full);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_recording_stands_in_the_page),
      cmocka_unit_test(test_the_page_needs_no_other_file),
      cmocka_unit_test(test_a_failure_is_handed_on),
      cmocka_unit_test(test_a_full_disk_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
