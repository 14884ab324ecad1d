/* Which row of a table belongs to a number; rows are numbered in the order in which they come. */
#ifndef TENOR_TRACE_NUMBERS_H
#define TENOR_TRACE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBERS_NONE = UINT32_MAX, NUMBERS_NEAR = 32 };

/* All zero: none. Numbers that are near to each other lie side by side, as they are looked for
 * together. 5 bytes a number where there is one for each; 150 where none is near another. */
struct numbers {
  struct {
    struct numbers_block {
      uint32_t rows[NUMBERS_NEAR]; /* row + 1; 0: none */
    } * at;
    size_t count, room;
  } blocks;
  struct numbers_slot {
    uint32_t number, block; /* divided by NUMBERS_NEAR; block + 1; 0: free */
  } * slots;
  size_t slot_count; /* a power of two */
};

/* NUMBERS_NONE where the number has no row. */
uint32_t numbers_find(const struct numbers *numbers, uint32_t number);

/* The number's row; a new number gets row `next`, and *added is true. False: no room. */
bool numbers_put(struct numbers *numbers, uint32_t number, uint32_t next, uint32_t *row,
                 bool *added);

void numbers_finish(struct numbers *numbers);

#endif
