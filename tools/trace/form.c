#include "form.h"

#include <tenor/trace_format.h>

static size_t words_of(size_t bytes) {
  return (bytes + 7) / 8;
}

size_t trace_record_words(unsigned type) {
  switch (type) {
  case TNR_TRACE_SITE:
    return words_of(sizeof(tnr_trace_site));
  case TNR_TRACE_PLAN:
    return words_of(sizeof(tnr_trace_plan));
  case TNR_TRACE_GROUP:
    return words_of(sizeof(tnr_trace_group));
  case TNR_TRACE_THREAD:
    return words_of(sizeof(tnr_trace_thread));
  case TNR_TRACE_DEVICE:
    return words_of(sizeof(tnr_trace_device));
  case TNR_TRACE_TOTAL:
    return words_of(sizeof(tnr_trace_total));
  case TNR_TRACE_SUBMIT:
    return words_of(sizeof(tnr_trace_submit));
  case TNR_TRACE_INPUTS:
  case TNR_TRACE_RESOLVE:
  case TNR_TRACE_LAUNCH:
  case TNR_TRACE_END:
  case TNR_TRACE_SIGNAL:
  case TNR_TRACE_COMPLETE:
  case TNR_TRACE_WAKE:
  case TNR_TRACE_ROOM:
  case TNR_TRACE_ERROR:
    return words_of(sizeof(tnr_trace_short));
  case TNR_TRACE_CREATE:
  case TNR_TRACE_BODY:
  case TNR_TRACE_CALLBACK:
  case TNR_TRACE_WAIT:
  case TNR_TRACE_REST:
    return words_of(sizeof(tnr_trace_span));
  case TNR_TRACE_HELD:
    return words_of(sizeof(tnr_trace_held));
  case TNR_TRACE_MOVE:
    return words_of(sizeof(tnr_trace_move));
  case TNR_TRACE_RUN:
  case TNR_TRACE_BEGIN:
    return words_of(sizeof(tnr_trace_run));
  case TNR_TRACE_COUNTER:
    return words_of(sizeof(tnr_trace_counter));
  default:
    return 0;
  }
}

/* How many of `left` words `count` descriptions take; more than `left`: they do not fit. */
static size_t descriptions(const uint64_t *at, size_t left, unsigned count) {
  size_t used = 0;
  for (unsigned i = 0; i < count && used <= left; i++)
    used += used < left ? 1 + (at[used] >> 8 & 0xff) : left + 1;
  return used;
}

/* The words that a record's texts and lists take behind its struct. */
static size_t more_words(const uint64_t *words, size_t left) {
  const tnr_trace_site *site = (const tnr_trace_site *)words;
  const tnr_trace_plan *plan = (const tnr_trace_plan *)words;
  switch (words[0] & 0xff) {
  case TNR_TRACE_SITE:
    return words_of((size_t)site->name_bytes + site->composite_bytes + site->file_bytes);
  case TNR_TRACE_PLAN:
    return descriptions((const uint64_t *)(plan + 1), left,
                        (unsigned)plan->in_count + plan->out_count) +
           words_of((size_t)plan->name_bytes + plan->attrs_bytes);
  case TNR_TRACE_GROUP:
    return words_of(((const tnr_trace_group *)words)->name_bytes);
  case TNR_TRACE_DEVICE:
    return words_of(((const tnr_trace_device *)words)->name_bytes);
  case TNR_TRACE_SUBMIT:
    return ((size_t)((const tnr_trace_submit *)words)->inputs + 1) / 2;
  case TNR_TRACE_INPUTS:
    return ((size_t)((const tnr_trace_inputs *)words)->inputs + 1) / 2;
  case TNR_TRACE_ERROR:
    return words_of(((const tnr_trace_error *)words)->bytes);
  case TNR_TRACE_MOVE:
    return descriptions((const uint64_t *)((const tnr_trace_move *)words + 1), left, 1);
  default:
    return 0;
  }
}

bool trace_record_fits(const uint64_t *words, size_t count) {
  unsigned type = words[0] & 0xff;
  size_t fixed = trace_record_words(type);
  if (trace_is_brief(type))
    return type != TNR_TRACE_BRIEF_SUBMIT || (words[1] >> 48 & 0xff) <= 2;
  return fixed <= count && more_words(words, count - fixed) <= count - fixed;
}
