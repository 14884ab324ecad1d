#include "strings.h"

#include "rows.h"

enum { SLOTS_MIN = 64 };

static uint64_t hash_of(const char *bytes, size_t size) {
  uint64_t hash = size;
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001b3);
  return hash ^ hash >> 29;
}

const char *strings_at(const struct strings *strings, uint32_t number) {
  return strings->bytes + strings->starts.at[number];
}

size_t strings_size(const struct strings *strings, uint32_t number) {
  size_t end = number + 1 < strings->starts.count ? strings->starts.at[number + 1] : strings->used;
  return end - strings->starts.at[number] - 1;
}

/* The slot with these bytes, or the free one for them. */
static uint32_t *find(const struct strings *strings, const char *bytes, size_t size) {
  size_t mask = strings->slot_count - 1, at = hash_of(bytes, size) & mask;
  for (;; at = (at + 1) & mask) {
    uint32_t slot = strings->slots[at];
    if (!slot || (strings_size(strings, slot - 1) == size &&
                  memcmp(strings_at(strings, slot - 1), bytes, size) == 0))
      return &strings->slots[at];
  }
}

static bool make_slots(struct strings *strings) {
  if (2 * (strings->starts.count + 1) <= strings->slot_count)
    return true;
  size_t wanted = strings->slot_count ? 2 * strings->slot_count : SLOTS_MIN;
  uint32_t *slots = spill_resize(NULL, wanted * sizeof *slots);
  if (!slots)
    return false;
  spill_free(strings->slots);
  strings->slots = slots;
  strings->slot_count = wanted;
  for (uint32_t i = 0; i < strings->starts.count; i++)
    *find(strings, strings_at(strings, i), strings_size(strings, i)) = i + 1;
  return true;
}

static bool make_bytes(struct strings *strings, size_t size) {
  if (strings->room - strings->used > size)
    return true;
  size_t wanted = 2 * (strings->used + size) + SLOTS_MIN;
  char *bytes = spill_resize(strings->bytes, wanted);
  if (!bytes)
    return false;
  strings->bytes = bytes;
  strings->room = wanted;
  return true;
}

bool strings_put(struct strings *strings, const void *bytes, size_t size, uint32_t *out) {
  if (!make_slots(strings))
    return false;
  uint32_t *slot = find(strings, bytes, size);
  if (!*slot) {
    if (!make_bytes(strings, size) || !ROWS_ROOM(&strings->starts))
      return false;
    strings->starts.at[strings->starts.count] = strings->used;
    if (size > 0)
      memcpy(strings->bytes + strings->used, bytes, size);
    strings->bytes[strings->used + size] = '\0';
    strings->used += size + 1;
    *slot = (uint32_t)++strings->starts.count;
  }
  *out = *slot - 1;
  return true;
}

void strings_finish(struct strings *strings) {
  spill_free(strings->bytes);
  spill_free(strings->starts.at);
  spill_free(strings->slots);
  *strings = (struct strings){0};
}
