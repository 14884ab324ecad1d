#include "tape_writer.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { TID = 100, NO_PLAN = 0xffff };

/* ---- the file ---- */

static void put(struct tape_file *file, const void *bytes, size_t size) {
  assert_int_equal(fwrite(bytes, 1, size, file->to), size);
}

static void put_device(struct tape_file *file, uint16_t index, const char *name) {
  struct {
    tnr_trace_device record;
    char name[16];
  } place = {0};
  strcpy(place.name, name);
  place.record.head = tnr_trace_head(TNR_TRACE_DEVICE, 0, sizeof place / 8, 0);
  place.record.index = index;
  place.record.name_bytes = (uint16_t)strlen(name);
  place.record.host_memory = 1;
  const tnr_trace_piece piece = {.magic = TNR_TRACE_PIECE_MAGIC,
                                 .bytes = sizeof place,
                                 .kind = TNR_TRACE_PLACES,
                                 .records = 1,
                                 .device = TNR_TRACE_NO_DEVICE};
  put(file, &piece, sizeof piece);
  put(file, &place, sizeof place);
}

struct tape_file tape_open(const char *path, uint32_t devices, uint32_t flags) {
  struct tape_file file = {.to = fopen(path, "wb"), .devices = devices};
  assert_non_null(file.to);
  file.tapes = calloc(TAPE_WORKER + devices, sizeof *file.tapes);
  assert_non_null(file.tapes);
  tnr_trace_file header = {.byte_order = TNR_TRACE_BYTE_ORDER,
                           .version = TNR_TRACE_VERSION,
                           .mult = 1,
                           .flags = flags,
                           .start_realtime = 1700000000123456789,
                           .pid = 42,
                           .devices = devices,
                           .program = "hand made",
                           .library = "0.1.0"};
  memcpy(header.magic, TNR_TRACE_MAGIC, 8);
  put(&file, &header, sizeof header);
  put_device(&file, TNR_TRACE_NO_DEVICE, "host");
  for (uint32_t i = 0; i < devices; i++) {
    char name[16];
    snprintf(name, sizeof name, "dev:%u", i);
    put_device(&file, (uint16_t)i, name);
  }
  return file;
}

/* Part of the tape's chunk. */
static void flush(struct tape_file *file, uint32_t index) {
  struct tape *tape = &file->tapes[index];
  static const char *const names[] = {"main", "dispatcher", "worker"};
  uint32_t kind = index < TAPE_WORKER ? index : TAPE_WORKER;
  tnr_trace_piece piece = {.magic = TNR_TRACE_PIECE_MAGIC,
                           .bytes = (uint32_t)tape->count * 8,
                           .tape = index,
                           .kind = kind,
                           .sequence = tape->sequence,
                           .base = tape->base,
                           .offset = tape->offset,
                           .records = tape->records,
                           .tid = TID + index,
                           .device =
                               kind == TAPE_WORKER ? index - TAPE_WORKER : TNR_TRACE_NO_DEVICE};
  strcpy(piece.name, names[kind]);
  if (tape->count == 0)
    return;
  put(file, &piece, sizeof piece);
  put(file, tape->words, tape->count * 8);
  tape->offset += piece.bytes;
  tape->count = tape->records = 0;
}

void tape_turn(struct tape_file *file, uint32_t tape) {
  flush(file, tape);
  file->tapes[tape].begun = false;
  file->tapes[tape].sites = file->tapes[tape].plans = 0;
}

void tape_cut(struct tape_file *file) {
  for (uint32_t i = 0; i < TAPE_WORKER + file->devices; i++)
    flush(file, i);
  free(file->tapes);
  assert_int_equal(fclose(file->to), 0);
}

void tape_close(struct tape_file *file, uint64_t lost, bool drained) {
  for (uint32_t i = 0; i < TAPE_WORKER + file->devices; i++)
    flush(file, i);
  const tnr_trace_total total = {.head = tnr_trace_head(TNR_TRACE_TOTAL, 0, sizeof total / 8, 0),
                                 .records = file->records + lost,
                                 .lost = lost,
                                 .drained = drained};
  const tnr_trace_piece piece = {.magic = TNR_TRACE_PIECE_MAGIC,
                                 .bytes = sizeof total,
                                 .kind = TNR_TRACE_LAST,
                                 .records = 1,
                                 .device = TNR_TRACE_NO_DEVICE};
  put(file, &piece, sizeof piece);
  put(file, &total, sizeof total);
  tape_cut(file);
}

/* ---- records ---- */

static uint64_t *make_room(struct tape_file *file, uint32_t index, uint64_t time, unsigned words) {
  struct tape *tape = &file->tapes[index];
  if (tape->count + words > TAPE_WORDS_MAX)
    flush(file, index);
  if (!tape->begun) {
    tape->begun = true;
    tape->sequence++;
    tape->base = tape->last = time;
    tape->sites = tape->plans = tape->offset = 0;
  }
  assert_true(time >= tape->last);
  uint64_t *at = tape->words + tape->count;
  memset(at, 0, words * sizeof *at);
  tape->count += words;
  tape->records++;
  tape->last = time;
  file->records++;
  return at;
}

void tape_put(struct tape_file *file, uint32_t tape, unsigned type, unsigned flags, uint64_t time,
              const uint64_t *rest, unsigned words) {
  uint64_t *at = make_room(file, tape, time, words);
  at[0] = tnr_trace_head(type, flags, words, time - file->tapes[tape].base);
  if (words > 1)
    memcpy(at + 1, rest, (words - 1) * sizeof *at);
}

/* A record that begins with a struct, which has its head. */
static void put_struct(struct tape_file *file, uint32_t tape, unsigned type, unsigned flags,
                       uint64_t time, const void *record, size_t bytes) {
  tape_put(file, tape, type, flags, time, (const uint64_t *)record + 1, (unsigned)(bytes / 8));
}

static unsigned words_of(size_t bytes) {
  return (unsigned)((bytes + 7) / 8);
}

/* Every call defines its own. */
static uint16_t put_site(struct tape_file *file, uint32_t tape, uint64_t time,
                         const struct tape_op *op) {
  static const char path[] = "model.c";
  struct {
    tnr_trace_site site;
    char text[256];
  } record = {0};
  const char *composite = op->composite ? op->composite : "";
  char *at = record.text;
  at = stpcpy(stpcpy(stpcpy(at, op->name), composite), path);
  uint64_t *to =
      make_room(file, tape, time, words_of(sizeof record.site + (size_t)(at - record.text)));
  record.site = (tnr_trace_site){
      .head = tnr_trace_head(TNR_TRACE_SITE, 0,
                             words_of(sizeof record.site + (size_t)(at - record.text)),
                             time - file->tapes[tape].base),
      .index = (uint16_t)file->tapes[tape].sites++,
      .name_bytes = (uint16_t)strlen(op->name),
      .composite_bytes = (uint16_t)strlen(composite),
      .file_bytes = sizeof path - 1,
      .line = op->line};
  memcpy(to, &record, sizeof record.site + (size_t)(at - record.text));
  return record.site.index;
}

static uint16_t put_group(struct tape_file *file, uint32_t tape, uint64_t time, const char *name) {
  struct {
    tnr_trace_group group;
    char text[64];
  } record = {.group = {.name_bytes = (uint16_t)strlen(name)}};
  if (!*name)
    return 0;
  strcpy(record.text, name);
  put_struct(file, tape, TNR_TRACE_GROUP, 0, time, &record,
             8 * words_of(sizeof record.group + strlen(name)));
  return 1;
}

void tape_submit(struct tape_file *file, uint32_t tape, uint64_t time, const struct tape_op *op) {
  enum { INPUTS_MAX = 200 };
  struct {
    tnr_trace_submit submit;
    uint32_t inputs[INPUTS_MAX];
  } record = {0};
  uint32_t here = op->input_count < INPUTS_MAX ? op->input_count : INPUTS_MAX;
  record.submit.op = op->number;
  record.submit.parent = op->parent;
  record.submit.site = put_site(file, tape, time, op);
  record.submit.group = put_group(file, tape, time, op->group ? op->group : "");
  record.submit.inputs = (uint16_t)here;
  record.submit.priority = op->priority;
  if (here > 0)
    memcpy(record.inputs, op->inputs, here * sizeof *op->inputs);
  put_struct(file, tape, TNR_TRACE_SUBMIT, op->flags, time, &record,
             sizeof record.submit + 8 * words_of(here * sizeof *op->inputs));
  for (uint32_t done = here; done < op->input_count; done += here) {
    struct {
      tnr_trace_inputs more;
      uint32_t inputs[INPUTS_MAX];
    } rest = {.more = {.op = op->number}};
    here = op->input_count - done < INPUTS_MAX ? op->input_count - done : INPUTS_MAX;
    rest.more.inputs = here;
    memcpy(rest.inputs, op->inputs + done, here * sizeof *op->inputs);
    put_struct(file, tape, TNR_TRACE_INPUTS, 0, time, &rest,
               sizeof rest.more + 8 * words_of(here * sizeof *op->inputs));
  }
}

void tape_resolve(struct tape_file *file, uint64_t time, uint32_t op, uint32_t missing) {
  const tnr_trace_resolve record = {.op = op, .missing = missing};
  put_struct(file, TAPE_DISPATCHER, TNR_TRACE_RESOLVE, 0, time, &record, sizeof record);
}

void tape_held(struct tape_file *file, uint32_t tape, uint64_t begin, uint64_t end, uint32_t op,
               uint32_t device, tnr_trace_how how) {
  const tnr_trace_held record = {
      .op = op, .device = (uint16_t)device, .how = (uint16_t)how, .ticks = end - begin};
  put_struct(file, tape, TNR_TRACE_HELD, 0, end, &record, sizeof record);
}

void tape_launch(struct tape_file *file, uint64_t time, uint32_t op, uint32_t device) {
  const tnr_trace_launch record = {.op = op, .device = (uint16_t)device};
  put_struct(file, TAPE_DISPATCHER, TNR_TRACE_LAUNCH, 0, time, &record, sizeof record);
}

/* Of f32[2, 3] and f32[3] an f32[2]: 8 bytes. */
static uint16_t put_plan(struct tape_file *file, uint32_t device, uint64_t time, const char *name) {
  enum { DESCS = 3 + 2 + 2 };
  struct {
    tnr_trace_plan plan;
    uint64_t descs[DESCS];
    char text[64];
  } record = {.descs = {TNR_F32 | 2 << 8, 2, 3, TNR_F32 | 1 << 8, 3, TNR_F32 | 1 << 8, 2}};
  record.plan.index = (uint16_t)file->tapes[TAPE_WORKER + device].plans++;
  record.plan.device = (uint16_t)device;
  record.plan.in_count = record.plan.all_in = 2;
  record.plan.out_count = record.plan.all_out = 1;
  record.plan.bytes = 8;
  record.plan.flops = 12;
  record.plan.name_bytes = (uint16_t)strlen(name);
  record.plan.attrs_bytes = 4;
  strcpy(stpcpy(record.text, name), "fast");
  put_struct(file, TAPE_WORKER + device, TNR_TRACE_PLAN, 0, time, &record,
             8 * words_of(offsetof(
                              struct {
                                tnr_trace_plan p;
                                uint64_t d[DESCS];
                                char t[64];
                              },
                              t) +
                          strlen(name) + 4));
  return record.plan.index;
}

void tape_run(struct tape_file *file, uint64_t begin, uint64_t create, uint64_t end, uint32_t op,
              uint32_t device, const char *name) {
  const tnr_trace_run record = {.op = op,
                                .plan = name ? put_plan(file, device, end, name) : NO_PLAN,
                                .device = (uint16_t)device,
                                .create = (uint32_t)create,
                                .execute = (uint32_t)(end - begin - create)};
  put_struct(file, TAPE_WORKER + device, TNR_TRACE_RUN, 0, end, &record, sizeof record);
}

void tape_begin(struct tape_file *file, uint64_t begin, uint64_t execute, uint32_t op,
                uint32_t device) {
  const tnr_trace_run record = {
      .op = op, .plan = NO_PLAN, .device = (uint16_t)device, .create = (uint32_t)(execute - begin)};
  put_struct(file, TAPE_WORKER + device, TNR_TRACE_BEGIN, 0, execute, &record, sizeof record);
}

static void put_short(struct tape_file *file, uint32_t tape, unsigned type, uint64_t time,
                      uint32_t op, unsigned what) {
  const tnr_trace_short record = {.op = op, .what = (uint16_t)what};
  put_struct(file, tape, type, 0, time, &record, sizeof record);
}

void tape_end(struct tape_file *file, uint64_t time, uint32_t op, uint32_t device) {
  put_short(file, TAPE_WORKER + device, TNR_TRACE_END, time, op, device);
}

void tape_move(struct tape_file *file, uint64_t time, uint32_t op, uint32_t from, uint32_t to,
               uint64_t bytes) {
  struct {
    tnr_trace_move move;
    uint64_t desc[2];
  } record = {{.op = op, .from = (uint16_t)from, .to = (uint16_t)to, .bytes = bytes},
              {TNR_F32 | 1 << 8, bytes / 4}};
  put_struct(file, TAPE_WORKER + to, TNR_TRACE_MOVE, 0, time, &record, sizeof record);
}

void tape_complete(struct tape_file *file, uint64_t time, uint32_t op, unsigned status) {
  put_short(file, TAPE_DISPATCHER, TNR_TRACE_COMPLETE, time, op, status);
}

void tape_error(struct tape_file *file, uint64_t time, uint32_t op, unsigned status,
                const char *reason) {
  struct {
    tnr_trace_error error;
    char text[128];
  } record = {.error = {.op = op, .status = (uint16_t)status, .bytes = (uint16_t)strlen(reason)}};
  strcpy(record.text, reason);
  put_struct(file, TAPE_WORKER, TNR_TRACE_ERROR, 0, time, &record,
             8 * words_of(sizeof record.error + strlen(reason)));
}

void tape_span(struct tape_file *file, uint32_t tape, unsigned type, uint64_t begin, uint64_t end,
               uint32_t op, unsigned what) {
  const tnr_trace_span record = {.op = op, .what = what, .ticks = end - begin};
  put_struct(file, tape, type, 0, end, &record, sizeof record);
}

void tape_counter(struct tape_file *file, uint64_t time, unsigned counter, uint32_t device,
                  uint64_t value) {
  const tnr_trace_counter record = {.counter = counter, .device = device, .value = value};
  put_struct(file, TAPE_DISPATCHER, TNR_TRACE_COUNTER, 0, time, &record, sizeof record);
}

void tape_room(struct tape_file *file, uint64_t time, uint32_t device) {
  put_short(file, TAPE_DISPATCHER, TNR_TRACE_ROOM, time, 0, device);
}

void tape_signal(struct tape_file *file, uint64_t time, uint32_t device) {
  put_short(file, TAPE_WORKER + device, TNR_TRACE_SIGNAL, time, 0, device);
}

void tape_wake(struct tape_file *file, uint32_t tape, uint64_t time, uint32_t device) {
  put_short(file, tape, TNR_TRACE_WAKE, time, 0, device);
}

/* ---- many ---- */

static uint64_t *put_brief(struct tape_file *file, uint32_t tape, unsigned type, unsigned what,
                           uint64_t time, uint32_t op, unsigned words) {
  uint64_t before = file->tapes[tape].begun ? file->tapes[tape].last : time;
  uint64_t *at = make_room(file, tape, time, words);
  assert_true(time - before <= UINT16_MAX);
  at[0] = tnr_trace_brief_head(type, what, time - before, op);
  return at;
}

void tape_brief_op(struct tape_file *file, uint64_t time, uint32_t op, uint32_t input,
                   uint32_t device, const char *name) {
  enum { CREATE = 10, EXECUTE = 60 };
  if (!file->tapes[TAPE_MAIN].begun || file->tapes[TAPE_MAIN].sites == 0)
    (void)put_site(file, TAPE_MAIN, time, &(struct tape_op){.name = name, .line = 7});
  uint64_t *submit = put_brief(file, TAPE_MAIN, TNR_TRACE_BRIEF_SUBMIT, 0, time, op, 3);
  submit[1] = UINT64_C(1) << 48;
  submit[2] = input;
  put_brief(file, TAPE_DISPATCHER, TNR_TRACE_BRIEF_RESOLVE, 1, time + 160, op, 1);
  put_brief(file, TAPE_DISPATCHER, TNR_TRACE_BRIEF_LAUNCH, device, time + 170, op, 1);
  struct tape *worker = &file->tapes[TAPE_WORKER + device];
  if (!worker->begun || worker->plans == 0)
    (void)put_plan(file, device, time + 180, name);
  uint64_t *run = put_brief(file, TAPE_WORKER + device, TNR_TRACE_BRIEF_RUN, 0, time + 250, op, 2);
  run[1] = (uint64_t)CREATE << 16 | (uint64_t)EXECUTE << 32;
  put_brief(file, TAPE_DISPATCHER, TNR_TRACE_BRIEF_COMPLETE, TNR_OK, time + 260, op, 1);
}

void tape_brief_ready(struct tape_file *file, uint64_t time, uint32_t op, uint32_t device) {
  put_brief(file, TAPE_DISPATCHER, TNR_TRACE_BRIEF_READY, device, time, op, 1);
}

void tape_whole(struct tape_file *file, const struct tape_op *op, uint32_t device,
                uint64_t submitted, uint64_t begin, uint64_t end) {
  tape_submit(file, TAPE_MAIN, submitted, op);
  tape_resolve(file, submitted + 10, op->number, 0);
  tape_launch(file, submitted + 20, op->number, device);
  tape_run(file, begin, 10, end, op->number, device, op->name);
  tape_complete(file, end + 10, op->number, TNR_OK);
}
