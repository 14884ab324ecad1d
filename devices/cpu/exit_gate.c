/* For gettid. */
#define _GNU_SOURCE

#include "exit_gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Of the whole process, as its end is. */
static atomic_bool closed;    /* atomic: the process ends */
static atomic_int inside;     /* atomic: threads between enter and leave */
static _Atomic uint64_t seen; /* atomic: kinds that were made before */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* So long may a primitive take to be made; what takes longer does not hold up the end. */
enum { PATIENCE_MS = 1000 };

/* May be called several times. */
static void close_gate(void) {
  const struct timespec pause = {0, 100000}; /* 100 µs */
  /* sequentially consistent, like the pair in enter: either this sees who is inside, or that one
   * sees that the gate is closed */
  atomic_store(&closed, true);
  for (int i = 0; i < 10 * PATIENCE_MS && atomic_load(&inside) > 0; i++)
    nanosleep(&pause, NULL);
}

/* Who was inside is not in the child. */
static void forget_threads(void) {
  atomic_store(&inside, 0);
}

static void watch_forks(void) {
  (void)pthread_atfork(NULL, NULL, forget_threads);
}

/* ---- to be told in time: before exit destroys anything ---- */

/* From libc, where it has it: what C++ destroys a thread's objects with. On the main thread exit(3)
 * calls it before all else, and nobody else does. */
extern int __cxa_thread_atexit_impl(void (*function)(void *user), void *user, void *dso)
    __attribute__((weak));

static void main_thread_exits(void *user) {
  (void)user;
  close_gate();
}

__attribute__((constructor)) static void watch_main_thread(void) {
  static char here; /* an address in this library */
  if (__cxa_thread_atexit_impl && gettid() == getpid())
    (void)__cxa_thread_atexit_impl(main_thread_exits, NULL, &here);
}

/* When another thread calls exit(3), what was registered last runs first. */
static void watch_exit(void) {
  (void)atexit(close_gate);
}

/* ---- the gate ---- */

bool tnr_exit_gate_enter(void) {
  (void)pthread_once(&fork_once, watch_forks);
  atomic_fetch_add(&inside, 1);
  if (!atomic_load(&closed))
    return true;
  atomic_fetch_sub(&inside, 1);
  return false;
}

void tnr_exit_gate_leave(unsigned kind) {
  uint64_t bit = UINT64_C(1) << kind;
  if (!(atomic_fetch_or(&seen, bit) & bit))
    watch_exit();
  atomic_fetch_sub(&inside, 1);
}
