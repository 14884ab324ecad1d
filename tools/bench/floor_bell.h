/*
 * floor_bell.h: how a thread of the practical floor sleeps, and how it is woken. For floor.c only:
 * what is inlined is the compiler's choice, as it was measured.
 */
#ifndef FLOOR_BELL_H
#define FLOOR_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench.h"

/* Whoever clears `asleep` writes the eventfd, so no wake is lost. */
struct bell {
  _Alignas(64) atomic_bool asleep; /* its owner ↔ whoever rings */
  int fd;                          /* immutable after init */
};

static void bell_init(struct bell *bell, int flags) {
  atomic_init(&bell->asleep, false);
  bell->fd = eventfd(0, EFD_CLOEXEC | flags);
  if (bell->fd < 0)
    bench_fail("cannot create an eventfd");
}

static void bell_ring(struct bell *bell) {
  uint64_t one = 1;
  /* Orders what was published before the look at `asleep`; bell_doze() has the mirror image. */
  atomic_thread_fence(memory_order_seq_cst);
  if (!atomic_load_explicit(&bell->asleep, memory_order_relaxed))
    return;
  if (atomic_exchange(&bell->asleep, false) && write(bell->fd, &one, sizeof one) != sizeof one)
    bench_fail("cannot write an eventfd");
}

/* After this the owner looks at its rings once more, and blocks on the eventfd if all are empty. */
static void bell_doze(struct bell *bell) {
  atomic_store(&bell->asleep, true);
  atomic_thread_fence(memory_order_seq_cst);
}

static void bell_rouse(struct bell *bell) {
  atomic_store_explicit(&bell->asleep, false, memory_order_relaxed);
}

#endif
