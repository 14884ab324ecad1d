#include "latency.h"

int tnr_latency_bucket(uint64_t ns) {
  enum { STEP_BITS = 3 };
  if (ns < TNR_LATENCY_STEPS)
    return (int)ns;
  int exponent = 63 - __builtin_clzll(ns);
  int step = (int)(ns >> (exponent - STEP_BITS)) % TNR_LATENCY_STEPS;
  int bucket = (exponent - STEP_BITS + 1) * TNR_LATENCY_STEPS + step;
  return bucket < TNR_LATENCY_BUCKETS ? bucket : TNR_LATENCY_BUCKETS - 1;
}

uint64_t tnr_latency_end(int bucket) {
  if (bucket == TNR_LATENCY_BUCKETS - 1)
    return UINT64_MAX;
  if (bucket < TNR_LATENCY_STEPS)
    return (uint64_t)bucket + 1;
  int doubling = bucket / TNR_LATENCY_STEPS - 1, step = bucket % TNR_LATENCY_STEPS;
  return (uint64_t)(TNR_LATENCY_STEPS + step + 1) << doubling;
}

static uint64_t load(const _Atomic uint64_t *counter) {
  return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add(_Atomic uint64_t *counter, uint64_t more) {
  atomic_store_explicit(counter, load(counter) + more, memory_order_relaxed);
}

void tnr_latency_note(tnr_latency *latency, int64_t ns) {
  uint64_t took = ns > 0 ? (uint64_t)ns : 0;
  latency->fresh = false;
  latency->unlooked = 0;
  add(&latency->buckets[tnr_latency_bucket(took)], 1);
  add(&latency->sum, took);
  if (took > load(&latency->max))
    atomic_store_explicit(&latency->max, took, memory_order_relaxed);
  add(&latency->count, 1);
}

uint64_t tnr_latency_quantile(const tnr_latency *latency, double share) {
  uint64_t counts[TNR_LATENCY_BUCKETS], all = 0, seen = 0, max = load(&latency->max);
  for (int i = 0; i < TNR_LATENCY_BUCKETS; i++)
    all += counts[i] = load(&latency->buckets[i]);
  for (int i = 0; i < TNR_LATENCY_BUCKETS && all > 0; i++) {
    seen += counts[i];
    if ((double)seen >= share * (double)all && seen > 0)
      return tnr_latency_end(i) < max ? tnr_latency_end(i) : max;
  }
  return max;
}
