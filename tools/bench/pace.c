/*
 * pace.c: how fast each CPU is now, of those that this process may use.
 *
 * Prints one line a CPU: its number, and the median and the least of what some equal slices of work
 * took there, in ns: "0 139610 138013". Takes a few ms a CPU.
 *
 * Where another hyperthread of the core is busy, a CPU has about half of the core's width left, and
 * in a virtual machine no counter tells: the other one may be somebody else's. So the work are
 * additions that do not depend on each other, as many at a time as a core can start.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLICES = 15, STEPS = 320000 };

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void work(void) {
  unsigned long a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;
#pragma GCC unroll 16
  for (int i = 0; i < STEPS; i++) {
    a++, b++, c++, d++, e++, f++;
    /* Without this the compiler would multiply. */
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
  }
}

static int compare_ns(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

static void print_pace(int cpu) {
  uint64_t slices[SLICES]; /* ns */
  for (int i = 0; i < SLICES; i++) {
    uint64_t begin = now();
    work();
    slices[i] = now() - begin;
  }
  qsort(slices, SLICES, sizeof *slices, compare_ns);
  printf("%d %" PRIu64 " %" PRIu64 "\n", cpu, slices[SLICES / 2], slices[0]);
}

static int fail(const char *what) {
  fprintf(stderr, "pace: cannot %s: %s\n", what, strerror(errno));
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  if (argc > 1) {
    fprintf(stderr, "pace: '%s' is too much: it takes no arguments; see pace.c\n", argv[1]);
    return EXIT_FAILURE;
  }
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed))
    return fail("tell which CPUs it may use");
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed))
      continue;
    cpu_set_t this;
    CPU_ZERO(&this);
    CPU_SET(cpu, &this);
    if (sched_setaffinity(0, sizeof this, &this))
      return fail("move to a CPU that it may use");
    print_pace(cpu);
  }
  return EXIT_SUCCESS;
}
