#include "derived.h"

#include <stddef.h>

void tnr_derived_add(tnr_derived_list *list, tnr_derived *derived) {
  derived->next = atomic_load_explicit(&list->first, memory_order_relaxed);
  /* Release: pairs with the acquire in tnr_derived_first, which hands out the contents. */
  while (!atomic_compare_exchange_weak_explicit(&list->first, &derived->next, derived,
                                                memory_order_release, memory_order_relaxed)) {
  }
}

tnr_derived *tnr_derived_first(tnr_derived_list *list) {
  /* Acquire: pairs with the release in tnr_derived_add. */
  return atomic_load_explicit(&list->first, memory_order_acquire);
}

void tnr_derived_finish(tnr_derived_list *list) {
  /* Relaxed: whoever destroys the storage has seen all of its uses. */
  tnr_derived *derived = atomic_load_explicit(&list->first, memory_order_relaxed);
  atomic_store_explicit(&list->first, NULL, memory_order_relaxed);
  while (derived != NULL) {
    tnr_derived *next = derived->next;
    derived->destroy(derived);
    derived = next;
  }
}
