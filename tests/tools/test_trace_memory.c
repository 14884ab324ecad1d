/* When memory runs out, at whichever allocation, reading and every analysis end with an error, and
 * nothing leaks (AddressSanitizer tells). */
#include <stdlib.h>

#include "check.h"
#include "tape_fixture.h"
#include "trace_fuzz.h"

/* Linked in place of the real ones: see CMakeLists.txt. */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static long left = -1; /* allocations that succeed; negative: all */

static bool fails(void) {
  return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t bytes) {
  return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
  return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes) {
  return fails() ? NULL : __real_realloc(old, bytes);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  long unread = 0, tries = 0;
  tape_diamond("diamond");
  for (bool failed = true; failed; tries++) {
    left = tries;
    unread += !trace_fuzz_file(folder_path("diamond"));
    failed = left < 0; /* it got to the one that fails */
    left = -1;
  }
  assert_in_range(unread, 10, tries - 10);
  assert_true(trace_fuzz_file(folder_path("diamond")));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
