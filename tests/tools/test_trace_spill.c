/* Tables that grow are as arrays on the heap are, but those that are large do not stay resident;
 * when there is no room for them, that is said. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../tools/trace/numbers.h"
#include "../../tools/trace/rows.h"
#include "check.h"
#include "tape_fixture.h"

enum { MIB = 1 << 20 };

static void what_was_written_stays_as_it_grows(void **state) {
  (void)state;
  struct {
    uint32_t *at;
    size_t count, room;
  } rows = {0};
  for (uint32_t i = 0; i < MIB; i++) {
    uint32_t *row = ROWS_ADD(&rows);
    assert_non_null(row);
    *row = i;
  }
  for (uint32_t i = 0; i < MIB; i++)
    assert_int_equal(rows.at[i], i);
  spill_free(rows.at);
}

static void what_is_new_is_0(void **state) {
  (void)state;
  char *at = NULL;
  for (size_t bytes = 1000, from = 0; bytes < 4 * MIB; from = bytes, bytes *= 3) {
    at = spill_resize(at, bytes);
    assert_non_null(at);
    for (size_t i = from; i < bytes; i++)
      assert_int_equal(at[i], 0);
    memset(at, 1, bytes);
  }
  spill_free(at);
}

/* ---- what is resident ---- */

static size_t resident_files(void) {
  size_t all, resident, shared;
  FILE *from = fopen("/proc/self/statm", "r");
  assert_non_null(from);
  assert_int_equal(fscanf(from, "%zu %zu %zu", &all, &resident, &shared), 3);
  fclose(from);
  return shared * (size_t)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void what_is_no_longer_touched_does_not_stay_resident(void **state) {
  (void)state;
  enum { BYTES = 64 * MIB };
  if (CHECK_SANITIZED) /* which deliver signals when they like */
    skip();
  size_t before = resident_files();
  char *at = spill_resize(NULL, BYTES);
  assert_non_null(at);
  memset(at, 7, BYTES);
  double until = cpu_seconds() + 0.05;
  while (cpu_seconds() < until) {
  }
  assert_true(resident_files() < before + BYTES / 8);
  for (size_t i = 0; i < BYTES; i += 4096)
    assert_int_equal(at[i], 7);
  spill_free(at);
}

/* ---- no room ---- */

static void a_folder_that_is_not_there_is_named(void **state) {
  (void)state;
  tnr_fault fault;
  const char *before = getenv("TMPDIR");
  char *kept = before ? strdup(before) : NULL;
  char *small = spill_resize(NULL, 100);
  setenv("TMPDIR", "/nowhere/at/all", 1);
  small[99] = 9;
  assert_null(spill_resize(NULL, MIB));
  assert_null(spill_resize(small, MIB));
  assert_int_equal(spill_fail(&fault, "a table"), TNR_ENOMEM);
  assert_string_equal(
      fault.message,
      "no room for a table in memory, or in files in /nowhere/at/all: No such file or directory");
  assert_int_equal(small[99], 9);
  spill_free(small);
  if (kept)
    setenv("TMPDIR", kept, 1);
  else
    unsetenv("TMPDIR");
  free(kept);
}

/* A disk that is full shows when a table grows, not when it is written to. */
static void a_disk_that_is_full_leaves_what_there_is(void **state) {
  (void)state;
  struct rlimit before, limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  limit = (struct rlimit){2 * MIB, before.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  char *at = spill_resize(NULL, MIB);
  assert_non_null(at);
  memset(at, 5, MIB);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  assert_null(spill_resize(at, 4 * MIB));
  assert_int_equal(errno, EFBIG);
  assert_null(spill_resize(NULL, 4 * MIB));
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  for (size_t i = 0; i < MIB; i++)
    assert_int_equal(at[i], 5);
  spill_free(at);
}

static void too_much_is_refused(void **state) {
  (void)state;
  assert_null(spill_resize(NULL, SIZE_MAX - 8));
  assert_int_equal(errno, ENOMEM);
}

/* ---- order ---- */

static int compare(const void *left, const void *right, void *user) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  ++*(size_t *)user;
  return (a >> 8 > b >> 8) - (a >> 8 < b >> 8);
}

/* The lowest 8 bits say where it was among its equals. */
static void sorting_keeps_equals_in_their_order(void **state) {
  (void)state;
  enum { ROWS_MAX = 3000, KEYS = 200 };
  static uint32_t rows[ROWS_MAX];
  for (size_t count = 0; count < ROWS_MAX; count = 2 * count + 1) {
    uint8_t seen[KEYS] = {0};
    size_t compared = 0;
    for (uint32_t i = 0; i < count; i++) {
      uint32_t key = i * 7919 % KEYS;
      rows[i] = key << 8 | seen[key]++;
    }
    assert_true(rows_sort(rows, count, sizeof *rows, compare, &compared));
    for (size_t i = 1; i < count; i++)
      assert_true(rows[i - 1] < rows[i]);
    compared = 0;
    assert_true(rows_sort(rows, count, sizeof *rows, compare, &compared));
    assert_int_equal(compared, count ? count - 1 : 0);
  }
}

/* ---- numbers ---- */

static uint32_t nth(uint32_t i) {
  return i % 3 ? i : i * 0x9e3779b1u | 1u << 31;
}

static void each_number_has_its_row(void **state) {
  (void)state;
  enum { NUMBERS = 20000 };
  struct numbers numbers = {0};
  uint32_t row;
  bool added;
  assert_int_equal(numbers_find(&numbers, 1), NUMBERS_NONE);
  for (uint32_t i = 0; i < NUMBERS; i++) {
    assert_true(numbers_put(&numbers, nth(i), i, &row, &added));
    assert_true(added);
    assert_int_equal(row, i);
  }
  for (uint32_t i = 0; i < NUMBERS; i++) {
    assert_int_equal(numbers_find(&numbers, nth(i)), i);
    assert_true(numbers_put(&numbers, nth(i), 7, &row, &added));
    assert_false(added);
    assert_int_equal(row, i);
  }
  assert_int_equal(numbers_find(&numbers, NUMBERS + 1), NUMBERS_NONE);
  assert_int_equal(numbers_find(&numbers, UINT32_MAX / 2), NUMBERS_NONE);
  numbers_finish(&numbers);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_written_stays_as_it_grows),
      cmocka_unit_test(what_is_new_is_0),
      cmocka_unit_test(what_is_no_longer_touched_does_not_stay_resident),
      cmocka_unit_test(a_folder_that_is_not_there_is_named),
      cmocka_unit_test(a_disk_that_is_full_leaves_what_there_is),
      cmocka_unit_test(too_much_is_refused),
      cmocka_unit_test(sorting_keeps_equals_in_their_order),
      cmocka_unit_test(each_number_has_its_row),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
