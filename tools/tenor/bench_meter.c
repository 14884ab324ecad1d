#include "bench_meter.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t meter_now(void) {
  return clock_ns(CLOCK_MONOTONIC);
}

struct reading meter_read(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (struct reading){
      .switches = (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw,
      .allocations = allocations_counted(),
      .process_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
      .thread_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID),
      .wall = meter_now(),
  };
}

void meter_name_round(bool measured) {
  (void)prctl(PR_SET_NAME, measured ? "submitting" : "tenor");
}

uint64_t meter_resident_bytes(void) {
  unsigned long long total = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL)
    return 0;
  if (fscanf(file, "%llu %llu", &total, &resident) != 2)
    resident = 0;
  fclose(file);
  return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t meter_peak_bytes(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (uint64_t)usage.ru_maxrss * 1024;
}
