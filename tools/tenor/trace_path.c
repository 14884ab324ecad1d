#include "../trace/path.h"

#include <inttypes.h>

#include "../trace/lanes.h"
#include "screen.h"
#include "trace.h"

static const char help[] =
    "Usage: tenor trace critical-path [OPTION]... [FILE]\n"
    "Says which chain of ops and waits decided when the last op of a recording\n"
    "(default: tenor.trace) was complete: what it consists of, and how much earlier\n"
    "the end would come if that took no time; then the chain itself, its longest\n"
    "steps or all.\n"
    "\n"
    "  -a, --all   all steps\n"
    "  -j, --json  as JSON; times are in ns\n"
    "  -h, --help  show this help\n"
    "\n"
    "'execute', 'create' and 'copy' are work of a device. 'dispatcher' is from a\n"
    "submission, or the end of an input, to the launch, and from the end of a run\n"
    "to its completion; 'worker' from there until a worker takes it up. 'host code'\n"
    "is what a thread does between coming back from a wait and the next submission,\n"
    "'thread wake' how long it takes to come back. The last line is what would be\n"
    "gained if no thread waited, but submitted all that it can.\n";

enum { STEPS_SHOWN = 20, NAMES_MAX = 8 };

/* ---- gains ---- */

static const char *title_of(const struct trace_recording *recording,
                            const struct trace_gain *gain) {
  if (gain->sort == TRACE_FREE_WAITS)
    return "no waits of threads";
  if (gain->sort == TRACE_FREE_WHAT)
    return trace_what_names[gain->what];
  const char *name = trace_string(recording, gain->name);
  return *name ? name : "?";
}

static void print_gains(const struct trace_recording *recording, const struct trace_path *path,
                        const struct trace_gains *gains) {
  printf("\nIt consists of                 time  of it    steps   if it took no time\n");
  for (size_t i = 0; i < gains->rows.count; i++) {
    const struct trace_gain *gain = &gains->rows.at[i];
    bool waits = gain->sort == TRACE_FREE_WAITS;
    printf("  %s %s %6s %8s   %s earlier (%s)\n", screen_column(title_of(recording, gain), 22),
           screen_time_column(gain->time), waits ? "" : screen_share(gain->time, path->end),
           screen_count(gain->steps), screen_time(gain->gain), screen_share(gain->gain, path->end));
  }
}

/* ---- steps ---- */

static void print_step(const struct trace_recording *recording, const struct trace_step *step) {
  char lane[80] = "", place[4200] = "";
  const char *name = "";
  if (step->lane != TRACE_NONE)
    trace_lane_title(recording, step->lane, lane, sizeof lane);
  if (step->op != TRACE_NONE) {
    struct trace_site site = trace_site_at(recording, recording->ops.at[step->op].site);
    name = trace_string(recording, trace_op_name(recording, step->op));
    if (recording->ops.at[step->op].site != TRACE_NONE)
      snprintf(place, sizeof place, "%s:%" PRIu32, trace_string(recording, site.file), site.line);
  }
  const char *last = step->what > TRACE_COPY && *lane && !*place ? lane : place;
  printf("  %s %s  %s", screen_time_column(step->begin),
         screen_time_column(step->end - step->begin),
         *name || *last ? screen_column(trace_what_names[step->what], 11)
                        : trace_what_names[step->what]);
  if (*last)
    printf(" %s %s", screen_column(name, 16), screen_end_of(last, 26));
  else if (*name)
    printf(" %s", screen_end_of(name, 40));
  putchar('\n');
}

/* The shortest step that is among the `shown` longest. */
static int64_t shortest_shown(const struct trace_path *path, size_t shown) {
  int64_t low = 0, high = path->end + 1;
  while (low + 1 < high) {
    int64_t middle = low + (high - low) / 2;
    size_t count = 0;
    for (size_t i = 0; i < path->steps.count; i++)
      count += path->steps.at[i].end - path->steps.at[i].begin >= middle;
    if (count > shown)
      low = middle;
    else
      high = middle;
  }
  return high;
}

static void print_steps(const struct trace_recording *recording, const struct trace_path *path,
                        bool all) {
  size_t shown = 0;
  bool cut = !all && path->steps.count > STEPS_SHOWN;
  int64_t shortest = cut ? shortest_shown(path, STEPS_SHOWN) : 0;
  printf("\n%s\n         at      took  what        op               submitted at\n",
         cut ? "Its longest steps" : "Its steps");
  for (size_t i = 0; i < path->steps.count; i++)
    if (path->steps.at[i].end - path->steps.at[i].begin >= shortest) {
      print_step(recording, &path->steps.at[i]);
      shown++;
    }
  if (shown < path->steps.count)
    printf("  … and %zu shorter ones: --all shows them\n", path->steps.count - shown);
}

/* ---- JSON ---- */

static void json_step(struct json *json, const struct trace_recording *recording,
                      const struct trace_step *step) {
  json_put_open(json, NULL, '{');
  json_put_integer(json, "begin", step->begin);
  json_put_integer(json, "end", step->end);
  json_put_text(json, "what", trace_what_names[step->what]);
  if (step->op != TRACE_NONE) {
    struct trace_site site = trace_site_at(recording, recording->ops.at[step->op].site);
    json_put_integer(json, "op", recording->ops.at[step->op].number);
    json_put_text(json, "name", trace_string(recording, trace_op_name(recording, step->op)));
    json_put_text(json, "file", trace_string(recording, site.file));
    json_put_integer(json, "line", site.line);
  }
  if (step->lane != TRACE_NONE) {
    char lane[80];
    trace_lane_title(recording, step->lane, lane, sizeof lane);
    json_put_text(json, "thread", lane);
  }
  json_put_close(json, '}');
}

static int print_json(const struct trace_recording *recording, const struct trace_path *path,
                      const struct trace_gains *gains) {
  struct json json = {.to = stdout};
  json_put_open(&json, NULL, '{');
  json_put_integer(&json, "end", path->end);
  json_put_open(&json, "parts", '[');
  for (size_t i = 0; i < gains->rows.count; i++) {
    const struct trace_gain *gain = &gains->rows.at[i];
    json_put_open(&json, NULL, '{');
    json_put_text(&json, "what", title_of(recording, gain));
    json_put_text(&json, "sort",
                  gain->sort == TRACE_FREE_NAME   ? "op"
                  : gain->sort == TRACE_FREE_WHAT ? "step"
                                                  : "waits");
    json_put_integer(&json, "time", gain->time);
    json_put_integer(&json, "steps", gain->steps);
    json_put_integer(&json, "gain", gain->gain);
    json_put_close(&json, '}');
  }
  json_put_close(&json, ']');
  json_put_open(&json, "steps", '[');
  for (size_t i = 0; i < path->steps.count; i++)
    json_step(&json, recording, &path->steps.at[i]);
  json_put_close(&json, ']');
  return trace_end_json(&json);
}

/* ---- the command ---- */

static void print_text(const struct trace_recording *recording, const struct trace_path *path,
                       const struct trace_gains *gains, bool all) {
  if (path->steps.count == 0) {
    printf("No op was complete: there is no critical path.\n");
    return;
  }
  printf("The last op was complete after %s, at the end of a chain of %s steps.\n",
         screen_time(path->end), screen_count(path->steps.count));
  print_gains(recording, path, gains);
  print_steps(recording, path, all);
}

static int print(const struct trace_recording *recording, const struct trace_options *options) {
  struct trace_hosts hosts = {0};
  struct trace_path path = {0};
  struct trace_gains gains = {0};
  tnr_fault fault;
  int exit_status = 0;
  tnr_status status = trace_hosts_init(recording, &hosts, &fault);
  if (status == TNR_OK)
    status = trace_path_find(recording, &hosts, &path, &fault);
  if (status == TNR_OK)
    status = trace_gains_find(recording, &hosts, &path, NAMES_MAX, &gains, &fault);
  if (status != TNR_OK)
    exit_status = trace_failed(options->files[0], &fault);
  else if (options->json)
    exit_status = print_json(recording, &path, &gains);
  else
    print_text(recording, &path, &gains, options->all);
  trace_gains_finish(&gains);
  trace_path_finish(&path);
  trace_hosts_finish(&hosts);
  return exit_status;
}

int trace_critical_path(int argc, char **argv) {
  struct trace_options options;
  struct trace_recording recording;
  int exit_status;
  if (!trace_options_parse(argc, argv, "trace critical-path", help, "ja", 1, &options,
                           &exit_status) ||
      !trace_load(options.files[0], &recording, &exit_status))
    return exit_status;
  exit_status = print(&recording, &options);
  trace_recording_finish(&recording);
  return exit_status;
}
