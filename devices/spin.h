/* A lock for critical sections of a few instructions. */
#ifndef TENOR_SPIN_H
#define TENOR_SPIN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct tnr_spin {
  atomic_bool held; /* atomic */
} tnr_spin;

static inline void tnr_cpu_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static inline void tnr_spin_lock(tnr_spin *spin) {
  /* acquire: pairs with the release in unlock */
  for (int tries = 0; atomic_exchange_explicit(&spin->held, true, memory_order_acquire); tries++) {
    while (atomic_load_explicit(&spin->held, memory_order_relaxed)) {
      /* the holder may have lost its CPU: give it ours */
      if (++tries > 64)
        sched_yield();
      tnr_cpu_relax();
    }
  }
}

static inline void tnr_spin_unlock(tnr_spin *spin) {
  /* release: pairs with the acquire in lock */
  atomic_store_explicit(&spin->held, false, memory_order_release);
}

#endif
