/* On which CPUs a benchmark's threads run, and how fast these are. Those of a machine are not
 * alike: what shares a core with one of them makes it slower by half, for moments. So what is
 * compared runs on the same one. Needs _GNU_SOURCE. */
#ifndef TENOR_TOOL_BENCH_CPUS_H
#define TENOR_TOOL_BENCH_CPUS_H

#include <sched.h>

#include "bench_samples.h"

/* Those that the calling thread may use. */
cpu_set_t cpus_allowed(void);

/* Keeps the calling thread on the n-th of these, counted round: on the one that the option `pin` of
 * a runtime gives to the worker of its n-th device. */
void cpus_use_one(const cpu_set_t *allowed, int n);

/* Lets it run on any of them again. */
void cpus_use_all(const cpu_set_t *allowed);

enum { CPUS_ALL = CPU_SETSIZE };

/* The pace of the first `count` of these: the median of the slowest, the least of any. Takes the
 * calling thread to each, for some 100 us, and leaves it on the last. Where other threads of this
 * machine want them, too, which slices are too short to see, the median is twice as long. */
struct cpu_pace cpus_look(const cpu_set_t *allowed, int count);

/* Whether of so many runnable threads of a machine, the calling one among them, some have to share
 * the `used` ones of its CPUs. */
bool cpus_are_shared(long runnable, long used, long cpus);

/* How many are runnable, of the text of /proc/loadavg; 0: it does not say. */
long cpus_runnable(const char *loadavg);

/* Looks at those that the calling thread may use for two seconds, to know their best pace, and lets
 * it run on any of them again. */
void cpus_learn(struct sampling *sampling);

#endif
