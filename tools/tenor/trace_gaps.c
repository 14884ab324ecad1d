#include "../trace/gaps.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../trace/lanes.h"
#include "../trace/rows.h"
#include "screen.h"
#include "trace.h"

static const char help[] =
    "Usage: tenor trace gaps [OPTION]... [FILE]\n"
    "Lists the stretches of a recording (default: tenor.trace) in which a device\n"
    "had nothing to run, the longest of each, and says why: nothing was submitted;\n"
    "or what came next waited for the host (the thread that submitted it was\n"
    "waiting itself, or in a callback; or an input was the program's own), for an\n"
    "input from another device, for the dispatcher, or for the worker\n"
    "to take it up.\n"
    "\n"
    "  -m, --min TIME  the shortest gap to list, such as 50us or 2ms (default 10us)\n"
    "  -a, --all       all of them, in the order of time\n"
    "  -j, --json      as JSON; times are in ns\n"
    "  -h, --help      show this help\n";

enum { GAPS_SHOWN = 10, MIN_DEFAULT_NS = 10000 };

struct gap_list {
  TRACE_ROWS(trace_gap) rows; /* of one device */
  int64_t min_ns;
  int64_t idle, causes[TRACE_CAUSES];
  uint64_t count, shorter;
  bool no_room;
};

static void take(const struct trace_gap *gap, void *user) {
  struct gap_list *list = user;
  int64_t took = gap->end - gap->begin;
  list->count++;
  list->idle += took;
  for (int i = 0; i < TRACE_CAUSES; i++)
    list->causes[i] += gap->times[i];
  if (took < list->min_ns) {
    list->shorter++;
    return;
  }
  struct trace_gap *row = ROWS_ADD(&list->rows);
  if (row)
    *row = *gap;
  else
    list->no_room = true;
}

/* ---- as text ---- */

static int compare_lengths(const void *left, const void *right, void *user) {
  (void)user;
  const struct trace_gap *a = left, *b = right;
  int64_t first = a->end - a->begin, second = b->end - b->begin;
  return (first < second) - (first > second);
}

static const char *base_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* "matmul at model.c:12", of the op that ended it or that was waited for. */
static void describe(const struct trace_recording *recording, uint32_t op, char *out, size_t room) {
  const char *name = trace_string(recording, trace_op_name(recording, op));
  out[0] = '\0';
  if (op == TRACE_NONE)
    return;
  struct trace_site site = trace_site_at(recording, recording->ops.at[op].site);
  if (recording->ops.at[op].site == TRACE_NONE)
    snprintf(out, room, "%s", *name ? name : "?");
  else
    snprintf(out, room, "%s at %s:%" PRIu32, name, base_of(trace_string(recording, site.file)),
             site.line);
}

static void print_gap(const struct trace_recording *recording, const struct trace_gap *gap) {
  char next[200], waited[200];
  uint32_t op = gap->run == TRACE_NONE ? TRACE_NONE : recording->runs.at[gap->run].op;
  describe(recording, op, next, sizeof next);
  describe(recording, gap->waited_for, waited, sizeof waited);
  printf("  %s %s  %s %s%s\n", screen_time_column(gap->begin),
         screen_time_column(gap->end - gap->begin),
         screen_column(trace_cause_names[gap->cause], 17), *next ? "before " : "until the end",
         screen_end_of(next, 31));
  if (*waited)
    printf("  %20s which waited for %s\n", "", screen_end_of(waited, 40));
}

static void print_totals(const struct trace_recording *recording, const struct gap_list *list,
                         uint32_t device) {
  printf("%s: idle %s (%s) in %s gaps\n", trace_device_name(recording, device),
         screen_time(list->idle), screen_share(list->idle, recording->last),
         screen_count(list->count));
  for (int i = 0; i < TRACE_CAUSES; i++)
    if (list->causes[i] > 0)
      printf("  %s %s (%s)\n", screen_column(trace_cause_names[i], 18),
             screen_time_column(list->causes[i]), screen_share(list->causes[i], list->idle));
}

static void print_text(const struct trace_recording *recording, struct gap_list *list,
                       uint32_t device, bool all) {
  size_t shown = all || list->rows.count < GAPS_SHOWN ? list->rows.count : GAPS_SHOWN;
  print_totals(recording, list, device);
  if (shown > 0)
    printf("         at      took  mostly for\n");
  for (size_t i = 0; i < shown; i++)
    print_gap(recording, &list->rows.at[i]);
  if (shown < list->count)
    printf("  … and %s more, %s of them shorter than %s\n", screen_count(list->count - shown),
           screen_count(list->shorter), screen_time(list->min_ns));
}

/* ---- as JSON ---- */

static void json_op(struct json *json, const char *key, const struct trace_recording *recording,
                    uint32_t op) {
  if (op == TRACE_NONE) {
    json_put_null(json, key);
    return;
  }
  struct trace_site site = trace_site_at(recording, recording->ops.at[op].site);
  json_put_open(json, key, '{');
  json_put_integer(json, "op", recording->ops.at[op].number);
  json_put_text(json, "name", trace_string(recording, trace_op_name(recording, op)));
  json_put_text(json, "file", trace_string(recording, site.file));
  json_put_integer(json, "line", site.line);
  json_put_close(json, '}');
}

static void json_causes(struct json *json, const int64_t *times) {
  json_put_open(json, "causes", '{');
  for (int i = 0; i < TRACE_CAUSES; i++)
    if (times[i] > 0)
      json_put_integer(json, trace_cause_names[i], times[i]);
  json_put_close(json, '}');
}

static void json_gap(struct json *json, const struct trace_recording *recording,
                     const struct trace_gap *gap) {
  json_put_line(json);
  json_put_open(json, NULL, '{');
  json_put_integer(json, "begin", gap->begin);
  json_put_integer(json, "end", gap->end);
  json_put_text(json, "cause", trace_cause_names[gap->cause]);
  json_causes(json, gap->times);
  json_op(json, "before", recording,
          gap->run == TRACE_NONE ? TRACE_NONE : recording->runs.at[gap->run].op);
  json_op(json, "waited_for", recording, gap->waited_for);
  json_put_close(json, '}');
}

static void put_json(struct json *json, const struct trace_recording *recording,
                     const struct gap_list *list, uint32_t device) {
  json_put_open(json, NULL, '{');
  json_put_text(json, "name", trace_device_name(recording, device));
  json_put_integer(json, "idle", list->idle);
  json_put_integer(json, "count", (int64_t)list->count);
  json_put_integer(json, "shorter", (int64_t)list->shorter);
  json_causes(json, list->causes);
  json_put_open(json, "gaps", '[');
  for (size_t i = 0; i < list->rows.count; i++)
    json_gap(json, recording, &list->rows.at[i]);
  json_put_close(json, ']');
  json_put_close(json, '}');
}

/* ---- the command ---- */

static tnr_status print_device(const struct trace_recording *recording,
                               const struct trace_hosts *hosts, uint32_t device,
                               const struct trace_options *options, struct json *json,
                               tnr_fault *fault) {
  struct gap_list list = {.min_ns = options->min_ns ? options->min_ns : MIN_DEFAULT_NS};
  int64_t busy;
  tnr_status status = trace_gaps(recording, hosts, device, take, &list, &busy, fault);
  if (status == TNR_OK && !options->json && !options->all)
    list.no_room |=
        !rows_sort(list.rows.at, list.rows.count, sizeof *list.rows.at, compare_lengths, NULL);
  if (status == TNR_OK && list.no_room)
    status = spill_fail(fault, "the gaps");
  if (status == TNR_OK && options->json)
    put_json(json, recording, &list, device);
  else if (status == TNR_OK)
    print_text(recording, &list, device, options->all);
  spill_free(list.rows.at);
  return status;
}

static int print(const struct trace_recording *recording, const struct trace_options *options) {
  struct trace_hosts hosts = {0};
  struct json json = {.to = stdout};
  tnr_fault fault;
  tnr_status status = trace_hosts_init(recording, &hosts, &fault);
  if (options->json) {
    json_put_open(&json, NULL, '{');
    json_put_integer(&json, "duration", recording->last);
    json_put_open(&json, "devices", '[');
  }
  for (uint32_t i = 0; status == TNR_OK && i < recording->file.devices; i++) {
    if (i > 0 && !options->json)
      putchar('\n');
    status = print_device(recording, &hosts, i, options, &json, &fault);
  }
  trace_hosts_finish(&hosts);
  if (status != TNR_OK)
    return trace_failed(options->files[0], &fault);
  if (!options->json)
    return 0;
  json_put_close(&json, ']');
  return trace_end_json(&json);
}

int trace_gaps_command(int argc, char **argv) {
  struct trace_options options;
  struct trace_recording recording;
  int exit_status;
  if (!trace_options_parse(argc, argv, "trace gaps", help, "jma", 1, &options, &exit_status) ||
      !trace_load(options.files[0], &recording, &exit_status))
    return exit_status;
  exit_status = print(&recording, &options);
  trace_recording_finish(&recording);
  return exit_status;
}
