#include "definition.h"
#include "record.h"
#include "timeline.h"

enum { TELL_APART_EVERY = 16 }; /* of a worker's short ops */

static tnr_recorder *recorder_at(const tnr_lane *lane) {
  return &((tnr_runtime *)lane->device->machine->runtime)->recorder;
}

static uint64_t misses_of(const tnr_device *device) {
  /* relaxed: written by this thread */
  return atomic_load_explicit(&device->program_misses, memory_order_relaxed);
}

/* Another number whenever the worker has looked into this queue, or another one, and found more. */
static uint32_t seen_of(const tnr_worker *worker, unsigned level) {
  return worker->queues[level].seen * TNR_LEVELS + level;
}

/* Back to back, what ends is what begins next; what comes from the queue anew was pushed since. */
void tnr_recording_take_up(tnr_lane *lane, tnr_op_item item) {
  tnr_recorder *recorder = recorder_at(lane);
  uint32_t seen = seen_of(&lane->device->worker, tnr_op_item_op(item)->future.level);
  tnr_tape *tape = tnr_worker_tape(recorder, lane->device);
  if (!tape)
    return;
  if (tape->seen != seen || recorder->runtime->worker_waits || recorder->ticker.made) {
    tnr_tape_look_after(tape, &recorder->ticker);
    tape->seen = seen;
  }
  tape->began = tape->now;
  tape->executing = 0;
  tape->plan = NULL;
  tape->progress = TNR_TAPE_CREATES;
  tape->misses = misses_of(lane->device);
  if (tape->held_since)
    tnr_recording_let_go(tape, lane, item);
}

static uint32_t saturate(uint64_t ticks) {
  return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

/* What is known of the op that runs, now that it has ended, or that its program begins. */
typedef struct run {
  uint32_t op;
  unsigned flags;
  uint64_t create, execute; /* ticks */
} run;

static inline run look_at_run(const tnr_tape *tape, const tnr_lane *lane, const tnr_op *op) {
  bool together = tape->progress == TNR_TAPE_EXECUTES && !tape->executing;
  uint64_t created = together ? tape->began : tape->executing ? tape->executing : tape->now;
  return (run){
      .op = tnr_recorded_op(op),
      .flags = (misses_of(lane->device) != tape->misses ? TNR_TRACE_MISS : 0u) |
               (op->def->alias ? TNR_TRACE_ALIAS : 0u) | (together ? TNR_TRACE_TOGETHER : 0u),
      .create = created - tape->began,
      .execute = tape->now - created,
  };
}

static void put_run(tnr_tape *tape, unsigned type, const tnr_lane *lane, const run *run) {
  enum { WORDS = sizeof(tnr_trace_run) / 8 };
  uint16_t device = (uint16_t)lane->device->index;
  uint16_t plan = tnr_define_plan(tape, tape->plan, device, WORDS);
  tnr_trace_run *record = tnr_tape_begin(tape, type, run->flags, WORDS);
  record->op = run->op;
  record->plan = plan;
  record->device = device;
  record->create = saturate(run->create);
  record->execute = saturate(run->execute);
  tnr_tape_end(tape, WORDS);
}

static inline bool put_brief_run(tnr_tape *tape, const tnr_lane *lane, const run *run) {
  enum { WORDS = 2 };
  if (run->create > UINT16_MAX || run->execute > UINT32_MAX)
    return false;
  uint64_t plan = tnr_define_plan(tape, tape->plan, (uint16_t)lane->device->index, WORDS);
  uint64_t *record = tnr_tape_begin_brief(tape, TNR_TRACE_BRIEF_RUN, run->flags, run->op, WORDS);
  if (!record)
    return false;
  record[1] = plan | run->create << 16 | run->execute << 32;
  tnr_tape_end(tape, WORDS);
  return true;
}

/* What may take long is recorded as soon as it begins: it can be seen while it runs, or when it
 * never ends. Of what is quick, a look at the clock would be a large part: create and execute are
 * told apart for one in a few. */
void tnr_recording_execute(tnr_lane *lane, tnr_op_item item, tnr_plan *plan, bool slow) {
  tnr_recorder *recorder = recorder_at(lane);
  tnr_tape *tape = tnr_worker_tape(recorder, lane->device);
  if (!tape || tape->progress != TNR_TAPE_CREATES)
    return;
  slow |= recorder->ticker.made; /* whose differences may be too large for RUN */
  tape->plan = plan;
  tape->progress = slow ? TNR_TAPE_HAS_BEGUN : TNR_TAPE_EXECUTES;
  if (!slow && ++tape->unlooked % TELL_APART_EVERY != 0)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  tape->executing = tape->now;
  const run run = look_at_run(tape, lane, tnr_op_item_op(item));
  if (slow)
    put_run(tape, TNR_TRACE_BEGIN, lane, &run);
}

void tnr_recording_move(tnr_lane *lane, tnr_op_item item, const tnr_tensor *from, bool slow) {
  tnr_tape *tape = tnr_worker_tape(recorder_at(lane), lane->device);
  const tnr_op *op = tnr_op_item_op(item);
  const tnr_tensor *to = (const tnr_tensor *)op->future.result;
  int piece = tnr_op_item_piece(item);
  const tnr_storage *piece_to = to->parts[piece < to->mesh->count ? piece : 0];
  unsigned words = tnr_record_words(sizeof(tnr_trace_move)) + tnr_desc_words(&to->desc);
  if (!tape || tape->progress != TNR_TAPE_CREATES)
    return;
  tnr_tape_make_room(tape, words * sizeof(uint64_t));
  tnr_trace_move *record = tnr_tape_begin(tape, TNR_TRACE_MOVE, 0, words);
  record->op = tnr_recorded_op(op);
  record->from = tnr_recorded_device(tnr_mesh_first(from->mesh));
  record->to = tnr_recorded_device(piece_to->device);
  record->bytes = piece_to->bytes;
  tnr_put_desc((uint64_t *)(record + 1), &to->desc);
  tnr_tape_end(tape, words);
  tnr_recording_execute(lane, item, NULL, slow);
}

static inline void end_run(tnr_tape *tape, const tnr_lane *lane, tnr_op_item item) {
  const tnr_recorder *recorder = recorder_at(lane);
  tnr_tape_look(tape, &recorder->ticker);
  const run run = look_at_run(tape, lane, tnr_op_item_op(item));
  if (tape->progress == TNR_TAPE_HAS_BEGUN)
    tnr_put_short(tape, TNR_TRACE_END, run.op, (unsigned)lane->device->index,
                  (unsigned)tnr_op_item_piece(item));
  else if (!put_brief_run(tape, lane, &run))
    put_run(tape, TNR_TRACE_RUN, lane, &run);
  tape->progress = TNR_TAPE_IDLE;
}

void tnr_recording_ran(tnr_lane *lane, tnr_op_item item) {
  tnr_tape *tape = tnr_worker_tape(recorder_at(lane), lane->device);
  if (tape && tape->progress != TNR_TAPE_IDLE && !lane->device->worker.asleep_until)
    end_run(tape, lane, item);
}

void tnr_recording_start(tnr_lane *lane, tnr_op_item item) {
  tnr_timeline_note(tnr_op_item_op(item), TNR_TIMELINE_START, lane->device);
}

void tnr_recording_end(tnr_lane *lane, tnr_op_item item) {
  tnr_recorder *recorder = recorder_at(lane);
  tnr_timeline_note(tnr_op_item_op(item), TNR_TIMELINE_END, lane->device);
  if (!tnr_is_recording(recorder->runtime))
    return;
  tnr_tape *tape = &recorder->tapes[1 + lane->device->index];
  if (tape->recording == tnr_recorder_serial(recorder) && tape->progress != TNR_TAPE_IDLE)
    end_run(tape, lane, item);
}

void tnr_recording_signal(tnr_runtime *runtime) {
  tnr_tape *tape = tnr_tape_here(&runtime->recorder);
  if (tape && tnr_this_thread.group == runtime && tnr_this_thread.index > 0)
    tnr_put_short(tape, TNR_TRACE_SIGNAL, 0, (unsigned)tnr_this_thread.index - 1, 0);
}
