/* Attributes as text, for an op's describe: "dim = 1, parts = 2". */
#ifndef TENOR_OPS_WORDS_H
#define TENOR_OPS_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What does not fit is left out. */
typedef struct tnr_words {
  char *to;
  size_t room, used; /* bytes; `to` always ends with a 0 */
} tnr_words;

/* `size` is at least 1. */
tnr_words tnr_words_begin(char *to, size_t size);

void tnr_words_number(tnr_words *words, const char *name, int64_t value);
void tnr_words_text(tnr_words *words, const char *name, const char *value);

/* Nothing where all of them are 0, which stands for the default. */
void tnr_words_list(tnr_words *words, const char *name, const int64_t *values, int count);

/* The name alone; nothing where it is false. */
void tnr_words_flag(tnr_words *words, const char *name, bool set);

#endif
