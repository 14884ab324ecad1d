/* What a benchmark found: figures, each with its values of all repeats. */
#ifndef TENOR_TOOL_BENCH_REPORT_H
#define TENOR_TOOL_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include <tenor/status.h>

/* Strings are borrowed. */
struct figure {
  const char *workload, *subject, *metric, *unit;
  long ops;       /* that one value is taken over; 0: does not apply */
  double *values; /* of each repeat */
  int repeats;
  long turns, undisturbed; /* it was looked for in so many turns, of which so many were undisturbed;
                              0 turns: nobody looked at the pace of the CPUs */
};

/* What is to be said of all samples. */
struct report_pace {
  double best; /* ns: the least that a slice of work has taken on any CPU */
  long samples, undisturbed;
  long made; /* whether they were kept or not */
};

struct report {
  const char *bench; /* "dispatch" */
  const char *cpus;  /* the list that the process is pinned to, or "any" */
  struct figure *figures;
  size_t count;
  struct report_pace pace; /* all zero: does not apply */
};

/* Adds one repeat's value to the figure of these four and `ops`, which is made when there is none.
 * A value that is not a number is left out. Ends the process when there is no memory. */
void report_add(struct report *report, const struct figure *which, double value);

/* NULL when there is none. `ops` does not count. */
const struct figure *report_find(const struct report *report, const char *workload,
                                 const char *subject, const char *metric);

/* Whether disturbed turns are among its repeats. */
bool figure_is_disturbed(const struct figure *figure); /* false for NULL */

double figure_median(const struct figure *figure); /* NaN for NULL */
double figure_min(const struct figure *figure);
double figure_max(const struct figure *figure);

/* One JSON object on stdout. False when it could not be written. */
bool report_print_json(const struct report *report) TNR_MUST_USE;

void report_finish(struct report *report);

#endif
