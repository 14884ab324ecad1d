#include "numbers.h"

#include <stdlib.h>

enum { ROOM_MIN = 64, NEAR_BITS = 4 };

/* Numbers that are near to each other lie side by side: they are looked for together. */
static size_t place_of(const struct numbers *numbers, uint32_t number) {
  uint32_t far = (number >> NEAR_BITS) * 0x9e3779b1u;
  uint64_t mixed = ((uint64_t)(far ^ far >> 15) << NEAR_BITS) | (number & ((1u << NEAR_BITS) - 1));
  return (size_t)mixed & (numbers->room - 1);
}

static struct numbers_slot *find(const struct numbers *numbers, uint32_t number) {
  size_t at = place_of(numbers, number);
  while (numbers->slots[at].row && numbers->slots[at].number != number)
    at = (at + 1) & (numbers->room - 1);
  return &numbers->slots[at];
}

uint32_t numbers_find(const struct numbers *numbers, uint32_t number) {
  if (!numbers->count)
    return NUMBERS_NONE;
  return find(numbers, number)->row - 1; /* of none: 0 - 1 */
}

static bool grow(struct numbers *numbers) {
  if (3 * (numbers->count + 1) <= 2 * numbers->room)
    return true;
  struct numbers old = *numbers;
  numbers->room = old.room ? 2 * old.room : ROOM_MIN;
  numbers->slots = calloc(numbers->room, sizeof *numbers->slots);
  if (!numbers->slots) {
    *numbers = old;
    return false;
  }
  for (size_t i = 0; i < old.room; i++)
    if (old.slots[i].row)
      *find(numbers, old.slots[i].number) = old.slots[i];
  free(old.slots);
  return true;
}

bool numbers_put(struct numbers *numbers, uint32_t number, uint32_t next, uint32_t *row,
                 bool *added) {
  if (!grow(numbers))
    return false;
  struct numbers_slot *slot = find(numbers, number);
  *added = !slot->row;
  if (*added) {
    *slot = (struct numbers_slot){number, next + 1};
    numbers->count++;
  }
  *row = slot->row - 1;
  return true;
}

void numbers_finish(struct numbers *numbers) {
  free(numbers->slots);
  *numbers = (struct numbers){0};
}
