#include "timeline.h"

#include <stdarg.h>
#include <stdio.h>

#include "error.h"

uint32_t tnr_timeline_next(tnr_runtime *runtime) {
  tnr_timeline *timeline = &runtime->timeline;
  pthread_mutex_lock(&timeline->lock);
  uint32_t number = ++timeline->submitted;
  pthread_mutex_unlock(&timeline->lock);
  return number;
}

void tnr_timeline_write(tnr_op *op, tnr_timeline_kind kind, const tnr_device *device) {
  tnr_runtime *runtime = op->future.runtime;
  tnr_timeline *timeline = &runtime->timeline;
  pthread_mutex_lock(&timeline->lock);
  if (kind == TNR_TIMELINE_SUBMIT && !op->future.numbered)
    tnr_future_set_number(&op->future, ++timeline->submitted);
  const tnr_timeline_entry entry = {
      .at = tnr_machine_now(&runtime->machine),
      .kind = kind,
      .number = tnr_op_number(op),
      .op = op->def->name,
      .composite = tnr_op_composite(op),
      .site = tnr_op_site(op),
      .device = device,
      .status = kind == TNR_TIMELINE_COMPLETE ? tnr_error_code(tnr_future_get_error(&op->future))
                                              : TNR_OK,
  };
  timeline->write(&entry, timeline->user);
  pthread_mutex_unlock(&timeline->lock);
}

/* ---- as text ---- */

typedef struct line {
  char *to;
  size_t room;
  int length; /* of all that was added, whether there was room or not */
} line;

static void add(line *out, const char *format, ...) TNR_PRINTF(2, 3);
static void add(line *out, const char *format, ...) {
  va_list arguments;
  size_t used = (size_t)out->length < out->room ? (size_t)out->length : out->room;
  va_start(arguments, format);
  int more =
      vsnprintf(used < out->room ? out->to + used : NULL, out->room - used, format, arguments);
  va_end(arguments);
  out->length += more > 0 ? more : 0;
}

int tnr_timeline_format(const tnr_timeline_entry *entry, char *text, size_t size) {
  static const char *const kinds[] = {"submit", "launch", "start", "end", "complete"};
  line out = {text, size, 0};
  add(&out, "%lld %s #%u ", (long long)entry->at, kinds[entry->kind], entry->number);
  if (entry->composite)
    add(&out, "%s/", entry->composite);
  add(&out, "%s", entry->op);
  if (entry->device)
    add(&out, " on %s", tnr_device_name(entry->device));
  if (entry->status != TNR_OK)
    add(&out, " %s", tnr_status_name(entry->status));
  if (entry->site.file)
    add(&out, " (%s:%d)", entry->site.file, entry->site.line);
  add(&out, "\n");
  return out.length;
}
