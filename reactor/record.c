#include "record.h"

#include <string.h>
#include <time.h>

#include "call.h"
#include "error.h"
#include "group.h"
#include "join.h"
#include "movement.h"
#include "terms.h"
#include "thread.h"
#include "timeline.h"

enum {
  LOOK_EVERY = 8,        /* of the dispatcher's records: it looks at the clock */
  TELL_APART_EVERY = 16, /* of a worker's short ops */
  SAMPLE_NS = 10000000,  /* between looks at the counters */
  NUMBERS_AT_ONCE = 256, /* that a thread takes from the recorder */
  TEXT_MAX = 240,        /* bytes of a name, of attributes or of an error */
  FILE_MAX = 900,        /* bytes of a file's path: its end */
  OPERANDS_MAX = 12,     /* inputs and outputs described in a plan, each */
  NO_PLAN = 0xffff
};

/* ---- tapes ---- */

/* The tape that this thread has had last, but for the dispatcher and workers, and who plays them:
 * theirs go with their place. */
typedef struct own_tape {
  tnr_tape *tape;         /* NULL: none was free */
  const tnr_recorder *of; /* only to be compared: it may be gone */
  int64_t serial;         /* of the recording */
  uint32_t refused;       /* times that it was not looked for again since */
} own_tape;

/* initial-exec: read for every record, also in the shared library */
static _Thread_local own_tape own __attribute__((tls_model("initial-exec")));

/* For a thread of the application. One that found none looks again now and then: others end. */
static tnr_tape *claim_tape(tnr_recorder *recorder, int64_t serial) {
  enum { LOOK_AGAIN_EVERY = 256 };
  bool refused = own.of == recorder && own.serial == serial;
  if (!refused || ++own.refused % LOOK_AGAIN_EVERY == 0)
    own = (own_tape){.tape = tnr_recorder_claim(recorder), .of = recorder, .serial = serial};
  if (!own.tape)
    atomic_fetch_add_explicit(&recorder->strangers, 1, memory_order_relaxed);
  return own.tape;
}

static inline tnr_tape *tape_here(tnr_recorder *recorder) {
  int64_t serial = tnr_recorder_serial(recorder);
  if (tnr_this_thread.group == recorder->runtime) {
    tnr_tape *tape = &recorder->tapes[tnr_this_thread.index];
    return __builtin_expect(tape->recording == serial, 1) ? tape : tnr_recorder_claim(recorder);
  }
  if (__builtin_expect(own.of == recorder && own.serial == serial && own.tape != NULL, 1))
    return own.tape;
  return claim_tape(recorder, serial);
}

static tnr_recorder *recorder_of(const tnr_op *op) {
  return &op->future.runtime->recorder;
}

/* The dispatcher's: what it does for one op takes less time than looking at the clock. */
static void look_now_and_then(tnr_tape *tape, const tnr_ticker *ticker) {
  if (tape->unlooked++ % LOOK_EVERY == 0 || ticker->made)
    tnr_tape_look(tape, ticker);
}

static unsigned words_of(size_t bytes) {
  return (unsigned)((bytes + 7) / 8);
}

static size_t cut(const char *text, size_t max) {
  return text ? strnlen(text, max) : 0;
}

/* Copies a text behind a record, filled up with 0 by who begins it. */
static char *append(char *to, const char *text, size_t bytes) {
  if (bytes > 0)
    memcpy(to, text, bytes);
  return to + bytes;
}

static uint16_t device_number(const tnr_device *device) {
  return tnr_device_is_host(device) ? TNR_TRACE_NO_DEVICE : (uint16_t)device->index;
}

static void *begin_texts(tnr_tape *tape, unsigned type, unsigned words) {
  uint64_t *record = tnr_tape_begin(tape, type, 0, words);
  memset(record + 1, 0, (words - 1) * sizeof *record);
  return record;
}

/* ---- call sites ---- */

typedef struct site_texts {
  const char *name, *composite, *file;
  size_t name_bytes, composite_bytes, file_bytes;
  int32_t line;
  unsigned words;
} site_texts;

static site_texts texts_of(const tnr_tape_site *site) {
  const char *file = site->file;
  size_t length = file ? strlen(file) : 0;
  site_texts texts = {
      .name = site->name,
      .composite = site->composite,
      .file = length > FILE_MAX ? file + length - FILE_MAX : file,
      .name_bytes = cut(site->name, TEXT_MAX),
      .composite_bytes = cut(site->composite, TEXT_MAX),
      .file_bytes = length > FILE_MAX ? FILE_MAX : length,
      .line = site->line,
  };
  texts.words = words_of(sizeof(tnr_trace_site) + texts.name_bytes + texts.composite_bytes +
                         texts.file_bytes);
  return texts;
}

static void define_site(tnr_tape *tape, const site_texts *texts, uint16_t index) {
  tnr_trace_site *record = begin_texts(tape, TNR_TRACE_SITE, texts->words);
  record->index = index;
  record->name_bytes = (uint16_t)texts->name_bytes;
  record->composite_bytes = (uint16_t)texts->composite_bytes;
  record->file_bytes = (uint16_t)texts->file_bytes;
  record->line = (uint32_t)texts->line;
  char *at = append((char *)(record + 1), texts->name, texts->name_bytes);
  at = append(at, texts->composite, texts->composite_bytes);
  append(at, texts->file, texts->file_bytes);
  tnr_tape_end(tape, texts->words);
}

static bool is_site(const tnr_tape_site *slot, const tnr_tape_site *site) {
  return slot->file == site->file && slot->line == site->line && slot->name == site->name &&
         slot->composite == site->composite;
}

/* By what the texts say, not by where they are, which differs from run to run. */
static unsigned hash_site(const tnr_tape_site *site) {
  const char *name = site->name, *composite = site->composite;
  unsigned hash = (unsigned)site->line * 31 + (unsigned char)name[0];
  if (name[0])
    hash = hash * 31 + (unsigned char)name[1];
  return composite ? hash * 31 + (unsigned char)composite[0] : hash;
}

/* The index of a site in the current chunk, which has room for `words` more afterwards. */
static uint16_t site_index(tnr_tape *tape, const tnr_tape_site *site, unsigned words) {
  tnr_tape_site *slot = &tape->sites[hash_site(site) % TNR_TAPE_SITES];
  tnr_tape_make_room(tape, words * sizeof(uint64_t));
  if (slot->sequence == tape->sequence && is_site(slot, site))
    return slot->index;
  site_texts texts = texts_of(site);
  tnr_tape_make_room(tape, (texts.words + words) * sizeof(uint64_t));
  *slot = *site;
  slot->index = tape->next_site++;
  slot->sequence = tape->sequence;
  define_site(tape, &texts, slot->index);
  return slot->index;
}

/* ---- groups ---- */

static void define_group(tnr_tape *tape, const tnr_tape_group *group) {
  size_t bytes = strlen(group->title);
  unsigned words = words_of(sizeof(tnr_trace_group) + bytes);
  tnr_trace_group *record = begin_texts(tape, TNR_TRACE_GROUP, words);
  record->index = group->index;
  record->name_bytes = (uint16_t)bytes;
  append((char *)(record + 1), group->title, bytes);
  tnr_tape_end(tape, words);
}

/* 1 + the index of a group in the current chunk, which has room for `words` more afterwards. */
static uint16_t group_index(tnr_tape *tape, const tnr_group *group, unsigned words) {
  enum { WORDS_MAX = (sizeof(tnr_trace_group) + TNR_GROUP_TITLE_MAX) / 8 };
  tnr_tape_make_room(tape, (WORDS_MAX + words) * sizeof(uint64_t));
  for (int i = 0; i < TNR_TAPE_GROUPS; i++)
    if (tape->groups[i].sequence == tape->sequence &&
        strcmp(tape->groups[i].title, group->title) == 0)
      return tape->groups[i].index + 1;
  tnr_tape_group *slot = &tape->groups[tape->next_group % TNR_TAPE_GROUPS];
  _Static_assert(sizeof slot->title == sizeof group->title, "a title is copied as a whole");
  memcpy(slot->title, group->title, sizeof slot->title);
  slot->index = tape->next_group++;
  slot->sequence = tape->sequence;
  define_group(tape, slot);
  return slot->index + 1;
}

/* ---- plans ---- */

static unsigned desc_words(const tnr_desc *desc) {
  return 1 + (unsigned)desc->shape.rank;
}

static uint64_t *put_desc(uint64_t *to, const tnr_desc *desc) {
  *to++ = (uint64_t)desc->dtype | (uint64_t)desc->shape.rank << 8;
  for (int i = 0; i < desc->shape.rank; i++)
    *to++ = (uint64_t)desc->shape.dims[i];
  return to;
}

static int at_most(int count, int max) {
  return count < max ? count : max;
}

static unsigned plan_words(const tnr_plan *plan, int in, int out, size_t text_bytes) {
  unsigned words = words_of(sizeof(tnr_trace_plan)) + words_of(text_bytes);
  for (int i = 0; i < in; i++)
    words += desc_words(&plan->in_piece[i]);
  for (int i = 0; i < out; i++)
    words += desc_words(&plan->out_piece[i]);
  return words;
}

static uint64_t bytes_allocated(const tnr_plan *plan) {
  uint64_t sum = 0;
  for (int i = 0; i < plan->out_count && !plan->def->alias; i++)
    sum += plan->out_bytes[i];
  return sum;
}

/* In a chunk that has room for it and `words` more. */
static uint16_t define_plan(tnr_tape *tape, const tnr_plan *plan, uint16_t device, unsigned words) {
  char attrs[TEXT_MAX] = "";
  if (plan->def->describe)
    plan->def->describe(plan->attrs, attrs, sizeof attrs);
  size_t name_bytes = cut(plan->def->name, TEXT_MAX), attrs_bytes = cut(attrs, sizeof attrs);
  int in = at_most(plan->in_count, OPERANDS_MAX), out = at_most(plan->out_count, OPERANDS_MAX);
  unsigned own = plan_words(plan, in, out, name_bytes + attrs_bytes);
  tnr_tape_make_room(tape, (own + words) * sizeof(uint64_t));
  tnr_trace_plan *record = begin_texts(tape, TNR_TRACE_PLAN, own);
  record->index = tape->next_plan++;
  record->device = device;
  record->in_count = (uint16_t)in;
  record->out_count = (uint16_t)out;
  record->bytes = bytes_allocated(plan);
  record->flops = plan->spec.flops;
  record->name_bytes = (uint16_t)name_bytes;
  record->attrs_bytes = (uint16_t)attrs_bytes;
  record->all_in = (uint16_t)at_most(plan->in_count, UINT16_MAX);
  record->all_out = (uint16_t)at_most(plan->out_count, UINT16_MAX);
  uint64_t *at = (uint64_t *)(record + 1);
  for (int i = 0; i < in; i++)
    at = put_desc(at, &plan->in_piece[i]);
  for (int i = 0; i < out; i++)
    at = put_desc(at, &plan->out_piece[i]);
  append(append((char *)at, plan->def->name, name_bytes), attrs, attrs_bytes);
  uint16_t index = record->index;
  tnr_tape_end(tape, own);
  return index;
}

/* The index of a plan in the current chunk, which has room for `words` more afterwards. */
static uint16_t plan_index(tnr_tape *tape, tnr_plan *plan, uint16_t device, unsigned words) {
  tnr_tape_make_room(tape, words * sizeof(uint64_t));
  if (!plan)
    return NO_PLAN;
  if (plan->recorded_on == tape && plan->recorded_in == tape->sequence)
    return plan->recorded_as;
  plan->recorded_as = define_plan(tape, plan, device, words);
  plan->recorded_on = tape;
  plan->recorded_in = tape->sequence;
  return plan->recorded_as;
}

/* ---- records of some length ---- */

/* `op` 0: submitted before the recording began; nothing is said of it. */
static void put_short(tnr_tape *tape, unsigned type, uint32_t op, unsigned what, unsigned part) {
  enum { WORDS = sizeof(tnr_trace_short) / 8 };
  tnr_tape_make_room(tape, sizeof(tnr_trace_short));
  tnr_trace_short *record = tnr_tape_begin(tape, type, 0, WORDS);
  record->op = op;
  record->what = (uint16_t)what;
  record->part = (uint16_t)part;
  tnr_tape_end(tape, WORDS);
}

/* Ends now; `since`: ticks. */
static void put_span(tnr_recorder *recorder, unsigned type, uint32_t op, unsigned what,
                     uint64_t since) {
  enum { WORDS = sizeof(tnr_trace_span) / 8 };
  tnr_tape *tape = tape_here(recorder);
  if (!tape)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  tnr_tape_make_room(tape, sizeof(tnr_trace_span));
  tnr_trace_span *record = tnr_tape_begin(tape, type, 0, WORDS);
  record->op = op;
  record->what = what;
  record->ticks = tape->now > since ? tape->now - since : 0;
  tnr_tape_end(tape, WORDS);
}

/* ---- submit ---- */

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

uint64_t tnr_recording_plain(tnr_op *op) {
  tnr_recorder *recorder = recorder_of(op);
  tnr_tape *tape = tape_here(recorder);
  if (!tape)
    return 0;
  tnr_future_set_number(&op->future, next_number(tape, recorder));
  return tnr_recording_now(op->future.runtime);
}

/* Of who makes what an input is, or is of. */
static uint32_t number_of(tnr_object *handle) {
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
  uint16_t group = what->group ? group_index(tape, what->group, SITE_WORDS_MAX + *end) : 0;
  uint16_t site = site_index(tape, &what->site, *end);
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

/* In a chunk that has room for it. */
static bool put_brief_submit(tnr_tape *tape, const tnr_op *op, unsigned flags,
                             const tnr_tape_site *at) {
  enum { WORDS = 3, INPUTS = 2 };
  if (op->in_count > INPUTS || op->future.has_terms || op->future.level != TNR_LEVEL_NORMAL)
    return false;
  const tnr_frame *frame = tnr_thread_here()->frame;
  uint64_t site = site_index(tape, at, WORDS), parent = frame ? frame->number : 0, inputs = 0;
  uint64_t *record =
      tnr_tape_begin_brief(tape, TNR_TRACE_BRIEF_SUBMIT, flags, tnr_op_number(op), WORDS);
  if (!record)
    return false;
  for (uint32_t i = 0; i < op->in_count; i++)
    inputs |= (uint64_t)number_of(op->in[i].handle) << 32 * i;
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
  tnr_tape *tape = tape_here(recorder);
  if (!tape)
    return;
  if (!op->future.numbered)
    tnr_future_set_number(&op->future, next_number(tape, recorder));
  tnr_tape_look(tape, &recorder->ticker);
  bool plain = tnr_future_get_state(&op->future) >= TNR_FUTURE_CREATED;
  const submission what = {
      .number = tnr_op_number(op),
      .inputs = op->in_count,
      .flags = TNR_TRACE_OP | (plain ? TNR_TRACE_PLAIN : 0u),
      .level = (tnr_level)op->future.level,
      .group = op->future.has_terms ? tnr_op_terms(op)->group : NULL,
      .site = {.name = op->def->name,
               .composite = op->composite,
               .file = op->file,
               .line = op->line},
  };
  if (!put_brief_submit(tape, op, what.flags, &what.site))
    put_submit(tape, &what, op_input, op);
}

void tnr_recording_refused(tnr_op *op, tnr_status status) {
  tnr_recorder *recorder = recorder_of(op);
  tnr_future_set_error(&op->future, (tnr_error *)tnr_error());
  tnr_timeline_note(op, TNR_TIMELINE_COMPLETE, NULL);
  tnr_tape *tape = tnr_is_recording(recorder->runtime) ? tape_here(recorder) : NULL;
  if (!tape || !op->future.numbered)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  put_short(tape, TNR_TRACE_COMPLETE, tnr_op_number(op), status, 0);
}

void tnr_recording_create(tnr_op *op, uint64_t since) {
  put_span(recorder_of(op), TNR_TRACE_CREATE, tnr_future_number(&op->future), 0, since);
}

/* ---- resolve, launch, complete: dispatcher ---- */

enum { BRIEF_MAX = UINT8_MAX };

static inline bool put_brief(tnr_tape *tape, unsigned type, unsigned what, const tnr_op *op) {
  if (!tnr_tape_begin_brief(tape, type, what, tnr_op_number(op), 1))
    return false;
  tnr_tape_end(tape, 1);
  return true;
}

void tnr_recording_resolve(tnr_op *op) {
  enum { WORDS = sizeof(tnr_trace_resolve) / 8 };
  tnr_recorder *recorder = recorder_of(op);
  tnr_tape *tape = tape_here(recorder);
  if (!tape || !op->future.numbered)
    return;
  look_now_and_then(tape, &recorder->ticker);
  uint32_t missing = op->missing - 1;
  if (missing <= BRIEF_MAX && put_brief(tape, TNR_TRACE_BRIEF_RESOLVE, missing, op))
    return;
  tnr_tape_make_room(tape, sizeof(tnr_trace_resolve));
  tnr_trace_resolve *record = tnr_tape_begin(tape, TNR_TRACE_RESOLVE, 0, WORDS);
  record->op = tnr_op_number(op);
  record->missing = missing;
  tnr_tape_end(tape, WORDS);
}

void tnr_recording_launch(tnr_op *op) {
  enum { WORDS = sizeof(tnr_trace_launch) / 8 };
  tnr_recorder *recorder = recorder_of(op);
  tnr_timeline_note(op, TNR_TIMELINE_LAUNCH, NULL);
  tnr_tape *tape = tnr_is_recording(recorder->runtime) ? tape_here(recorder) : NULL;
  if (!tape || !op->future.numbered)
    return;
  look_now_and_then(tape, &recorder->ticker);
  unsigned first = (unsigned)tnr_mesh_first(op->exec)->index;
  if (op->exec->count == 1 && first <= BRIEF_MAX &&
      put_brief(tape, TNR_TRACE_BRIEF_LAUNCH, first, op))
    return;
  for (int i = 0; i < op->exec->count; i++) {
    tnr_tape_make_room(tape, sizeof(tnr_trace_launch));
    tnr_trace_launch *record = tnr_tape_begin(tape, TNR_TRACE_LAUNCH, 0, WORDS);
    record->op = tnr_op_number(op);
    record->device = (uint16_t)op->exec->devices[i]->index;
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
  tnr_tape *tape = tnr_is_recording(recorder->runtime) ? tape_here(recorder) : NULL;
  if (!tape || !op->future.numbered)
    return;
  look_now_and_then(tape, &recorder->ticker);
  /* relaxed: who completes it has seen what made it fail */
  const tnr_error *error = atomic_load_explicit(&op->future.error, memory_order_relaxed);
  tnr_status status = error ? tnr_error_code(error) : TNR_OK;
  if (!put_brief(tape, TNR_TRACE_BRIEF_COMPLETE, status, op))
    put_short(tape, TNR_TRACE_COMPLETE, tnr_op_number(op), status, 0);
}

/* ---- create, execute, signal: worker ---- */

static tnr_recorder *recorder_at(const tnr_lane *lane) {
  return &((tnr_runtime *)lane->device->machine->runtime)->recorder;
}

static uint64_t misses_of(const tnr_device *device) {
  /* relaxed: written by this thread */
  return atomic_load_explicit(&device->program_misses, memory_order_relaxed);
}

/* Another number whenever the worker has looked and found more. */
static uint32_t seen_of(const tnr_worker *worker) {
  uint32_t sum = 0;
  for (int i = 0; i < TNR_LEVELS; i++)
    sum += worker->queues[i].seen;
  return sum;
}

/* Back to back, what ends is what begins next; what comes from the queue anew was pushed since. */
void tnr_recording_take_up(tnr_lane *lane) {
  tnr_recorder *recorder = recorder_at(lane);
  uint32_t seen = seen_of(&lane->device->worker);
  tnr_tape *tape = tape_here(recorder);
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

static run look_at_run(const tnr_tape *tape, const tnr_lane *lane, const tnr_op *op) {
  bool together = tape->progress == TNR_TAPE_EXECUTES && !tape->executing;
  uint64_t created = together ? tape->began : tape->executing ? tape->executing : tape->now;
  return (run){
      .op = tnr_future_number((tnr_future *)&op->future),
      .flags = (misses_of(lane->device) != tape->misses ? TNR_TRACE_MISS : 0u) |
               (op->def->alias ? TNR_TRACE_ALIAS : 0u) | (together ? TNR_TRACE_TOGETHER : 0u),
      .create = created - tape->began,
      .execute = tape->now - created,
  };
}

static void put_run(tnr_tape *tape, unsigned type, const tnr_lane *lane, const run *run) {
  enum { WORDS = sizeof(tnr_trace_run) / 8 };
  uint16_t device = (uint16_t)lane->device->index;
  uint16_t plan = plan_index(tape, tape->plan, device, WORDS);
  tnr_trace_run *record = tnr_tape_begin(tape, type, run->flags, WORDS);
  record->op = run->op;
  record->plan = plan;
  record->device = device;
  record->create = saturate(run->create);
  record->execute = saturate(run->execute);
  tnr_tape_end(tape, WORDS);
}

static bool put_brief_run(tnr_tape *tape, const tnr_lane *lane, const run *run) {
  enum { WORDS = 2 };
  if (run->create > UINT16_MAX || run->execute > UINT32_MAX)
    return false;
  uint64_t plan = plan_index(tape, tape->plan, (uint16_t)lane->device->index, WORDS);
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
  tnr_tape *tape = tape_here(recorder);
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
  tnr_tape *tape = tape_here(recorder_at(lane));
  const tnr_op *op = tnr_op_item_op(item);
  const tnr_tensor *to = (const tnr_tensor *)op->future.result;
  int piece = tnr_op_item_piece(item);
  const tnr_storage *piece_to = to->parts[piece < to->mesh->count ? piece : 0];
  unsigned words = words_of(sizeof(tnr_trace_move)) + desc_words(&to->desc);
  if (!tape || tape->progress != TNR_TAPE_CREATES)
    return;
  tnr_tape_make_room(tape, words * sizeof(uint64_t));
  tnr_trace_move *record = tnr_tape_begin(tape, TNR_TRACE_MOVE, 0, words);
  record->op = tnr_future_number((tnr_future *)&op->future);
  record->from = device_number(tnr_mesh_first(from->mesh));
  record->to = device_number(piece_to->device);
  record->bytes = piece_to->bytes;
  put_desc((uint64_t *)(record + 1), &to->desc);
  tnr_tape_end(tape, words);
  tnr_recording_execute(lane, item, NULL, slow);
}

static void end_run(tnr_tape *tape, const tnr_lane *lane, tnr_op_item item) {
  const tnr_recorder *recorder = recorder_at(lane);
  tnr_tape_look(tape, &recorder->ticker);
  const run run = look_at_run(tape, lane, tnr_op_item_op(item));
  if (tape->progress == TNR_TAPE_HAS_BEGUN)
    put_short(tape, TNR_TRACE_END, run.op, (unsigned)lane->device->index,
              (unsigned)tnr_op_item_piece(item));
  else if (!put_brief_run(tape, lane, &run))
    put_run(tape, TNR_TRACE_RUN, lane, &run);
  tape->progress = TNR_TAPE_IDLE;
}

void tnr_recording_ran(tnr_lane *lane, tnr_op_item item) {
  tnr_tape *tape = tape_here(recorder_at(lane));
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
  tnr_tape *tape = tape_here(&runtime->recorder);
  if (tape && tnr_this_thread.group == runtime && tnr_this_thread.index > 0)
    put_short(tape, TNR_TRACE_SIGNAL, 0, (unsigned)tnr_this_thread.index - 1, 0);
}

/* ---- failures ---- */

void tnr_recording_failed(tnr_op *op, const tnr_fault *fault) {
  tnr_recorder *recorder = recorder_of(op);
  tnr_tape *tape = tape_here(recorder);
  size_t bytes = cut(fault->message, TEXT_MAX);
  unsigned words = words_of(sizeof(tnr_trace_error) + bytes);
  if (fault->code != TNR_ECANCELED)
    tnr_scribe_failed(recorder);
  if (!tape)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  tnr_tape_make_room(tape, words * sizeof(uint64_t));
  tnr_trace_error *record = begin_texts(tape, TNR_TRACE_ERROR, words);
  record->op = tnr_future_number(&op->future);
  record->status = (uint16_t)fault->code;
  record->bytes = (uint16_t)bytes;
  append((char *)(record + 1), fault->message, bytes);
  tnr_tape_end(tape, words);
}

/* ---- the dispatcher's time ---- */

void tnr_recording_batch(tnr_runtime *runtime) {
  tnr_tape *tape = tape_here(&runtime->recorder);
  if (tape) {
    tnr_tape_look_after(tape, &runtime->recorder.ticker);
    tape->unlooked = 1;
  }
}

static void put_counter(tnr_tape *tape, tnr_trace_counter_id id, uint32_t device, uint64_t value) {
  enum { WORDS = sizeof(tnr_trace_counter) / 8 };
  tnr_tape_make_room(tape, sizeof(tnr_trace_counter));
  tnr_trace_counter *record = tnr_tape_begin(tape, TNR_TRACE_COUNTER, 0, WORDS);
  record->counter = id;
  record->device = device;
  record->value = value;
  tnr_tape_end(tape, WORDS);
}

static void sample_memory(tnr_tape *tape, const tnr_device *device) {
  uint32_t index = device_number(device);
  tnr_memory_stats stats = tnr_device_memory(device);
  put_counter(tape, TNR_TRACE_MEMORY, index, stats.live_bytes);
  put_counter(tape, TNR_TRACE_RESERVED, index, stats.reserved_bytes);
}

/* The clock of any thread of the process, by its number: clock_getcpuclockid wants processes, and
 * pthread_getcpuclockid threads that still live. */
static bool cpu_time_of(uint32_t tid, uint64_t *ns) {
  enum { PER_THREAD = 4, SCHEDULED = 2 };
  struct timespec time;
  clockid_t id = (clockid_t)(~tid << 3 | PER_THREAD | SCHEDULED);
  if (!tid || clock_gettime(id, &time) != 0)
    return false;
  *ns = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
  return true;
}

static void sample(tnr_runtime *runtime, tnr_tape *tape) {
  tnr_recorder *recorder = &runtime->recorder;
  uint64_t ns;
  for (int i = 0; i < runtime->machine.count; i++)
    sample_memory(tape, runtime->machine.devices[i]);
  sample_memory(tape, runtime->machine.host);
  put_counter(tape, TNR_TRACE_HANDLES, TNR_TRACE_NO_DEVICE,
              tnr_pool_live_blocks(&runtime->machine.objects));
  for (int i = 0; i < recorder->tape_count && !recorder->ticker.made; i++) {
    uint32_t tid = atomic_load_explicit(&recorder->tapes[i].owner, memory_order_relaxed);
    if (cpu_time_of(tid, &ns))
      put_counter(tape, TNR_TRACE_CPU_TIME, (uint32_t)i, ns);
  }
}

void tnr_recording_turn(tnr_runtime *runtime) {
  tnr_recorder *recorder = &runtime->recorder;
  tnr_tape *tape = tape_here(recorder);
  if (!tape || tape->now < tape->next_sample)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  tape->next_sample = tape->now + tnr_ticker_from_ns(&recorder->ticker, SAMPLE_NS);
  sample(runtime, tape);
}

/* ---- what takes time ---- */

/* Never 0. */
uint64_t tnr_recording_now(tnr_runtime *runtime) {
  tnr_tape *tape = tape_here(&runtime->recorder);
  if (!tape)
    return 0;
  tnr_tape_look(tape, &runtime->recorder.ticker);
  return tape->now ? tape->now : 1;
}

void tnr_recording_callback(tnr_future *future, uint64_t since) {
  put_span(&future->runtime->recorder, TNR_TRACE_CALLBACK, number_of(&future->object), 0, since);
}

void tnr_recording_wait(tnr_runtime *runtime, uint32_t number, tnr_trace_why why, uint64_t since) {
  put_span(&runtime->recorder, TNR_TRACE_WAIT, number, why, since);
}

void tnr_recording_rest(tnr_runtime *runtime, tnr_trace_why why, uint64_t since) {
  put_span(&runtime->recorder, TNR_TRACE_REST, 0, why, since);
}

void tnr_recording_wake(tnr_runtime *runtime, const tnr_device *device) {
  tnr_tape *tape = tape_here(&runtime->recorder);
  if (!tape)
    return;
  tnr_tape_look(tape, &runtime->recorder.ticker);
  put_short(tape, TNR_TRACE_WAKE, 0, device ? (unsigned)device->index : TNR_TRACE_NO_DEVICE, 0);
}

/* ---- composites and futures of several ---- */

static uint32_t value_input(const void *of, uint32_t index) {
  return number_of(((const tnr_value *)of)[index].handle);
}

uint32_t tnr_recording_composite(tnr_runtime *runtime, const char *name, tnr_site site,
                                 const tnr_value *in, int in_count) {
  tnr_tape *tape = tape_here(&runtime->recorder);
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
  put_span(&runtime->recorder, TNR_TRACE_BODY, number, 0, since);
}

static uint32_t member_input(const void *of, uint32_t index) {
  return number_of(tnr_all_member(of, (int)index));
}

void tnr_recording_join(tnr_future *join, const char *name, tnr_site site) {
  tnr_recorder *recorder = &join->runtime->recorder;
  tnr_tape *tape = tape_here(recorder);
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
  tnr_tape *tape = tape_here(&future->runtime->recorder);
  if (!tape || !future->numbered)
    return;
  tnr_tape_look(tape, &future->runtime->recorder.ticker);
  put_short(tape, TNR_TRACE_COMPLETE, tnr_future_number(future), status_of(future), 0);
}
