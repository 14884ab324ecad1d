/* The form of records: how long they are, and what has to fit into them. */
#ifndef TENOR_TRACE_FORM_H
#define TENOR_TRACE_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenor/trace_format.h>

static inline bool trace_is_brief(unsigned type) {
  return type >= TNR_TRACE_BRIEF_RESOLVE;
}

/* The words of a record's struct; 0: such a record is not known. */
size_t trace_record_words(unsigned type);

/* What the record says to have in it, texts and lists, is within its `count` words, at least 1. */
bool trace_record_fits(const uint64_t *words, size_t count);

#endif
