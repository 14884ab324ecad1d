/* Futures of several futures: all-of and any-of. */
#ifndef TENOR_REACTOR_JOIN_H
#define TENOR_REACTOR_JOIN_H

#include "future.h"

extern const tnr_class tnr_all_class;

/* The members of an all-of: tensors and futures, in order. */
int tnr_all_count(const tnr_future *all);
tnr_object *tnr_all_member(const tnr_future *all, int index);

#endif
