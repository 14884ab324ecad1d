/* What every test includes first: cmocka, and assertions that say what tenor said. For the test's
 * main thread, as all of cmocka's. */
#ifndef TENOR_TESTS_CHECK_H
#define TENOR_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#include <cmocka.h>
#ifdef __cplusplus
}
#endif

#include <stdlib.h>
#include <string.h>
#include <tenor.h>
#include <time.h>

/* A call that must give TNR_OK: shows tnr_error() when it does not. */
#define assert_ok(call) check_status((call), TNR_OK, #call, __FILE__, __LINE__)

/* A call that must fail with `status`. */
#define assert_fails(call, status) check_status((call), status, #call, __FILE__, __LINE__)

/* A handle that must not be NULL: shows tnr_error() when it is. */
#define assert_made(handle) check_handle((handle), #handle, __FILE__, __LINE__)

/* For teardowns: waits until all that was submitted to the runtime is complete, asserts that no
 * handle and no byte of device memory is left, and destroys the runtime. */
#define assert_nothing_left(runtime) check_nothing_left((runtime), __FILE__, __LINE__)

/* CHECK_SANITIZED: 1 in a build under a sanitizer, where all is slow and needs much memory.
 * CHECK_MANY(n): how often a test does something that it does n times otherwise. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHECK_SANITIZED 1
#endif
#endif
#ifndef CHECK_SANITIZED
#define CHECK_SANITIZED 0
#endif
#define CHECK_MANY(n) (CHECK_SANITIZED ? (n) / 20 : (n))

/* CHECK_MODE: the options of a runtime whose test is to run in every mode. Each such test is run
 * again with TENOR_TEST_MODE=one_thread and =deterministic; TENOR_TEST_SEED is the seed of the
 * order then, 0 without. */
#define CHECK_MODE .mode = check_mode(), .seed = check_seed()

static inline tnr_mode check_mode(void) {
  const char *name = getenv("TENOR_TEST_MODE");
  if (!name || strcmp(name, "threads") == 0)
    return TNR_THREADS;
  return strcmp(name, "one_thread") == 0 ? TNR_ONE_THREAD : TNR_DETERMINISTIC;
}

static inline uint64_t check_seed(void) {
  const char *seed = getenv("TENOR_TEST_SEED");
  return seed && check_mode() == TNR_DETERMINISTIC ? strtoull(seed, NULL, 10) : 0;
}

/* At the beginning of what cannot be shown where a runtime has no threads. */
static inline void check_needs_threads(void) {
  if (check_mode() != TNR_THREADS)
    skip();
}

static inline const char *check_reason(void) {
  return tnr_error() ? tnr_error_message(tnr_error()) : "tnr_error() is NULL";
}

static inline void check_status(tnr_status status, tnr_status expected, const char *call,
                                const char *file, int line) {
  if (status == expected)
    return;
  print_error("%s gave %s, not %s: %s\n", call, tnr_status_name(status), tnr_status_name(expected),
              check_reason());
  _fail(file, line);
}

static inline void check_handle(const void *handle, const char *call, const char *file, int line) {
  if (handle)
    return;
  print_error("%s is NULL: %s\n", call, check_reason());
  _fail(file, line);
}

/* The dispatcher lets go of an op's handles shortly after the op has completed. */
static inline uint64_t check_handles_left(tnr_runtime *runtime) {
  const struct timespec pause = {0, 1000000}; /* 1 ms */
  uint64_t left = tnr_runtime_get_stats(runtime).live_handles;
  for (int i = 0; left > 0 && i < 5000; i++) {
    if (!tnr_runtime_step(runtime))
      nanosleep(&pause, NULL);
    left = tnr_runtime_get_stats(runtime).live_handles;
  }
  return left;
}

static inline void check_device_empty(tnr_device *device, const char *file, int line) {
  uint64_t bytes = tnr_device_memory(device).live_bytes;
  if (bytes == 0)
    return;
  print_error("%s still holds %ju bytes\n", tnr_device_name(device), (uintmax_t)bytes);
  _fail(file, line);
}

static inline void check_nothing_left(tnr_runtime *runtime, const char *file, int line) {
  int devices = tnr_runtime_device_count(runtime);
  for (int i = 0; i < devices; i++)
    check_status(tnr_synchronize_device(tnr_runtime_device_at(runtime, i)), TNR_OK,
                 "tnr_synchronize_device", file, line);
  uint64_t handles = check_handles_left(runtime);
  if (handles > 0) {
    print_error("%ju handles are still alive\n", (uintmax_t)handles);
    _fail(file, line);
  }
  for (int i = 0; i < devices; i++)
    check_device_empty(tnr_runtime_device_at(runtime, i), file, line);
  check_device_empty(tnr_runtime_device(runtime, "host"), file, line);
  check_status(tnr_runtime_destroy(runtime, TNR_DRAIN), TNR_OK, "tnr_runtime_destroy", file, line);
}

#endif
