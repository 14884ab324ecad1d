#include "rows.h"

struct sorting {
  char *aside; /* half of what is sorted */
  size_t bytes;
  rows_compare_fn *compare;
  void *user;
};

static void merge(const struct sorting *s, char *at, size_t first, size_t count) {
  char *left = s->aside, *left_end = left + first * s->bytes;
  char *right = at + first * s->bytes, *right_end = at + count * s->bytes;
  memcpy(left, at, first * s->bytes);
  for (; left < left_end && right < right_end; at += s->bytes) {
    char **from = s->compare(left, right, s->user) <= 0 ? &left : &right;
    memcpy(at, *from, s->bytes);
    *from += s->bytes;
  }
  memcpy(at, left, (size_t)(left_end - left));
}

/* Most of a recording is in order already. */
static void sort(const struct sorting *s, char *at, size_t count) {
  if (count < 2)
    return;
  size_t first = count / 2;
  char *middle = at + first * s->bytes;
  sort(s, at, first);
  sort(s, middle, count - first);
  if (s->compare(middle - s->bytes, middle, s->user) > 0)
    merge(s, at, first, count);
}

bool rows_sort(void *at, size_t count, size_t bytes, rows_compare_fn *compare, void *user) {
  struct sorting s = {spill_resize(NULL, count / 2 * bytes), bytes, compare, user};
  if (!s.aside)
    return false;
  sort(&s, at, count);
  spill_free(s.aside);
  return true;
}
