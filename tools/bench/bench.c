/* bench.c: the clocks, counters and checks behind bench.h. */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { IDLE_BEFORE_SAMPLE_US = 200, WARM_UPS = 3 };

/* Written by the one op it belongs to; read by ops that depend on it and by the final check. */
struct cell {
  uint32_t value; /* 1 + the inputs' values; a leaf of a tree is 1, and an inner op adds nothing */
  uint32_t runs;
};

struct reading {
  uint64_t wall, thread_cpu, process_cpu; /* ns */
  uint64_t switches, allocations, wakes;
};

struct bench_state {
  const struct bench_case *what;
  int rounds_left;
  uint32_t samples;
  uint64_t *latencies; /* ns, one a sample */
  struct cell *cells;  /* one an op */
  struct reading begin, submitted, end;
  uint64_t rss_before, rss_queued; /* bytes */
  sem_t gate;
};

static const struct bench workloads[] = {
    {.workload = "W1", .shape = BENCH_CHAIN, .ops = 100000, .devices = 1},
    {.workload = "W2", .shape = BENCH_INDEPENDENT, .ops = 100000, .devices = 1},
    {.workload = "W3", .shape = BENCH_CHAIN, .ops = 10000, .devices = 2},
    {.workload = "W3wait", .shape = BENCH_CHAIN, .ops = 10000, .devices = 2, .worker_waits = true},
    {.workload = "W4", .shape = BENCH_TREE, .leaves = 65536, .devices = 1},
    {.workload = "W4x2", .shape = BENCH_TREE, .leaves = 65536, .devices = 2},
    {.workload = "W5", .shape = BENCH_CHAIN, .ops = 1000000, .devices = 1, .gated = true},
    {.workload = "W6", .shape = BENCH_INDEPENDENT, .ops = 10000, .devices = 1},
    {.workload = "W6wait", .shape = BENCH_INDEPENDENT, .ops = 10000, .devices = 1},
};

static const char *program = "bench";

void bench_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: ", program);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(EXIT_FAILURE);
}

void *bench_alloc(uint64_t count, uint64_t size) {
  void *memory = calloc(count, size);
  if (!memory)
    bench_fail("out of memory for %" PRIu64 " x %" PRIu64 " bytes", count, size);
  return memory;
}

/* --- counting allocations and eventfd writes ------------------------------------------------ */

/* One line a thread, so that counting does not make threads share what they did not share. */
enum { COUNTER_LINES = 64 };

static struct { _Alignas(64) atomic_uint_fast64_t count; } allocation_counters[COUNTER_LINES];

static atomic_uint counter_lines_used;
static atomic_uint_fast64_t eventfd_writes;
static _Thread_local unsigned counter_line; /* 1 + index; 0: none yet */

static void count_allocation(void) {
  if (!counter_line)
    counter_line = 1 + atomic_fetch_add(&counter_lines_used, 1) % COUNTER_LINES;
  /* A plain increment would do while each line has one thread, a load and a store keep it so. */
  atomic_uint_fast64_t *count = &allocation_counters[counter_line - 1].count;
  uint64_t next = atomic_load_explicit(count, memory_order_relaxed) + 1;
  atomic_store_explicit(count, next, memory_order_relaxed);
}

static uint64_t allocations(void) {
  uint64_t sum = 0;
  for (int i = 0; i < COUNTER_LINES; i++)
    sum += atomic_load_explicit(&allocation_counters[i].count, memory_order_relaxed);
  return sum;
}

/* glibc's own names for what the functions below stand in front of. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
  count_allocation();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  count_allocation();
  return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
  count_allocation();
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  count_allocation();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
  void *memory = memalign(alignment, size);
  if (!memory)
    return ENOMEM;
  *out = memory;
  return 0;
}

/* While a round runs nobody writes 8 bytes to anything but an eventfd. */
ssize_t write(int fd, const void *data, size_t size) {
  if (size == sizeof(uint64_t))
    atomic_fetch_add_explicit(&eventfd_writes, 1, memory_order_relaxed);
  return syscall(SYS_write, fd, data, size);
}

/* --- clocks ----------------------------------------------------------------------------------- */

static uint64_t clock_ns(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t bench_now(void) {
  return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t context_switches(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
}

static uint64_t resident_bytes(void) {
  unsigned long long total = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%llu %llu", &total, &resident) != 2)
    bench_fail("cannot read /proc/self/statm");
  fclose(file);
  return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct reading read_all(void) {
  return (struct reading){
      .switches = context_switches(),
      .allocations = allocations(),
      .wakes = atomic_load_explicit(&eventfd_writes, memory_order_relaxed),
      .process_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
      .thread_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID),
      .wall = bench_now(),
  };
}

/* --- the graph -------------------------------------------------------------------------------- */

int bench_inputs(const struct bench *bench, uint32_t op, uint32_t inputs[2]) {
  switch (bench->shape) {
  case BENCH_CHAIN:
    inputs[0] = op - 1;
    return op > 0;
  case BENCH_TREE:
    if (op < bench->leaves)
      return 0;
    inputs[0] = 2 * (op - bench->leaves);
    inputs[1] = inputs[0] + 1;
    return 2;
  case BENCH_INDEPENDENT:
    break;
  }
  return 0;
}

bool bench_dependent(const struct bench *bench, uint32_t op, uint32_t *out) {
  if (bench->shape == BENCH_INDEPENDENT || op + 1 == bench->ops)
    return false;
  *out = bench->shape == BENCH_CHAIN ? op + 1 : bench->leaves + op / 2;
  return true;
}

/* Each half of a tree is one device's, as one would split it: only the root needs both. */
static int tree_device(const struct bench *bench, uint32_t op) {
  uint32_t width = bench->leaves, first = 0;
  while (op - first >= width) {
    first += width;
    width /= 2;
  }
  return width > 1 && op - first >= width / 2;
}

int bench_device(const struct bench *bench, uint32_t op) {
  if (bench->devices == 1)
    return 0;
  return bench->shape == BENCH_TREE ? tree_device(bench, op) : (int)(op % 2);
}

static void gate_wait(struct bench *bench) {
  while (sem_wait(&bench->state->gate) != 0)
    ;
}

void bench_execute(struct bench *bench, uint32_t op) {
  struct cell *cells = bench->state->cells;
  uint32_t inputs[2];
  int count = bench_inputs(bench, op, inputs);
  if (bench->gated && op == 0)
    gate_wait(bench);
  uint32_t value = count == 2 ? 0 : 1;
  for (int i = 0; i < count; i++)
    value += cells[inputs[i]].value;
  cells[op].value = value;
  cells[op].runs++;
}

static uint32_t expected_value(const struct bench *bench, uint32_t op) {
  if (bench->shape == BENCH_CHAIN)
    return op + 1;
  return bench->shape == BENCH_TREE && op + 1 == bench->ops ? bench->leaves : 1;
}

static bool has_expected_value(const struct bench *bench, uint32_t op) {
  bool inner = bench->shape == BENCH_TREE && op >= bench->leaves && op + 1 < bench->ops;
  return inner || bench->state->cells[op].value == expected_value(bench, op);
}

static void check_all_ran(const struct bench *bench) {
  for (uint32_t op = 0; op < bench->ops; op++) {
    if (bench->state->cells[op].runs != 1)
      bench_fail("%s %s: op %" PRIu32 " of %" PRIu32 " ran %" PRIu32 " times instead of once",
                 bench->state->what->subject, bench->workload, op, bench->ops,
                 bench->state->cells[op].runs);
    if (!has_expected_value(bench, op))
      bench_fail("%s %s: op %" PRIu32 " ran before its inputs", bench->state->what->subject,
                 bench->workload, op);
  }
}

/* --- rounds ----------------------------------------------------------------------------------- */

bool bench_round(struct bench *bench) {
  memset(bench->state->cells, 0, bench->ops * sizeof(struct cell));
  return bench->state->rounds_left-- > 0;
}

/* By this tools/bench/profile tells the measured round. */
static void name_round(const struct bench *bench, bool measured) {
  if (bench->state->rounds_left == 0)
    prctl(PR_SET_NAME, measured ? "submitting" : program);
}

void bench_begin(struct bench *bench) {
  name_round(bench, true);
  if (bench->gated)
    bench->state->rss_before = resident_bytes();
  bench->state->begin = read_all();
}

void bench_submitted(struct bench *bench) {
  bench->state->submitted = read_all();
  if (!bench->gated)
    return;
  bench->state->rss_queued = resident_bytes();
  sem_post(&bench->state->gate);
}

void bench_end(struct bench *bench) {
  bench->state->end = read_all();
  name_round(bench, false);
  check_all_ran(bench);
}

bool bench_sample(struct bench *bench, uint32_t *op) {
  struct bench_state *state = bench->state;
  if (state->samples == 0)
    state->begin = read_all();
  if (state->samples == bench->ops) {
    bench_end(bench);
    return false;
  }
  usleep(IDLE_BEFORE_SAMPLE_US);
  *op = state->samples++;
  return true;
}

void bench_latency(struct bench *bench, uint32_t op, uint64_t ns) {
  bench->state->latencies[op] = ns;
}

/* --- reporting -------------------------------------------------------------------------------- */

static void print_metric(const struct bench *bench, const char *metric, const char *unit,
                         double value) {
  printf("{\"workload\":\"%s\",\"subject\":\"%s\",\"metric\":\"%s\",\"unit\":\"%s\","
         "\"value\":%.4f,\"ops\":%" PRIu32 "}\n",
         bench->workload, bench->state->what->subject, metric, unit, value, bench->ops);
}

static void print_per_op(const struct bench *bench, const char *metric, const char *unit,
                         uint64_t from, uint64_t to) {
  /* The resident set may shrink by a page or two when nothing is allocated. */
  double difference = to > from ? (double)(to - from) : 0.0;
  print_metric(bench, metric, unit, difference / bench->ops);
}

static int compare_ns(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

static void print_latency(const struct bench *bench) {
  uint64_t *latencies = bench->state->latencies;
  qsort(latencies, bench->ops, sizeof *latencies, compare_ns);
  print_metric(bench, "p50", "ns", (double)latencies[bench->ops / 2]);
  print_metric(bench, "p99", "ns", (double)latencies[(uint64_t)bench->ops * 99 / 100]);
}

static void print_throughput(const struct bench *bench) {
  const struct bench_state *state = bench->state;
  const struct reading *begin = &state->begin, *end = &state->end;
  print_per_op(bench, "end_to_end", "ns/op", begin->wall, end->wall);
  if (state->what->counts & BENCH_SUBMIT)
    print_per_op(bench, "submit", "ns/op", begin->thread_cpu, state->submitted.thread_cpu);
}

static void print_counts(const struct bench *bench) {
  const struct bench_state *state = bench->state;
  const struct reading *begin = &state->begin, *end = &state->end;
  print_per_op(bench, "cpu", "ns/op", begin->process_cpu, end->process_cpu);
  print_per_op(bench, "context_switches", "/op", begin->switches, end->switches);
  if (state->what->counts & BENCH_WAKES)
    print_per_op(bench, "wakes", "/op", begin->wakes, end->wakes);
  if (state->what->counts & BENCH_ALLOCATIONS)
    print_per_op(bench, "allocations", "/op", begin->allocations, end->allocations);
}

static void print_report(const struct bench *bench) {
  if (bench->gated) {
    print_per_op(bench, "bytes_in_flight", "B/op", bench->state->rss_before,
                 bench->state->rss_queued);
    return;
  }
  if (bench->state->samples)
    print_latency(bench);
  else
    print_throughput(bench);
  print_counts(bench);
}

/* --- the command line ------------------------------------------------------------------------- */

static int list_cases(const struct bench_case *cases) {
  for (; cases->subject; cases++)
    printf("%s\t%s\t%s\n", cases->subject, cases->workload, cases->run ? "" : cases->why_not);
  return EXIT_SUCCESS;
}

static int usage(FILE *to) {
  fprintf(to,
          "Usage: %s SUBJECT WORKLOAD [--scale-down K]\n"
          "       %s --list\n"
          "Runs one workload once and prints one JSON object a metric. See tools/bench/peers.\n",
          program, program);
  return to == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const struct bench_case *find_case(const struct bench_case *cases, const char *subject,
                                          const char *workload) {
  for (; cases->subject; cases++)
    if (!strcmp(cases->subject, subject) && !strcmp(cases->workload, workload))
      return cases;
  bench_fail("no case '%s' '%s'; --list shows what there is", subject, workload);
}

static struct bench find_workload(const char *name) {
  for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
    if (!strcmp(workloads[i].workload, name))
      return workloads[i];
  bench_fail("no workload '%s'", name);
}

static uint32_t at_least(uint32_t least, uint32_t value) {
  return value < least ? least : value;
}

static void scale_down(struct bench *bench, uint32_t by) {
  if (bench->shape != BENCH_TREE) {
    bench->ops = at_least(2, bench->ops / by);
    return;
  }
  uint32_t leaves = 2;
  while (leaves * 2 <= bench->leaves / by)
    leaves *= 2;
  bench->leaves = leaves;
  bench->ops = 2 * leaves - 1;
}

static uint32_t read_count(const char *text) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno || *end || end == text || value < 1 || value > 1000000)
    bench_fail("'%s' is not a number from 1 to 1000000", text);
  return (uint32_t)value;
}

static void run_case(const struct bench_case *what, uint32_t by) {
  struct bench bench = find_workload(what->workload);
  scale_down(&bench, by * at_least(1, what->divisor));
  struct bench_state state = {.what = what, .rounds_left = bench.gated ? 1 : 1 + WARM_UPS};
  state.cells = bench_alloc(bench.ops, sizeof *state.cells);
  state.latencies = bench_alloc(bench.ops, sizeof *state.latencies);
  sem_init(&state.gate, 0, 0);
  bench.state = &state;
  what->run(&bench);
  print_report(&bench);
  sem_destroy(&state.gate);
  free(state.latencies);
  free(state.cells);
}

int bench_main(int argc, char **argv, const struct bench_case *cases) {
  program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
  if (argc == 2 && !strcmp(argv[1], "--help"))
    return usage(stdout);
  if (argc == 2 && !strcmp(argv[1], "--list"))
    return list_cases(cases);
  bool scaled = argc == 5 && !strcmp(argv[3], "--scale-down");
  if (argc != 3 && !scaled)
    return usage(stderr);
  const struct bench_case *what = find_case(cases, argv[1], argv[2]);
  if (!what->run)
    bench_fail("%s cannot run %s: %s", what->subject, what->workload, what->why_not);
  run_case(what, scaled ? read_count(argv[4]) : 1);
  return EXIT_SUCCESS;
}
