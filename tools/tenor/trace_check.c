#include "../trace/invariants.h"

#include <inttypes.h>

#include "screen.h"
#include "trace.h"

static const char help[] =
    "Usage: tenor trace check [OPTION]... [FILE]\n"
    "Says whether what the runtime promises held while it was recorded (default:\n"
    "tenor.trace): ops pass their stations in order, are created before they are\n"
    "complete, end exactly once, and never run before their inputs; devices keep\n"
    "their queues' order; who fails, or has an input that did, does not end well.\n"
    "What is missing from a recording is not held against it.\n"
    "\n"
    "  -s, --slack TIME  by how much times may contradict the order, such as 1us\n"
    "  -a, --all         all violations, not only the first\n"
    "  -j, --json        as JSON; times are in ns\n"
    "  -h, --help        show this help\n"
    "\n"
    "Exit status: 1 when something did not hold.\n";

enum { SHOWN = 20 };

struct violations {
  const struct trace_recording *recording;
  const struct trace_options *options;
  struct json json;
  uint64_t count;
};

static const char *name_of(const struct trace_recording *recording, uint32_t op) {
  const char *name = trace_string(recording, trace_op_name(recording, op));
  return *name ? name : "?";
}

static void print_op(const struct trace_recording *recording, const char *before, uint32_t op) {
  if (op == TRACE_NONE)
    return;
  printf("%s%s (op %" PRIu32 ")", before, name_of(recording, op), recording->ops.at[op].number);
}

static void print_violation(const struct trace_recording *recording,
                            const struct trace_violation *violation) {
  printf("  %s", trace_rule_names[violation->rule]);
  print_op(recording, ": ", violation->op);
  printf(" %s", violation->what);
  print_op(recording, ", ", violation->other);
  if (violation->device != TRACE_NONE)
    printf(", on %s", trace_device_name(recording, violation->device));
  if (violation->time != TRACE_NEVER && violation->against != TRACE_NEVER)
    printf(": at %" PRId64 " ns, the other at %" PRId64 " ns", violation->time, violation->against);
  putchar('\n');
}

static void json_violation(struct json *json, const struct trace_recording *recording,
                           const struct trace_violation *violation) {
  json_put_line(json);
  json_put_open(json, NULL, '{');
  json_put_text(json, "rule", trace_rule_names[violation->rule]);
  json_put_text(json, "what", violation->what);
  if (violation->op != TRACE_NONE) {
    json_put_integer(json, "op", recording->ops.at[violation->op].number);
    json_put_text(json, "name", name_of(recording, violation->op));
  }
  if (violation->other != TRACE_NONE)
    json_put_integer(json, "other", recording->ops.at[violation->other].number);
  if (violation->device != TRACE_NONE)
    json_put_text(json, "device", trace_device_name(recording, violation->device));
  if (violation->time != TRACE_NEVER)
    json_put_integer(json, "time", violation->time);
  if (violation->against != TRACE_NEVER)
    json_put_integer(json, "against", violation->against);
  json_put_close(json, '}');
}

static void take(const struct trace_violation *violation, void *user) {
  struct violations *found = user;
  if (found->options->json)
    json_violation(&found->json, found->recording, violation);
  else if (found->options->all || found->count < SHOWN)
    print_violation(found->recording, violation);
  found->count++;
}

static void print_result(const struct trace_recording *recording,
                         const struct trace_checked *checked, uint64_t violations) {
  if (violations > 0)
    printf("%s of %s ops' records contradict the design:\n", screen_count(violations),
           screen_count(checked->ops));
  for (int i = 0; i < TRACE_RULES; i++)
    printf("  %s %s\n", screen_column(trace_rule_names[i], 26),
           i == TRACE_RULE_QUEUE && checked->queues_skipped
               ? "not checked where a device has several workers"
           : checked->counts[i] == 0 ? "yes"
                                     : screen_count(checked->counts[i]));
  if (violations == 0)
    printf("%s ops, %s records: all held%s\n", screen_count(checked->ops),
           screen_count(recording->end.records),
           trace_is_partial(recording) ? " in what is there (the recording is not complete)" : "");
  if (checked->unfinished > 0)
    printf("%s ops have no end in the recording\n", screen_count(checked->unfinished));
}

static void json_result(struct violations *found, const struct trace_checked *checked) {
  json_put_close(&found->json, ']');
  json_put_integer(&found->json, "ops", (int64_t)checked->ops);
  json_put_integer(&found->json, "unfinished", (int64_t)checked->unfinished);
  json_put_bool(&found->json, "partial", trace_is_partial(found->recording));
  json_put_open(&found->json, "counts", '{');
  for (int i = 0; i < TRACE_RULES; i++)
    json_put_integer(&found->json, trace_rule_names[i], (int64_t)checked->counts[i]);
  json_put_close(&found->json, '}');
}

static int check(const struct trace_recording *recording, const struct trace_options *options) {
  struct violations found = {recording, options, {.to = stdout}, 0};
  struct trace_checked checked;
  tnr_fault fault;
  if (options->json) {
    json_put_open(&found.json, NULL, '{');
    json_put_open(&found.json, "violations", '[');
    found.json.follows = false;
  }
  tnr_status status = trace_check(recording, options->slack_ns, take, &found, &checked, &fault);
  if (status != TNR_OK)
    return trace_failed(options->files[0], &fault);
  if (options->json) {
    json_result(&found, &checked);
    (void)trace_end_json(&found.json);
  } else {
    if (!options->all && found.count > SHOWN)
      printf("  … and %s more: --all shows them\n", screen_count(found.count - SHOWN));
    print_result(recording, &checked, found.count);
  }
  return found.count > 0 ? COMMAND_FAILED : 0;
}

int trace_check_command(int argc, char **argv) {
  struct trace_options options;
  struct trace_recording recording;
  int exit_status;
  if (!trace_options_parse(argc, argv, "trace check", help, "jsa", 1, &options, &exit_status) ||
      !trace_load(options.files[0], &recording, &exit_status))
    return exit_status;
  exit_status = check(&recording, &options);
  trace_recording_finish(&recording);
  return exit_status;
}
