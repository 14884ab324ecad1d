#include "numbers.h"

#include "rows.h"

enum { SLOTS_MIN = 64 };

/* The slot of a number that is divided by NUMBERS_NEAR, or the free one for it. */
static struct numbers_slot *find(const struct numbers *numbers, uint32_t number) {
  uint32_t mixed = number * 0x9e3779b1u;
  size_t mask = numbers->slot_count - 1, at = (mixed ^ mixed >> 15) & mask;
  while (numbers->slots[at].block && numbers->slots[at].number != number)
    at = (at + 1) & mask;
  return &numbers->slots[at];
}

uint32_t numbers_find(const struct numbers *numbers, uint32_t number) {
  if (!numbers->blocks.count)
    return NUMBERS_NONE;
  uint32_t block = find(numbers, number / NUMBERS_NEAR)->block;
  return block ? numbers->blocks.at[block - 1].rows[number % NUMBERS_NEAR] - 1
               : NUMBERS_NONE; /* of none: 0 - 1 */
}

static bool grow(struct numbers *numbers) {
  if (3 * (numbers->blocks.count + 1) <= 2 * numbers->slot_count)
    return true;
  struct numbers old = *numbers;
  size_t wanted = old.slot_count ? 2 * old.slot_count : SLOTS_MIN;
  struct numbers_slot *slots = spill_resize(NULL, wanted * sizeof *slots);
  if (!slots)
    return false;
  numbers->slots = slots;
  numbers->slot_count = wanted;
  for (size_t i = 0; i < old.slot_count; i++)
    if (old.slots[i].block)
      *find(numbers, old.slots[i].number) = old.slots[i];
  spill_free(old.slots);
  return true;
}

bool numbers_put(struct numbers *numbers, uint32_t number, uint32_t next, uint32_t *row,
                 bool *added) {
  if (!grow(numbers))
    return false;
  struct numbers_slot *slot = find(numbers, number / NUMBERS_NEAR);
  if (!slot->block) {
    if (!ROWS_ADD(&numbers->blocks))
      return false;
    *slot = (struct numbers_slot){number / NUMBERS_NEAR, (uint32_t)numbers->blocks.count};
  }
  uint32_t *found = &numbers->blocks.at[slot->block - 1].rows[number % NUMBERS_NEAR];
  *added = *found == 0;
  if (*added)
    *found = next + 1;
  *row = *found - 1;
  return true;
}

void numbers_finish(struct numbers *numbers) {
  spill_free(numbers->blocks.at);
  spill_free(numbers->slots);
  *numbers = (struct numbers){0};
}
