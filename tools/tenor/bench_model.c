#define _GNU_SOURCE /* cpu_set_t */

#include "bench.h"
#include "bench_cpus.h"
#include "bench_meter.h"
#include "bench_nets.h"
#include "bench_report.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 2, ROUND_NS = 60000000 };

enum subject { DIRECT, DIRECT2, ASYNC, BLOCKING, ASYNC2, BLOCKING2, SUBJECTS };

static const char *const subjects[SUBJECTS] = {
    "oneDNN",         "oneDNN, 2 threads",      "tenor async",
    "tenor blocking", "tenor async, 2 devices", "tenor blocking, 2 devices"};

static const char cnn_path[] = "tools/model/fashion_cnn.onnx";

struct problem {
  const char *path; /* NULL: the perceptron */
  int64_t batch;
  long rounds;
};

/* A runtime with the net on each of its devices, whose workers stay on a CPU each. */
struct side {
  tnr_runtime *runtime;
  int devices;
  struct placed_net nets[DEVICES_MAX];
  tnr_tensor *inputs[DEVICES_MAX];
};

struct bed {
  struct net net;
  cpu_set_t cpus;                     /* allowed */
  struct direct *direct[DEVICES_MAX]; /* one a thread; the first is the yardstick */
  struct side sides[DEVICES_MAX];     /* of one device, of two */
  size_t bytes;                       /* of a result */
  void *result;
};

static struct side side_create(const struct net *net, int devices, int64_t batch,
                               const void *input) {
  const tnr_device_config config = {.driver = tnr_cpu_driver(), .count = devices};
  const tnr_runtime_options options = {.devices = &config, .device_configs = 1, .pin = true};
  struct side side = {.runtime = tnr_runtime_create(&options), .devices = devices};
  if (side.runtime == NULL)
    bench_die_of_error("cannot make a runtime");
  for (int i = 0; i < devices; i++) {
    tnr_device *device = tnr_runtime_device_at(side.runtime, i);
    net_place(net, device, &side.nets[i]);
    side.inputs[i] = tnr_tensor_create(device, TNR_F32, net_input(net, batch), input);
    if (side.inputs[i] == NULL)
      bench_die_of_error("cannot make a tensor");
  }
  return side;
}

static void side_destroy(struct side *side) {
  for (int i = 0; i < side->devices; i++) {
    placed_net_finish(&side->nets[i]);
    tnr_release(side->inputs[i]);
  }
  if (tnr_runtime_get_stats(side->runtime).failed != 0)
    bench_die("some ops failed");
  if (tnr_runtime_destroy(side->runtime, TNR_DRAIN) != TNR_OK)
    bench_die_of_error("cannot close the runtime");
}

static void fill_input(float *input, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    input[i] = (float)(i * 31 % 101) / 101;
}

static void bed_init(struct bed *bed, const struct problem *problem) {
  net_load(problem->path, &bed->net);
  bed->cpus = cpus_allowed();
  tnr_shape shape = net_input(&bed->net, problem->batch);
  for (int i = 0; i < DEVICES_MAX; i++) {
    bed->direct[i] = net_direct(&bed->net, problem->batch);
    fill_input(direct_input(bed->direct[i]), tnr_shape_elements(&shape));
  }
  for (int i = 0; i < DEVICES_MAX; i++)
    bed->sides[i] = side_create(&bed->net, i + 1, problem->batch, direct_input(bed->direct[0]));
  bed->bytes = direct_output_bytes(bed->direct[0]);
  bed->result = malloc(bed->bytes);
  if (bed->result == NULL)
    bench_die("out of memory");
}

static void bed_finish(struct bed *bed) {
  for (int i = 0; i < DEVICES_MAX; i++) {
    side_destroy(&bed->sides[i]);
    direct_destroy(bed->direct[i]);
  }
  net_finish(&bed->net);
  free(bed->result);
}

/* --- running ---------------------------------------------------------------------------------- */

static void run_direct(struct direct *direct, long count) {
  for (long i = 0; i < count; i++)
    direct_run(direct);
}

struct share {
  struct direct *direct;
  const cpu_set_t *cpus;
  long count;
};

static void *run_share(void *user) {
  const struct share *share = user;
  cpus_use_one(share->cpus, 1);
  direct_use_thread();
  run_direct(share->direct, share->count);
  return NULL;
}

/* What the machine has for two devices at most. */
static void run_direct_twice(struct bed *bed, long count) {
  pthread_t other;
  struct share share = {bed->direct[1], &bed->cpus, count / 2};
  if (pthread_create(&other, NULL, run_share, &share) != 0)
    bench_die("no thread to be had");
  run_direct(bed->direct[0], count - count / 2);
  pthread_join(other, NULL);
}

/* Each queue is in order, so that the last result of a device completes last. */
static void run_async(const struct side *side, long count) {
  tnr_future *inputs[DEVICES_MAX], *last[DEVICES_MAX] = {NULL};
  for (int i = 0; i < side->devices; i++)
    inputs[i] = tnr_to_async(side->inputs[i]);
  for (long i = 0; i < count; i++) {
    int at = (int)(i % side->devices);
    tnr_release(last[at]);
    last[at] = placed_net_apply(&side->nets[at], tnr_value_of_future(inputs[at])).handle;
  }
  for (int i = 0; i < side->devices; i++) {
    if (tnr_wait(last[i], TNR_COMPLETE, INT64_MAX) != TNR_OK)
      bench_die_of_error("a layer failed");
    tnr_release(last[i]);
    tnr_release(inputs[i]);
  }
}

/* Every result is read before the next one is asked for. */
static void run_blocking(const struct bed *bed, const struct side *side, long count) {
  for (long i = 0; i < count; i++) {
    int at = (int)(i % side->devices);
    tnr_value y = placed_net_apply(&side->nets[at], tnr_value_of_tensor(side->inputs[at]));
    if (tnr_tensor_read(y.handle, bed->result, bed->bytes) != TNR_OK)
      bench_die_of_error("a layer failed");
    tnr_release(y.handle);
  }
}

static void run_subject(struct bed *bed, enum subject subject, long count) {
  switch (subject) {
  case DIRECT:
    run_direct(bed->direct[0], count);
    break;
  case DIRECT2:
    run_direct_twice(bed, count);
    break;
  case ASYNC:
  case ASYNC2:
    run_async(&bed->sides[subject == ASYNC2], count);
    break;
  default:
    run_blocking(bed, &bed->sides[subject == BLOCKING2], count);
  }
}

/* Direct calls are made where the first device's worker runs, so that both have the same CPU. Who
 * submits begins on another one, since a worker that stays where it is could not make way. */
static void choose_cpu(const struct bed *bed, enum subject subject) {
  bool is_direct = subject == DIRECT || subject == DIRECT2;
  cpus_use_one(&bed->cpus, is_direct ? 0 : 1);
  if (!is_direct)
    cpus_use_all(&bed->cpus);
}

/* ns per batch */
static double time_subject(struct bed *bed, enum subject subject, long count) {
  choose_cpu(bed, subject);
  uint64_t begin = meter_now();
  run_subject(bed, subject, count);
  return (double)(meter_now() - begin) / (double)count;
}

static void check_results(struct bed *bed) {
  run_direct(bed->direct[0], 1);
  const float *expected = direct_output(bed->direct[0]), *got = bed->result;
  for (int i = 0; i < DEVICES_MAX; i++) {
    run_blocking(bed, &bed->sides[i], i + 1);
    for (size_t j = 0; j < bed->bytes / sizeof(float); j++)
      if (!(fabsf(expected[j] - got[j]) <= 1e-3F * (1 + fabsf(expected[j]))))
        bench_die("result %zu: oneDNN gives %g, tenor %g", j, (double)expected[j], (double)got[j]);
  }
}

static void measure(const void *argument, double *values) {
  const struct problem *problem = argument;
  struct bed bed;
  bed_init(&bed, problem);
  check_results(&bed);
  long count = 2 * (long)fmax(1, ROUND_NS / 2 / time_subject(&bed, DIRECT, 4));
  for (int i = 0; i < SUBJECTS; i++)
    (void)time_subject(&bed, (enum subject)i, count);
  for (long round = 0; round < problem->rounds; round++)
    for (int i = 0; i < SUBJECTS; i++)
      values[round * SUBJECTS + i] = time_subject(&bed, (enum subject)i, count);
  bed_finish(&bed);
}

/* --- reporting -------------------------------------------------------------------------------- */

static bool is_double(int subject) {
  return subject == DIRECT2 || subject >= ASYNC2;
}

/* The same on one device, or in one thread. */
static int single_of(int subject) {
  return subject == DIRECT2 ? DIRECT : subject - ASYNC2 + ASYNC;
}

static void note_round(struct report *report, const char *name, const double *times) {
  for (int i = 0; i < SUBJECTS; i++) {
    struct figure which = {
        .workload = name, .subject = subjects[i], .metric = "time", .unit = "ns/batch"};
    report_add(report, &which, times[i]);
    which.metric = "ratio";
    which.unit = "x oneDNN";
    if (i != DIRECT)
      report_add(report, &which, times[DIRECT] / times[i]);
    which.metric = "speedup";
    which.unit = "x 1 device";
    if (is_double(i))
      report_add(report, &which, times[single_of(i)] / times[i]);
  }
}

static bool measure_one(struct report *report, const struct problem *problem, const char *name) {
  static double values[SUBJECTS * BENCH_REPEATS_MAX];
  if (!bench_in_child(measure, problem, values, (int)(SUBJECTS * problem->rounds))) {
    command_fail("model %s was not measured", name);
    return false;
  }
  for (long i = 0; i < problem->rounds; i++)
    note_round(report, name, &values[i * SUBJECTS]);
  return true;
}

static double median_of(const struct report *report, const char *name, int subject,
                        const char *metric) {
  return figure_median(report_find(report, name, subjects[subject], metric));
}

static void print_time(const struct report *report, const char *name, int subject) {
  printf("%10.1f %6.3fx", median_of(report, name, subject, "time") / 1e3,
         median_of(report, name, subject, "ratio"));
  if (is_double(subject))
    printf(" %6.2fx", median_of(report, name, subject, "speedup"));
}

static void print_table(const struct report *report, char names[][16], int count, long rounds) {
  printf("Models, CPUs: %s, medians of %ld turns; us per batch, and x of oneDNN called directly\n"
         "in one thread (more is faster); for two devices, or threads, also x of one.\n\n"
         "%-9s%10s%26s%18s%18s%26s%26s\n",
         report->cpus, rounds, "", "oneDNN", "oneDNN, 2 threads", "async", "blocking",
         "async, 2 devices", "blocking, 2 devices");
  for (int n = 0; n < count; n++) {
    printf("%-9s%10.1f", names[n], median_of(report, names[n], DIRECT, "time") / 1e3);
    for (int i = DIRECT + 1; i < SUBJECTS; i++)
      print_time(report, names[n], i);
    putchar('\n');
  }
}

static void usage(FILE *to) {
  fprintf(
      to,
      "Usage: tenor bench model [OPTION]...\n\n"
      "Runs the CNN of %s (from where the command is called) and\n"
      "a perceptron 784-512-512-10, batches of 1, 16 and 64, on one and two cpu devices of one\n"
      "thread each, async and blocking, beside the same layers called directly on oneDNN with\n"
      "weights packed once, in one thread, and in two at once. All take turns, and each device's\n"
      "thread stays on the CPU on which the direct calls are made.\n\n"
      "  --json       print one JSON object instead of a table\n"
      "  --repeats N  medians, minima and maxima are over these turns (default 9)\n"
      "  --cpus LIST  pin the process, for example 0 or 0,1 (default: not pinned)\n",
      cnn_path);
}

enum { BATCHES = 3, PROBLEMS = 2 * BATCHES };

static int report_all(struct report *report, const struct bench_common *common) {
  static const int64_t batches[BATCHES] = {1, 16, 64};
  static char names[PROBLEMS][16];
  for (int i = 0; i < PROBLEMS; i++) {
    const struct problem problem = {.path = i < BATCHES ? cnn_path : NULL,
                                    .batch = batches[i % BATCHES],
                                    .rounds = common->repeats};
    snprintf(names[i], sizeof names[i], "%s %d", problem.path != NULL ? "cnn" : "mlp",
             (int)problem.batch);
    if (!measure_one(report, &problem, names[i]))
      return COMMAND_FAILED;
  }
  if (common->json)
    return report_print_json(report) ? 0 : command_fail("cannot write the report");
  print_table(report, names, PROBLEMS, common->repeats);
  return 0;
}

int bench_model(int argc, char **argv) {
  struct report report = {.bench = "model", .cpus = "any"};
  struct bench_common common = {.repeats = 9};
  int status = bench_common_options(argc, argv, usage, &common, &report.cpus);
  if (status >= 0)
    return status;
  status = report_all(&report, &common);
  report_finish(&report);
  return status;
}
