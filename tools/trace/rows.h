/* Arrays that grow: struct { T *at; size_t count, room; }, all zero at first, `at` freed by who has
 * them. */
#ifndef TENOR_TRACE_ROWS_H
#define TENOR_TRACE_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_FIRST = 16 };

/* `at`: the address of the array's pointer, of whatever type. */
static inline bool rows_grow(void *at, size_t *room, size_t bytes) {
  void *old, *grown;
  size_t wanted = *room ? *room + *room / 2 : ROWS_FIRST;
  memcpy(&old, at, sizeof old);
  if (wanted >= UINT32_MAX || wanted > SIZE_MAX / bytes || !(grown = realloc(old, wanted * bytes)))
    return false;
  memcpy(at, &grown, sizeof grown);
  *room = wanted;
  return true;
}

static inline void *rows_clear(void *row, size_t bytes) {
  return memset(row, 0, bytes);
}

/* Room for one more at rows->at[rows->count]; false: no memory, or 2^32 of them. */
#define ROWS_ROOM(rows)                                                                            \
  ((rows)->count < (rows)->room || rows_grow(&(rows)->at, &(rows)->room, sizeof *(rows)->at))

/* The address of a new element at the end, all zero; NULL: no memory. */
#define ROWS_ADD(rows)                                                                             \
  (ROWS_ROOM(rows) ? rows_clear(&(rows)->at[(rows)->count++], sizeof *(rows)->at) : NULL)

#endif
