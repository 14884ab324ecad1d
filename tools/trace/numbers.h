/* Which row of a table belongs to a number; rows are numbered in the order in which they come. */
#ifndef TENOR_TRACE_NUMBERS_H
#define TENOR_TRACE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBERS_NONE = UINT32_MAX };

/* All zero: none. 12 to 24 bytes a number. */
struct numbers {
  struct numbers_slot {
    uint32_t number, row; /* row + 1; 0: free */
  } * slots;
  size_t count, room; /* room: a power of two */
};

/* NUMBERS_NONE where the number has no row. */
uint32_t numbers_find(const struct numbers *numbers, uint32_t number);

/* The number's row; a new number gets row `next`, and *added is true. False: no memory. */
bool numbers_put(struct numbers *numbers, uint32_t number, uint32_t next, uint32_t *row,
                 bool *added);

void numbers_finish(struct numbers *numbers);

#endif
