/* A bounded queue of pointers from one thread to one other thread. Neither ever waits. */
#ifndef TENOR_RING_H
#define TENOR_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache_line.h"

enum { TNR_RING_SIZE = 2048 }; /* a power of two */
enum { TNR_RING_SLOTS_A_LINE = TNR_CACHE_LINE / sizeof(void *) };

/* Fields of each side stand on cache lines of their own. */
typedef struct tnr_ring {
  _Alignas(64) _Atomic uint32_t tail; /* atomic: written by the producer, read by both */
  _Alignas(64) uint32_t pushed;       /* producer only: tail when all is published */
  _Alignas(64) _Atomic uint32_t head; /* atomic: written by the consumer; unread by the producer */
  uint32_t seen;                      /* consumer only: the tail last seen */
  _Alignas(64) void *slots[TNR_RING_SIZE]; /* a slot belongs to the consumer once published */
} tnr_ring;

/* Producer. The caller knows that there is room: whoever uses a ring bounds what is in it. */
static inline void tnr_ring_push(tnr_ring *ring, void *item) {
  if (ring->pushed % TNR_RING_SLOTS_A_LINE ==
      0) /* the consumer's CPU has had it since the last time round */
    tnr_prefetch(&ring->slots[(ring->pushed + 2 * TNR_RING_SLOTS_A_LINE) % TNR_RING_SIZE]);
  ring->slots[ring->pushed++ % TNR_RING_SIZE] = item;
}

/* Producer: makes what was pushed visible to the consumer. */
static inline void tnr_ring_publish(tnr_ring *ring) {
  /* release: pairs with the acquire in tnr_ring_pop; the items' contents come along */
  atomic_store_explicit(&ring->tail, ring->pushed, memory_order_release);
}

static inline bool tnr_ring_published(const tnr_ring *ring) {
  return atomic_load_explicit(&ring->tail, memory_order_relaxed) == ring->pushed;
}

/* Producer: has the consumer popped what was pushed as number `place`? */
static inline bool tnr_ring_has_left(const tnr_ring *ring, uint32_t place) {
  /* relaxed: only to be told */
  uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  return (int32_t)(place - head) < 0;
}

/* Consumer: looks again at how much there is; returns how many items wait. */
static inline uint32_t tnr_ring_look(tnr_ring *ring) {
  /* acquire: pairs with the release in tnr_ring_publish */
  ring->seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
  return ring->seen - atomic_load_explicit(&ring->head, memory_order_relaxed);
}

/* Consumer: something is there, whether look has counted it or not. */
static inline bool tnr_ring_has(const tnr_ring *ring) {
  /* relaxed: whoever goes on to pop looks first */
  return atomic_load_explicit(&ring->tail, memory_order_relaxed) !=
         atomic_load_explicit(&ring->head, memory_order_relaxed);
}

/* Consumer: the item `ahead` places behind the first, of those that look counted. */
static inline void *tnr_ring_peek(const tnr_ring *ring, uint32_t ahead) {
  uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  return ring->seen - head <= ahead ? NULL : ring->slots[(head + ahead) % TNR_RING_SIZE];
}

/* Consumer: of the slots that the producer no longer writes, those needed soon. */
static inline void tnr_ring_prefetch_published(const tnr_ring *ring, uint32_t head) {
  enum { AHEAD = 2 * TNR_RING_SLOTS_A_LINE };
  if (head % TNR_RING_SLOTS_A_LINE == 0 && ring->seen - head >= AHEAD + TNR_RING_SLOTS_A_LINE)
    __builtin_prefetch(&ring->slots[(head + AHEAD) % TNR_RING_SIZE]);
}

/* Consumer: the next item, or NULL when none is left of those that look counted. */
static inline void *tnr_ring_pop(tnr_ring *ring) {
  uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  if (head == ring->seen)
    return NULL;
  void *item = ring->slots[head % TNR_RING_SIZE];
  tnr_ring_prefetch_published(ring, head);
  /* relaxed: the producer does not look at it; its bound comes from the items' own way back */
  atomic_store_explicit(&ring->head, head + 1, memory_order_relaxed);
  return item;
}

#endif
