#include "cpu_pace.h"

#include <stdlib.h>
#include <time.h>

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Additions that do not depend on each other, as many at a time as a core can start: what shares
 * the core takes some of its width. */
static void work(long steps) {
  unsigned long a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;
#pragma GCC unroll 16
  for (long i = 0; i < steps; i++) {
    a++, b++, c++, d++, e++, f++;
    /* Without this the compiler would multiply. */
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
  }
}

static int compare_ns(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

struct cpu_pace cpu_pace_measure(int slices, long steps) {
  uint64_t ns[CPU_PACE_SLICES_MAX];
  for (int i = 0; i < slices; i++) {
    uint64_t begin = now();
    work(steps);
    ns[i] = now() - begin;
  }
  qsort(ns, (size_t)slices, sizeof *ns, compare_ns);
  return (struct cpu_pace){.median = ns[slices / 2], .least = ns[0]};
}

bool cpu_pace_is_full(uint64_t slice, uint64_t best) {
  return slice * CPU_PACE_LEAST_PERCENT <= best * 100;
}
