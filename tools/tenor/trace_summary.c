#include "../trace/summary.h"

#include <inttypes.h>

#include "../trace/lanes.h"
#include "screen.h"
#include "trace.h"

static const char help[] =
    "Usage: tenor trace summary [OPTION]... [FILE]\n"
    "Says where the time of a recording (default: tenor.trace) went: by op, by\n"
    "device with what it waited for, and by thread.\n"
    "\n"
    "  -a, --all   all ops and threads, not only those that take most\n"
    "  -j, --json  as JSON; times are in ns\n"
    "  -h, --help  show this help\n";

enum { OPS_SHOWN = 15, THREADS_SHOWN = 8 };

/* ---- as text ---- */

static void print_head(const struct trace_recording *recording,
                       const struct trace_summary *summary) {
  printf("%s, %s recorded%s: %s ops", recording->file.program, screen_time(recording->last),
         recording->file.flags & TNR_TRACE_FLIGHT ? " in flight" : "",
         screen_count(summary->op_count));
  if (summary->composites > 0)
    printf(", %s calls of composites", screen_count(summary->composites));
  if (summary->failed > 0)
    printf(", %s FAILED", screen_count(summary->failed));
  if (summary->unfinished > 0)
    printf(", %s not ended", screen_count(summary->unfinished));
  printf("; %s records, %s lost\n", screen_count(recording->end.records),
         screen_count(recording->end.whole ? recording->end.total.lost : recording->end.lost));
}

static void print_op(const struct trace_recording *recording, const struct trace_op_row *row) {
  const char *name = trace_string(recording, row->name);
  printf("  %s %9s %s %s %s %s %10s\n", screen_column(*name ? name : "?", 17),
         screen_count(row->runs), screen_time_column(row->total), screen_time_column(row->p50),
         screen_time_column(row->p99), screen_time_column(row->longest), screen_bytes(row->bytes));
}

static void print_ops(const struct trace_recording *recording, const struct trace_summary *summary,
                      bool all) {
  size_t shown = all || summary->ops.count < OPS_SHOWN ? summary->ops.count : OPS_SHOWN;
  printf("\nOps by time        %9s %9s %9s %9s %9s %10s\n", "runs", "total", "p50", "p99",
         "longest", "bytes");
  for (size_t i = 0; i < shown; i++)
    print_op(recording, &summary->ops.at[i]);
  if (shown < summary->ops.count)
    printf("  … and %zu more: --all shows them\n", summary->ops.count - shown);
}

/* A cause that says all by itself. */
static bool is_own(int cause) {
  return cause == TRACE_NOTHING || cause == TRACE_LIMIT;
}

static void print_device(const struct trace_recording *recording, uint32_t device,
                         const struct trace_device_row *row) {
  printf("  %s %9s runs  busy %s (%s)  idle %s (%s)\n",
         screen_column(trace_device_name(recording, device), 10), screen_count(row->runs),
         screen_time_column(row->busy), screen_share(row->busy, recording->last),
         screen_time_column(row->idle), screen_share(row->idle, recording->last));
  for (int i = 0; i < TRACE_CAUSES; i++)
    if (row->causes[i] > 0)
      printf("    %s %s %s (%s)\n",
             is_own(i) ? "idle:       " : "waiting for:", screen_column(trace_cause_names[i], 18),
             screen_time_column(row->causes[i]), screen_share(row->causes[i], recording->last));
}

static void print_devices(const struct trace_recording *recording,
                          const struct trace_summary *summary) {
  printf("\nDevices\n");
  for (uint32_t i = 0; i < recording->file.devices; i++)
    if (summary->devices[i].runs > 0 || recording->file.devices <= 4)
      print_device(recording, i, &summary->devices[i]);
}

static void print_application(const struct trace_recording *recording,
                              const struct trace_summary *summary,
                              const struct trace_thread_row *row) {
  char title[80];
  trace_lane_title(recording, row->lane, title, sizeof title);
  printf("  %s submitted %s ops; waited %s (%s)", screen_column(title, 14),
         screen_count(row->submits), screen_time(row->waited),
         screen_share(row->waited, recording->last));
  if (row->cpu > 0)
    printf("; CPU %s", screen_time(row->cpu));
  if (row->held > 0 || row->refused > 0)
    printf("\n  %14s a limit held it up for %s (%s), and refused %s calls", "",
           screen_time(row->held), screen_share(row->held, recording->last),
           screen_count(row->refused));
  printf("\n  %14s free for %s of the %s that devices ran (%s)\n", "", screen_time(row->hidden),
         screen_time(summary->running), screen_share(row->hidden, summary->running));
}

static void print_dispatcher(const struct trace_recording *recording,
                             const struct trace_thread_row *row) {
  int64_t loaded = recording->last > row->rested ? recording->last - row->rested : 0;
  printf("  dispatcher     busy %s (%s); slept %s", screen_time(loaded),
         screen_share(loaded, recording->last), screen_time(row->slept));
  if (row->cpu > 0)
    printf("; CPU %s", screen_time(row->cpu));
  printf("\n  %14s callbacks took %s of that (%s)\n", "", screen_time(row->callbacks),
         screen_share(row->callbacks, loaded));
}

static void print_threads(const struct trace_recording *recording,
                          const struct trace_summary *summary, bool all) {
  uint64_t shown = 0, submitting = 0;
  printf("\nThreads\n");
  for (uint32_t i = 0; i < recording->lanes.count; i++) {
    const struct trace_thread_row *row = &summary->threads[i];
    if (recording->lanes.at[i].kind == TNR_TRACE_DISPATCHER)
      print_dispatcher(recording, row);
    else if (row->submits > 0 && ++submitting && (all || shown < THREADS_SHOWN) && ++shown)
      print_application(recording, summary, row);
  }
  if (submitting > shown)
    printf("  … and %s more that submit: --all shows them\n", screen_count(submitting - shown));
}

/* ---- as JSON ---- */

static void json_ops(struct json *json, const struct trace_recording *recording,
                     const struct trace_summary *summary) {
  json_put_open(json, "ops", '[');
  for (size_t i = 0; i < summary->ops.count; i++) {
    const struct trace_op_row *row = &summary->ops.at[i];
    json_put_open(json, NULL, '{');
    json_put_text(json, "name", trace_string(recording, row->name));
    json_put_integer(json, "runs", (int64_t)row->runs);
    json_put_integer(json, "failed", (int64_t)row->failed);
    json_put_integer(json, "total", row->total);
    json_put_integer(json, "p50", row->p50);
    json_put_integer(json, "p99", row->p99);
    json_put_integer(json, "longest", row->longest);
    json_put_integer(json, "bytes", (int64_t)(row->bytes & INT64_MAX));
    json_put_close(json, '}');
  }
  json_put_close(json, ']');
}

static void json_devices(struct json *json, const struct trace_recording *recording,
                         const struct trace_summary *summary) {
  json_put_open(json, "devices", '[');
  for (uint32_t i = 0; i < recording->file.devices; i++) {
    const struct trace_device_row *row = &summary->devices[i];
    json_put_open(json, NULL, '{');
    json_put_text(json, "name", trace_device_name(recording, i));
    json_put_integer(json, "runs", (int64_t)row->runs);
    json_put_integer(json, "busy", row->busy);
    json_put_integer(json, "idle", row->idle);
    json_put_open(json, "causes", '{');
    for (int k = 0; k < TRACE_CAUSES; k++)
      json_put_integer(json, trace_cause_names[k], row->causes[k]);
    json_put_close(json, '}');
    json_put_integer(json, "longest_gap", row->longest_gap);
    json_put_close(json, '}');
  }
  json_put_close(json, ']');
}

static void json_threads(struct json *json, const struct trace_recording *recording,
                         const struct trace_summary *summary) {
  static const char *const kinds[] = {"application", "dispatcher", "worker"};
  json_put_open(json, "threads", '[');
  for (uint32_t i = 0; i < recording->lanes.count; i++) {
    const struct trace_thread_row *row = &summary->threads[i];
    uint32_t kind = recording->lanes.at[i].kind;
    char title[80];
    trace_lane_title(recording, i, title, sizeof title);
    json_put_open(json, NULL, '{');
    json_put_text(json, "name", title);
    json_put_text(json, "kind", kinds[kind <= TNR_TRACE_WORKER ? kind : 0]);
    json_put_integer(json, "tid", recording->lanes.at[i].tid);
    json_put_integer(json, "submits", (int64_t)row->submits);
    json_put_integer(json, "wakes", (int64_t)row->wakes);
    json_put_integer(json, "waited", row->waited);
    json_put_integer(json, "held", row->held);
    json_put_integer(json, "refused", (int64_t)row->refused);
    json_put_integer(json, "callbacks", row->callbacks);
    json_put_integer(json, "rested", row->rested);
    json_put_integer(json, "slept", row->slept);
    if (row->cpu == TRACE_NEVER)
      json_put_null(json, "cpu");
    else
      json_put_integer(json, "cpu", row->cpu);
    json_put_integer(json, "hidden", row->hidden);
    json_put_close(json, '}');
  }
  json_put_close(json, ']');
}

static int print_json(const struct trace_recording *recording,
                      const struct trace_summary *summary) {
  struct json json = {.to = stdout};
  const struct trace_reader_end *end = &recording->end;
  json_put_open(&json, NULL, '{');
  json_put_text(&json, "program", recording->file.program);
  json_put_integer(&json, "duration", recording->last);
  json_put_integer(&json, "records", (int64_t)end->records);
  json_put_integer(&json, "lost",
                   (int64_t)((end->whole ? end->total.lost : end->lost) & INT64_MAX));
  json_put_bool(&json, "whole", end->whole);
  json_put_integer(&json, "op_count", (int64_t)summary->op_count);
  json_put_integer(&json, "composites", (int64_t)summary->composites);
  json_put_integer(&json, "failed", (int64_t)summary->failed);
  json_put_integer(&json, "unfinished", (int64_t)summary->unfinished);
  json_put_integer(&json, "running", summary->running);
  json_ops(&json, recording, summary);
  json_devices(&json, recording, summary);
  json_threads(&json, recording, summary);
  return trace_end_json(&json);
}

/* ---- the command ---- */

static int print(const struct trace_recording *recording, const struct trace_options *options) {
  struct trace_hosts hosts = {0};
  struct trace_summary summary = {0};
  tnr_fault fault;
  int exit_status = 0;
  tnr_status status = trace_hosts_init(recording, &hosts, &fault);
  if (status == TNR_OK)
    status = trace_summary_make(recording, &hosts, &summary, &fault);
  if (status != TNR_OK) {
    exit_status = trace_failed(options->files[0], &fault);
  } else if (options->json) {
    exit_status = print_json(recording, &summary);
  } else {
    print_head(recording, &summary);
    print_ops(recording, &summary, options->all);
    print_devices(recording, &summary);
    print_threads(recording, &summary, options->all);
  }
  trace_summary_finish(&summary);
  trace_hosts_finish(&hosts);
  return exit_status;
}

int trace_summary(int argc, char **argv) {
  struct trace_options options;
  struct trace_recording recording;
  int exit_status;
  if (!trace_options_parse(argc, argv, "trace summary", help, "ja", 1, &options, &exit_status) ||
      !trace_load(options.files[0], &recording, &exit_status))
    return exit_status;
  exit_status = print(&recording, &options);
  trace_recording_finish(&recording);
  return exit_status;
}
