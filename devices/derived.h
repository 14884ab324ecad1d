/* The inside of a list of derived data. */
#ifndef TENOR_DEVICES_DERIVED_H
#define TENOR_DEVICES_DERIVED_H

#include <stdatomic.h>

#include <tenor/derived.h>

struct tnr_derived_list {
  _Atomic(tnr_derived *) first; /* atomic; starts as NULL */
};

/* Frees all. After the last use of the storage. */
void tnr_derived_finish(tnr_derived_list *list);

#endif
