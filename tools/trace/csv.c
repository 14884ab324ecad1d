#include <inttypes.h>
#include <string.h>

#include "export.h"

static void put_text(FILE *to, const char *text) {
  fputc('"', to);
  for (; *text; text++) {
    if (*text == '"')
      fputc('"', to);
    fputc(*text == '\n' ? ' ' : *text, to);
  }
  fputs("\",", to);
}

static void put_time(FILE *to, int64_t time) {
  if (time == TRACE_NEVER)
    fputc(',', to);
  else
    fprintf(to, "%" PRId64 ",", time);
}

static const char *const kinds[] = {"op", "composite", "all", "any"};

static void put_op(const struct trace_recording *recording, const struct trace_op *op, FILE *to) {
  struct trace_site site = trace_site_at(recording, op->site);
  char place[32];
  fprintf(to, "%" PRIu32 ",", op->number);
  put_text(to,
           trace_string(recording, trace_op_name(recording, (uint32_t)(op - recording->ops.at))));
  fprintf(to, "%s,", kinds[op->kind]);
  if (op->parent != TRACE_NONE)
    fprintf(to, "%" PRIu32, recording->ops.at[op->parent].number);
  fputc(',', to);
  put_text(to, trace_string(recording, site.file));
  snprintf(place, sizeof place, "%" PRIu32 ",", site.line);
  fputs(op->site == TRACE_NONE ? "," : place, to);
  put_text(to, trace_string(recording, op->group));
  fprintf(to, "%u,", op->priority);
  fprintf(to, "%s,", op->completed == TRACE_NEVER ? "" : tnr_status_name((tnr_status)op->status));
  put_time(to, op->submitted);
  put_time(to, op->resolved);
}

static void put_no_op(FILE *to) {
  fputs("0,\"\",op,,\"\",,\"\",,,,,", to);
}

static void put_run(const struct trace_recording *recording, const struct trace_run *run,
                    FILE *to) {
  bool is_copy = run->flags & TRACE_RUN_MOVE;
  struct trace_plan plan = trace_plan_at(recording, is_copy ? TRACE_NONE : run->plan);
  put_text(to, trace_device_name(recording, run->device));
  put_text(to, run->lane == TRACE_NONE ? "" : recording->lanes.at[run->lane].name);
  put_time(to, run->launched);
  put_time(to, run->held);
  put_time(to, run->began);
  put_time(to, run->executed);
  put_time(to, run->ended);
  put_time(to, run->op == TRACE_NONE ? TRACE_NEVER : recording->ops.at[run->op].completed);
  fprintf(to, "%" PRIu64 ",", trace_run_bytes(recording, run));
  fprintf(to, "%d,", (run->flags & TRACE_RUN_MISS) != 0);
  put_text(to, trace_string(recording, plan.attrs));
  put_text(to, is_copy ? trace_string(recording, recording->moves.at[run->plan].what)
                       : trace_string(recording, plan.inputs));
  put_text(to, trace_string(recording, plan.outputs));
}

static void put_no_run(const struct trace_op *op, FILE *to) {
  fputs("\"\",\"\",,,,,,", to);
  put_time(to, op->completed);
  fputs("0,0,\"\",\"\",\"\",", to);
}

/* The inputs' numbers; 0: not of this recording. */
static void put_inputs(const struct trace_recording *recording, const struct trace_op *op,
                       FILE *to) {
  fputc('"', to);
  for (uint32_t i = 0; op && i < op->input_count; i++) {
    uint32_t input = recording->inputs.at[op->inputs + i];
    fprintf(to, "%s%" PRIu32, i ? " " : "",
            input == TRACE_NONE ? 0 : recording->ops.at[input].number);
  }
  fputs("\"\n", to);
}

static void put_row(const struct trace_recording *recording, const struct trace_op *op,
                    const struct trace_run *run, FILE *to) {
  if (op)
    put_op(recording, op, to);
  else
    put_no_op(to);
  if (run)
    put_run(recording, run, to);
  else
    put_no_run(op, to);
  put_inputs(recording, op, to);
}

tnr_status trace_export_csv(const struct trace_recording *recording, FILE *to, tnr_fault *fault) {
  (void)fault;
  fputs(
      "op,name,kind,parent,file,line,group,priority,status,submitted_ns,resolved_ns,device,thread,"
      "launched_ns,held_ns,began_ns,executed_ns,ended_ns,completed_ns,bytes,cache_miss,attrs,"
      "inputs,outputs,input_ops\n",
      to);
  for (uint32_t i = 0; i < recording->ops.count; i++) {
    const struct trace_op *op = &recording->ops.at[i];
    if (op->runs == TRACE_NONE)
      put_row(recording, op, NULL, to);
    for (uint32_t k = op->runs; k != TRACE_NONE; k = recording->runs.at[k].next)
      put_row(recording, op, &recording->runs.at[k], to);
  }
  for (uint32_t i = 0; i < recording->runs.count; i++)
    if (recording->runs.at[i].op == TRACE_NONE)
      put_row(recording, NULL, &recording->runs.at[i], to);
  return TNR_OK;
}
