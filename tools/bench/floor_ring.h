/*
 * floor_ring.h: the ring by which a thread of the practical floor hands ops to another. For floor.c
 * only: what is inlined is the compiler's choice, as it was measured.
 */
#ifndef FLOOR_RING_H
#define FLOOR_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { RING_SLOTS = 4096 }; /* a power of two */

struct op;

/* One producer, one consumer. Either keeps a copy of the other's index to leave its line alone. */
struct ring {
  _Alignas(64) atomic_uint published; /* producer → consumer */
  unsigned written, seen_read;        /* producer only */
  _Alignas(64) atomic_uint read;      /* consumer → producer */
  unsigned seen_published;            /* consumer only */
  _Alignas(64) struct op *slots[RING_SLOTS];
};

static bool ring_put(struct ring *ring, struct op *op) {
  if (ring->written - ring->seen_read == RING_SLOTS) {
    /* Pairs with the release in ring_take(): the slot has been read before it is written again. */
    ring->seen_read = atomic_load_explicit(&ring->read, memory_order_acquire);
    if (ring->written - ring->seen_read == RING_SLOTS)
      return false;
  }
  ring->slots[ring->written++ % RING_SLOTS] = op;
  return true;
}

static void ring_publish(struct ring *ring) {
  /* Pairs with the acquire in ring_take(): the slots and their ops are there to be read. */
  atomic_store_explicit(&ring->published, ring->written, memory_order_release);
}

static struct op *ring_take(struct ring *ring) {
  unsigned read = atomic_load_explicit(&ring->read, memory_order_relaxed);
  if (read == ring->seen_published) {
    ring->seen_published = atomic_load_explicit(&ring->published, memory_order_acquire);
    if (read == ring->seen_published)
      return NULL;
  }
  struct op *op = ring->slots[read % RING_SLOTS];
  atomic_store_explicit(&ring->read, read + 1, memory_order_release);
  return op;
}

static bool ring_is_empty(struct ring *ring) {
  return atomic_load(&ring->published) == atomic_load_explicit(&ring->read, memory_order_relaxed);
}

#endif
