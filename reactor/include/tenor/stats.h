/* Counters of what a runtime does: for programs that look after themselves, and for whoever looks
 * after them. They are kept at all times, and cost next to nothing. */
#ifndef TENOR_STATS_H
#define TENOR_STATS_H

#include <tenor/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Stable: later versions add fields at the end only. `size` is the caller's sizeof the struct: no
 * more is filled in, and of what this version of the library does not know, zeroes. */
typedef struct tnr_stats {
  size_t size;

  /* Ops since the runtime was made. */
  uint64_t submitted; /* that the dispatcher has taken up */
  uint64_t completed; /* of these, failed ones included */
  uint64_t failed;    /* of these, descendants of failed ones included */
  uint64_t in_flight; /* submitted and not completed */

  uint64_t wakes;   /* of the dispatcher, each a system call */
  uint64_t handles; /* live_handles of tnr_runtime_stats */

  /* How long ops took from when the dispatcher took them up (under terms: from their submission) to
   * when they were complete, in ns of the runtime's clock. Of a sample: the first op that completes
   * in each of the dispatcher's turns, and one in 32. Percentiles are at most an eighth too large.
   */
  uint64_t latency_samples, latency_sum_ns;
  uint64_t latency_p50_ns, latency_p90_ns, latency_p99_ns, latency_max_ns;

  /* As in tnr_trace_stats. */
  uint64_t trace_recorded, trace_lost, trace_forgotten;

  uint64_t devices; /* tnr_runtime_device_count */
} tnr_stats;

/* Fills in *out, whose size is set. Any thread; each counter is exact, together they may be a
 * moment apart. TNR_EINVAL with tnr_error(): an argument is NULL, or size is not set. */
TNR_API tnr_status tnr_stats_read(const tnr_runtime *runtime, tnr_stats *out) TNR_MUST_USE;

/* Of one device. Stable in the same way. An op on several devices counts on each. */
typedef struct tnr_device_stats {
  size_t size;

  uint64_t queued;  /* ops on its queue */
  uint64_t running; /* 0 or 1 */
  uint64_t done;    /* that its worker is done with, also because they had failed before */
  uint64_t wakes;   /* of its worker, each a system call */

  uint64_t copies, copied_bytes; /* that its worker has made */

  /* As in tnr_memory_stats and tnr_program_stats. */
  uint64_t live_bytes, peak_bytes, reserved_bytes, allocations, reused;
  uint64_t programs, program_hits, program_misses, program_evictions;
} tnr_device_stats;

/* The same for a device; the host has memory only. */
TNR_API tnr_status tnr_stats_read_device(const tnr_device *device,
                                         tnr_device_stats *out) TNR_MUST_USE;

/* All of it as text in Prometheus' exposition format (0.0.4), with names that begin with "tenor_",
 * cut where it does not fit into `size` bytes with the final 0. `labels`: put into every line, such
 * as "app=\"search\",runtime=\"1\""; NULL: none. Returns how long the whole text is, without the 0;
 * 0 for NULL. Any thread. */
TNR_API size_t tnr_stats_prometheus(const tnr_runtime *runtime, const char *labels, char *out,
                                    size_t size);

#ifdef __cplusplus
}
#endif
#endif
