#include <stdlib.h>
#include <string.h>

#include "../trace/path.h"
#include "../trace/rows.h"
#include "../trace/summary.h"
#include "screen.h"
#include "trace.h"

static const char help[] =
    "Usage: tenor trace diff [OPTION]... BEFORE AFTER\n"
    "Says what differs between two recordings: how long they took, how busy devices\n"
    "were, what the critical path consists of, and the ops whose time has changed\n"
    "most.\n"
    "\n"
    "  -a, --all   all ops\n"
    "  -j, --json  as JSON; times are in ns\n"
    "  -h, --help  show this help\n";

enum { SIDES = 2, SHOWN = 15 };

struct side {
  struct trace_recording recording;
  struct trace_hosts hosts;
  struct trace_summary summary;
  struct trace_path path;
};

/* What is in one of them or in both. */
struct change {
  char name[64];
  uint64_t runs[SIDES];
  int64_t time[SIDES];
};

struct changes {
  TRACE_ROWS(change) rows;
};

/* ---- reading ---- */

static bool open_side(const char *path, struct side *side, int *exit_status) {
  tnr_fault fault;
  if (!trace_load(path, &side->recording, exit_status))
    return false;
  tnr_status status = trace_hosts_init(&side->recording, &side->hosts, &fault);
  if (status == TNR_OK)
    status = trace_summary_make(&side->recording, &side->hosts, &side->summary, &fault);
  if (status == TNR_OK)
    status = trace_path_find(&side->recording, &side->hosts, &side->path, &fault);
  if (status != TNR_OK)
    *exit_status = trace_failed(path, &fault);
  return status == TNR_OK;
}

static void close_side(struct side *side) {
  trace_path_finish(&side->path);
  trace_summary_finish(&side->summary);
  trace_hosts_finish(&side->hosts);
  trace_recording_finish(&side->recording);
}

/* ---- changes ---- */

static bool add_change(struct changes *changes, const char *name, int side, uint64_t runs,
                       int64_t time) {
  struct change *row = NULL;
  for (size_t i = 0; i < changes->rows.count && !row; i++)
    if (strncmp(changes->rows.at[i].name, name, sizeof row->name - 1) == 0)
      row = &changes->rows.at[i];
  if (!row && !(row = ROWS_ADD(&changes->rows)))
    return false;
  snprintf(row->name, sizeof row->name, "%s", name);
  row->runs[side] += runs;
  row->time[side] += time;
  return true;
}

static int compare_changes(const void *left, const void *right) {
  const struct change *a = left, *b = right;
  int64_t first = llabs(a->time[1] - a->time[0]), second = llabs(b->time[1] - b->time[0]);
  return (first < second) - (first > second);
}

static bool find_changes(const struct side *sides, struct changes *ops, struct changes *devices,
                         struct changes *steps) {
  bool done = true;
  for (int s = 0; s < SIDES; s++) {
    const struct side *side = &sides[s];
    for (size_t i = 0; i < side->summary.ops.count; i++) {
      const struct trace_op_row *row = &side->summary.ops.at[i];
      const char *name = trace_string(&side->recording, row->name);
      done &= add_change(ops, *name ? name : "?", s, row->runs, row->total);
    }
    for (uint32_t i = 0; i < side->recording.file.devices; i++)
      done &= add_change(devices, trace_device_name(&side->recording, i), s,
                         side->summary.devices[i].runs, side->summary.devices[i].busy);
    for (size_t i = 0; i < side->path.steps.count; i++) {
      const struct trace_step *step = &side->path.steps.at[i];
      done &= add_change(steps, trace_what_names[step->what], s, 1, step->end - step->begin);
    }
  }
  if (ops->rows.count > 1)
    qsort(ops->rows.at, ops->rows.count, sizeof *ops->rows.at, compare_changes);
  return done;
}

/* ---- as text ---- */

/* "+12.3%", or what else there is to say. */
static const char *change_of(const int64_t *time) {
  static char text[32];
  if (time[0] == 0)
    return time[1] == 0 ? "" : "new";
  if (time[1] == 0)
    return "gone";
  snprintf(text, sizeof text, "%+.1f%%", 100.0 * ((double)time[1] / (double)time[0] - 1));
  return text;
}

static void print_change(const struct change *change) {
  printf("  %s %10s %10s  %s  %s  %8s\n", screen_column(change->name, 20),
         screen_count(change->runs[0]), screen_count(change->runs[1]),
         screen_time_column(change->time[0]), screen_time_column(change->time[1]),
         change_of(change->time));
}

static void print_changes(const char *title, const char *what, const struct changes *changes,
                          bool all) {
  size_t count = changes->rows.count, shown = all || count < SHOWN ? count : SHOWN;
  printf("\n%s %10s %10s %10s %10s  %8s\n", screen_column(title, 22), what, "after", "time",
         "after", "change");
  for (size_t i = 0; i < shown; i++)
    print_change(&changes->rows.at[i]);
  if (shown < count)
    printf("  … and %zu more: --all shows them\n", count - shown);
}

static void print_text(const struct trace_options *options, const struct side *sides,
                       const struct changes *ops, const struct changes *devices,
                       const struct changes *steps) {
  const int64_t ends[SIDES] = {sides[0].path.end, sides[1].path.end};
  printf("before: %s, after: %s\n", options->files[0], options->files[1]);
  printf("The last op was complete after %s, and now after %s (%s).\n", screen_time(ends[0]),
         screen_time(ends[1]), change_of(ends));
  print_changes("Critical path", "steps", steps, true);
  print_changes("Devices, busy", "runs", devices, true);
  print_changes("Ops", "runs", ops, options->all);
}

/* ---- as JSON ---- */

static void json_changes(struct json *json, const char *key, const struct changes *changes) {
  static const char *const names[SIDES] = {"before", "after"};
  json_put_open(json, key, '[');
  for (size_t i = 0; i < changes->rows.count; i++) {
    const struct change *change = &changes->rows.at[i];
    json_put_open(json, NULL, '{');
    json_put_text(json, "name", change->name);
    for (int s = 0; s < SIDES; s++) {
      json_put_open(json, names[s], '{');
      json_put_integer(json, "count", (int64_t)change->runs[s]);
      json_put_integer(json, "time", change->time[s]);
      json_put_close(json, '}');
    }
    json_put_close(json, '}');
  }
  json_put_close(json, ']');
}

static int print_json(const struct side *sides, const struct changes *ops,
                      const struct changes *devices, const struct changes *steps) {
  struct json json = {.to = stdout};
  json_put_open(&json, NULL, '{');
  json_put_open(&json, "end", '{');
  json_put_integer(&json, "before", sides[0].path.end);
  json_put_integer(&json, "after", sides[1].path.end);
  json_put_close(&json, '}');
  json_changes(&json, "path", steps);
  json_changes(&json, "devices", devices);
  json_changes(&json, "ops", ops);
  return trace_end_json(&json);
}

/* ---- the command ---- */

static int compare(const struct side *sides, const struct trace_options *options) {
  struct changes ops = {0}, devices = {0}, steps = {0};
  int exit_status = 0;
  if (!find_changes(sides, &ops, &devices, &steps))
    exit_status = command_fail("no room for the differences");
  else if (options->json)
    exit_status = print_json(sides, &ops, &devices, &steps);
  else
    print_text(options, sides, &ops, &devices, &steps);
  spill_free(ops.rows.at);
  spill_free(devices.rows.at);
  spill_free(steps.rows.at);
  return exit_status;
}

int trace_diff(int argc, char **argv) {
  struct trace_options options;
  struct side sides[SIDES] = {0};
  int exit_status;
  if (!trace_options_parse(argc, argv, "trace diff", help, "ja", SIDES, &options, &exit_status))
    return exit_status;
  if (open_side(options.files[0], &sides[0], &exit_status) &&
      open_side(options.files[1], &sides[1], &exit_status))
    exit_status = compare(sides, &options);
  for (int s = 0; s < SIDES; s++)
    close_side(&sides[s]);
  return exit_status;
}
