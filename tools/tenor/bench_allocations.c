/* Stands in front of the C library's allocator, for the whole process, so that allocations of every
 * library are seen. Until counting starts it costs a call one load and a branch. */
#include "bench_meter.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#include <features.h>

/* Sanitizers stand there themselves, and other C libraries have no second name for what is behind.
 */
#if defined(__GLIBC__) && !defined(SANITIZED)

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A line a thread, so that counting does not make threads share what they did not share. */
enum { LINES = 64 };

static struct { _Alignas(64) atomic_uint_fast64_t count; } lines[LINES];

static atomic_uint lines_used;
static atomic_bool counting;
static _Thread_local unsigned line; /* 1 + index; 0: none yet */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

/* The C library's, but not declared by the headers above. */
void *memalign(size_t alignment, size_t size);

static void count_one(void) {
  if (!atomic_load_explicit(&counting, memory_order_relaxed))
    return;
  if (line == 0)
    line = 1 + atomic_fetch_add(&lines_used, 1) % LINES;
  atomic_fetch_add_explicit(&lines[line - 1].count, 1, memory_order_relaxed);
}

void *malloc(size_t size) {
  count_one();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  count_one();
  return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
  count_one();
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  count_one();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
    return EINVAL;
  void *memory = memalign(alignment, size);
  if (memory == NULL)
    return ENOMEM;
  *out = memory;
  return 0;
}

bool allocations_count(void) {
  atomic_store(&counting, true);
  return true;
}

uint64_t allocations_counted(void) {
  uint64_t sum = 0;
  for (int i = 0; i < LINES; i++)
    sum += atomic_load_explicit(&lines[i].count, memory_order_relaxed);
  return sum;
}

#else

bool allocations_count(void) {
  return false;
}

uint64_t allocations_counted(void) {
  return 0;
}

#endif
