#include "record.h"
#include "recording.h"
#include "timeline.h"

static uint16_t device_in(const tnr_mesh *mesh) {
  return mesh ? tnr_recorded_device(tnr_mesh_first(mesh)) : TNR_TRACE_NO_DEVICE;
}

static void put_held(tnr_tape *tape, uint32_t op, uint16_t device, tnr_trace_how how,
                     uint64_t ticks) {
  enum { WORDS = sizeof(tnr_trace_held) / 8 };
  tnr_tape_make_room(tape, sizeof(tnr_trace_held));
  tnr_trace_held *record = tnr_tape_begin(tape, TNR_TRACE_HELD, 0, WORDS);
  record->op = op;
  record->device = device;
  record->how = (uint16_t)how;
  record->ticks = ticks;
  tnr_tape_end(tape, WORDS);
}

static uint64_t since(const tnr_tape *tape, uint64_t ticks) {
  return tape->now > ticks ? tape->now - ticks : 0;
}

/* ---- calls ---- */

void tnr_recording_held_call(tnr_runtime *runtime, tnr_op *op, const tnr_mesh *mesh,
                             uint64_t begin) {
  tnr_tape *tape = tnr_tape_here(&runtime->recorder);
  if (!tape)
    return;
  tnr_tape_look(tape, &runtime->recorder.ticker);
  uint32_t number = op ? tnr_recording_number(op, tape) : 0;
  put_held(tape, number, device_in(mesh), TNR_TRACE_CALL_HELD, since(tape, begin));
}

void tnr_recording_refusal(tnr_runtime *runtime, const tnr_mesh *mesh) {
  tnr_tape *tape = tnr_tape_here(&runtime->recorder);
  if (!tape)
    return;
  tnr_tape_look(tape, &runtime->recorder.ticker);
  put_held(tape, 0, device_in(mesh), TNR_TRACE_CALL_REFUSED, 0);
}

void tnr_recording_room(tnr_runtime *runtime, const tnr_mesh *mesh) {
  tnr_tape *tape = tnr_tape_here(&runtime->recorder);
  if (!tape)
    return;
  tnr_tape_look(tape, &runtime->recorder.ticker);
  tnr_put_short(tape, TNR_TRACE_ROOM, 0, device_in(mesh), 0);
}

/* ---- workers ---- */

/* What was waited for is no part of its run. */
static void put_held_worker(tnr_tape *tape, uint32_t op, uint16_t device, uint64_t begin) {
  put_held(tape, op, device, TNR_TRACE_WORKER_HELD, since(tape, begin));
  tape->began = tape->now;
}

void tnr_recording_held_worker(tnr_op *op, uint64_t begin) {
  tnr_recorder *recorder = &op->future.runtime->recorder;
  tnr_tape *tape = tnr_tape_here(recorder);
  if (!tape || tape->progress != TNR_TAPE_CREATES)
    return;
  tnr_tape_look_after(tape, &recorder->ticker);
  put_held_worker(tape, tnr_recorded_op(op), (uint16_t)tape->writer.device, begin);
}

void tnr_recording_hold_back(tnr_lane *lane) {
  tnr_recorder *recorder = &((tnr_runtime *)lane->device->machine->runtime)->recorder;
  tnr_tape *tape = &recorder->tapes[1 + lane->device->index];
  int64_t serial = tnr_recorder_serial(recorder);
  if (tape->held_since && tape->held_in == serial)
    return;
  tape->held_in = serial;
  uint64_t now = tnr_ticker_ticks(&recorder->ticker);
  tape->held_since = now ? now : 1;
}

void tnr_recording_let_go(tnr_tape *tape, tnr_lane *lane, tnr_op_item item) {
  uint32_t number = tnr_recorded_op(tnr_op_item_op(item));
  if (tape->held_in == tape->recording)
    put_held_worker(tape, number, (uint16_t)lane->device->index, tape->held_since);
  tape->held_since = 0;
}
