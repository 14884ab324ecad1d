/* The insides of tensors: one storage for each device that holds a piece. */
#ifndef TENOR_STORAGE_H
#define TENOR_STORAGE_H

#include <tenor/tensor.h>

#include "cache_line.h"
#include "derived.h"
#include "machine.h"
#include "object.h"

typedef enum tnr_storage_state {
  TNR_STORAGE_PENDING = 0, /* who makes the data has not said yet that it is there */
  TNR_STORAGE_COMPLETE,
  TNR_STORAGE_FAILED
} tnr_storage_state;

/* Memory of somebody else's, and how to give it back. */
typedef struct tnr_lender {
  void (*release)(void *user);
  void *user;
} tnr_lender;

/* What a storage's `lender` and `layout` mean. */
typedef enum tnr_storage_kind {
  TNR_STORAGE_DENSE = 0, /* neither: memory from the device's pool, row-major */
  TNR_STORAGE_LENT,      /* dense, too, but somebody else's memory: lender */
  TNR_STORAGE_LAID_OUT   /* memory from the device's pool, in a device's own order: layout */
} tnr_storage_kind;

typedef struct tnr_storage {
  size_t bytes;                /* immutable after create; of memory */
  _Atomic(tnr_object *) error; /* atomic: why it failed; written once, before state */
  tnr_derived_list derived;    /* any thread */
  tnr_device *device;          /* immutable after create */
  union {
    tnr_lender *lender;       /* immutable after create */
    const tnr_layout *layout; /* worker only until complete, then immutable */
  };

  /* what everybody reads who uses it as an input */
  _Atomic uint32_t refs; /* atomic */
  _Atomic uint8_t state; /* atomic: a tnr_storage_state; written once, by the reactor */
  bool in_tensor;        /* immutable after create: it is the `own` of a tensor, whose memory goes
                          * with it */
  bool keeps;            /* written before the tensor is published: the data came from outside, and
                          * may be used again and again, like weights */
  uint8_t kind;          /* a tnr_storage_kind; worker only until complete, then immutable */
  void *memory;          /* immutable after create, but for tnr_storage_empty; contents: worker only
                          * until complete. How they lie says `kind`: see tnr_storage_dense */
  void *producer; /* the reactor's: what will complete it. Set before the tensor is published,
                   * then dispatcher only; NULL when nothing will */
} tnr_storage;

/* Begins on a cache line. Who uses a tensor as an input reads all but the first one, which is
 * written to by everybody who counts references: an input of many ops would go back and forth. */
struct tnr_tensor {
  tnr_object object;
  uint32_t number;      /* see tnr_class: of the op that made it */
  int32_t shard_dim;    /* immutable after create; -1: not sharded */
  tnr_storage own;      /* used by the first part unless storage is shared */
  const tnr_mesh *mesh; /* immutable after create */
  tnr_storage **parts;  /* [mesh->count]; immutable after create */
  tnr_storage *part;    /* what parts points to where there is one */
  tnr_desc desc;        /* immutable after create; the whole tensor */
};

_Static_assert(offsetof(tnr_tensor, own.refs) == TNR_CACHE_LINE &&
                   sizeof(tnr_tensor) <= 3 * TNR_CACHE_LINE,
               "a tensor is three cache lines, of which readers need the last two");

/* A tensor or tuple, or NULL, that another CPU has written and the dispatcher is about to finish.
 */
static inline void tnr_tensor_prefetch(const tnr_object *made) {
  tnr_prefetch(made);
  tnr_prefetch((const char *)made + 64);
}

struct tnr_tuple {
  tnr_object object;
  tnr_machine *machine;  /* immutable after create */
  int count;             /* immutable after create */
  uint32_t number;       /* see tnr_class: of the op that made it */
  tnr_tensor *tensors[]; /* [count]; immutable after create; retained */
};

extern const tnr_class tnr_tensor_class, tnr_tuple_class;

/* A tensor with its own, pending storage on every device of the mesh; shard_dim -1: the whole on
 * each. The caller owns it. TNR_ENOMEM, TNR_EOVERFLOW, TNR_EDEVICE (does not divide). Any thread.
 */
tnr_status tnr_tensor_new(const tnr_mesh *mesh, int shard_dim, const tnr_desc *desc,
                          tnr_tensor **out, tnr_fault *fault);

/* The same where the shape is known to be right, and what a device's piece takes in bytes. */
tnr_status tnr_tensor_new_sized(const tnr_mesh *mesh, int shard_dim, const tnr_desc *desc,
                                size_t piece_bytes, tnr_tensor **out, tnr_fault *fault);

/* Memory of somebody else's on one device, complete. */
tnr_status tnr_tensor_wrap(tnr_device *device, const tnr_desc *desc, void *data,
                           void (*release)(void *user), void *user, tnr_tensor **out,
                           tnr_fault *fault);

/* The storages of `of` under another shape with as many elements a piece. */
tnr_status tnr_tensor_alias(const tnr_tensor *of, int shard_dim, const tnr_desc *desc,
                            tnr_tensor **out, tnr_fault *fault);

/* What one device of a mesh holds of a tensor that is split along shard_dim. */
tnr_desc tnr_desc_piece(const tnr_desc *desc, int shard_dim, int pieces);

/* A tuple that takes over the references in `tensors`; NULL when out of memory, and then nothing is
 * taken over. */
tnr_tuple *tnr_tuple_new(tnr_machine *machine, tnr_tensor *const *tensors, int count);

static inline tnr_storage_state tnr_storage_get_state(const tnr_storage *storage) {
  /* acquire: pairs with the release in tnr_storage_finish; data and error are then visible */
  return (tnr_storage_state)atomic_load_explicit(&storage->state, memory_order_acquire);
}

/* How the memory's contents lie; NULL: dense. The device's worker, or any thread once complete. */
static inline const tnr_layout *tnr_storage_layout(const tnr_storage *storage) {
  return storage->kind == TNR_STORAGE_LAID_OUT ? storage->layout : NULL;
}

/* The device's worker, before it is complete; NULL: dense. */
static inline void tnr_storage_set_layout(tnr_storage *storage, const tnr_layout *layout) {
  storage->layout = layout;
  storage->kind = layout ? TNR_STORAGE_LAID_OUT : TNR_STORAGE_DENSE;
}

/* Whose memory it is; NULL: the device's pool's. */
static inline tnr_lender *tnr_storage_lender(const tnr_storage *storage) {
  return storage->kind == TNR_STORAGE_LENT ? storage->lender : NULL;
}

/* The contents dense and row-major. Where they lie otherwise, a copy is made that is kept as long
 * as the storage: TNR_ENOMEM. The device's worker, or any thread once complete. */
tnr_status tnr_storage_dense(tnr_storage *storage, const void **out, tnr_fault *fault) TNR_MUST_USE;

/* The device's worker: gives the memory back, and all that is derived from it, before the storage
 * goes; for one that nobody else can reach any more. The tensor's own reference is the last one, or
 * nothing is done. */
void tnr_storage_empty(tnr_storage *storage);

/* Says that the data is there, or that it never will be: error, of which a reference is taken.
 * By the storage's producer: once when it is there; when it failed, perhaps by several threads, and
 * the first one's error stays. */
void tnr_storage_finish(tnr_storage *storage, tnr_object *error);

#endif
