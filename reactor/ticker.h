/* The time that a recording is written in: ticks of the processor's counter where that is fit for
 * it, else nanoseconds of CLOCK_MONOTONIC, or whatever time a runtime makes for itself. */
#ifndef TENOR_REACTOR_TICKER_H
#define TENOR_REACTOR_TICKER_H

#include <stdbool.h>
#include <stdint.h>

/* Immutable after it is made. */
typedef struct tnr_ticker {
  uint64_t (*now)(void *user); /* NULL: the processor's counter */
  void *user;
  uint64_t mult;  /* ns = ticks * mult >> shift, in 128 bits */
  uint32_t shift; /* at most 63 */
  bool made;      /* the time is made by the runtime: two runs of a program may tell the same one */
} tnr_ticker;

/* The best clock of this machine. Takes up to two milliseconds, to compare the processor's counter
 * with CLOCK_MONOTONIC. Any thread. */
tnr_ticker tnr_ticker_machine(void);

/* CLOCK_MONOTONIC in ns, whatever the machine has. */
tnr_ticker tnr_ticker_monotonic(void);

/* A runtime's own time: now(user) gives ns that never go back. Both outlive the clock. */
tnr_ticker tnr_ticker_made(uint64_t (*now)(void *user), void *user);

/* Ticks. May be taken a little before what stands before it in the program. */
static inline uint64_t tnr_ticker_ticks(const tnr_ticker *ticker) {
#if defined(__x86_64__)
  if (__builtin_expect(!ticker->now, 1))
    return __builtin_ia32_rdtsc();
#endif
  return ticker->now(ticker->user);
}

/* Ticks, taken after all that was read before: for what another thread has just shown to this one,
 * so that it is not dated back before its cause. */
static inline uint64_t tnr_ticker_ticks_after(const tnr_ticker *ticker) {
#if defined(__x86_64__)
  if (__builtin_expect(!ticker->now, 1)) {
    __builtin_ia32_lfence();
    return __builtin_ia32_rdtsc();
  }
#endif
  return ticker->now(ticker->user);
}

uint64_t tnr_ticker_to_ns(const tnr_ticker *ticker, uint64_t ticks);
uint64_t tnr_ticker_from_ns(const tnr_ticker *ticker, uint64_t ns);

#endif
