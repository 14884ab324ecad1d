#include "recorded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { TAPES = 128 };

/* ---- the file ---- */

static void read_file(const char *path, recorded *r) {
  FILE *file = fopen(path, "rb");
  if (!file)
    fail_msg("there is no file '%s'", path);
  fseek(file, 0, SEEK_END);
  r->bytes = (size_t)ftell(file);
  rewind(file);
  r->memory = malloc(r->bytes + 8);
  assert_non_null(r->memory);
  assert_int_equal(fread(r->memory, 1, r->bytes, file), r->bytes);
  fclose(file);
}

static void check_header(const recorded *r) {
  assert_memory_equal(r->file.magic, TNR_TRACE_MAGIC, 8);
  assert_int_equal(r->file.byte_order, TNR_TRACE_BYTE_ORDER);
  assert_int_equal(r->file.version, TNR_TRACE_VERSION);
  assert_true(r->file.mult > 0);
}

/* ---- records ---- */

/* Definitions of one kind, by their indices. */
typedef struct table {
  const void **at; /* [room]; NULL where there is none */
  size_t room;
} table;

static void define(table *t, size_t index, const void *definition) {
  if (index >= t->room) {
    size_t room = 2 * index + 16;
    t->at = realloc(t->at, room * sizeof *t->at);
    assert_non_null(t->at);
    memset(t->at + t->room, 0, (room - t->room) * sizeof *t->at);
    t->room = room;
  }
  t->at[index] = definition;
}

static const void *defined(const table *t, size_t index) {
  return index < t->room ? t->at[index] : NULL;
}

static void forget(table *t) {
  free(t->at);
  *t = (table){0};
}

/* One tape while it is read. */
typedef struct chunk {
  uint64_t sequence, base, last;
  uint32_t offset;
  uint64_t lost;
  table sites, plans, groups;
} chunk;

static void forget_all(chunk *c) {
  forget(&c->sites);
  forget(&c->plans);
  forget(&c->groups);
}

static recorded_event *add_event(recorded *r) {
  if ((r->count & (r->count - 1)) == 0) {
    size_t room = r->count ? 2 * r->count : 1;
    r->events = realloc(r->events, room * sizeof *r->events);
    assert_non_null(r->events);
  }
  recorded_event *event = &r->events[r->count++];
  *event = (recorded_event){0};
  return event;
}

static void read_brief(const chunk *c, const uint64_t *words, recorded_event *event) {
  event->op = (uint32_t)(words[0] >> 32);
  event->what = (unsigned)(words[0] >> 8 & 0xff);
  switch (words[0] & 0xff) {
  case TNR_TRACE_BRIEF_READY:
  case TNR_TRACE_BRIEF_RESOLVE:
    event->type = TNR_TRACE_RESOLVE;
    break;
  case TNR_TRACE_BRIEF_LAUNCH:
    event->type = TNR_TRACE_LAUNCH;
    break;
  case TNR_TRACE_BRIEF_COMPLETE:
    event->type = TNR_TRACE_COMPLETE;
    break;
  case TNR_TRACE_BRIEF_RUN:
    event->type = TNR_TRACE_RUN;
    event->flags = event->what;
    event->what = event->device;
    event->plan = defined(&c->plans, words[1] & 0xffff);
    event->create = words[1] >> 16 & 0xffff;
    event->execute = words[1] >> 32;
    break;
  case TNR_TRACE_BRIEF_SUBMIT:
    event->type = TNR_TRACE_SUBMIT;
    event->flags = event->what;
    event->parent = (uint32_t)words[1];
    event->site = defined(&c->sites, words[1] >> 32 & 0xffff);
    event->inputs = (uint32_t)(words[1] >> 48 & 0xff);
    event->priority = TNR_PRIORITY_NORMAL;
    event->input = (const uint32_t *)(words + 2);
    break;
  default:
    fail_msg("there is a brief record of type %u", (unsigned)(words[0] & 0xff));
  }
}

static void read_span(const uint64_t *words, recorded_event *event) {
  const tnr_trace_span *span = (const tnr_trace_span *)words;
  event->op = span->op;
  event->what = span->what;
  event->execute = span->ticks;
}

static void read_long(const chunk *c, const uint64_t *words, recorded_event *event) {
  const tnr_trace_short *brief = (const tnr_trace_short *)words;
  const tnr_trace_submit *submit = (const tnr_trace_submit *)words;
  const tnr_trace_run *run = (const tnr_trace_run *)words;
  event->type = (tnr_trace_type)(words[0] & 0xff);
  event->flags = (unsigned)(words[0] >> 8 & 0xff);
  event->op = brief->op;
  event->what = brief->what;
  switch (event->type) {
  case TNR_TRACE_SUBMIT:
    event->parent = submit->parent;
    event->site = defined(&c->sites, submit->site);
    event->inputs = submit->inputs;
    event->group = submit->group ? defined(&c->groups, submit->group - 1) : NULL;
    event->priority = submit->priority;
    event->input = (const uint32_t *)(submit + 1);
    break;
  case TNR_TRACE_RUN:
  case TNR_TRACE_BEGIN:
    event->what = run->device;
    event->plan = run->plan == 0xffff ? NULL : defined(&c->plans, run->plan);
    event->create = run->create;
    event->execute = run->execute;
    break;
  case TNR_TRACE_CREATE:
  case TNR_TRACE_CALLBACK:
  case TNR_TRACE_BODY:
  case TNR_TRACE_WAIT:
  case TNR_TRACE_REST:
    read_span(words, event);
    break;
  case TNR_TRACE_RESOLVE:
    event->what = ((const tnr_trace_resolve *)words)->missing;
    break;
  case TNR_TRACE_ERROR:
    event->what = ((const tnr_trace_error *)words)->status;
    break;
  case TNR_TRACE_COUNTER:
    event->what = ((const tnr_trace_counter *)words)->counter;
    event->op = 0;
    break;
  default:
    break;
  }
}

static bool is_definition(chunk *c, const uint64_t *words) {
  const tnr_trace_site *site = (const tnr_trace_site *)words;
  const tnr_trace_plan *plan = (const tnr_trace_plan *)words;
  const tnr_trace_group *group = (const tnr_trace_group *)words;
  switch (words[0] & 0xff) {
  case TNR_TRACE_SITE:
    define(&c->sites, site->index, site);
    return true;
  case TNR_TRACE_PLAN:
    define(&c->plans, plan->index, plan);
    return true;
  case TNR_TRACE_GROUP:
    define(&c->groups, group->index, group);
    return true;
  case TNR_TRACE_THREAD:
    return true;
  default:
    return false;
  }
}

/* Behind the RESOLVE that is in the same record. */
static void add_launch(recorded *r) {
  recorded_event *launch = add_event(r), *resolve = launch - 1;
  *launch = *resolve;
  launch->type = TNR_TRACE_LAUNCH;
  resolve->what = 0;
}

static void read_record(recorded *r, chunk *c, const tnr_trace_piece *piece,
                        const uint64_t *words) {
  bool brief = (words[0] & 0xff) >= TNR_TRACE_BRIEF_RESOLVE;
  uint64_t time = brief ? c->last + (words[0] >> 16 & 0xffff) : c->base + (words[0] >> 24);
  assert_true(time >= c->last);
  c->last = time;
  if (is_definition(c, words))
    return;
  recorded_event *event = add_event(r);
  event->tape = piece->tape;
  event->kind = piece->kind;
  event->device = piece->device;
  event->time = time;
  event->words = words;
  if (brief)
    read_brief(c, words, event);
  else
    read_long(c, words, event);
  if ((words[0] & 0xff) == TNR_TRACE_BRIEF_READY)
    add_launch(r);
}

static void begin_chunk(chunk *c, const tnr_trace_piece *piece) {
  assert_true(piece->sequence > c->sequence);
  assert_int_equal(piece->offset, 0);
  assert_true(piece->lost >= c->lost);
  forget_all(c);
  c->sequence = piece->sequence;
  c->base = piece->base;
  c->last = piece->base > c->last ? piece->base : c->last;
  c->lost = piece->lost;
  c->offset = 0;
}

static void read_piece(recorded *r, chunk *chunks, const tnr_trace_piece *piece) {
  const uint64_t *words = (const uint64_t *)(piece + 1);
  uint32_t at = 0, count = piece->bytes / 8, records = 0;
  if (piece->kind == TNR_TRACE_LAST) {
    r->total = (const tnr_trace_total *)words;
    return;
  }
  if (piece->kind == TNR_TRACE_PLACES)
    return;
  assert_in_range(piece->tape, 0, TAPES - 1);
  chunk *c = &chunks[piece->tape];
  if (piece->sequence != c->sequence)
    begin_chunk(c, piece);
  assert_int_equal(piece->offset, c->offset);
  for (; at < count; at += tnr_trace_words(words[at]), records++) {
    assert_in_range(tnr_trace_words(words[at]), 1, count - at);
    read_record(r, c, piece, words + at);
  }
  assert_int_equal(records, piece->records);
  c->offset += piece->bytes;
  r->records += records;
}

recorded recorded_read(const char *path) {
  recorded r = {0};
  chunk *chunks = calloc(TAPES, sizeof *chunks);
  assert_non_null(chunks);
  read_file(path, &r);
  assert_true(r.bytes >= sizeof r.file);
  memcpy(&r.file, r.memory, sizeof r.file);
  check_header(&r);
  for (size_t at = sizeof r.file; at < r.bytes;) {
    const tnr_trace_piece *piece = (const tnr_trace_piece *)((char *)r.memory + at);
    assert_true(r.bytes - at >= sizeof *piece);
    assert_int_equal(piece->magic, TNR_TRACE_PIECE_MAGIC);
    assert_true(r.bytes - at - sizeof *piece >= piece->bytes);
    read_piece(&r, chunks, piece);
    at += sizeof *piece + piece->bytes;
    r.pieces++;
  }
  for (int i = 0; i < TAPES; i++) {
    r.lost += chunks[i].lost;
    forget_all(&chunks[i]);
  }
  free(chunks);
  return r;
}

void recorded_finish(recorded *r) {
  free(r->events);
  free(r->memory);
  *r = (recorded){0};
}

/* ---- texts ---- */

static const char *text(const void *from, size_t bytes) {
  static char buffer[1024];
  assert_in_range(bytes, 0, sizeof buffer - 1);
  memcpy(buffer, from, bytes);
  buffer[bytes] = '\0';
  return buffer;
}

const char *recorded_name(const tnr_trace_site *site) {
  return text(site + 1, site->name_bytes);
}

const char *recorded_group(const tnr_trace_group *group) {
  return text(group + 1, group->name_bytes);
}

const char *recorded_composite(const tnr_trace_site *site) {
  return text((const char *)(site + 1) + site->name_bytes, site->composite_bytes);
}

const char *recorded_file(const tnr_trace_site *site) {
  return text((const char *)(site + 1) + site->name_bytes + site->composite_bytes,
              site->file_bytes);
}

static const char *behind_descs(const tnr_trace_plan *plan) {
  const uint64_t *at = (const uint64_t *)(plan + 1);
  for (int i = 0; i < plan->in_count + plan->out_count; i++)
    at += 1 + (at[0] >> 8 & 0xff);
  return (const char *)at;
}

const char *recorded_plan_name(const tnr_trace_plan *plan) {
  return text(behind_descs(plan), plan->name_bytes);
}

const char *recorded_attrs(const tnr_trace_plan *plan) {
  return text(behind_descs(plan) + plan->name_bytes, plan->attrs_bytes);
}

/* ---- looking for ---- */

size_t recorded_count(const recorded *r, tnr_trace_type type, uint32_t op) {
  size_t count = 0;
  for (size_t i = 0; i < r->count; i++)
    count += r->events[i].type == type && (op == 0 || r->events[i].op == op);
  return count;
}

const recorded_event *recorded_find(const recorded *r, tnr_trace_type type, uint32_t op) {
  for (size_t i = 0; i < r->count; i++)
    if (r->events[i].type == type && (op == 0 || r->events[i].op == op))
      return &r->events[i];
  return NULL;
}

const recorded_event *recorded_one(const recorded *r, tnr_trace_type type, uint32_t op) {
  assert_int_not_equal(op, 0);
  assert_int_equal(recorded_count(r, type, op), 1);
  return recorded_find(r, type, op);
}

void recorded_check_input(const recorded *r, uint32_t op, uint32_t index, uint32_t from) {
  const recorded_event *submit = recorded_one(r, TNR_TRACE_SUBMIT, op);
  assert_in_range(index, 0, submit->inputs - 1);
  assert_int_equal(submit->input[index], from);
}

static int compare_numbers(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

uint32_t recorded_op(const recorded *r, const char *name, int index) {
  uint32_t *ops = malloc((r->count + 1) * sizeof *ops);
  size_t length = strlen(name), count = 0;
  assert_non_null(ops);
  for (size_t i = 0; i < r->count; i++) {
    const recorded_event *event = &r->events[i];
    if (event->type == TNR_TRACE_SUBMIT && event->op != 0 && event->site->name_bytes == length &&
        memcmp(event->site + 1, name, length) == 0)
      ops[count++] = event->op;
  }
  qsort(ops, count, sizeof *ops, compare_numbers);
  uint32_t found = (size_t)index < count ? ops[index] : 0;
  free(ops);
  return found;
}
