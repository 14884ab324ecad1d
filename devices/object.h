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
} tnr_class;

struct tnr_object {
  const tnr_class *class; /* immutable after create */
  _Atomic uint32_t refs;  /* atomic */
  uint32_t number;        /* the reactor's, for recordings and timelines: the op that made it; 0:
                           * none is known. Immutable once others know the object */
};

static inline void tnr_object_init(tnr_object *object, const tnr_class *class, uint32_t refs) {
  object->class = class;
  atomic_init(&object->refs, refs);
  object->number = 0;
}

static inline void tnr_object_retain(tnr_object *object) {
  /* relaxed: who retains holds a reference already, so nothing has to be ordered before it */
  atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
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

static inline void tnr_object_release(tnr_object *object) {
  tnr_object_release_many(object, 1);
}

#endif
