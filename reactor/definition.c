#include "definition.h"

enum {
  FILE_MAX = 900,    /* bytes of a file's path: its end */
  OPERANDS_MAX = 12, /* inputs and outputs described in a plan, each */
  NO_PLAN = 0xffff
};

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
      .name_bytes = tnr_cut_text(site->name, TNR_TEXT_MAX),
      .composite_bytes = tnr_cut_text(site->composite, TNR_TEXT_MAX),
      .file_bytes = length > FILE_MAX ? FILE_MAX : length,
      .line = site->line,
  };
  texts.words = tnr_record_words(sizeof(tnr_trace_site) + texts.name_bytes + texts.composite_bytes +
                                 texts.file_bytes);
  return texts;
}

static void put_site(tnr_tape *tape, const site_texts *texts, uint16_t index) {
  tnr_trace_site *record = tnr_put_texts(tape, TNR_TRACE_SITE, texts->words);
  record->index = index;
  record->name_bytes = (uint16_t)texts->name_bytes;
  record->composite_bytes = (uint16_t)texts->composite_bytes;
  record->file_bytes = (uint16_t)texts->file_bytes;
  record->line = (uint32_t)texts->line;
  char *at = tnr_append_text((char *)(record + 1), texts->name, texts->name_bytes);
  at = tnr_append_text(at, texts->composite, texts->composite_bytes);
  tnr_append_text(at, texts->file, texts->file_bytes);
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

uint16_t tnr_define_site(tnr_tape *tape, const tnr_tape_site *site, unsigned words) {
  tnr_tape_site *slot = &tape->sites[hash_site(site) % TNR_TAPE_SITES];
  tnr_tape_make_room(tape, words * sizeof(uint64_t));
  tape->last_site = slot;
  if (slot->sequence == tape->sequence && is_site(slot, site))
    return slot->index;
  site_texts texts = texts_of(site);
  tnr_tape_make_room(tape, (texts.words + words) * sizeof(uint64_t));
  *slot = *site;
  slot->index = tape->next_site++;
  slot->sequence = tape->sequence;
  put_site(tape, &texts, slot->index);
  return slot->index;
}

/* ---- groups ---- */

static void put_group(tnr_tape *tape, const tnr_tape_group *group) {
  size_t bytes = strlen(group->title);
  unsigned words = tnr_record_words(sizeof(tnr_trace_group) + bytes);
  tnr_trace_group *record = tnr_put_texts(tape, TNR_TRACE_GROUP, words);
  record->index = group->index;
  record->name_bytes = (uint16_t)bytes;
  tnr_append_text((char *)(record + 1), group->title, bytes);
  tnr_tape_end(tape, words);
}

uint16_t tnr_define_group(tnr_tape *tape, const tnr_group *group, unsigned words) {
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
  put_group(tape, slot);
  return slot->index + 1;
}

/* ---- plans ---- */

static int at_most(int count, int max) {
  return count < max ? count : max;
}

static unsigned plan_words(const tnr_plan *plan, int in, int out, size_t text_bytes) {
  unsigned words = tnr_record_words(sizeof(tnr_trace_plan)) + tnr_record_words(text_bytes);
  for (int i = 0; i < in; i++)
    words += tnr_desc_words(&plan->in_piece[i]);
  for (int i = 0; i < out; i++)
    words += tnr_desc_words(&plan->out_piece[i]);
  return words;
}

/* In a chunk that has room for it and `words` more. */
static uint16_t put_plan(tnr_tape *tape, const tnr_plan *plan, uint16_t device, unsigned words) {
  char attrs[TNR_TEXT_MAX] = "";
  if (plan->def->describe)
    plan->def->describe(plan->attrs, attrs, sizeof attrs);
  size_t name_bytes = tnr_cut_text(plan->def->name, TNR_TEXT_MAX),
         attrs_bytes = tnr_cut_text(attrs, sizeof attrs);
  int in = at_most(plan->in_count, OPERANDS_MAX), out = at_most(plan->out_count, OPERANDS_MAX);
  unsigned own = plan_words(plan, in, out, name_bytes + attrs_bytes);
  tnr_tape_make_room(tape, (own + words) * sizeof(uint64_t));
  tnr_trace_plan *record = tnr_put_texts(tape, TNR_TRACE_PLAN, own);
  record->index = tape->next_plan++;
  record->device = device;
  record->in_count = (uint16_t)in;
  record->out_count = (uint16_t)out;
  record->bytes = tnr_plan_out_bytes(plan);
  record->flops = plan->spec.flops;
  record->name_bytes = (uint16_t)name_bytes;
  record->attrs_bytes = (uint16_t)attrs_bytes;
  record->all_in = (uint16_t)at_most(plan->in_count, UINT16_MAX);
  record->all_out = (uint16_t)at_most(plan->out_count, UINT16_MAX);
  uint64_t *at = (uint64_t *)(record + 1);
  for (int i = 0; i < in; i++)
    at = tnr_put_desc(at, &plan->in_piece[i]);
  for (int i = 0; i < out; i++)
    at = tnr_put_desc(at, &plan->out_piece[i]);
  tnr_append_text(tnr_append_text((char *)at, plan->def->name, name_bytes), attrs, attrs_bytes);
  uint16_t index = record->index;
  tnr_tape_end(tape, own);
  return index;
}

uint16_t tnr_define_other_plan(tnr_tape *tape, tnr_plan *plan, uint16_t device, unsigned words) {
  if (!plan)
    return NO_PLAN;
  plan->recorded_as = put_plan(tape, plan, device, words);
  plan->recorded_on = tape;
  plan->recorded_in = tape->sequence;
  return plan->recorded_as;
}
