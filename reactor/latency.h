/* How long ops take, counted in buckets: eight for each doubling. */
#ifndef TENOR_REACTOR_LATENCY_H
#define TENOR_REACTOR_LATENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
  TNR_LATENCY_STEPS = 8, /* buckets of one doubling */
  TNR_LATENCY_BUCKETS =
      320 /* up to 2^42 ns, which is more than an hour; the last is for all above */
};

/* All atomics are relaxed: written by the dispatcher alone, read by whoever asks. */
typedef struct tnr_latency {
  bool fresh;                       /* dispatcher only: nothing has been measured in this turn */
  uint32_t unlooked;                /* dispatcher only: since the last measurement */
  _Atomic uint64_t count, sum, max; /* atomic */
  _Atomic uint64_t buckets[TNR_LATENCY_BUCKETS]; /* atomic */
} tnr_latency;

/* Dispatcher: is this one to be measured? Looking at the clock for each would be felt. */
static inline bool tnr_latency_is_due(tnr_latency *latency) {
  enum { EVERY = 32 };
  return latency->fresh || ++latency->unlooked == EVERY;
}

/* Dispatcher: one took so many ns. */
void tnr_latency_note(tnr_latency *latency, int64_t ns);

/* The bucket of so many ns, and the first ns that are above a bucket. */
int tnr_latency_bucket(uint64_t ns);
uint64_t tnr_latency_end(int bucket);

/* So many ns or less took `share` (0 to 1) of all: the end of the bucket where that is, or the
 * longest if that is less; 0 when there are none. Any thread. */
uint64_t tnr_latency_quantile(const tnr_latency *latency, double share);

#endif
