#include "record.h"

#include "call.h"
#include "definition.h"
#include "error.h"
#include "join.h"
#include "terms.h"
#include "timeline.h"

/* ---- submit ---- */

enum { NUMBERS_AT_ONCE = 256 }; /* that a thread takes from the recorder */

static tnr_recorder *recorder_of(const tnr_op *op) {
  return &op->future.runtime->recorder;
}

/* Numbers go round, past 0. */
static uint32_t next_number(tnr_tape *tape, tnr_recorder *recorder) {
  if (tape->next_id == tape->last_id) {
    /* relaxed: only to be different */
    tape->next_id =
        atomic_fetch_add_explicit(&recorder->ids, NUMBERS_AT_ONCE, memory_order_relaxed);
    tape->last_id = tape->next_id + NUMBERS_AT_ONCE;
  }
  return ++tape->next_id ? tape->next_id : next_number(tape, recorder);
}

/* Where there is a timeline, in which ops have numbers too, it is the same. */
uint32_t tnr_recording_number(tnr_op *op, tnr_tape *tape) {
  tnr_recorder *recorder = recorder_of(op);
  if (op->future.numbered)
    return tnr_op_number(op);
  bool timeline = tnr_recorder_hears(recorder->runtime) & TNR_RECORDS_TIMELINE;
  op->in[0].waiter.number =
      timeline ? tnr_timeline_next(recorder->runtime) : next_number(tape, recorder);
  op->future.numbered = true;
  return tnr_op_number(op);
}

uint64_t tnr_recording_plain(tnr_op *op) {
  tnr_recorder *recorder = recorder_of(op);
  tnr_tape *tape = tnr_tape_here(recorder);
  if (!tape)
    return 0;
  (void)tnr_recording_number(op, tape);
  return tnr_recording_now(op->future.runtime);
}

/* Of who makes what an input is, or is of. */
static inline uint32_t number_of(tnr_object *handle) {
  if (handle->class == &tnr_op_class)
    return tnr_recorded_op(tnr_op_of((tnr_future *)handle));
  if (handle->class == &tnr_tensor_class || handle->class == &tnr_tuple_class)
    return *tnr_object_number(handle);
  return tnr_future_number(tnr_future_source((tnr_future *)handle));
}

/* What SUBMIT says, but for the inputs. */
typedef struct submission {
  uint32_t number, inputs;
  unsigned flags;
  tnr_level level;
  const tnr_group *group; /* NULL: none */
  tnr_tape_site site;
} submission;

enum {
  SUBMIT_WORDS = sizeof(tnr_trace_submit) / 8,
  INPUTS_WORDS = sizeof(tnr_trace_inputs) / 8,
  INPUTS_MAX = 2 * (TNR_TRACE_WORDS_MAX - SUBMIT_WORDS)
};

/* A record with room for as many inputs as it takes; NULL: no tape. *end is for tnr_tape_end. */
static uint32_t *begin_submit(tnr_tape *tape, const submission *what, unsigned *end) {
  const tnr_frame *frame = tnr_thread_here()->frame;
  uint32_t inputs = what->inputs < INPUTS_MAX ? what->inputs : INPUTS_MAX;
  *end = SUBMIT_WORDS + (inputs + 1) / 2;
  enum { SITE_WORDS_MAX = TNR_TRACE_WORDS_MAX };
  uint16_t group = what->group ? tnr_define_group(tape, what->group, SITE_WORDS_MAX + *end) : 0;
  uint16_t site = tnr_define_site(tape, &what->site, *end);
  tnr_trace_submit *record = tnr_tape_begin(tape, TNR_TRACE_SUBMIT, what->flags, *end);
  record->op = what->number;
  record->parent = frame ? frame->number : 0;
  record->site = site;
  record->inputs = (uint16_t)inputs;
  record->group = group;
  record->priority = (uint8_t)(what->level + TNR_PRIORITY_HIGH);
  record->unused = 0;
  uint32_t *numbers = (uint32_t *)(record + 1);
  if (inputs % 2)
    numbers[inputs] = 0;
  return numbers;
}

/* What did not fit: `first` are recorded already. */
static uint32_t *begin_inputs(tnr_tape *tape, const submission *what, uint32_t first,
                              uint32_t *count, unsigned *end) {
  *count = what->inputs - first < INPUTS_MAX ? what->inputs - first : INPUTS_MAX;
  *end = INPUTS_WORDS + (*count + 1) / 2;
  tnr_tape_make_room(tape, *end * sizeof(uint64_t));
  tnr_trace_inputs *record = tnr_tape_begin(tape, TNR_TRACE_INPUTS, 0, *end);
  record->op = what->number;
  record->inputs = *count;
  uint32_t *numbers = (uint32_t *)(record + 1);
  if (*count % 2)
    numbers[*count] = 0;
  return numbers;
}

/* The number of input `index` of whatever `of` is. */
typedef uint32_t input_fn(const void *of, uint32_t index);

static inline __attribute__((always_inline)) void put_submit(tnr_tape *tape, const submission *what,
                                                             input_fn *input, const void *of) {
  unsigned end;
  uint32_t done = 0, count = what->inputs < INPUTS_MAX ? what->inputs : INPUTS_MAX;
  uint32_t *numbers = begin_submit(tape, what, &end);
  for (;;) {
    for (uint32_t i = 0; i < count; i++)
      numbers[i] = input(of, done + i);
    tnr_tape_end(tape, end);
    done += count;
    if (done == what->inputs)
      return;
    numbers = begin_inputs(tape, what, done, &count, &end);
  }
}

static uint32_t op_input(const void *of, uint32_t index) {
  return number_of(((const tnr_op *)of)->in[index].handle);
}

static tnr_tape_site site_of(const tnr_op *op) {
  return (tnr_tape_site){
      .name = op->def->name, .composite = tnr_op_composite(op), .file = op->file, .line = op->line};
}

static __attribute__((noinline)) uint16_t define_other_site_of(tnr_tape *tape, const tnr_op *op,
                                                               unsigned words) {
  const tnr_tape_site site = site_of(op);
  return tnr_define_site(tape, &site, words);
}

/* Calls often come from where the one before came from. */
static inline uint16_t define_site_of(tnr_tape *tape, const tnr_op *op, unsigned words) {
  const tnr_tape_site *last = tape->last_site;
  bool same = last && last->sequence == tape->sequence && last->file == op->file &&
              last->line == op->line && last->name == op->def->name &&
              last->composite == tnr_op_composite(op);
  bool room = (size_t)(tape->end - tape->at) >= words * sizeof(uint64_t) &&
              tape->now - tape->base <= TNR_TRACE_TIME_MAX;
  return __builtin_expect(same && room, 1) ? last->index : define_other_site_of(tape, op, words);
}

/* In a chunk that has room for it; of most ops this is all. */
static inline bool put_brief_submit(tnr_tape *tape, const tnr_op *op, uint32_t number,
                                    unsigned flags) {
  enum { WORDS = 3, INPUTS = 2 };
  if (op->in_count > INPUTS || op->future.has_terms || op->future.level != TNR_LEVEL_NORMAL)
    return false;
  const tnr_frame *frame = tnr_thread_here()->frame;
  uint64_t site = define_site_of(tape, op, WORDS), parent = frame ? frame->number : 0;
  uint64_t *record = tnr_tape_begin_brief(tape, TNR_TRACE_BRIEF_SUBMIT, flags, number, WORDS);
  if (!record)
    return false;
  uint64_t inputs = number_of(op->in[0].handle);
  if (op->in_count > 1)
    inputs |= (uint64_t)number_of(op->in[1].handle) << 32;
  record[1] = parent | site << 32 | (uint64_t)op->in_count << 48;
  record[2] = inputs;
  tnr_tape_end(tape, WORDS);
  return true;
}

void tnr_recording_submit(tnr_op *op) {
  tnr_recorder *recorder = recorder_of(op);
  tnr_timeline_note(op, TNR_TIMELINE_SUBMIT, NULL);
  if (!tnr_is_recording(recorder->runtime))
    return;
  tnr_tape *tape = tnr_tape_here(recorder);
  if (!tape)
    return;
  uint32_t number = tnr_recording_number(op, tape);
  tnr_tape_look(tape, &recorder->ticker);
  bool plain = tnr_future_get_state(&op->future) >= TNR_FUTURE_CREATED;
  unsigned flags = TNR_TRACE_OP | (plain ? TNR_TRACE_PLAIN : 0u);
  if (put_brief_submit(tape, op, number, flags))
    return;
  const submission what = {
      .number = number,
      .inputs = op->in_count,
      .flags = flags,
      .level = (tnr_level)op->future.level,
      .group = op->future.has_terms ? tnr_op_terms(op)->group : NULL,
      .site = site_of(op),
  };
  put_submit(tape, &what, op_input, op);
}

void tnr_recording_refused(tnr_op *op, tnr_status status) {
  tnr_recorder *recorder = recorder_of(op);
  tnr_future_set_error(&op->future, (tnr_error *)tnr_error());
  tnr_timeline_note(op, TNR_TIMELINE_COMPLETE, NULL);
  tnr_tape *tape = tnr_is_recording(recorder->runtime) ? tnr_tape_here(recorder) : NULL;
  if (!tape || !op->future.numbered)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  tnr_put_short(tape, TNR_TRACE_COMPLETE, tnr_op_number(op), status, 0);
}

void tnr_recording_create(tnr_op *op, uint64_t since) {
  tnr_put_span(recorder_of(op), TNR_TRACE_CREATE, tnr_future_number(&op->future), 0, since);
}

/* ---- resolve, launch, complete: dispatcher ---- */

enum {
  BRIEF_MAX = UINT8_MAX,
  LOOK_EVERY = 12 /* of the dispatcher's records: it looks at the clock */
};

/* The dispatcher's: what it does for one op takes less time than looking at the clock. */
static inline void look_now_and_then(tnr_tape *tape, const tnr_ticker *ticker) {
  if (++tape->unlooked < LOOK_EVERY && !ticker->made)
    return;
  tape->unlooked = 0;
  tnr_tape_look(tape, ticker);
}

static inline bool put_brief(tnr_tape *tape, unsigned type, unsigned what, const tnr_op *op) {
  if (!tnr_tape_begin_brief(tape, type, what, tnr_op_number(op), 1))
    return false;
  tnr_tape_end(tape, 1);
  return true;
}

static bool is_on_one(const tnr_op *op) {
  const tnr_mesh *exec = op->future.flight->exec;
  return exec && exec->count == 1 && tnr_mesh_first(exec)->index <= BRIEF_MAX;
}

static void put_resolve(tnr_tape *tape, const tnr_op *op, uint32_t missing) {
  enum { WORDS = sizeof(tnr_trace_resolve) / 8 };
  if (missing <= BRIEF_MAX && put_brief(tape, TNR_TRACE_BRIEF_RESOLVE, missing, op))
    return;
  tnr_tape_make_room(tape, sizeof(tnr_trace_resolve));
  tnr_trace_resolve *record = tnr_tape_begin(tape, TNR_TRACE_RESOLVE, 0, WORDS);
  record->op = tnr_op_number(op);
  record->missing = missing;
  tnr_tape_end(tape, WORDS);
}

/* What has all that it needs is launched in the same turn. */
void tnr_recording_resolve(tnr_op *op) {
  tnr_recorder *recorder = recorder_of(op);
  tnr_tape *tape = tnr_dispatcher_tape(recorder);
  uint32_t missing = op->future.flight->missing - 1;
  if (!tape || !op->future.numbered)
    return;
  op->future.untold = missing == 0 && is_on_one(op) && !recorder->ticker.made;
  if (op->future.untold)
    return;
  look_now_and_then(tape, &recorder->ticker);
  put_resolve(tape, op, missing);
}

/* It goes another way than that of most. */
static void tell_resolved(tnr_tape *tape, tnr_op *op) {
  if (op->future.untold)
    put_resolve(tape, op, 0);
  op->future.untold = false;
}

void tnr_recording_launch(tnr_op *op) {
  enum { WORDS = sizeof(tnr_trace_launch) / 8 };
  tnr_recorder *recorder = recorder_of(op);
  const tnr_mesh *exec = op->future.flight->exec;
  tnr_timeline_note(op, TNR_TIMELINE_LAUNCH, NULL);
  tnr_tape *tape = tnr_is_recording(recorder->runtime) ? tnr_dispatcher_tape(recorder) : NULL;
  if (!tape || !op->future.numbered)
    return;
  look_now_and_then(tape, &recorder->ticker);
  unsigned type = op->future.untold ? TNR_TRACE_BRIEF_READY : TNR_TRACE_BRIEF_LAUNCH;
  if ((op->future.untold || is_on_one(op)) &&
      put_brief(tape, type, (unsigned)tnr_mesh_first(exec)->index, op)) {
    op->future.untold = false;
    return;
  }
  tell_resolved(tape, op);
  for (int i = 0; i < exec->count; i++) {
    tnr_tape_make_room(tape, sizeof(tnr_trace_launch));
    tnr_trace_launch *record = tnr_tape_begin(tape, TNR_TRACE_LAUNCH, 0, WORDS);
    record->op = tnr_op_number(op);
    record->device = (uint16_t)exec->devices[i]->index;
    record->part = (uint16_t)i;
    tnr_tape_end(tape, WORDS);
  }
}

static tnr_status status_of(tnr_future *future) {
  return tnr_error_code(tnr_future_get_error(future));
}

void tnr_recording_complete(tnr_op *op) {
  tnr_recorder *recorder = recorder_of(op);
  tnr_timeline_note(op, TNR_TIMELINE_COMPLETE, NULL);
  tnr_tape *tape = tnr_is_recording(recorder->runtime) ? tnr_dispatcher_tape(recorder) : NULL;
  if (!tape || !op->future.numbered)
    return;
  look_now_and_then(tape, &recorder->ticker);
  tell_resolved(tape, op);
  /* relaxed: who completes it has seen what made it fail */
  const tnr_error *error = atomic_load_explicit(&op->future.error, memory_order_relaxed);
  tnr_status status = error ? tnr_error_code(error) : TNR_OK;
  if (!put_brief(tape, TNR_TRACE_BRIEF_COMPLETE, status, op))
    tnr_put_short(tape, TNR_TRACE_COMPLETE, tnr_op_number(op), status, 0);
}

/* ---- failures ---- */

static void put_error(tnr_op *op, const tnr_fault *fault) {
  tnr_recorder *recorder = recorder_of(op);
  tnr_tape *tape = tnr_tape_here(recorder);
  size_t bytes = tnr_cut_text(fault->message, TNR_TEXT_MAX);
  unsigned words = tnr_record_words(sizeof(tnr_trace_error) + bytes);
  if (!tape)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  tnr_tape_make_room(tape, words * sizeof(uint64_t));
  tnr_trace_error *record = tnr_put_texts(tape, TNR_TRACE_ERROR, words);
  record->op = tnr_future_number(&op->future);
  record->status = (uint16_t)fault->code;
  record->bytes = (uint16_t)bytes;
  tnr_append_text((char *)(record + 1), fault->message, bytes);
  tnr_tape_end(tape, words);
}

/* Whoever writes a file because of it finds it there. */
void tnr_recording_failed(tnr_op *op, const tnr_fault *fault) {
  put_error(op, fault);
  if (fault->code != TNR_ECANCELED)
    tnr_scribe_failed(recorder_of(op));
}

/* ---- composites and futures ---- */

static uint32_t value_input(const void *of, uint32_t index) {
  return number_of(((const tnr_value *)of)[index].handle);
}

uint32_t tnr_recording_composite(tnr_runtime *runtime, const char *name, tnr_site site,
                                 const tnr_value *in, int in_count) {
  tnr_tape *tape = tnr_tape_here(&runtime->recorder);
  const tnr_frame *frame = tnr_thread_here()->frame;
  if (!tape)
    return 0;
  tnr_tape_look(tape, &runtime->recorder.ticker);
  const submission what = {
      .number = next_number(tape, &runtime->recorder),
      .inputs = (uint32_t)in_count,
      .flags = TNR_TRACE_COMPOSITE,
      .level = tnr_terms_level(runtime),
      .site = {.name = name,
               .composite = frame ? frame->name : NULL,
               .file = frame ? frame->site.file : site.file,
               .line = frame ? frame->site.line : site.line},
  };
  put_submit(tape, &what, value_input, in);
  return what.number;
}

void tnr_recording_body(tnr_runtime *runtime, uint32_t number, uint64_t since) {
  tnr_put_span(&runtime->recorder, TNR_TRACE_BODY, number, 0, since);
}

static uint32_t member_input(const void *of, uint32_t index) {
  return number_of(tnr_all_member(of, (int)index));
}

void tnr_recording_join(tnr_future *join, const char *name, tnr_site site) {
  tnr_recorder *recorder = &join->runtime->recorder;
  tnr_tape *tape = tnr_tape_here(recorder);
  const tnr_frame *frame = tnr_thread_here()->frame;
  if (!tape)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  tnr_future_set_number(join, next_number(tape, recorder));
  const submission what = {
      .number = tnr_future_number(join),
      .inputs = (uint32_t)tnr_all_count(join),
      .flags = join->object.class == &tnr_all_class ? TNR_TRACE_ALL : TNR_TRACE_ANY,
      .level = TNR_LEVEL_NORMAL,
      .site = {.name = name,
               .composite = frame ? frame->name : NULL,
               .file = frame ? frame->site.file : site.file,
               .line = frame ? frame->site.line : site.line},
  };
  put_submit(tape, &what, member_input, join);
}

void tnr_recording_settled(tnr_future *future) {
  tnr_tape *tape = tnr_tape_here(&future->runtime->recorder);
  if (!tape || !future->numbered)
    return;
  tnr_tape_look(tape, &future->runtime->recorder.ticker);
  tnr_put_short(tape, TNR_TRACE_COMPLETE, tnr_future_number(future), status_of(future), 0);
}

void tnr_recording_callback(tnr_future *future, uint64_t since) {
  tnr_put_span(&future->runtime->recorder, TNR_TRACE_CALLBACK, number_of(&future->object), 0,
               since);
}
