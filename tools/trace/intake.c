#include "intake.h"

#include <inttypes.h>

#include "rows.h"

tnr_status intake_init(struct trace_recording *recording, struct intake *out, tnr_fault *fault) {
  *out = (struct intake){.recording = recording};
  out->launches = calloc(recording->file.devices + 1, sizeof *out->launches);
  return out->launches ? TNR_OK : intake_no_room(fault);
}

void intake_finish(struct intake *intake) {
  for (size_t i = 0; i < intake->tapes.count; i++) {
    spill_free(intake->tapes.at[i].sites.at);
    spill_free(intake->tapes.at[i].plans.at);
    spill_free(intake->tapes.at[i].groups.at);
  }
  spill_free(intake->tapes.at);
  free(intake->launches);
}

/* ---- tapes ---- */

static tnr_status find_tape(struct intake *intake, uint32_t index, struct intake_tape **out,
                            tnr_fault *fault) {
  while (intake->tapes.count <= index) {
    struct intake_tape *tape = ROWS_ADD(&intake->tapes);
    if (!tape)
      return intake_no_room(fault);
    tape->lane = tape->open_run = tape->next_move = TRACE_NONE;
  }
  *out = &intake->tapes.at[index];
  return TNR_OK;
}

static tnr_status begin_chunk(struct intake *intake, struct intake_tape *tape,
                              const struct trace_event *event, tnr_fault *fault) {
  const tnr_trace_piece *piece = event->piece;
  tnr_trace_thread writer = {
      .tid = piece->tid,
      .kind = (uint16_t)piece->kind,
      .device =
          (uint16_t)(piece->device < TNR_TRACE_NO_DEVICE ? piece->device : TNR_TRACE_NO_DEVICE)};
  memcpy(writer.name, piece->name, sizeof writer.name);
  tape->sites.count = tape->plans.count = tape->groups.count = 0;
  return intake_lane(intake, tape, &writer, event->tape, fault);
}

/* ---- ops and their runs ---- */

/* The op of this number, made if need be. Its address is valid until the next one is made. */
static tnr_status find_op(struct intake *intake, uint32_t number, struct trace_op **out,
                          tnr_fault *fault) {
  struct trace_recording *recording = intake->recording;
  uint32_t row;
  bool added;
  if (!ROWS_ROOM(&recording->ops) ||
      !numbers_put(&recording->numbers, number, (uint32_t)recording->ops.count, &row, &added))
    return intake_no_room(fault);
  *out = &recording->ops.at[row];
  if (!added)
    return TNR_OK;
  recording->ops.count++;
  **out = (struct trace_op){.submitted = TRACE_NEVER,
                            .resolved = TRACE_NEVER,
                            .completed = TRACE_NEVER,
                            .number = number,
                            .runs = TRACE_NONE,
                            .site = TRACE_NONE,
                            .error = TRACE_NONE,
                            .lane = TRACE_NONE,
                            .group = TRACE_NONE};
  return TNR_OK;
}

static tnr_status add_run(struct intake *intake, struct trace_op *op, uint32_t device,
                          struct trace_run **out, tnr_fault *fault) {
  struct trace_recording *recording = intake->recording;
  struct trace_run *run = ROWS_ADD(&recording->runs);
  if (!run)
    return intake_no_room(fault);
  *run = (struct trace_run){.held = TRACE_NEVER,
                            .launched = TRACE_NEVER,
                            .began = TRACE_NEVER,
                            .executed = TRACE_NEVER,
                            .ended = TRACE_NEVER,
                            .op = op ? (uint32_t)(op - recording->ops.at) : TRACE_NONE,
                            .next = op ? op->runs : TRACE_NONE,
                            .plan = TRACE_NONE,
                            .lane = TRACE_NONE,
                            .device = (uint16_t)device};
  if (op)
    op->runs = (uint32_t)recording->runs.count - 1;
  *out = run;
  return TNR_OK;
}

/* What the op of this number (0: of one that has none) does on the event's device. */
static tnr_status find_run(struct intake *intake, const struct trace_event *event,
                           struct trace_run **out, tnr_fault *fault) {
  struct trace_recording *recording = intake->recording;
  struct trace_op *op = NULL;
  if (event->device >= recording->file.devices)
    return tnr_fail(fault, TNR_EINVAL, "byte %" PRIu64 ": damaged: there is no device %" PRIu32,
                    event->offset, event->device);
  if (event->op == 0)
    return add_run(intake, NULL, event->device, out, fault);
  tnr_status status = find_op(intake, event->op, &op, fault);
  if (status != TNR_OK)
    return status;
  for (uint32_t i = op->runs; i != TRACE_NONE; i = recording->runs.at[i].next)
    if (recording->runs.at[i].device == event->device) {
      *out = &recording->runs.at[i];
      return TNR_OK;
    }
  return add_run(intake, op, event->device, out, fault);
}

/* ---- the journey ---- */

static tnr_status add_inputs(struct intake *intake, struct trace_op *op,
                             const struct trace_event *event, tnr_fault *fault) {
  struct trace_recording *recording = intake->recording;
  for (uint32_t i = 0; i < event->input_count; i++) {
    uint32_t *input = ROWS_ADD(&recording->inputs);
    if (!input)
      return intake_no_room(fault);
    *input = event->inputs[i];
  }
  op->input_count += event->input_count;
  return TNR_OK;
}

static tnr_status set_group(const struct intake_tape *tape, struct trace_op *op,
                            const struct trace_event *event, tnr_fault *fault) {
  const tnr_trace_submit *submit = (const tnr_trace_submit *)event->words;
  if ((event->words[0] & 0xff) != TNR_TRACE_SUBMIT)
    return TNR_OK;
  op->priority = submit->priority;
  if (submit->group == 0)
    return TNR_OK;
  return intake_find(&tape->groups, submit->group - 1u, event, "group", &op->group, fault);
}

static tnr_status submit(struct intake *intake, struct intake_tape *tape,
                         const struct trace_event *event, tnr_fault *fault) {
  struct trace_recording *recording = intake->recording;
  struct trace_op *op;
  uint32_t site;
  if (event->op == 0)
    return TNR_OK;
  tnr_status status = find_op(intake, event->op, &op, fault);
  if (status == TNR_OK)
    status = intake_find(&tape->sites, event->site, event, "call site", &site, fault);
  if (status != TNR_OK)
    return status;
  if (op->flags & TRACE_SUBMITTED) {
    op->flags |= TRACE_AGAIN;
    return TNR_OK;
  }
  op->submitted = event->time;
  op->parent = event->parent;
  op->site = site;
  op->lane = tape->lane;
  op->kind = event->flags & TNR_TRACE_KIND_MASK;
  op->flags |= TRACE_SUBMITTED | (event->flags & TNR_TRACE_PLAIN ? TRACE_PLAIN : 0);
  op->inputs = (uint32_t)recording->inputs.count;
  recording->lanes.at[tape->lane].submits += op->kind == TNR_TRACE_OP;
  status = set_group(tape, op, event, fault);
  return status == TNR_OK ? add_inputs(intake, op, event, fault) : status;
}

/* Right behind its SUBMIT, so that its inputs are the last. */
static tnr_status more_inputs(struct intake *intake, const struct trace_event *event,
                              tnr_fault *fault) {
  struct trace_recording *recording = intake->recording;
  uint32_t row = numbers_find(&recording->numbers, event->op);
  struct trace_op *op = row == NUMBERS_NONE ? NULL : &recording->ops.at[row];
  if (!op || (size_t)op->inputs + op->input_count != recording->inputs.count)
    return tnr_fail(fault, TNR_EINVAL,
                    "byte %" PRIu64 ": damaged: inputs that are of no submission", event->offset);
  return add_inputs(intake, op, event, fault);
}

static tnr_status resolve(struct intake *intake, const struct trace_event *event,
                          tnr_fault *fault) {
  struct trace_op *op;
  tnr_status status = event->op ? find_op(intake, event->op, &op, fault) : TNR_OK;
  if (status != TNR_OK || !event->op)
    return status;
  op->resolved = event->time;
  op->missing = (uint16_t)(event->what < UINT16_MAX ? event->what : UINT16_MAX);
  return TNR_OK;
}

static tnr_status launch(struct intake *intake, const struct trace_event *event, tnr_fault *fault) {
  struct trace_run *run;
  tnr_status status = event->op ? find_run(intake, event, &run, fault) : TNR_OK;
  if (status != TNR_OK || !event->op)
    return status;
  if (run->launched != TRACE_NEVER)
    run->flags |= TRACE_LAUNCHED_AGAIN;
  run->launched = event->time;
  run->launch_order = ++intake->launches[event->device];
  return TNR_OK;
}

static tnr_status find_plan(const struct intake_tape *tape, const struct trace_event *event,
                            struct trace_run *run, tnr_fault *fault) {
  if (event->plan == TNR_TRACE_NO_DEVICE)
    return TNR_OK;
  return intake_find(&tape->plans, event->plan, event, "plan", &run->plan, fault);
}

/* RUN and BEGIN. */
static tnr_status run(struct intake *intake, struct intake_tape *tape,
                      const struct trace_event *event, tnr_fault *fault) {
  struct trace_run *run;
  tnr_status status = find_run(intake, event, &run, fault);
  if (status == TNR_OK)
    status = find_plan(tape, event, run, fault);
  if (status != TNR_OK)
    return status;
  bool begins = event->type == TNR_TRACE_BEGIN;
  if (run->run_order)
    run->flags |= TRACE_RAN_AGAIN;
  run->flags |= event->flags & (TRACE_RUN_MISS | TRACE_RUN_ALIAS | TRACE_RUN_TOGETHER);
  run->executed = event->time - event->execute;
  run->began = run->executed - event->create;
  run->ended = begins ? TRACE_NEVER : event->time;
  run->lane = tape->lane;
  run->run_order = ++tape->orders;
  tape->open_run = begins ? (uint32_t)(run - intake->recording->runs.at) : TRACE_NONE;
  if (tape->next_move != TRACE_NONE && run->plan == TRACE_NONE) {
    run->plan = tape->next_move;
    run->flags |= TRACE_RUN_MOVE;
  }
  tape->next_move = TRACE_NONE;
  return TNR_OK;
}

/* An END whose BEGIN is lost tells nothing of when it began. */
static void end(struct intake *intake, struct intake_tape *tape, const struct trace_event *event) {
  if (tape->open_run == TRACE_NONE)
    return;
  struct trace_run *run = &intake->recording->runs.at[tape->open_run];
  uint32_t number = run->op == TRACE_NONE ? 0 : intake->recording->ops.at[run->op].number;
  if (number == event->op)
    run->ended = event->time;
  tape->open_run = TRACE_NONE;
}

static tnr_status complete(struct intake *intake, const struct trace_event *event,
                           tnr_fault *fault) {
  struct trace_op *op;
  tnr_status status = event->op ? find_op(intake, event->op, &op, fault) : TNR_OK;
  if (status != TNR_OK || !event->op)
    return status;
  if (op->completed != TRACE_NEVER)
    op->flags |= TRACE_ENDED_AGAIN;
  op->completed = event->time;
  op->status = (uint8_t)event->what;
  return TNR_OK;
}

static tnr_status fail_op(struct intake *intake, const struct trace_event *event,
                          tnr_fault *fault) {
  const tnr_trace_error *error = (const tnr_trace_error *)event->words;
  struct trace_recording *recording = intake->recording;
  uint32_t message;
  tnr_status status = intake_string(intake, error + 1, error->bytes, &message, fault);
  struct trace_error *made = status == TNR_OK ? ROWS_ADD(&recording->errors) : NULL;
  if (!made)
    return status == TNR_OK ? intake_no_room(fault) : status;
  *made = (struct trace_error){.op = TRACE_NONE, .message = message, .status = error->status};
  if (event->op == 0)
    return TNR_OK;
  struct trace_op *op;
  status = find_op(intake, event->op, &op, fault);
  if (status != TNR_OK)
    return status;
  made->op = (uint32_t)(op - recording->ops.at);
  op->error = (uint32_t)recording->errors.count - 1;
  return TNR_OK;
}

/* ---- threads ---- */

/* Its op is a number until all is read. */
static tnr_status add_span(struct intake *intake, const struct intake_tape *tape,
                           const struct trace_event *event, tnr_fault *fault) {
  struct trace_span *span = ROWS_ADD(&intake->recording->spans);
  if (!span)
    return intake_no_room(fault);
  *span = (struct trace_span){.begin = event->time - event->took,
                              .end = event->time,
                              .lane = tape->lane,
                              .op = event->op,
                              .type = (uint16_t)event->type,
                              .what = (uint16_t)event->what};
  return TNR_OK;
}

static tnr_status add_mark(struct intake *intake, const struct intake_tape *tape,
                           const struct trace_event *event, tnr_fault *fault) {
  struct trace_mark *mark = ROWS_ADD(&intake->recording->marks);
  if (!mark)
    return intake_no_room(fault);
  uint32_t device = event->type == TNR_TRACE_HELD ? event->device : event->what;
  *mark = (struct trace_mark){event->time, tape->lane, (uint16_t)event->type, (uint16_t)device};
  return TNR_OK;
}

static tnr_status held(struct intake *intake, const struct intake_tape *tape,
                       const struct trace_event *event, tnr_fault *fault) {
  struct trace_run *run;
  tnr_status status = TNR_OK;
  if (event->what == TNR_TRACE_CALL_REFUSED)
    return add_mark(intake, tape, event, fault);
  if (event->what == TNR_TRACE_WORKER_HELD && event->op) {
    status = find_run(intake, event, &run, fault);
    if (status == TNR_OK)
      run->held = event->time - event->took;
  }
  return status == TNR_OK ? add_span(intake, tape, event, fault) : status;
}

static tnr_status add_sample(struct intake *intake, const struct trace_event *event,
                             tnr_fault *fault) {
  const tnr_trace_counter *counter = (const tnr_trace_counter *)event->words;
  struct trace_recording *recording = intake->recording;
  uint32_t of = counter->device < recording->file.devices ? counter->device : TRACE_NONE;
  if (counter->counter == TNR_TRACE_CPU_TIME)
    of =
        counter->device < intake->tapes.count ? intake->tapes.at[counter->device].lane : TRACE_NONE;
  struct trace_sample *sample = ROWS_ADD(&recording->samples);
  if (!sample)
    return intake_no_room(fault);
  *sample = (struct trace_sample){event->time, counter->value, counter->counter, of};
  return TNR_OK;
}

/* ---- all of them ---- */

static tnr_status take(struct intake *intake, struct intake_tape *tape,
                       const struct trace_event *event, tnr_fault *fault) {
  switch (event->type) {
  case TNR_TRACE_SUBMIT:
    return submit(intake, tape, event, fault);
  case TNR_TRACE_INPUTS:
    return more_inputs(intake, event, fault);
  case TNR_TRACE_RESOLVE:
    return resolve(intake, event, fault);
  case TNR_TRACE_LAUNCH:
    return launch(intake, event, fault);
  case TNR_TRACE_MOVE:
    return intake_move(intake, tape, event, fault);
  case TNR_TRACE_RUN:
  case TNR_TRACE_BEGIN:
    return run(intake, tape, event, fault);
  case TNR_TRACE_END:
    end(intake, tape, event);
    return TNR_OK;
  case TNR_TRACE_COMPLETE:
    return complete(intake, event, fault);
  case TNR_TRACE_ERROR:
    return fail_op(intake, event, fault);
  case TNR_TRACE_CREATE:
  case TNR_TRACE_CALLBACK:
  case TNR_TRACE_BODY:
  case TNR_TRACE_WAIT:
  case TNR_TRACE_REST:
    return add_span(intake, tape, event, fault);
  case TNR_TRACE_HELD:
    return held(intake, tape, event, fault);
  case TNR_TRACE_SIGNAL:
  case TNR_TRACE_WAKE:
  case TNR_TRACE_ROOM:
    return add_mark(intake, tape, event, fault);
  case TNR_TRACE_COUNTER:
    return add_sample(intake, event, fault);
  default:
    return intake_definition(intake, tape, event, fault);
  }
}

/* When a definition was written says nothing of when anything happened. */
static bool has_moment(const struct trace_event *event) {
  return event->type >= TNR_TRACE_SUBMIT;
}

tnr_status intake_event(struct intake *intake, const struct trace_event *event, tnr_fault *fault) {
  struct intake_tape *tape = NULL;
  tnr_status status = TNR_OK;
  if (event->kind < TNR_TRACE_PLACES)
    status = find_tape(intake, event->tape, &tape, fault);
  if (status != TNR_OK)
    return status;
  if (!tape) {
    if (event->type == TNR_TRACE_DEVICE)
      return intake_definition(intake, tape, event, fault);
    return TNR_OK;
  }
  if (event->type == TRACE_CHUNK)
    return begin_chunk(intake, tape, event, fault);
  if (has_moment(event) && event->time > intake->recording->last)
    intake->recording->last = event->time;
  return take(intake, tape, event, fault);
}
