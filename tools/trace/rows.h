/* Arrays that grow: struct { T *at; size_t count, room; }, all zero at first, `at` given back with
 * spill_free by who has them. */
#ifndef TENOR_TRACE_ROWS_H
#define TENOR_TRACE_ROWS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spill.h"

enum { ROWS_FIRST = 16 };

/* `at`: the address of the array's pointer, of whatever type. */
static inline bool rows_grow(void *at, size_t *room, size_t bytes) {
  void *old, *grown;
  size_t wanted = *room ? *room + *room / 2 : ROWS_FIRST;
  memcpy(&old, at, sizeof old);
  errno = EOVERFLOW;
  if (wanted >= UINT32_MAX || wanted > SIZE_MAX / bytes ||
      !(grown = spill_resize(old, wanted * bytes)))
    return false;
  memcpy(at, &grown, sizeof grown);
  *room = wanted;
  return true;
}

static inline void *rows_clear(void *row, size_t bytes) {
  return memset(row, 0, bytes);
}

/* Room for one more at rows->at[rows->count]; false: none is left (see spill_fail), or 2^32 of
 * them. */
#define ROWS_ROOM(rows)                                                                            \
  ((rows)->count < (rows)->room || rows_grow(&(rows)->at, &(rows)->room, sizeof *(rows)->at))

/* The address of a new element at the end, all zero; NULL: no room. */
#define ROWS_ADD(rows)                                                                             \
  (ROWS_ROOM(rows) ? rows_clear(&(rows)->at[(rows)->count++], sizeof *(rows)->at) : NULL)

typedef int rows_compare_fn(const void *left, const void *right, void *user);

/* Puts `count` elements of `bytes` bytes in order, those that are equal as they were; half as much
 * room meanwhile, which is gone through from one end to the other: unlike qsort, good for what is
 * in files. False: no room. */
bool rows_sort(void *at, size_t count, size_t bytes, rows_compare_fn *compare, void *user);

#endif
