/* Clocks and counters of this process. */
#ifndef TENOR_TOOL_BENCH_METER_H
#define TENOR_TOOL_BENCH_METER_H

#include <stdbool.h>
#include <stdint.h>

struct reading {
  uint64_t wall, thread_cpu, process_cpu; /* ns; the middle one of the calling thread */
  uint64_t switches;                      /* context switches, voluntary and not */
  uint64_t allocations;
};

struct reading meter_read(void);

/* Names the calling thread "submitting" while a round is measured, and as before afterwards: by
 * this tools/bench/profile tells the measured round. */
void meter_name_round(bool measured);

uint64_t meter_now(void);            /* ns */
uint64_t meter_resident_bytes(void); /* 0 when the system does not say */
uint64_t meter_peak_bytes(void);     /* the most that the resident set has been */

/* Starts counting calls of malloc and its kin, of all threads. False where this build can not: then
 * allocations stay 0. */
bool allocations_count(void);

uint64_t allocations_counted(void);

#endif
