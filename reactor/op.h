/* An op: one allocation that holds its future, its inputs and its attributes. */
#ifndef TENOR_REACTOR_OP_H
#define TENOR_REACTOR_OP_H

#include <tenor/op.h>

#include "../devices/worker.h"
#include "flight.h"
#include "future.h"
#include "terms.h"

/* One input. The reference is retained until the op is complete. */
typedef struct tnr_op_input {
  tnr_waiter waiter;  /* dispatcher only */
  tnr_object *handle; /* immutable after create: a tensor, a future, or a future of a tuple, which
                       * stands for all its elements */
} tnr_op_input;

/* What few ops have; see tnr_op_extra_of. */
typedef struct tnr_op_extra {
  const char *composite; /* immutable after create: the composite around it, or NULL */
  uint64_t held; /* where there are limits: what it holds of them, see bounds.c. Written by who
                  * submits it, then by the worker that creates, then read by the dispatcher */
} tnr_op_extra;

/* It goes from who submits to the dispatcher, a worker, and back, so it is two cache lines, and one
 * of them hardly ever written to; what only the dispatcher needs stands elsewhere, see flight.h. */
struct tnr_op {
  _Alignas(64) tnr_future future; /* of its result; outputs also as tensors' producer */
  const tnr_op_def *def;          /* immutable after create */
  const char *file;               /* immutable after create: the submitting call */
  int32_t line;                   /* immutable after create */
  uint32_t in_count;              /* immutable after create */
  tnr_op_input in[]; /* [in_count]; behind them def->attrs_size bytes of attributes, where
                      * future.has_extra a tnr_op_extra, and where future.has_terms a
                      * tnr_held_terms */
};

_Static_assert(offsetof(tnr_op, in) + sizeof(tnr_op_input) <= 2 * TNR_CACHE_LINE,
               "an op with one input takes two cache lines");
_Static_assert(2 * TNR_CACHE_LINE + sizeof(tnr_flight) < 5 * TNR_CACHE_LINE,
               "an op with one input takes less than 320 bytes in flight");

/* Its handle need not be touched to know: who submits may be writing to it, counting references. */
static inline bool tnr_op_input_is_tensor(const tnr_op_input *input) {
  return input->waiter.tensor;
}

/* In a recording or timeline, where future.numbered. It stands where who submits writes anyway; ops
 * have at least one input. */
static inline uint32_t tnr_op_number(const tnr_op *op) {
  return op->in[0].waiter.number;
}

static inline tnr_op *tnr_op_of(tnr_future *future) {
  return (tnr_op *)((char *)future - offsetof(tnr_op, future));
}

/* What has just been written on another CPU, or long ago, and will be needed soon. */
static inline void tnr_op_prefetch(const tnr_op *op) {
  tnr_prefetch(&op->future);
  tnr_prefetch(&op->def);
}

/* ---- What stands in a worker's rings: an op, or a part of one that has several. ---- */

typedef uintptr_t tnr_op_item;
enum { TNR_ITEM_CREATED = 1, TNR_ITEM_PART = 2 }; /* its lowest bits */

static inline tnr_op_item tnr_op_item_of(tnr_op_part *part) {
  return part->several ? (tnr_op_item)part | TNR_ITEM_PART : (tnr_op_item)part->op;
}

static inline tnr_op_part *tnr_op_item_part(tnr_op_item item) {
  return item & TNR_ITEM_PART ? (tnr_op_part *)(item & ~(tnr_op_item)3) : NULL;
}

static inline tnr_op *tnr_op_item_op(tnr_op_item item) {
  tnr_op_part *part = tnr_op_item_part(item);
  return part ? part->op : (tnr_op *)(item & ~(tnr_op_item)3);
}

static inline int tnr_op_item_piece(tnr_op_item item) {
  tnr_op_part *part = tnr_op_item_part(item);
  return part ? part->piece : 0;
}

/* NULL (0) is fine. */
static inline void tnr_op_item_prefetch(const void *item) {
  if (item && !((tnr_op_item)item & TNR_ITEM_PART))
    tnr_op_prefetch((const tnr_op *)((tnr_op_item)item & ~(tnr_op_item)3));
}

static inline void *tnr_op_attrs(tnr_op *op) {
  return op->in + op->in_count;
}

/* What stands behind the attributes begins here. */
static inline size_t tnr_op_bytes_of_attrs(uint32_t in_count, size_t attrs_size) {
  enum { ALIGNMENT = 8 };
  _Static_assert(_Alignof(tnr_op_extra) <= ALIGNMENT && _Alignof(tnr_held_terms) <= ALIGNMENT,
                 "what stands behind the attributes needs no more");
  size_t bytes = offsetof(tnr_op, in) + in_count * sizeof(tnr_op_input) + attrs_size;
  return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static inline void *tnr_op_behind_attrs(const tnr_op *op) {
  return (char *)op + tnr_op_bytes_of_attrs(op->in_count, op->def->attrs_size);
}

/* Where it has one. */
static inline tnr_op_extra *tnr_op_extra_of(const tnr_op *op) {
  return tnr_op_behind_attrs(op);
}

/* NULL where there is none. */
static inline const char *tnr_op_composite(const tnr_op *op) {
  return op->future.has_extra ? tnr_op_extra_of(op)->composite : NULL;
}

/* Where it has some. */
static inline tnr_held_terms *tnr_op_terms(const tnr_op *op) {
  size_t before = op->future.has_extra ? sizeof(tnr_op_extra) : 0;
  return (tnr_held_terms *)((char *)tnr_op_behind_attrs(op) + before);
}

static inline tnr_op *tnr_op_of_waiter(tnr_waiter *waiter) {
  tnr_op_input *input = (tnr_op_input *)waiter;
  return (tnr_op *)((char *)(input - waiter->input) - offsetof(tnr_op, in));
}

static inline tnr_site tnr_op_site(const tnr_op *op) {
  return (tnr_site){op->file, op->line};
}

static inline bool tnr_op_has_failed(tnr_op *op) {
  /* acquire: pairs with tnr_future_set_error */
  return atomic_load_explicit(&op->future.error, memory_order_acquire) != NULL;
}

/* The outputs of an op that is created. */
static inline int tnr_op_output_count(const tnr_op *op) {
  const tnr_object *result = op->future.result;
  return !result ? 0 : op->future.tuple ? ((const tnr_tuple *)result)->count : 1;
}

static inline tnr_tensor *tnr_op_output(const tnr_op *op, int index) {
  tnr_object *result = op->future.result;
  return op->future.tuple ? ((tnr_tuple *)result)->tensors[index] : (tnr_tensor *)result;
}

/* The first mesh of its inputs that is known and not the host's; NULL: none is. Any thread. */
const tnr_mesh *tnr_op_known_mesh(const tnr_op *op);

/* The dispatcher's: something that an input waited for has passed. */
void tnr_op_input_ready(tnr_waiter *waiter);

/* ---- The journey, in order; each named after who performs it. What the dispatcher does is in
 * stage.c, what workers do in run.c. ---- */

/* Any thread: a new op with two references, the caller's, and the dispatcher's until it is
 * complete. Takes references of its own to the inputs. NULL with tnr_error() when out of memory.
 * `handles`: see tnr_op_input. */
tnr_op *tnr_op_new(tnr_runtime *runtime, const tnr_op_def *def, tnr_site site,
                   tnr_object *const *handles, int count, const void *attrs);

/* Any thread: destroys an op that is not to be submitted. NULL is not allowed. */
void tnr_op_give_up(tnr_op *op);

/* Any thread: into the inbox. TNR_ECLOSED or TNR_ENOMEM, with tnr_error(): the op is given up. */
tnr_status tnr_op_submit(tnr_op *op) TNR_MUST_USE;

/* Dispatcher: registers the completion event; counts what is missing. When out of memory it
 * completes at once, with an error. */
void tnr_op_resolve(tnr_op *op);

/* Dispatcher: launches all that has nothing missing any more, and what that sets free; or only the
 * first, which there has to be. */
void tnr_op_launch_ready(tnr_runtime *runtime);
void tnr_op_launch_next(tnr_runtime *runtime);

/* Worker: creates, executes and signals one part. */
void tnr_op_run(tnr_lane *lane, tnr_op_item item);

/* Dispatcher: takes one signal off a worker's completion queue. */
void tnr_op_take_signal(tnr_lane *lane, tnr_op_item item);

/* Dispatcher: gives back what completed ops held of their inputs, at the end of a turn. */
void tnr_op_drop_inputs(tnr_runtime *runtime);

/* Dispatcher: takes back one part from a device's queue when the runtime is aborted. */
void tnr_op_never_ran(tnr_op_part *part);

/* Dispatcher: the op's future completes soon with this error, whatever stage it is in, unless it is
 * about to complete by itself. */
void tnr_op_withdraw(tnr_op *op, tnr_error *error);

/* Dispatcher. */
static inline bool tnr_op_may_be_withdrawn(const tnr_op *op) {
  const tnr_flight *flight = op->future.flight;
  return flight ? flight->stage == TNR_OP_WAITING || flight->stage == TNR_OP_LAUNCHED
                : tnr_future_get_state(&op->future) < TNR_FUTURE_COMPLETE;
}

/* Dispatcher: the op whose completion event this is; NULL when it is another event. */
tnr_op *tnr_op_of_event(const struct event *event);

/* Dispatcher: what this input still waits for, or NULL. */
tnr_future *tnr_op_awaits(tnr_op *op, uint32_t input);

/* Dispatcher: when it was submitted, or taken out of the inbox; by tnr_machine_now, ns. */
int64_t tnr_op_since(tnr_op *op);

/* Any thread that holds both: they are known to run on the same devices, piece by piece. Not known
 * of an `op` that moves data, which may run elsewhere than where its result will be; what the other
 * one moves to a device it makes there. */
static inline bool tnr_op_runs_beside(const tnr_op *op, const tnr_op *other) {
  const tnr_mesh *mesh = tnr_future_get_mesh(&op->future);
  return mesh && tnr_future_get_mesh(&other->future) == mesh && !op->future.moves;
}

/* Any thread that makes a plain call: validates, infers and makes the outputs at once. */
tnr_status tnr_op_create_now(tnr_op *op) TNR_MUST_USE;

/* Any thread: gives the op this error, made from the fault and what is known of the inputs. */
void tnr_op_fail(tnr_op *op, const tnr_fault *fault);

#endif
