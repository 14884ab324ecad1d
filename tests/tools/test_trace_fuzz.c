/* Recordings with bits flipped, words replaced, parts left out or doubled, and plain garbage:
 * nothing of it may crash a reader or an analysis, or read what is not there. Under
 * AddressSanitizer that shows. TENOR_SEED=17 replays one seed. It needs no clang, and changes whole
 * words and pieces; fuzz_trace.c lets libFuzzer search. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "tape_fixture.h"
#include "trace_fuzz.h"

enum { IMAGE_MAX = 1 << 16 };

static uint8_t image[IMAGE_MAX], changed[2 * IMAGE_MAX];
static size_t image_size;

static uint64_t state_of_random;

static uint64_t number(void) { /* xorshift64* */
  state_of_random ^= state_of_random >> 12;
  state_of_random ^= state_of_random << 25;
  state_of_random ^= state_of_random >> 27;
  return state_of_random * UINT64_C(2685821657736338717);
}

static size_t below(size_t limit) {
  return limit ? (size_t)(number() % limit) : 0;
}

static void read_image(void) {
  trace_fuzz_image(folder_path("image"));
  FILE *from = fopen(folder_path("image"), "rb");
  assert_non_null(from);
  image_size = fread(image, 1, sizeof image, from);
  fclose(from);
}

/* ---- changes ---- */

static size_t flip_bits(size_t size) {
  for (size_t i = 1 + below(4); i > 0; i--)
    changed[below(size)] ^= (uint8_t)(1u << below(8));
  return size;
}

/* By what tends to be at a limit. */
static size_t replace_word(size_t size) {
  static const uint64_t odd[] = {0, 1, 0xff, 0xffff, UINT32_MAX, UINT64_MAX, INT64_MAX, 1u << 24};
  uint64_t value = below(2) ? odd[below(8)] : number();
  size_t bytes = (size_t)1 << below(4), at = below(size / bytes) * bytes;
  memcpy(changed + at, &value, bytes);
  return size;
}

static size_t leave_out(size_t size) {
  size_t at = below(size / 8) * 8, bytes = below((size - at) / 8) * 8;
  memmove(changed + at, changed + at + bytes, size - at - bytes);
  return size - bytes;
}

static size_t repeat(size_t size) {
  size_t at = below(size / 8) * 8, bytes = below((size - at) / 8) * 8;
  if (size + bytes > sizeof changed)
    return size;
  memmove(changed + at + bytes, changed + at, size - at);
  return size + bytes;
}

static size_t cut(size_t size) {
  return 1 + below(size);
}

static size_t scribble(size_t size) {
  size_t at = below(size), bytes = below(size - at < 64 ? size - at : 64);
  for (size_t i = 0; i < bytes; i++)
    changed[at + i] = (uint8_t)number();
  return size;
}

static size_t change(uint64_t seed) {
  static size_t (*const changes[])(size_t) = {flip_bits, replace_word, replace_word, leave_out,
                                              repeat,    cut,          scribble};
  state_of_random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  size_t size = image_size;
  memcpy(changed, image, size);
  for (size_t i = 1 + below(3); i > 0 && size > 8; i--)
    size = changes[below(7)](size);
  return size;
}

static size_t garbage(uint64_t seed) {
  state_of_random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  size_t size = below(4096), kept = below(2) ? sizeof(tnr_trace_file) : 0;
  memcpy(changed, image, kept);
  for (size_t i = kept; i < size; i++)
    changed[i] = (uint8_t)number();
  return size;
}

/* ---- the loop ---- */

static bool try(size_t size) {
  const char *path = folder_path("changed");
  FILE *to = fopen(path, "wb");
  assert_non_null(to);
  assert_int_equal(fwrite(changed, 1, size, to), size);
  assert_int_equal(fclose(to), 0);
  return trace_fuzz_file(path);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* As many as there is time for, from a seed that does not change. */
static void no_change_of_a_recording_does_harm(void **state) {
  (void)state;
  const char *one = getenv("TENOR_SEED"), *until = getenv("TENOR_SECONDS");
  double end = seconds() + (until ? atof(until) : 2);
  uint64_t seed = one ? strtoull(one, NULL, 10) : 1, readable = 0, first = seed;
  read_image();
  memcpy(changed, image, image_size);
  assert_true(try(image_size));
  do {
    readable += try(seed % 8 == 0 ? garbage(seed) : change(seed));
    seed++;
  } while (!one && (seconds() < end || seed - first < 200));
  print_message("%ju recordings, %ju of them readable\n", (uintmax_t)(seed - first),
                (uintmax_t)readable);
  assert_true(one || readable > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(no_change_of_a_recording_does_harm)};
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
