#include "faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* atomic: the number of the call that fails, counting down; below 1 it has failed */
static atomic_int countdown;
static atomic_int live_blocks; /* atomic */
static atomic_bool armed;      /* atomic */
static faults_mode mode_now;   /* written while not armed */

void faults_arm(int n, faults_mode mode) {
  mode_now = mode;
  atomic_store(&countdown, n);
  atomic_store(&armed, true);
}

bool faults_disarm(void) {
  atomic_store(&armed, false);
  return atomic_load(&countdown) < 1;
}

int faults_live_blocks(void) {
  return atomic_load(&live_blocks);
}

static bool fails(void) {
  if (!atomic_load(&armed))
    return false;
  int number = atomic_fetch_sub(&countdown, 1);
  return number == 1 || (number < 1 && mode_now == FAULTS_FROM);
}

static void *counted(void *block) {
  if (block)
    atomic_fetch_add(&live_blocks, 1);
  return block;
}

/* ---- what the linker puts in place of the calls ---- */

struct event;
struct event_base;
struct event_config;
typedef void event_fn(int fd, short what, void *user);

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
void __real_free(void *block);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*main)(void *argument), void *argument);
int __real_eventfd(unsigned start, int flags);
struct event_config *__real_event_config_new(void);
struct event_base *__real_event_base_new_with_config(const struct event_config *config);
struct event *__real_event_new(struct event_base *base, int fd, short what, event_fn *fn,
                               void *user);

void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes) {
  return fails() ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes) {
  return fails() ? NULL : counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes) {
  if (fails())
    return NULL;
  return block ? __real_realloc(block, bytes) : counted(__real_realloc(NULL, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
  return fails() ? NULL : counted(__real_aligned_alloc(alignment, bytes));
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes) {
  if (fails())
    return ENOMEM;
  int result = __real_posix_memalign(out, alignment, bytes);
  if (result == 0)
    (void)counted(*out);
  return result;
}

void __wrap_free(void *block);
void __wrap_free(void *block) {
  if (block)
    atomic_fetch_sub(&live_blocks, 1);
  __real_free(block);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*main)(void *argument), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*main)(void *argument), void *argument) {
  return fails() ? EAGAIN : __real_pthread_create(thread, attributes, main, argument);
}

int __wrap_eventfd(unsigned start, int flags);
int __wrap_eventfd(unsigned start, int flags) {
  if (!fails())
    return __real_eventfd(start, flags);
  errno = EMFILE;
  return -1;
}

struct event_config *__wrap_event_config_new(void);
struct event_config *__wrap_event_config_new(void) {
  return fails() ? NULL : __real_event_config_new();
}

struct event_base *__wrap_event_base_new_with_config(const struct event_config *config);
struct event_base *__wrap_event_base_new_with_config(const struct event_config *config) {
  return fails() ? NULL : __real_event_base_new_with_config(config);
}

struct event *__wrap_event_new(struct event_base *base, int fd, short what, event_fn *fn,
                               void *user);
struct event *__wrap_event_new(struct event_base *base, int fd, short what, event_fn *fn,
                               void *user) {
  return fails() ? NULL : __real_event_new(base, fd, what, fn, user);
}
