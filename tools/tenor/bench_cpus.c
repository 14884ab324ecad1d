#define _GNU_SOURCE /* sched_setaffinity */

#include "bench_cpus.h"

#include "bench.h"

cpu_set_t cpus_allowed(void) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    bench_die("cannot find out which CPUs may be used");
  return allowed;
}

void cpus_use_one(const cpu_set_t *allowed, int n) {
  cpu_set_t one;
  n %= CPU_COUNT(allowed);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, allowed) && n-- == 0)
      CPU_SET(cpu, &one);
  cpus_use_all(&one);
}

void cpus_use_all(const cpu_set_t *allowed) {
  if (sched_setaffinity(0, sizeof *allowed, allowed) != 0)
    bench_die("cannot choose a CPU");
}
