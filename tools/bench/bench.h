/*
 * bench.h: what the peer benchmarks share: the workloads, the clocks and the line protocol.
 *
 * A peer is a program that runs one workload with one subject and exits:
 *
 *   PROGRAM SUBJECT WORKLOAD [--scale-down K]   runs it once, after three unmeasured rounds
 *   PROGRAM --list                              names its cases, one a line: subject, workload,
 *                                               and why it cannot run it; tabs between the three
 *
 * The line protocol: a run prints one JSON object for each metric on stdout, each on a line
 * of its own (broken here for the page),
 *
 *   {"workload":"W1","subject":"floor","metric":"end_to_end","unit":"ns/op","value":91.4,
 *    "ops":100000}
 *
 * and exits with 0; or it prints one sentence on stderr and exits with 1, for example when an op
 * did not run exactly once or ran before its inputs. `peers` runs every program several times and
 * reduces each metric to median, min and max.
 *
 * Metrics:
 *   end_to_end        ns/op  wall clock, first submit to last completion seen by the caller
 *   submit            ns/op  CPU time of the submitting thread until its last submit has returned
 *   cpu               ns/op  CPU time of the whole process, over the same span as end_to_end
 *   context_switches  /op    voluntary and involuntary, of the whole process
 *   wakes             /op    eventfd writes, for subjects that wake their threads that way
 *   allocations       /op    malloc, calloc, realloc and memalign calls
 *   bytes_in_flight   B/op   growth of the resident set while the ops are queued (W5)
 *   p50, p99          ns     latency of one op from an idle runtime (W6, W6wait)
 *
 * Workloads are graphs of ops numbered from 0; inputs have lower numbers than their op. Every op
 * does the same trivial thing, bench_execute(), which also proves that its inputs ran before it.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bench_shape {
  BENCH_CHAIN,       /* op i needs op i - 1 */
  BENCH_INDEPENDENT, /* no op needs another */
  BENCH_TREE,        /* ops 0 .. leaves - 1 are leaves; a later op adds two earlier ones */
};

/* One run of one workload. All fields are immutable once a case has been started. */
struct bench {
  const char *workload;
  enum bench_shape shape;
  uint32_t ops;
  uint32_t leaves;           /* of a tree */
  int devices;               /* workers, where the peer has no devices */
  bool gated;                /* op 0 blocks until bench_submitted() */
  bool worker_waits;         /* a worker itself waits for another worker's op */
  struct bench_state *state; /* clocks, counters and cells; bench.c's own */
};

/* What a case can count beyond clocks and context switches. */
enum bench_counts {
  BENCH_SUBMIT = 1 << 0, /* one thread submits all ops in a loop */
  BENCH_WAKES = 1 << 1,
  BENCH_ALLOCATIONS = 1 << 2,
};

/* One subject on one workload. An array of them ends with a NULL subject. */
struct bench_case {
  const char *subject;
  const char *workload;
  void (*run)(struct bench *bench); /* NULL: this peer cannot run the workload, see why_not */
  unsigned counts;                  /* enum bench_counts, or-ed */
  uint32_t divisor;                 /* run 1/divisor of the ops; 0 means all of them */
  const char *why_not;
};

/* The whole main() of a peer: reads the command line, runs one case, prints its lines. */
int bench_main(int argc, char **argv, const struct bench_case *cases);

/* The graph. */
int bench_inputs(const struct bench *bench, uint32_t op, uint32_t inputs[2]); /* how many */
bool bench_dependent(const struct bench *bench, uint32_t op, uint32_t *out);  /* false: none */
int bench_device(const struct bench *bench, uint32_t op);                     /* 0 or 1 */

/* The body of every op. Any thread, once an op and round. */
void bench_execute(struct bench *bench, uint32_t op);

/*
 * Throughput and memory. A case sets its runtime up and then repeats
 *
 *   while (bench_round(bench)) { bench_begin(bench); …submit…; bench_submitted(bench);
 *                                …wait for all…; bench_end(bench); }
 *
 * All rounds but the last, the one reported, warm up; bench_end() checks that every op ran.
 * In a gated workload bench_submitted() notes the memory in use and then opens the gate.
 */
bool bench_round(struct bench *bench);
void bench_begin(struct bench *bench);
void bench_submitted(struct bench *bench);
void bench_end(struct bench *bench);

/*
 * Latency. `while (bench_sample(bench, &op)) { start = bench_now(); …submit op…; }` where
 * bench_sample() first leaves the runtime idle for a while; bench_latency() notes a sample.
 */
bool bench_sample(struct bench *bench, uint32_t *op);
void bench_latency(struct bench *bench, uint32_t op, uint64_t ns);
uint64_t bench_now(void); /* ns */

/* calloc() that never returns NULL. */
void *bench_alloc(uint64_t count, uint64_t size);

/* Prints "PROGRAM: sentence" on stderr and exits with 1. */
void bench_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif
#endif
