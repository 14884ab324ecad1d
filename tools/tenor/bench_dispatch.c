#include "bench.h"
#include "bench_report.h"
#include "bench_workloads.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name, *unit, *heading;
  int decimals;
} metrics[METRICS] = {
    [END_TO_END] = {"end_to_end", "ns/op", "end to end", 1},
    [SUBMIT] = {"submit", "ns/op", "submit", 1},
    [CPU] = {"cpu", "ns/op", "CPU", 1},
    [CONTEXT_SWITCHES] = {"context_switches", "/op", "switches", 4},
    [WAKES] = {"wakes", "/op", "wakes", 4},
    [ALLOCATIONS] = {"allocations", "/op", "allocs", 4},
    [BYTES_IN_FLIGHT] = {"bytes_in_flight", "B/op", "bytes/op", 1},
    [P50] = {"p50", "ns", "p50 ns", 0},
    [P99] = {"p99", "ns", "p99 ns", 0},
    [PEAK_BYTES] = {"peak_rss", "B", "peak RSS", 0},
};

struct options {
  const char *names; /* of workloads */
  long repeats, ops; /* ops: 0 for each workload's own */
  long spin_ns;
  bool json, scale;
};

static void usage(FILE *to) {
  fputs("Usage: tenor bench dispatch [OPTION]...\n\n"
        "Measures, on devices that compute nothing, what it costs to dispatch an op: through the\n"
        "public API, with tensors of f32 [4]. Every run is a process of its own, and every\n"
        "throughput run comes after three unmeasured ones in the same process.\n\n"
        "  --json            print one JSON object instead of tables\n"
        "  --repeats N       medians, minima and maxima are over these runs (default 5)\n"
        "  --cpus LIST       pin the process, for example 0 or 0,1 (default: not pinned)\n"
        "  --workloads LIST  for example W1,W4x2 (default: all)\n"
        "  --ops N           instead of each workload's own number\n"
        "  --spin NS         the runtime's option spin_ns (default: the runtime's own)\n"
        "  --scale           W1, W2 and W4 at 1,000 to 10,000,000 ops instead\n\n"
        "Workloads:\n",
        to);
  for (const struct workload *w = workloads; w->name != NULL; w++)
    fprintf(to, "  %-8s%9ld  %s\n", w->name, w->ops, w->title);
}

/* --- running ---------------------------------------------------------------------------------- */

static bool measure(struct report *report, const struct workload *workload, long ops,
                    const struct options *options) {
  double values[VALUES];
  const struct run run = {.workload = workload, .ops = ops, .spin_ns = options->spin_ns};
  if (!bench_in_child(workload_measure, &run, values, VALUES)) {
    command_fail("%s was not measured", workload->name);
    return false;
  }
  for (int i = 0; i < METRICS; i++) {
    const struct figure which = {.workload = workload->name,
                                 .subject = "tenor",
                                 .metric = metrics[i].name,
                                 .unit = metrics[i].unit,
                                 .ops = (long)values[OPS]};
    if (i != PEAK_BYTES || options->scale)
      report_add(report, &which, values[i]);
  }
  return true;
}

static bool measure_all(struct report *report, const struct options *options) {
  for (long repeat = 0; repeat < options->repeats; repeat++)
    for (const struct workload *w = workloads; w->name != NULL; w++)
      if (bench_listed(options->names, w->name) &&
          !measure(report, w, options->ops > 0 ? options->ops : w->ops, options))
        return false;
  return true;
}

static bool measure_scale(struct report *report, const struct options *options) {
  for (long repeat = 0; repeat < options->repeats; repeat++)
    for (const struct workload *w = workloads; w->name != NULL; w++)
      for (long ops = 1000; ops <= 10000000; ops *= 10)
        if (bench_listed(options->names, w->name) && !measure(report, w, ops, options))
          return false;
  return true;
}

/* --- tables ----------------------------------------------------------------------------------- */

static void print_cell(const struct report *report, const char *workload, int metric) {
  const struct figure *figure = report_find(report, workload, "tenor", metrics[metric].name);
  if (figure == NULL)
    printf("%10s", "-");
  else
    printf("%10.*f", metrics[metric].decimals, figure_median(figure));
}

static void print_row(const struct report *report, const char *workload, int lead) {
  const struct figure *figure = report_find(report, workload, "tenor", metrics[lead].name);
  char spread[40];
  snprintf(spread, sizeof spread, "(%.*f – %.*f)", metrics[lead].decimals, figure_min(figure),
           metrics[lead].decimals, figure_max(figure));
  /* The dash takes three bytes and one column. */
  printf("%-8s%9ld%11.*f %-23s", workload, figure->ops, metrics[lead].decimals,
         figure_median(figure), spread);
  if (lead == P50)
    print_cell(report, workload, P99);
  else if (lead == END_TO_END)
    print_cell(report, workload, SUBMIT);
  for (int metric = CPU; metric <= ALLOCATIONS && lead != BYTES_IN_FLIGHT; metric++)
    print_cell(report, workload, metric);
  putchar('\n');
}

static void print_heading(int lead) {
  printf("\n%-8s%9s%11s %-21s", "", "ops", metrics[lead].heading, "(min – max)");
  if (lead != BYTES_IN_FLIGHT) {
    printf("  %10s", metrics[lead == P50 ? P99 : SUBMIT].heading);
    for (int metric = CPU; metric <= ALLOCATIONS; metric++)
      printf("%10s", metrics[metric].heading);
  }
  putchar('\n');
}

static void print_table(const struct report *report, int lead) {
  bool begun = false;
  for (const struct workload *w = workloads; w->name != NULL; w++) {
    if (report_find(report, w->name, "tenor", metrics[lead].name) == NULL)
      continue;
    if (!begun)
      print_heading(lead);
    begun = true;
    print_row(report, w->name, lead);
  }
}

static void print_placement(const struct report *report, long repeats) {
  printf("Dispatch, ");
  if (strcmp(report->cpus, "any") == 0)
    printf("threads placed by the scheduler");
  else
    printf("pinned to CPU %s", report->cpus);
  printf(", medians of %ld run%s.\n", repeats, repeats == 1 ? "" : "s");
}

static void print_tables(const struct report *report, const struct options *options) {
  print_placement(report, options->repeats);
  print_table(report, END_TO_END);
  print_table(report, BYTES_IN_FLIGHT);
  print_table(report, P50);
  printf("\nEnd to end, submit (CPU time of the submitting thread) and CPU (of the process) in\n"
         "ns/op; switches, eventfd wakes and heap allocations per op. In W6 each op comes after\n"
         "200 µs of rest, which CPU covers.\n\n");
  for (const struct workload *w = workloads; w->name != NULL; w++)
    if (bench_listed(options->names, w->name))
      printf("%-8s%s\n", w->name, w->title);
}

static const struct figure *same_at(const struct report *report, const struct figure *figure,
                                    int metric) {
  for (size_t i = 0; i < report->count; i++) {
    const struct figure *other = &report->figures[i];
    if (other->workload == figure->workload && other->ops == figure->ops &&
        strcmp(other->metric, metrics[metric].name) == 0)
      return other;
  }
  return NULL;
}

static void print_scale(const struct report *report, const struct options *options) {
  print_placement(report, options->repeats);
  printf("\n%-8s%10s%11s%11s%13s\n", "", "ops", "ns/op", "submit", "peak RSS MiB");
  for (size_t i = 0; i < report->count; i++) {
    const struct figure *figure = &report->figures[i];
    if (strcmp(figure->metric, metrics[END_TO_END].name) == 0)
      printf("%-8s%10ld%11.1f%11.1f%13.1f\n", figure->workload, figure->ops, figure_median(figure),
             figure_median(same_at(report, figure, SUBMIT)),
             figure_median(same_at(report, figure, PEAK_BYTES)) / 1048576);
  }
}

/* --- the command line ------------------------------------------------------------------------- */

static bool known_workloads(const char *names) {
  size_t items = 1, known = 0;
  for (const char *at = names; *at != '\0'; at++)
    items += *at == ',';
  for (const struct workload *w = workloads; w->name != NULL; w++)
    known += bench_listed(names, w->name);
  if (items == known)
    return true;
  command_fail("--workloads needs a list such as W1,W4x2, not '%s'", names);
  return false;
}

enum { OPTION_SCALE = 256, OPTION_SPIN };

static const struct option known_options[] = {
    {"json", no_argument, NULL, 'j'},
    {"repeats", required_argument, NULL, 'r'},
    {"cpus", required_argument, NULL, 'c'},
    {"workloads", required_argument, NULL, 'w'},
    {"ops", required_argument, NULL, 'n'},
    {"spin", required_argument, NULL, OPTION_SPIN},
    {"scale", no_argument, NULL, OPTION_SCALE},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool take_option(int option, struct options *options, struct report *report) {
  switch (option) {
  case 'j':
    options->json = true;
    return true;
  case 'r':
    return bench_number("--repeats", optarg, 1, BENCH_REPEATS_MAX, &options->repeats);
  case 'c':
    report->cpus = optarg;
    return bench_pin(optarg);
  case 'w':
    options->names = optarg;
    return known_workloads(optarg);
  case 'n':
    return bench_number("--ops", optarg, 2, 100000000, &options->ops);
  case OPTION_SPIN:
    return bench_number("--spin", optarg, -1, 1000000000, &options->spin_ns);
  case OPTION_SCALE:
    options->scale = true;
    return true;
  default:
    return false;
  }
}

static int report_all(struct report *report, const struct options *options) {
  bool measured = options->scale ? measure_scale(report, options) : measure_all(report, options);
  if (!measured)
    return COMMAND_FAILED;
  if (options->json)
    return report_print_json(report) ? 0 : command_fail("cannot write the report");
  if (options->scale)
    print_scale(report, options);
  else
    print_tables(report, options);
  return 0;
}

int bench_dispatch(int argc, char **argv) {
  struct options options = {.repeats = 5};
  struct report report = {.bench = "dispatch", .cpus = "any"};
  int option;
  optind = 0;
  while ((option = getopt_long(argc, argv, "h", known_options, NULL)) != -1) {
    if (option == 'h') {
      usage(stdout);
      return 0;
    }
    if (!take_option(option, &options, &report))
      return command_misused("bench dispatch");
  }
  if (optind < argc)
    return command_misuse("bench dispatch", "takes no argument '%s'", argv[optind]);
  if (options.names == NULL)
    options.names = options.scale ? "W1,W2,W4" : "W1,W2,W3,W3wait,W4,W4x2,W5,W6,W6wait";
  int status = report_all(&report, &options);
  report_finish(&report);
  return status;
}
