#include "words.h"

#include <stdarg.h>
#include <stdio.h>

#include <tenor/status.h>

tnr_words tnr_words_begin(char *to, size_t size) {
  to[0] = '\0';
  return (tnr_words){to, size, 0};
}

static void add(tnr_words *words, const char *format, ...) TNR_PRINTF(2, 3);

static void add(tnr_words *words, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int wanted = vsnprintf(words->to + words->used, words->room - words->used, format, arguments);
  va_end(arguments);
  size_t left = words->room - words->used - 1;
  words->used += wanted < 0 ? 0 : (size_t)wanted < left ? (size_t)wanted : left;
}

static const char *separator(const tnr_words *words) {
  return words->used > 0 ? ", " : "";
}

void tnr_words_number(tnr_words *words, const char *name, int64_t value) {
  add(words, "%s%s = %lld", separator(words), name, (long long)value);
}

void tnr_words_text(tnr_words *words, const char *name, const char *value) {
  add(words, "%s%s = %s", separator(words), name, value);
}

void tnr_words_list(tnr_words *words, const char *name, const int64_t *values, int count) {
  bool set = false;
  for (int i = 0; i < count; i++)
    set |= values[i] != 0;
  if (!set)
    return;
  add(words, "%s%s = [", separator(words), name);
  for (int i = 0; i < count; i++)
    add(words, "%s%lld", i ? ", " : "", (long long)values[i]);
  add(words, "]");
}

void tnr_words_flag(tnr_words *words, const char *name, bool set) {
  if (set)
    add(words, "%s%s", separator(words), name);
}
