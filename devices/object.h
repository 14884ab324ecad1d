/* What every counted handle begins with. */
#ifndef TENOR_OBJECT_H
#define TENOR_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tnr_object tnr_object;

/* What kind of handle it is. Constants. */
typedef struct tnr_class {
  const char *name;
  void (*destroy)(tnr_object *object); /* any thread; the last reference is gone */
  const void *manners;                 /* the reactor's; NULL where it has none */
  int number_at; /* bytes from the object to a uint32_t: the number that recordings know it by, 0:
                  * none is known; immutable once others know the object. 0: it has none */
} tnr_class;

struct tnr_object {
  const tnr_class *class; /* immutable after create */
  _Atomic uint32_t refs;  /* atomic */
  uint32_t given_up;      /* the reactor's dispatcher only: how many of these need it no more */
};

static inline void tnr_object_init(tnr_object *object, const tnr_class *class, uint32_t refs) {
  object->class = class;
  atomic_init(&object->refs, refs);
  object->given_up = 0;
}

/* Where its number stands; its class has one. */
static inline uint32_t *tnr_object_number(tnr_object *object) {
  return (uint32_t *)((char *)object + object->class->number_at);
}

static inline uint32_t tnr_object_refs(const tnr_object *object) {
  /* acquire: pairs with the releases of those who have let go of it */
  return atomic_load_explicit(&object->refs, memory_order_acquire);
}

static inline void tnr_object_retain(tnr_object *object) {
  /* relaxed: who retains holds a reference already, so nothing has to be ordered before it */
  atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
}

/* For who knows the object without holding a reference: false when it is about to be destroyed. */
static inline bool tnr_object_try_retain(tnr_object *object) {
  uint32_t refs = atomic_load_explicit(&object->refs, memory_order_relaxed);
  /* relaxed: as in retain */
  while (refs > 0)
    if (atomic_compare_exchange_weak_explicit(&object->refs, &refs, refs + 1, memory_order_relaxed,
                                              memory_order_relaxed))
      return true;
  return false;
}

/* Gives `count` of `refs` back; true when none is left. */
static inline bool tnr_refs_drop(_Atomic uint32_t *refs, uint32_t count) {
  /* acquire: pairs with the other threads' releases below, so that whoever destroys sees all that
   * they did. Who holds all references is the only one who could take another: no need to write */
  return atomic_load_explicit(refs, memory_order_acquire) == count ||
         atomic_fetch_sub_explicit(refs, count, memory_order_acq_rel) == count;
}

static inline void tnr_object_release_many(tnr_object *object, uint32_t count) {
  if (tnr_refs_drop(&object->refs, count))
    object->class->destroy(object);
}

/* For who knows that no other thread has a reference, or could take one. */
static inline void tnr_object_release_unseen(tnr_object *object) {
  uint32_t refs = atomic_load_explicit(&object->refs, memory_order_relaxed);
  if (refs == 1)
    object->class->destroy(object);
  else /* release: pairs with the acquire of those who only look at the count */
    atomic_store_explicit(&object->refs, refs - 1, memory_order_release);
}

static inline void tnr_object_release(tnr_object *object) {
  tnr_object_release_many(object, 1);
}

#endif
