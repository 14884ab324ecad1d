#define _GNU_SOURCE /* cpu_set_t */

#include "bench.h"
#include "bench_cpus.h"
#include "bench_meter.h"
#include "bench_onednn.h"
#include "bench_sampled.h"
#include "watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 4, DTYPES = 2, PROBLEMS = DTYPES * SIZES, SAMPLE_NS = 30000000 };

static const long sizes[SIZES] = {256, 512, 1024, 2048};
static const tnr_dtype dtypes[DTYPES] = {TNR_F32, TNR_BF16};

enum subject { DIRECT, TENOR, SUBJECTS };

static const char *const subjects[SUBJECTS] = {"oneDNN", "tenor"};

struct problem {
  long size; /* n of [n, n] x [n, n] */
  tnr_dtype dtype;
};

/* Small whole numbers, so that sums are the same in whatever order. */
static void fill(void *data, tnr_dtype dtype, long count) {
  for (long i = 0; i < count; i++) {
    float value = (float)(i * 7 % 5 - 2);
    if (dtype == TNR_BF16)
      ((uint16_t *)data)[i] = tnr_f32_to_bf16(value);
    else
      ((float *)data)[i] = value;
  }
}

struct pair {
  struct direct *direct;
  tnr_runtime *runtime;
  tnr_tensor *a, *b;
  size_t bytes;   /* of each matrix */
  cpu_set_t cpus; /* allowed */
};

static tnr_tensor *matrix(tnr_device *device, const struct problem *problem, const void *data) {
  tnr_tensor *tensor =
      tnr_tensor_create(device, problem->dtype, TNR_SHAPE(problem->size, problem->size), data);
  if (tensor == NULL)
    bench_die_of_error("cannot make a tensor");
  return tensor;
}

static struct pair pair_create(const struct problem *problem) {
  long count = problem->size * problem->size;
  tnr_shape shape = TNR_SHAPE(problem->size, problem->size);
  struct pair pair = {.bytes = (size_t)count * tnr_dtype_size(problem->dtype),
                      .cpus = cpus_allowed()};
  void *data = malloc(pair.bytes);
  if (data == NULL)
    bench_die("out of memory");
  fill(data, problem->dtype, count);
  pair.runtime = tnr_runtime_create(&(tnr_runtime_options){.pin = true});
  if (pair.runtime == NULL)
    bench_die_of_error("cannot make a runtime");
  watch_begin(pair.runtime);
  pair.a = matrix(tnr_runtime_device_at(pair.runtime, 0), problem, data);
  pair.b = matrix(tnr_runtime_device_at(pair.runtime, 0), problem, data);
  pair.direct = direct_create(problem->dtype, &shape);
  memcpy(direct_input(pair.direct), data, pair.bytes);
  direct_add_linear(pair.direct, &(struct direct_linear){.weights = data, .n = problem->size});
  free(data);
  return pair;
}

static void pair_destroy(struct pair *pair) {
  direct_destroy(pair->direct);
  tnr_release(pair->a);
  tnr_release(pair->b);
  watch_end();
  if (tnr_runtime_destroy(pair->runtime, TNR_DRAIN) != TNR_OK)
    bench_die_of_error("cannot close the runtime");
}

/* Who submits begins on another CPU than the worker's: that one stays where it is and could not
 * make way. */
static void leave_worker(const struct pair *pair) {
  cpus_use_one(&pair->cpus, 1);
  cpus_use_all(&pair->cpus);
}

/* On the CPU of the device's worker. */
static double time_direct(const struct pair *pair, long count) {
  cpus_use_one(&pair->cpus, 0);
  uint64_t begin = meter_now();
  for (long i = 0; i < count; i++)
    direct_run(pair->direct);
  double each = (double)(meter_now() - begin) / (double)count;
  leave_worker(pair);
  return each;
}

static tnr_future *product(tnr_future *a, tnr_tensor *b) {
  tnr_future *c = tnr_matmul(a, b);
  if (c == NULL)
    bench_die_of_error("matmul was refused");
  return c;
}

/* The queue is in order, so that the last one completes last. */
static double time_tenor(const struct pair *pair, long count) {
  uint64_t before = tnr_runtime_get_stats(pair->runtime).submitted;
  uint64_t begin = meter_now();
  tnr_future *a = tnr_to_async(pair->a), *last = NULL;
  for (long i = 0; i < count; i++) {
    tnr_release(last);
    last = product(a, pair->b);
  }
  if (tnr_wait(last, TNR_COMPLETE, INT64_MAX) != TNR_OK)
    bench_die_of_error("matmul failed");
  uint64_t end = meter_now();
  tnr_runtime_stats stats = tnr_runtime_get_stats(pair->runtime);
  if (stats.submitted != before + (uint64_t)count || stats.failed != 0)
    bench_die("not every product was computed");
  tnr_release(a);
  tnr_release(last);
  return (double)(end - begin) / (double)count;
}

static void check_result(const struct pair *pair) {
  tnr_tensor *c = tnr_matmul(pair->a, pair->b);
  void *data = malloc(pair->bytes);
  direct_run(pair->direct);
  if (data == NULL || tnr_tensor_read(c, data, pair->bytes) != TNR_OK)
    bench_die_of_error("cannot read the product");
  if (memcmp(data, direct_output(pair->direct), pair->bytes) != 0)
    bench_die("tenor and oneDNN give different products");
  free(data);
  tnr_release(c);
}

struct run {
  struct pair pair;
  long count; /* of products in a sample */
};

static double measure_subject(void *user, int subject) {
  const struct run *run = user;
  return (subject == DIRECT ? time_direct : time_tenor)(&run->pair, run->count);
}

static struct cpu_pace look(void *user, int subject) {
  const struct run *run = user;
  struct cpu_pace pace = cpus_look(&run->pair.cpus, subject == DIRECT ? 1 : CPUS_ALL);
  leave_worker(&run->pair);
  return pace;
}

/* ns of a direct call, of the least disturbed of some. */
static double time_product(const struct pair *pair) {
  enum { TRIES = 4 };
  double least = INFINITY;
  for (int i = 0; i < TRIES; i++)
    least = fmin(least, time_direct(pair, 1));
  return least;
}

static void measure(const struct sampled *sampled) {
  struct run run = {.pair = pair_create(sampled->problem)};
  check_result(&run.pair);
  run.count = (long)fmax(1, SAMPLE_NS / time_product(&run.pair));
  time_tenor(&run.pair, 2);
  const struct sampler sampler = {measure_subject, look, sampled_now, sampled_rest, &run};
  samples_settle(sampled->samples, &sampler);
  pair_destroy(&run.pair);
}

/* --- reporting -------------------------------------------------------------------------------- */

static void note_problem(struct report *report, const struct sampled *sampled) {
  const struct problem *problem = sampled->problem;
  struct sampled_figure figure = {.which = {.workload = sampled->name}, .base = -1};
  for (int i = 0; i < SUBJECTS; i++) {
    figure.subject = i;
    figure.which.subject = subjects[i];
    figure.which.metric = "time";
    figure.which.unit = "ns";
    figure.work = 0;
    report_add_sampled(report, &figure, sampled->samples);
    figure.which.metric = "rate";
    figure.which.unit = "GFLOP/s";
    figure.work = 2 * pow((double)problem->size, 3);
    report_add_sampled(report, &figure, sampled->samples);
  }
  figure.which.metric = "ratio";
  figure.which.unit = "x oneDNN";
  figure.base = DIRECT;
  report_add_sampled(report, &figure, sampled->samples);
}

static void print_figure(const struct report *report, const char *name, const char *subject,
                         const char *metric, double scale) {
  const struct figure *figure = report_find(report, name, subject, metric);
  char text[32];
  snprintf(text, sizeof text, "%s%.1f", figure_is_disturbed(figure) ? "~" : "",
           figure_median(figure) / scale);
  printf("%14s", text);
}

static void print_row(const struct report *report, const struct sampled *sampled) {
  const struct figure *ratio = report_find(report, sampled->name, "tenor", "ratio");
  printf("%-10s", sampled->name);
  print_figure(report, sampled->name, "oneDNN", "time", 1e3);
  print_figure(report, sampled->name, "tenor", "time", 1e3);
  print_figure(report, sampled->name, "oneDNN", "rate", 1);
  print_figure(report, sampled->name, "tenor", "rate", 1);
  printf("%4s%.3f (%.3f – %.3f)%8ld/%ld\n", figure_is_disturbed(ratio) ? "~" : "",
         figure_median(ratio), figure_min(ratio), figure_max(ratio),
         samples_undisturbed(sampled->samples), sampled->samples->count * SUBJECTS);
}

static void print_table(const struct report *report, const struct sampled *all) {
  printf("Matrix products, CPUs: %s, medians of %ld turns.\n\n%-10s%14s%14s%14s%14s%9s%16s%12s\n",
         report->cpus, all[0].samples->count, "", "oneDNN us", "tenor us", "GFLOP/s", "tenor",
         "ratio", "", "undisturbed");
  for (int i = 0; i < PROBLEMS; i++)
    print_row(report, &all[i]);
  report_print_pace(report, all[0].samples->sampling);
}

static void usage(FILE *to) {
  fprintf(
      to,
      "Usage: tenor bench matmul [OPTION]...\n\n"
      "Multiplies [n, n] by [n, n], n from 256 to 2048, in f32 and bf16: async on one cpu device\n"
      "of one thread, and by calling oneDNN directly with weights packed once. Both take turns\n"
      "on the same CPU.\n\n"
      "%s",
      sampled_usage);
}

static void name_problems(struct problem *problems, struct sampled *all) {
  for (int i = 0; i < PROBLEMS; i++) {
    problems[i] = (struct problem){.size = sizes[i % SIZES], .dtype = dtypes[i / SIZES]};
    all[i].problem = &problems[i];
    snprintf(all[i].name, sizeof all[i].name, "%s %ld", tnr_dtype_name(problems[i].dtype),
             problems[i].size);
  }
}

static int report_all(struct report *report, const struct bench_common *common) {
  struct problem problems[PROBLEMS];
  struct sampled all[PROBLEMS];
  name_problems(problems, all);
  sampled_begin(all, PROBLEMS, SUBJECTS, common);
  int status = COMMAND_FAILED;
  if (sampled_settle(all, PROBLEMS, measure)) {
    status = 0;
    for (int i = 0; i < PROBLEMS; i++)
      note_problem(report, &all[i]);
    report_note_pace(report, all, PROBLEMS);
    if (!common->json)
      print_table(report, all);
    else if (!report_print_json(report))
      status = command_fail("cannot write the report");
  }
  report_finish(report);
  sampled_end(all, PROBLEMS);
  return status;
}

int bench_matmul(int argc, char **argv) {
  struct report report = {.bench = "matmul", .cpus = "any"};
  struct bench_common common = sampled_defaults;
  int status = bench_common_options(argc, argv, usage, &common, &report.cpus);
  return status >= 0 ? status : report_all(&report, &common);
}
