/* What a driver has derived from the data of one tensor, such as weights in a packed layout. Kept
 * with the tensor's storage, freed with it. Possible because a tensor never changes once it is
 * complete. */
#ifndef TENOR_DERIVED_H
#define TENOR_DERIVED_H

#include <tenor/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Embedded as the first member of what a driver hangs on a storage. */
typedef struct tnr_derived {
  struct tnr_derived *next; /* immutable once added */
  const void *owner;        /* immutable after create: an address by which its maker knows it */
  void (*destroy)(struct tnr_derived *derived); /* immutable after create; any thread */
} tnr_derived;

/* One per storage. Only grows, so that readers need no lock. */
typedef struct tnr_derived_list tnr_derived_list;

/* Any thread. The list owns `derived` from now on. */
TNR_API void tnr_derived_add(tnr_derived_list *list, tnr_derived *derived);

/* Any thread; walk on with `next`. */
TNR_API tnr_derived *tnr_derived_first(tnr_derived_list *list);

#ifdef __cplusplus
}
#endif
#endif
