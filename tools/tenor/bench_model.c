#define _GNU_SOURCE /* cpu_set_t */

#include "bench.h"
#include "bench_cpus.h"
#include "bench_meter.h"
#include "bench_nets.h"
#include "bench_sampled.h"

#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 2, SAMPLE_NS = 30000000 };

/* In the order of a turn: what is compared are neighbours. */
enum subject { DIRECT2, DIRECT, ASYNC, ASYNC2, BLOCKING, BLOCKING2, SUBJECTS };

static const char *const subjects[SUBJECTS] = {
    [DIRECT] = "oneDNN",           [DIRECT2] = "oneDNN, 2 threads",
    [ASYNC] = "tenor async",       [ASYNC2] = "tenor async, 2 devices",
    [BLOCKING] = "tenor blocking", [BLOCKING2] = "tenor blocking, 2 devices"};

static const char cnn_path[] = "tools/model/fashion_cnn.onnx";

struct problem {
  const char *path; /* NULL: the perceptron */
  int64_t batch;
};

/* A runtime with the net on each of its devices, whose workers stay on a CPU each. */
struct side {
  tnr_runtime *runtime;
  int devices;
  struct placed_net nets[DEVICES_MAX];
  tnr_tensor *inputs[DEVICES_MAX];
};

/* A thread of the benchmark's own that makes direct calls, on the CPU of the second device. */
struct partner {
  pthread_t thread;
  sem_t begin, end;      /* user → partner, and back: these are who may use the rest */
  struct direct *direct; /* NULL: it is to end */
  long count;
  const cpu_set_t *cpus; /* immutable */
};

struct bed {
  struct net net;
  cpu_set_t cpus;                     /* allowed */
  struct direct *direct[DEVICES_MAX]; /* one a thread; the first is the yardstick */
  struct partner partner;
  struct side sides[DEVICES_MAX]; /* of one device, of two */
  size_t bytes;                   /* of a result */
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

/* --- direct calls ----------------------------------------------------------------------------- */

static void run_direct(struct direct *direct, long count) {
  for (long i = 0; i < count; i++)
    direct_run(direct);
}

static void sem_await(sem_t *semaphore) {
  while (sem_wait(semaphore) != 0) {
  }
}

static void *partner_main(void *user) {
  struct partner *partner = user;
  cpus_use_one(partner->cpus, 1);
  direct_use_thread();
  for (;;) {
    sem_await(&partner->begin);
    if (partner->direct == NULL)
      return NULL;
    run_direct(partner->direct, partner->count);
    sem_post(&partner->end);
  }
}

static void partner_init(struct partner *partner, const cpu_set_t *cpus) {
  partner->cpus = cpus;
  sem_init(&partner->begin, 0, 0);
  sem_init(&partner->end, 0, 0);
  if (pthread_create(&partner->thread, NULL, partner_main, partner) != 0)
    bench_die("no thread to be had");
}

static void partner_begin(struct partner *partner, struct direct *direct, long count) {
  partner->direct = direct;
  partner->count = count;
  sem_post(&partner->begin);
}

static void partner_wait(struct partner *partner) {
  sem_await(&partner->end);
}

static void partner_finish(struct partner *partner) {
  partner_begin(partner, NULL, 0);
  pthread_join(partner->thread, NULL);
  sem_destroy(&partner->begin);
  sem_destroy(&partner->end);
}

/* --- the bed ---------------------------------------------------------------------------------- */

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
  partner_init(&bed->partner, &bed->cpus);
  bed->bytes = direct_output_bytes(bed->direct[0]);
  bed->result = malloc(bed->bytes);
  if (bed->result == NULL)
    bench_die("out of memory");
}

static void bed_finish(struct bed *bed) {
  partner_finish(&bed->partner);
  for (int i = 0; i < DEVICES_MAX; i++) {
    side_destroy(&bed->sides[i]);
    direct_destroy(bed->direct[i]);
  }
  net_finish(&bed->net);
  free(bed->result);
}

/* --- running ---------------------------------------------------------------------------------- */

/* What the machine has for two devices at most. */
static void run_direct_twice(struct bed *bed, long count) {
  partner_begin(&bed->partner, bed->direct[1], count / 2);
  run_direct(bed->direct[0], count - count / 2);
  partner_wait(&bed->partner);
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

struct run {
  struct bed bed;
  long count; /* of batches in a sample */
};

/* Where two work at once they get twice as many, to take as long: then the first op is as small a
 * share. */
static double measure_subject(void *user, int subject) {
  struct run *run = user;
  bool is_parallel = subject == DIRECT2 || subject == ASYNC2;
  return time_subject(&run->bed, (enum subject)subject, (is_parallel ? 2 : 1) * run->count);
}

/* Direct calls in one thread have one CPU only. */
static struct cpu_pace look(void *user, int subject) {
  const struct run *run = user;
  return cpus_look(&run->bed.cpus, subject == DIRECT ? 1 : CPUS_ALL);
}

/* ns of a direct call, of the least disturbed of some. */
static double time_batch(struct bed *bed) {
  enum { TRIES = 8 };
  double least = INFINITY;
  for (int i = 0; i < TRIES; i++)
    least = fmin(least, time_subject(bed, DIRECT, 2));
  return least;
}

static void measure(const struct sampled *sampled) {
  struct run run;
  bed_init(&run.bed, sampled->problem);
  check_results(&run.bed);
  run.count = 2 * (long)fmax(1, SAMPLE_NS / 2 / time_batch(&run.bed));
  for (int i = 0; i < SUBJECTS; i++)
    (void)measure_subject(&run, i);
  const struct sampler sampler = {measure_subject, look, sampled_now, sampled_rest, &run};
  samples_settle(sampled->samples, &sampler);
  bed_finish(&run.bed);
}

/* --- reporting -------------------------------------------------------------------------------- */

/* The same in one thread or on one device; none if it is that. */
static int single_of(int subject) {
  static const int single[SUBJECTS] = {[DIRECT2] = DIRECT, [ASYNC2] = ASYNC, [BLOCKING2] = BLOCKING,
                                       [DIRECT] = -1,      [ASYNC] = -1,     [BLOCKING] = -1};
  return single[subject];
}

static void note_subject(struct report *report, const struct sampled *sampled, int subject) {
  struct sampled_figure figure = {
      .which = {.workload = sampled->name, .subject = subjects[subject]},
      .subject = subject,
      .base = -1,
  };
  figure.which.metric = "time";
  figure.which.unit = "ns/batch";
  report_add_sampled(report, &figure, sampled->samples);
  figure.which.metric = "ratio";
  figure.which.unit = "x oneDNN";
  figure.base = DIRECT;
  if (subject != DIRECT)
    report_add_sampled(report, &figure, sampled->samples);
  figure.which.metric = "speedup";
  figure.which.unit = "x 1 device";
  figure.base = single_of(subject);
  if (figure.base >= 0)
    report_add_sampled(report, &figure, sampled->samples);
}

static void print_figure(const struct report *report, const struct sampled *sampled, int subject,
                         const char *metric) {
  bool is_time = strcmp(metric, "time") == 0;
  const struct figure *figure = report_find(report, sampled->name, subjects[subject], metric);
  const char *mark = figure_is_disturbed(figure) ? "~" : "";
  char text[32];
  if (is_time)
    snprintf(text, sizeof text, "%s%.1f", mark, figure_median(figure) / 1e3);
  else
    snprintf(text, sizeof text, "%s%.3fx", mark, figure_median(figure));
  printf(is_time ? "%10s" : "%8s", text);
}

static void print_row(const struct report *report, const struct sampled *sampled) {
  static const enum subject order[] = {DIRECT, DIRECT2, ASYNC, BLOCKING, ASYNC2, BLOCKING2};
  printf("%-9s", sampled->name);
  for (int i = 0; i < SUBJECTS; i++) {
    print_figure(report, sampled, order[i], "time");
    if (order[i] != DIRECT)
      print_figure(report, sampled, order[i], "ratio");
    if (single_of(order[i]) >= 0)
      print_figure(report, sampled, order[i], "speedup");
  }
  printf("%6ld/%ld\n", samples_undisturbed(sampled->samples),
         sampled->samples->count * sampled->samples->subjects);
}

static void print_table(const struct report *report, const struct sampled *all, int count) {
  printf("Models, CPUs: %s, medians of %ld turns; us per batch, and x of oneDNN called directly\n"
         "in one thread (more is faster); for two devices, or threads, also x of one.\n\n"
         "%-9s%10s%26s%18s%18s%26s%26s  undisturbed\n",
         report->cpus, all[0].samples->count, "", "oneDNN", "oneDNN, 2 threads", "async",
         "blocking", "async, 2 devices", "blocking, 2 devices");
  for (int i = 0; i < count; i++)
    print_row(report, &all[i]);
  report_print_pace(report, all[0].samples->sampling);
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
      "%s",
      cnn_path, sampled_usage);
}

enum { BATCHES = 3, PROBLEMS = 2 * BATCHES };

static void name_problems(struct problem *problems, struct sampled *all) {
  static const int64_t batches[BATCHES] = {1, 16, 64};
  for (int i = 0; i < PROBLEMS; i++) {
    problems[i] =
        (struct problem){.path = i < BATCHES ? cnn_path : NULL, .batch = batches[i % BATCHES]};
    all[i].problem = &problems[i];
    snprintf(all[i].name, sizeof all[i].name, "%s %d", problems[i].path != NULL ? "cnn" : "mlp",
             (int)problems[i].batch);
  }
}

static void note(struct report *report, const struct sampled *all) {
  for (int i = 0; i < PROBLEMS; i++)
    for (int subject = 0; subject < SUBJECTS; subject++)
      note_subject(report, &all[i], subject);
  report_note_pace(report, all, PROBLEMS);
}

static int report_all(struct report *report, const struct bench_common *common) {
  struct problem problems[PROBLEMS];
  struct sampled all[PROBLEMS];
  name_problems(problems, all);
  sampled_begin(all, PROBLEMS, SUBJECTS, common);
  int status = COMMAND_FAILED;
  if (sampled_settle(all, PROBLEMS, measure)) {
    status = 0;
    note(report, all);
    if (!common->json)
      print_table(report, all, PROBLEMS);
    else if (!report_print_json(report))
      status = command_fail("cannot write the report");
  }
  report_finish(report);
  sampled_end(all, PROBLEMS);
  return status;
}

int bench_model(int argc, char **argv) {
  struct report report = {.bench = "model", .cpus = "any"};
  struct bench_common common = sampled_defaults;
  int status = bench_common_options(argc, argv, usage, &common, &report.cpus);
  return status >= 0 ? status : report_all(&report, &common);
}
