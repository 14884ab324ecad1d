/* The inside of futures: a result with two moments, and what waits for them. */
#ifndef TENOR_REACTOR_FUTURE_H
#define TENOR_REACTOR_FUTURE_H

#include <stdatomic.h>

#include <tenor/future.h>
#include <tenor/mailbox.h>

#include "../devices/object.h"
#include "../devices/spin.h"
#include "../devices/storage.h"
#include "error.h"

/* What a waiter waits for. LAUNCHED: the op is on its device's queue, and so are all that it needs,
 * so that ops behind it in that queue may be put there. */
typedef enum tnr_waits_for {
  TNR_UNTIL_LAUNCHED,
  TNR_UNTIL_CREATED,
  TNR_UNTIL_COMPLETE
} tnr_waits_for;

enum { TNR_WAITER_LISTENS = (1 << 24) - 1 };

/* One link in a future's chain, embedded in what waits. Dispatcher only. */
typedef struct tnr_waiter {
  struct tnr_waiter *next;
  uint32_t until : 4;  /* a tnr_waits_for */
  uint32_t tensor : 4; /* immutable after create: it is part of an op's input, which is a tensor.
                        * Workers read it, too: once an op is launched, `until` stays as it is */
  uint32_t input : 24; /* the index of the op's input that this is part of, or TNR_WAITER_LISTENS */
  uint32_t number;     /* of an op's first input: the op's, see tnr_class; else unused */
} tnr_waiter;

/* A waiter with a function. Runs on the dispatcher, once; `listener` may be freed in it. */
typedef struct tnr_listener {
  tnr_waiter waiter;
  void (*fire)(struct tnr_listener *listener);
} tnr_listener;

typedef enum tnr_future_state {
  TNR_FUTURE_PENDING = 0,
  TNR_FUTURE_CREATED, /* the result is there */
  TNR_FUTURE_COMPLETE /* the data is there, or there is an error */
} tnr_future_state;

/* The base of every kind of future, of a tensor or of a tuple. A tnr_future_tuple is the same
 * thing. */
struct tnr_future {
  tnr_object object;
  struct tnr_flight *flight;      /* dispatcher only: of an op: what there is while it is in flight,
                                   * else NULL */
  _Atomic(const tnr_mesh *) mesh; /* atomic: where the result will live; NULL while not known,
                                   * written once */
  tnr_object *result;             /* a tensor or tuple; written before state is CREATED */
  _Atomic(tnr_error *) error;     /* atomic: written once, retained */
  tnr_waiter *last_waiter;        /* dispatcher only: a ring; its next is the first */
  _Atomic uint8_t state;          /* atomic: a tnr_future_state; never goes back */
  atomic_bool tell_created;       /* atomic: something waits for CREATED */
  atomic_bool has_continuations;  /* atomic: or had once */
  tnr_spin lock;                  /* of continuations */
  _Atomic uint8_t parts_running;  /* atomic: of an op: parts launched that have not run; where
                                   * workers wait */
  uint8_t uses;   /* dispatcher only: of an op: how often ops in flight have it as an input, modulo
                   * 256; until it is complete */
  bool tuple : 1; /* immutable after create: the result is a tuple */
  bool has_terms : 1; /* immutable after create: it was submitted under terms; see terms.h */
  unsigned level : 2; /* immutable after create: a tnr_level, of the queue that it goes through */
  bool numbered : 1;  /* immutable after create: it has a number in a recording or timeline */
  bool has_extra : 1; /* immutable after create: of an op: it has a tnr_op_extra */
  bool moves : 1;     /* immutable after create: of an op: it moves data, from where that is or to
                       * where it goes; others run where their result will be */

  /* Dispatcher only, a byte of their own. */
  bool : 0;
  bool created_told : 1; /* waiters for CREATED have been called */
  bool launched : 1;     /* waiters for LAUNCHED have been called */
  bool drained : 1;      /* of an op: its inputs have been given back */
  bool seen : 1;         /* by the walk that is under way; see in_flight.h */
  bool untold : 1;       /* that it was resolved is to be recorded with what follows */

  /* the next cache line; of an op, the one that nobody writes to in most cases */
  tnr_runtime *runtime;      /* immutable after create */
  tnr_letter *continuations; /* guarded by lock: the newest first */
};

_Static_assert(offsetof(tnr_future, runtime) == TNR_CACHE_LINE,
               "what changes from stage to stage is one cache line");

enum { TNR_DESCRIBED_MAX = 16 };

/* What a future is to whoever reads an error or a dump. */
typedef struct tnr_description {
  tnr_error_context context;
  const tnr_desc *inputs[TNR_DESCRIBED_MAX]; /* what context.inputs points to */
} tnr_description;

/* How a kind of future, its class's manners, behaves to the rest of the reactor. Dispatcher only.
 */
typedef struct tnr_manners {
  /* Ends it with this error, if it is not complete, and gives up what only it needed. */
  void (*cancel)(tnr_future *future, tnr_error *error);

  /* How many references the library itself holds to one that is not complete. */
  uint32_t (*own_refs)(const tnr_future *future);

  /* Its name, the call that made it, and what is known of its inputs. */
  void (*describe)(tnr_future *future, tnr_description *out);
} tnr_manners;

/* Element `index` of a future of a tuple. Has no moments of its own. */
typedef struct tnr_element {
  tnr_future future;     /* error: that there is no such element, or that it was cancelled */
  tnr_future *tuple;     /* immutable after create; retained */
  int index;             /* immutable after create */
  bool given_up;         /* dispatcher only: by all that refer to it; it has given up its tuple */
  tnr_site site;         /* immutable after create */
  const char *composite; /* immutable after create: the composite around it, or NULL */
} tnr_element;

extern const tnr_class tnr_element_class, tnr_op_class;

static inline tnr_future *tnr_future_of(tnr_future_tuple *future) {
  return (tnr_future *)future;
}

static inline bool tnr_future_is_op(const tnr_future *future) {
  return future->object.class == &tnr_op_class;
}

static inline bool tnr_future_is_element(const tnr_future *future) {
  return future->object.class == &tnr_element_class;
}

/* The future whose moments count: the tuple's for an element. */
static inline tnr_future *tnr_future_source(tnr_future *future) {
  return tnr_future_is_element(future) ? ((tnr_element *)future)->tuple : future;
}

/* In a recording or timeline; 0: it has none. */
static inline uint32_t tnr_future_number(tnr_future *future) {
  return future->numbered ? *tnr_object_number(&future->object) : 0;
}

/* Before others know the future, whose class has numbers; 0: none. */
static inline void tnr_future_set_number(tnr_future *future, uint32_t number) {
  future->numbered = number != 0;
  if (number)
    *tnr_object_number(&future->object) = number;
}

static inline tnr_future_state tnr_future_get_state(const tnr_future *future) {
  /* acquire: pairs with tnr_future_set_state; result and mesh are then visible */
  return (tnr_future_state)atomic_load_explicit(&future->state, memory_order_acquire);
}

static inline const tnr_mesh *tnr_future_get_mesh(const tnr_future *future) {
  /* acquire: pairs with tnr_future_set_mesh; what the mesh points to is then visible */
  return atomic_load_explicit(&future->mesh, memory_order_acquire);
}

static inline void tnr_future_set_mesh(tnr_future *future, const tnr_mesh *mesh) {
  /* release: pairs with tnr_future_get_mesh */
  atomic_store_explicit(&future->mesh, mesh, memory_order_release);
}

/* `future` is all set for the given number of references. */
void tnr_future_init(tnr_future *future, const tnr_class *class, tnr_runtime *runtime, bool tuple,
                     uint32_t refs);

/* Releases what the base holds. */
void tnr_future_finish(tnr_future *future);

/* The error of a future, or of an element that does not exist; NULL while it has none. Any thread.
 */
tnr_error *tnr_future_get_error(tnr_future *future);

/* Sets the error unless it has one; retains it. Any thread. */
void tnr_future_set_error(tnr_future *future, tnr_error *error);

/* The tensor or tuple of a future that is created; NULL and an error if there is none. */
tnr_object *tnr_future_get_result(tnr_future *future, tnr_error **error);

/* Whoever makes the result (any thread, once): takes over the reference and passes *created*,
 * unless the dispatcher has ended it already. True when the dispatcher has to be told, by
 * tnr_future_tell_created. */
bool tnr_future_create(tnr_future *future, tnr_object *result, const tnr_mesh *mesh);

/* ---- dispatcher only ---- */

static inline const tnr_manners *tnr_future_manners(const tnr_future *future) {
  return (const tnr_manners *)future->object.class->manners;
}

/* A new error that names the future. */
tnr_error *tnr_future_error_new(tnr_future *future, const tnr_fault *fault);

/* Adds a waiter to the chain. False when what it waits for has passed already: not added. */
bool tnr_future_add_waiter(tnr_future *future, tnr_waiter *waiter, tnr_waits_for until);

/* Ends what nobody has created yet, while somebody may still do that. False when it has been
 * created: the result can be looked at then. tnr_future_complete follows. */
bool tnr_future_end_early(tnr_future *future);

void tnr_future_tell_launched(tnr_future *future);
void tnr_future_tell_created(tnr_future *future);

/* Passes *complete* (and *created*, if that was not told) and walks the chain, iteratively. */
void tnr_future_complete(tnr_future *future);

/* The same where no other thread has a reference, so that nothing has to be told. */
void tnr_future_complete_unseen(tnr_future *future);

/* As a value for callbacks and users. */
tnr_value tnr_future_value(tnr_future *future);

#endif
