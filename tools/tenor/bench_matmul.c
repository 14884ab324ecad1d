#define _GNU_SOURCE /* cpu_set_t */

#include "bench.h"
#include "bench_cpus.h"
#include "bench_meter.h"
#include "bench_onednn.h"
#include "bench_report.h"
#include "watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 4, ROUND_NS = 60000000 };

static const long sizes[SIZES] = {256, 512, 1024, 2048};
static const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16};

struct problem {
  long size; /* n of [n, n] x [n, n] */
  tnr_dtype dtype;
  long rounds;
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

/* On the CPU of the device's worker; who submits begins on another one. */
static double time_direct(const struct pair *pair, long count) {
  cpus_use_one(&pair->cpus, 0);
  uint64_t begin = meter_now();
  for (long i = 0; i < count; i++)
    direct_run(pair->direct);
  double each = (double)(meter_now() - begin) / (double)count;
  cpus_use_one(&pair->cpus, 1);
  cpus_use_all(&pair->cpus);
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

/* Two values a round: oneDNN, tenor; ns. */
static void measure(const void *argument, double *values) {
  const struct problem *problem = argument;
  struct pair pair = pair_create(problem);
  check_result(&pair);
  long count = (long)fmax(2, ROUND_NS / time_direct(&pair, 2));
  time_tenor(&pair, 2);
  for (long i = 0; i < problem->rounds; i++) {
    values[2 * i] = time_direct(&pair, count);
    values[2 * i + 1] = time_tenor(&pair, count);
  }
  pair_destroy(&pair);
}

/* --- reporting -------------------------------------------------------------------------------- */

static const char *name_of(const struct problem *problem, char out[16]) {
  snprintf(out, 16, "%s %ld", tnr_dtype_name(problem->dtype), problem->size);
  return out;
}

static void note_round(struct report *report, const struct problem *problem, const char *name,
                       const double *values) {
  static const char *const subjects[] = {"oneDNN", "tenor"};
  double flops = 2 * pow((double)problem->size, 3);
  for (int i = 0; i < 2; i++) {
    struct figure which = {
        .workload = name, .subject = subjects[i], .metric = "time", .unit = "ns"};
    report_add(report, &which, values[i]);
    which.metric = "rate";
    which.unit = "GFLOP/s";
    report_add(report, &which, flops / values[i]);
  }
  const struct figure ratio = {
      .workload = name, .subject = "tenor", .metric = "ratio", .unit = "x oneDNN"};
  report_add(report, &ratio, values[0] / values[1]);
}

static bool measure_one(struct report *report, const struct problem *problem, const char *name) {
  double values[2 * BENCH_REPEATS_MAX];
  if (!bench_in_child(measure, problem, values, (int)(2 * problem->rounds))) {
    command_fail("matmul %s was not measured", name);
    return false;
  }
  for (long i = 0; i < problem->rounds; i++)
    note_round(report, problem, name, &values[2 * i]);
  return true;
}

static void print_row(const struct report *report, const char *name) {
  const struct figure *ratio = report_find(report, name, "tenor", "ratio");
  printf("%-10s%14.1f%14.1f%14.1f%14.1f%10.3f (%.3f – %.3f)\n", name,
         figure_median(report_find(report, name, "oneDNN", "time")) / 1e3,
         figure_median(report_find(report, name, "tenor", "time")) / 1e3,
         figure_median(report_find(report, name, "oneDNN", "rate")),
         figure_median(report_find(report, name, "tenor", "rate")), figure_median(ratio),
         figure_min(ratio), figure_max(ratio));
}

static void usage(FILE *to) {
  fputs(
      "Usage: tenor bench matmul [OPTION]...\n\n"
      "Multiplies [n, n] by [n, n], n from 256 to 2048, in f32 and bf16: async on one cpu device\n"
      "of one thread, and by calling oneDNN directly with weights packed once. Both take turns\n"
      "on the same CPU.\n\n"
      "  --json       print one JSON object instead of a table\n"
      "  --repeats N  medians, minima and maxima are over these turns (default 9)\n"
      "  --cpus LIST  pin the process, for example 0 or 0,1 (default: not pinned)\n",
      to);
}

static int report_all(struct report *report, long rounds, bool json) {
  static char names[2][SIZES][16];
  for (int d = 0; d < 2; d++)
    for (int i = 0; i < SIZES; i++) {
      const struct problem problem = {.size = sizes[i], .dtype = dtypes[d], .rounds = rounds};
      if (!measure_one(report, &problem, name_of(&problem, names[d][i])))
        return COMMAND_FAILED;
    }
  if (json)
    return report_print_json(report) ? 0 : command_fail("cannot write the report");
  printf("Matrix products, CPUs: %s, medians of %ld turns.\n\n%-10s%14s%14s%14s%14s%10s\n",
         report->cpus, rounds, "", "oneDNN us", "tenor us", "GFLOP/s", "tenor", "ratio");
  for (int d = 0; d < 2; d++)
    for (int i = 0; i < SIZES; i++)
      print_row(report, names[d][i]);
  return 0;
}

int bench_matmul(int argc, char **argv) {
  struct report report = {.bench = "matmul", .cpus = "any"};
  struct bench_common common = {.repeats = 9};
  int status = bench_common_options(argc, argv, usage, &common, &report.cpus);
  if (status >= 0)
    return status;
  status = report_all(&report, common.repeats, common.json);
  report_finish(&report);
  return status;
}
