/* Characters of UTF-8. */
#ifndef TENOR_TRACE_UTF8_H
#define TENOR_TRACE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of the character at `text`; 0: it is none. */
static inline size_t utf8_size(const char *text, size_t left) {
  const unsigned char *at = (const unsigned char *)text;
  size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
  if (size == 0 || size > left || at[0] > 0xf4)
    return 0;
  for (size_t i = 1; i < size; i++)
    if ((at[i] & 0xc0) != 0x80)
      return 0;
  bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
  bool beyond = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
  return overlong || beyond ? 0 : size;
}

#endif
