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

enum {
  SLOTS = 16,
  PATIENCE_MS = 5000, /* what takes longer does not hold up the end */
};

/* Threads inside; of those that share the slot. */
typedef struct slot {
  _Alignas(64) atomic_int inside; /* atomic */
} slot;

/* Of the whole process, as its end is. */
static slot slots[SLOTS];
static atomic_uint threads;                        /* atomic: that have been here */
static atomic_bool closed;                         /* atomic: the process ends */
static _Atomic uint64_t seen[TNR_EXIT_GATE_DEEDS]; /* atomic: a bit for each kind */

static slot *own_slot(void) {
  static _Thread_local slot *own;
  if (!own)
    own = &slots[atomic_fetch_add(&threads, 1) % SLOTS];
  return own;
}

static bool is_empty(void) {
  for (int i = 0; i < SLOTS; i++)
    if (atomic_load(&slots[i].inside) > 0)
      return false;
  return true;
}

/* May be called several times; the first one waits. */
static void close_gate(void) {
  const struct timespec pause = {0, 100000}; /* 100 µs */
  /* sequentially consistent, like the pair in enter: either this sees who is inside, or that one
   * sees that the gate is closed */
  if (atomic_exchange(&closed, true))
    return;
  for (int i = 0; i < 10 * PATIENCE_MS && !is_empty(); i++)
    nanosleep(&pause, NULL);
}

/* Who was inside is not in the child. */
static void forget_threads(void) {
  for (int i = 0; i < SLOTS; i++)
    atomic_store(&slots[i].inside, 0);
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

__attribute__((constructor)) static void watch(void) {
  static char here; /* an address in this library */
  (void)pthread_atfork(NULL, NULL, forget_threads);
  if (__cxa_thread_atexit_impl && gettid() == getpid())
    (void)__cxa_thread_atexit_impl(main_thread_exits, NULL, &here);
}

/* When another thread calls exit(3), what was registered last runs first. */
static void watch_exit(void) {
  (void)atexit(close_gate);
}

/* ---- the gate ---- */

bool tnr_exit_gate_enter(void) {
  slot *own = own_slot();
  atomic_fetch_add(&own->inside, 1);
  if (!atomic_load(&closed))
    return true;
  atomic_fetch_sub(&own->inside, 1);
  return false;
}

void tnr_exit_gate_leave(void) {
  /* release: pairs with the load in is_empty */
  atomic_fetch_sub_explicit(&own_slot()->inside, 1, memory_order_release);
}

void tnr_exit_gate_did(tnr_exit_gate_deed deed, unsigned kind) {
  uint64_t bit = UINT64_C(1) << kind;
  if (!(atomic_fetch_or(&seen[deed], bit) & bit))
    watch_exit();
}
