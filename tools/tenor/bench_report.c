#include "bench_report.h"

#include "command.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *resized(void *memory, size_t count, size_t size) {
  void *larger = reallocarray(memory, count, size);
  if (larger == NULL) {
    exit(command_fail("out of memory"));
  }
  return larger;
}

static bool is(const struct figure *figure, const char *workload, const char *subject,
               const char *metric) {
  return strcmp(figure->workload, workload) == 0 && strcmp(figure->subject, subject) == 0 &&
         strcmp(figure->metric, metric) == 0;
}

static struct figure *figure_of(struct report *report, const struct figure *which) {
  for (size_t i = 0; i < report->count; i++) {
    struct figure *figure = &report->figures[i];
    if (is(figure, which->workload, which->subject, which->metric) && figure->ops == which->ops)
      return figure;
  }
  report->figures = resized(report->figures, report->count + 1, sizeof *report->figures);
  struct figure *figure = &report->figures[report->count++];
  *figure = *which;
  figure->values = NULL;
  figure->repeats = 0;
  return figure;
}

void report_add(struct report *report, const struct figure *which, double value) {
  if (isnan(value))
    return;
  struct figure *figure = figure_of(report, which);
  figure->values = resized(figure->values, (size_t)figure->repeats + 1, sizeof *figure->values);
  figure->values[figure->repeats++] = value;
}

const struct figure *report_find(const struct report *report, const char *workload,
                                 const char *subject, const char *metric) {
  for (size_t i = 0; i < report->count; i++)
    if (is(&report->figures[i], workload, subject, metric))
      return &report->figures[i];
  return NULL;
}

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

bool figure_is_disturbed(const struct figure *figure) {
  return figure != NULL && figure->turns > 0 && figure->undisturbed < figure->repeats;
}

double figure_median(const struct figure *figure) {
  if (figure == NULL)
    return NAN;
  qsort(figure->values, (size_t)figure->repeats, sizeof *figure->values, compare);
  int middle = figure->repeats / 2;
  double upper = figure->values[middle];
  return figure->repeats % 2 == 1 ? upper : (figure->values[middle - 1] + upper) / 2;
}

double figure_min(const struct figure *figure) {
  double least = figure == NULL ? NAN : figure->values[0];
  for (int i = 0; figure != NULL && i < figure->repeats; i++)
    least = fmin(least, figure->values[i]);
  return least;
}

double figure_max(const struct figure *figure) {
  double most = figure == NULL ? NAN : figure->values[0];
  for (int i = 0; figure != NULL && i < figure->repeats; i++)
    most = fmax(most, figure->values[i]);
  return most;
}

static json_t *figure_json(const struct figure *figure, const char *cpus) {
  json_t *object = json_pack(
      "{ss ss ss ss sf sf sf si ss}", "workload", figure->workload, "subject", figure->subject,
      "metric", figure->metric, "unit", figure->unit, "median", figure_median(figure), "min",
      figure_min(figure), "max", figure_max(figure), "repeats", figure->repeats, "cpus", cpus);
  if (figure->ops > 0)
    json_object_set_new(object, "ops", json_integer(figure->ops));
  if (figure->turns > 0) {
    json_object_set_new(object, "turns", json_integer(figure->turns));
    json_object_set_new(object, "undisturbed", json_integer(figure->undisturbed));
  }
  return object;
}

static json_t *pace_json(const struct report_pace *pace) {
  return json_pack("{sf sI sI sI}", "best_us", pace->best / 1e3, "undisturbed_samples",
                   (json_int_t)pace->undisturbed, "samples", (json_int_t)pace->samples, "made",
                   (json_int_t)pace->made);
}

bool report_print_json(const struct report *report) {
  json_t *results = json_array();
  for (size_t i = 0; i < report->count; i++)
    json_array_append_new(results, figure_json(&report->figures[i], report->cpus));
  json_t *whole =
      json_pack("{ss ss so}", "bench", report->bench, "cpus", report->cpus, "results", results);
  if (report->pace.samples > 0)
    json_object_set_new(whole, "pace", pace_json(&report->pace));
  bool written = whole != NULL && json_dumpf(whole, stdout, JSON_REAL_PRECISION(10)) == 0 &&
                 putchar('\n') != EOF && fflush(stdout) == 0;
  json_decref(whole);
  return written;
}

void report_finish(struct report *report) {
  for (size_t i = 0; i < report->count; i++)
    free(report->figures[i].values);
  free(report->figures);
  report->figures = NULL;
  report->count = 0;
}
