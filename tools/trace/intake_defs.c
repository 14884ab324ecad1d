#include <inttypes.h>

#include <tenor/dtype.h>

#include "intake.h"
#include "rows.h"
#include "utf8.h"

tnr_status intake_no_room(tnr_fault *fault) {
  return spill_fail(fault, "a recording of this size");
}

/* What is no text, or could confuse a terminal, does not come in. */
static size_t clean(const char *from, size_t size, char *to, size_t room) {
  size_t kept = 0;
  while (kept < size && kept < room) {
    size_t taken = utf8_size(from + kept, (size < room ? size : room) - kept);
    unsigned char first = (unsigned char)from[kept];
    bool odd =
        taken == 0 || (first < ' ' && first != '\n') || first == 0x7f ||
        (taken == 2 && first == 0xc2 && (unsigned char)from[kept + 1] < 0xa0); /* C1 controls */
    taken = taken ? taken : 1;
    if (odd)
      memset(to + kept, '?', taken);
    else
      memcpy(to + kept, from + kept, taken);
    kept += taken;
  }
  return kept;
}

tnr_status intake_string(struct intake *intake, const void *bytes, size_t size, uint32_t *out,
                         tnr_fault *fault) {
  char cleaned[4096];
  size_t kept = clean(bytes, size, cleaned, sizeof cleaned);
  if (strings_put(&intake->recording->strings, cleaned, kept, out))
    return TNR_OK;
  return intake_no_room(fault);
}

/* ---- by the index of a chunk ---- */

static tnr_status define(struct intake_defs *defs, uint32_t index, uint32_t row, tnr_fault *fault) {
  while (defs->count <= index) {
    uint32_t *added = ROWS_ADD(defs);
    if (!added)
      return intake_no_room(fault);
    *added = TRACE_NONE;
  }
  defs->at[index] = row;
  return TNR_OK;
}

tnr_status intake_find(const struct intake_defs *defs, uint32_t index,
                       const struct trace_event *event, const char *what, uint32_t *out,
                       tnr_fault *fault) {
  *out = index < defs->count ? defs->at[index] : TRACE_NONE;
  if (*out != TRACE_NONE)
    return TNR_OK;
  return tnr_fail(fault, TNR_EINVAL, "byte %" PRIu64 ": damaged: there is no %s %" PRIu32,
                  event->offset, what, index);
}

/* ---- sites, plans, groups ---- */

static tnr_status put_texts(struct intake *intake, const char *at, const uint16_t *sizes,
                            uint32_t **outs, int count, tnr_fault *fault) {
  tnr_status status = TNR_OK;
  for (int i = 0; status == TNR_OK && i < count; at += sizes[i], i++)
    status = intake_string(intake, at, sizes[i], outs[i], fault);
  return status;
}

static tnr_status define_site(struct intake *intake, struct intake_tape *tape,
                              const tnr_trace_site *site, tnr_fault *fault) {
  struct trace_site made = {.line = site->line};
  uint32_t row, *outs[] = {&made.name, &made.composite, &made.file};
  const uint16_t sizes[] = {site->name_bytes, site->composite_bytes, site->file_bytes};
  tnr_status status = put_texts(intake, (const char *)(site + 1), sizes, outs, 3, fault);
  if (status != TNR_OK)
    return status;
  if (!strings_put(&intake->recording->sites, &made, sizeof made, &row))
    return intake_no_room(fault);
  return define(&tape->sites, site->index, row, fault);
}

static size_t describe(const uint64_t *desc, char *out, size_t room) {
  unsigned rank = desc[0] >> 8 & 0xff;
  size_t used = (size_t)snprintf(out, room, "%s[", tnr_dtype_name((tnr_dtype)(desc[0] & 0xff)));
  for (unsigned i = 0; i < rank && used < room; i++)
    used += (size_t)snprintf(out + used, room - used, "%s%" PRIu64, i ? ", " : "", desc[1 + i]);
  if (used < room)
    used += (size_t)snprintf(out + used, room - used, "]");
  return used;
}

/* One a line. */
static tnr_status put_descs(struct intake *intake, const uint64_t **at, unsigned count,
                            unsigned all, uint32_t *out, tnr_fault *fault) {
  char text[4000];
  size_t used = 0;
  for (unsigned i = 0; i < count; i++, *at += 1 + (**at >> 8 & 0xff)) {
    if (i && used < sizeof text)
      used += (size_t)snprintf(text + used, sizeof text - used, "\n");
    if (used < sizeof text)
      used += describe(*at, text + used, sizeof text - used);
  }
  if (all > count && used < sizeof text)
    used += (size_t)snprintf(text + used, sizeof text - used, "\n… of %u", all);
  return intake_string(intake, text, used < sizeof text ? used : sizeof text - 1, out, fault);
}

static tnr_status define_plan(struct intake *intake, struct intake_tape *tape,
                              const tnr_trace_plan *plan, tnr_fault *fault) {
  struct trace_plan made = {.bytes = plan->bytes, .flops = plan->flops};
  const uint64_t *at = (const uint64_t *)(plan + 1);
  uint32_t row, *outs[] = {&made.name, &made.attrs};
  const uint16_t sizes[] = {plan->name_bytes, plan->attrs_bytes};
  tnr_status status = put_descs(intake, &at, plan->in_count, plan->all_in, &made.inputs, fault);
  if (status == TNR_OK)
    status = put_descs(intake, &at, plan->out_count, plan->all_out, &made.outputs, fault);
  if (status == TNR_OK)
    status = put_texts(intake, (const char *)at, sizes, outs, 2, fault);
  if (status != TNR_OK)
    return status;
  if (!strings_put(&intake->recording->plans, &made, sizeof made, &row))
    return intake_no_room(fault);
  return define(&tape->plans, plan->index, row, fault);
}

static tnr_status define_group(struct intake *intake, struct intake_tape *tape,
                               const tnr_trace_group *group, tnr_fault *fault) {
  uint32_t name;
  tnr_status status = intake_string(intake, group + 1, group->name_bytes, &name, fault);
  return status == TNR_OK ? define(&tape->groups, group->index, name, fault) : status;
}

/* ---- places ---- */

static void name_device(struct trace_recording *recording, const tnr_trace_device *device) {
  if (device->index >= recording->file.devices)
    return; /* the host */
  struct trace_device *named = &recording->devices[device->index];
  size_t kept =
      clean((const char *)(device + 1), device->name_bytes, named->name, sizeof named->name - 1);
  named->name[kept] = '\0';
  named->host_memory = device->host_memory != 0;
}

static bool same_lane(const struct trace_lane *lane, const struct trace_lane *other) {
  return lane->kind == other->kind && lane->tape == other->tape && lane->tid == other->tid &&
         lane->device == other->device && strcmp(lane->name, other->name) == 0;
}

/* A thread that comes back to the tape has its lane again; looked for among the last few. */
tnr_status intake_lane(struct intake *intake, struct intake_tape *tape,
                       const tnr_trace_thread *writer, uint32_t index, tnr_fault *fault) {
  enum { LOOK_BACK = 64 };
  struct trace_recording *recording = intake->recording;
  struct trace_lane made = {.kind = writer->kind, .tape = index, .tid = writer->tid};
  made.device = writer->device < recording->file.devices ? writer->device : TRACE_NONE;
  clean(writer->name, strnlen(writer->name, sizeof writer->name), made.name, sizeof made.name - 1);
  size_t count = recording->lanes.count;
  for (size_t i = count; i > 0 && i + LOOK_BACK > count; i--)
    if (same_lane(&recording->lanes.at[i - 1], &made)) {
      tape->lane = (uint32_t)i - 1;
      return TNR_OK;
    }
  struct trace_lane *lane = ROWS_ADD(&recording->lanes);
  if (!lane)
    return intake_no_room(fault);
  *lane = made;
  tape->lane = (uint32_t)count;
  if (made.kind == TNR_TRACE_WORKER && made.device != TRACE_NONE)
    recording->devices[made.device].lanes++;
  return TNR_OK;
}

tnr_status intake_move(struct intake *intake, struct intake_tape *tape,
                       const struct trace_event *event, tnr_fault *fault) {
  struct trace_recording *recording = intake->recording;
  const tnr_trace_move *move = (const tnr_trace_move *)event->words;
  const uint64_t *at = (const uint64_t *)(move + 1);
  uint32_t what, devices = recording->file.devices;
  tnr_status status = put_descs(intake, &at, 1, 1, &what, fault);
  if (status != TNR_OK)
    return status;
  struct trace_move *made = ROWS_ADD(&recording->moves);
  if (!made)
    return intake_no_room(fault);
  *made = (struct trace_move){.from = move->from < devices ? move->from : TRACE_NONE,
                              .to = move->to < devices ? move->to : TRACE_NONE,
                              .what = what,
                              .bytes = move->bytes};
  tape->next_move = (uint32_t)recording->moves.count - 1;
  return TNR_OK;
}

tnr_status intake_definition(struct intake *intake, struct intake_tape *tape,
                             const struct trace_event *event, tnr_fault *fault) {
  switch (event->type) {
  case TNR_TRACE_SITE:
    return define_site(intake, tape, (const tnr_trace_site *)event->words, fault);
  case TNR_TRACE_PLAN:
    return define_plan(intake, tape, (const tnr_trace_plan *)event->words, fault);
  case TNR_TRACE_GROUP:
    return define_group(intake, tape, (const tnr_trace_group *)event->words, fault);
  case TNR_TRACE_THREAD:
    return intake_lane(intake, tape, (const tnr_trace_thread *)event->words, event->tape, fault);
  case TNR_TRACE_DEVICE:
    name_device(intake->recording, (const tnr_trace_device *)event->words);
    return TNR_OK;
  default:
    return TNR_OK;
  }
}
