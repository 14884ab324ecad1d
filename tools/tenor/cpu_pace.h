/* How fast a CPU is now. Where another hyperthread of its core is busy it has about half of the
 * core's width left, and in a virtual machine no counter tells: the other one may be somebody
 * else's. Needs nothing else of the tool: tools/bench/pace is built from it, too. */
#ifndef TENOR_TOOL_CPU_PACE_H
#define TENOR_TOOL_CPU_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* What is compared has slices of as many steps. */
struct cpu_pace {
  uint64_t median, least; /* ns a slice of work */
};

enum { CPU_PACE_SLICES_MAX = 15, CPU_PACE_LEAST_PERCENT = 90 };

/* Of the CPU that the calling thread is on, from 1 to CPU_PACE_SLICES_MAX slices. A step takes
 * about a cycle. */
struct cpu_pace cpu_pace_measure(int slices, long steps);

/* Whether a slice of that time has CPU_PACE_LEAST_PERCENT of the best pace; both in ns. */
bool cpu_pace_is_full(uint64_t slice, uint64_t best);

#endif
