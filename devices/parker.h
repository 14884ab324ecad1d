/* How one thread sleeps until another has something for it. */
#ifndef TENOR_PARKER_H
#define TENOR_PARKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The sleeper:  prepare; look for work; found: cancel, else sleep. Then look again, whatever woke
 * it. A waker:      make work visible; wake. Either the sleeper sees the work after prepare, or the
 * waker sees that the sleeper is prepared: both are sequentially consistent. Who clears the flag
 * also wakes, so a late wake-up is only a look too many. */
typedef struct tnr_parker {
  _Atomic uint32_t parked; /* atomic: 1 while the sleeper sleeps or is about to */
} tnr_parker;

static inline void tnr_parker_prepare(tnr_parker *parker) {
  /* sequentially consistent: pairs with the fence in tnr_parker_claim */
  atomic_store_explicit(&parker->parked, 1, memory_order_seq_cst);
  atomic_thread_fence(memory_order_seq_cst);
}

static inline void tnr_parker_cancel(tnr_parker *parker) {
  /* relaxed: a waker that still sees 1 wakes for nothing */
  atomic_store_explicit(&parker->parked, 0, memory_order_relaxed);
}

/* A waker: true for exactly one of those that find the sleeper prepared; that one has to wake it.
 */
static inline bool tnr_parker_claim(tnr_parker *parker) {
  /* sequentially consistent: between making work visible and looking at the flag */
  atomic_thread_fence(memory_order_seq_cst);
  return atomic_load_explicit(&parker->parked, memory_order_relaxed) &&
         atomic_exchange_explicit(&parker->parked, 0, memory_order_relaxed);
}

/* Sleeps, after prepare, until woken, or for `timeout_ns` (INT64_MAX: for ever). May return early.
 * False when the time ran out. */
bool tnr_parker_sleep(tnr_parker *parker, int64_t timeout_ns);

/* Wakes the sleeper if it is prepared, and tells whether it was. Any thread. */
bool tnr_parker_wake(tnr_parker *parker);

int64_t tnr_now_ns(void); /* CLOCK_MONOTONIC */

#endif
