#define _GNU_SOURCE /* sched_setaffinity */

#include "bench_cpus.h"

#include "bench.h"
#include "bench_meter.h"

#include <stdio.h>
#include <unistd.h>

/* Short enough to fall between two disturbances of a few ms. */
enum { SLICES = 3, STEPS = 80000 };
enum { LEARN_NS = 2000000000, LEARN_REST_US = 20000 };

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

bool cpus_are_shared(long runnable, long used, long cpus) {
  return runnable - 1 > cpus - used;
}

/* "5.05 4.03 3.44 4/100 27167": 4 */
long cpus_runnable(const char *loadavg) {
  long runnable = 0;
  return sscanf(loadavg, "%*s %*s %*s %ld/", &runnable) == 1 ? runnable : 0;
}

static bool are_shared(long used) {
  char text[128] = "";
  FILE *file = fopen("/proc/loadavg", "re");
  if (file == NULL)
    return false;
  bool read = fgets(text, sizeof text, file) != NULL;
  fclose(file);
  return read && cpus_are_shared(cpus_runnable(text), used, sysconf(_SC_NPROCESSORS_ONLN));
}

struct cpu_pace cpus_look(const cpu_set_t *allowed, int count) {
  struct cpu_pace pace = {.least = UINT64_MAX};
  int used = count < CPU_COUNT(allowed) ? count : CPU_COUNT(allowed);
  for (int i = 0; i < used; i++) {
    cpus_use_one(allowed, i);
    struct cpu_pace one = cpu_pace_measure(SLICES, STEPS);
    pace.median = one.median > pace.median ? one.median : pace.median;
    pace.least = one.least < pace.least ? one.least : pace.least;
  }
  /* Last: by now this process's own threads have gone to sleep. */
  if (are_shared(used))
    pace.median *= 2;
  return pace;
}

void cpus_learn(struct sampling *sampling) {
  cpu_set_t allowed = cpus_allowed();
  uint64_t end = meter_now() + LEARN_NS;
  while (meter_now() < end) {
    sampling_note(sampling, cpus_look(&allowed, CPUS_ALL));
    usleep(LEARN_REST_US);
  }
  cpus_use_all(&allowed);
}
