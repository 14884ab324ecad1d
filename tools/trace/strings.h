/* Strings of bytes, each kept once, numbered from 0. */
#ifndef TENOR_TRACE_STRINGS_H
#define TENOR_TRACE_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: none. */
struct strings {
  char *bytes; /* each with a 0 behind it */
  size_t used, room;
  struct {
    size_t *at;
    size_t count, room;
  } starts;
  uint32_t *slots; /* [slot_count], number + 1; 0: free */
  size_t slot_count;
};

/* Its number; false: no memory. */
bool strings_put(struct strings *strings, const void *bytes, size_t size, uint32_t *out);

/* Valid until the next is put. */
const char *strings_at(const struct strings *strings, uint32_t number);
size_t strings_size(const struct strings *strings, uint32_t number);

static inline uint32_t strings_count(const struct strings *strings) {
  return (uint32_t)strings->starts.count;
}

void strings_finish(struct strings *strings);

#endif
