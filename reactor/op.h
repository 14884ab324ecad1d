/* An op in flight: one allocation that holds its future, its completion event, its place in a
 * device's queue, its inputs and its attributes. */
#ifndef TENOR_REACTOR_OP_H
#define TENOR_REACTOR_OP_H

#include <event2/event_struct.h>

#include <tenor/op.h>

#include "../devices/worker.h"
#include "future.h"
#include "lane.h"
#include "terms.h"

typedef struct tnr_op tnr_op;

/* One input. The reference is retained until the op is complete. */
typedef struct tnr_op_input {
  tnr_waiter waiter;  /* dispatcher only */
  tnr_object *handle; /* immutable after create: a tensor, a future, or a future of a tuple, which
                       * stands for all its elements */
} tnr_op_input;

/* The op's share on one device of its mesh. Dispatcher only, but for `op`. */
struct tnr_op_part {
  struct tnr_op_part *next; /* in a queue */
  tnr_op *op;               /* immutable after create */
  tnr_epoch *epoch;         /* what tnr_synchronize_device counts it in */
};

/* Where an op is. Dispatcher only.
 *
 *   submit (any thread)
 *      │
 *   in the inbox ──resolve (dispatcher)──▶ WAITING ──launch (dispatcher)──▶ LAUNCHED
 *                                          │                               │ create, execute,
 *                     no device, or abort  │                               │ signal (worker)
 *                                          ▼                               ▼
 *                                        ENDED ◀──────signals counted (dispatcher)
 *                                          │
 *                                          └──complete (dispatcher, the op's event)──▶ released
 *
 *   WAITING, LAUNCHED ──withdraw (dispatcher)──▶ WITHDRAWN: its event completes the future at once;
 *   it is released when no chain, no queue and no worker has any part of it any more
 */
typedef enum tnr_op_stage {
  TNR_OP_WAITING = 0,
  TNR_OP_LAUNCHED,
  TNR_OP_ENDED,
  TNR_OP_WITHDRAWN
} tnr_op_stage;

/* Two blocks of cache lines. Only the dispatcher writes the first one, so that it stays in its
 * CPU's cache from op to op; the second goes from who submits to the dispatcher, a worker, and
 * back. */
struct tnr_op {
  /* dispatcher only, unset before resolve */
  struct event done;    /* the completion event */
  tnr_op_part part;     /* what parts points to where there is one */
  tnr_op_part *parts;   /* [exec->count]; set before launch, NULL again once complete */
  const tnr_mesh *exec; /* the devices whose queues it goes through; NULL while not known. Set
                         * before launch, then read by workers too */
  uint32_t missing;     /* inputs still waited for */
  uint8_t parts_left;   /* signals still to come */
  uint8_t stage;        /* a tnr_op_stage */
  uint16_t uses;        /* until it is complete: how often resolved ops have it as an input, modulo
                         * 65,536 */

  /* Not in one word with what the dispatcher alone writes: compilers read several fields at once.
   */
  uint64_t held; /* where there are limits: what it holds of them, see bounds.c. Written by who
                  * submits it, then by the worker that creates, then read by the dispatcher */
  _Atomic uint8_t parts_running; /* atomic: parts launched that have not run; where workers wait */
  tnr_spin creating; /* held by the worker that creates the outputs, where there are several */

  _Alignas(64) tnr_future future; /* of its result; outputs also as tensors' producer */
  const tnr_op_def *def;          /* immutable after create */
  const char *composite;          /* immutable after create: the composite around it, or NULL */
  const char *file;               /* immutable after create: the submitting call */
  int32_t line;                   /* immutable after create */
  uint32_t in_count;              /* immutable after create */
  tnr_op_input in[]; /* [in_count]; behind them def->attrs_size bytes of attributes, and
                      * where future.has_terms a tnr_held_terms */
};

_Static_assert(offsetof(tnr_op, in) + sizeof(tnr_op_input) <= 5 * TNR_CACHE_LINE,
               "an op with one input takes five cache lines");

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

/* Whose part it is if that has only one; without a look at the part, which may be far away. Only to
 * be prefetched. */
static inline const tnr_op *tnr_op_around(const tnr_op_part *part) {
  return (const tnr_op *)((const char *)part - offsetof(tnr_op, part));
}

/* What has just been written on another CPU, or long ago, and will be needed soon. */
static inline void tnr_op_prefetch(const tnr_op *op) {
  tnr_prefetch(&op->future);
  tnr_prefetch(&op->def);
}

/* The dispatcher's part, too: who is far ahead with submitting leaves none of it in any cache. */
static inline void tnr_op_prefetch_all(const tnr_op *op) {
  for (size_t line = 0; line < offsetof(tnr_op, future); line += TNR_CACHE_LINE)
    tnr_prefetch((const char *)op + line);
  tnr_op_prefetch(op);
}

/* ---- What stands in a worker's rings: an op, or a part of one that has several. ---- */

typedef uintptr_t tnr_op_item;
enum { TNR_ITEM_CREATED = 1, TNR_ITEM_PART = 2 }; /* its lowest bits */

static inline tnr_op_item tnr_op_item_of(tnr_op_part *part) {
  return part == &part->op->part ? (tnr_op_item)part->op : (tnr_op_item)part | TNR_ITEM_PART;
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
  return part ? (int)(part - part->op->parts) : 0;
}

/* NULL (0) is fine. */
static inline void tnr_op_item_prefetch(const void *item) {
  if (item && !((tnr_op_item)item & TNR_ITEM_PART))
    tnr_op_prefetch((const tnr_op *)((tnr_op_item)item & ~(tnr_op_item)3));
}

static inline void *tnr_op_attrs(tnr_op *op) {
  return op->in + op->in_count;
}

static inline size_t tnr_op_bytes_before_terms(uint32_t in_count, size_t attrs_size) {
  size_t bytes = offsetof(tnr_op, in) + in_count * sizeof(tnr_op_input) + attrs_size;
  return (bytes + _Alignof(tnr_held_terms) - 1) / _Alignof(tnr_held_terms) *
         _Alignof(tnr_held_terms);
}

/* Where it has some. */
static inline tnr_held_terms *tnr_op_terms(tnr_op *op) {
  size_t before = tnr_op_bytes_before_terms(op->in_count, op->def->attrs_size);
  return (tnr_held_terms *)((char *)op + before);
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

/* Dispatcher: registers the completion event; counts what is missing. */
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

static inline bool tnr_op_may_be_withdrawn(const tnr_op *op) {
  return !op->future.resolved || op->stage == TNR_OP_WAITING || op->stage == TNR_OP_LAUNCHED;
}

/* Dispatcher: the op whose completion event this is; NULL when it is another event. */
tnr_op *tnr_op_of_event(const struct event *event);

/* Dispatcher: what this input still waits for, or NULL. */
tnr_future *tnr_op_awaits(tnr_op *op, uint32_t input);

/* Dispatcher: when it was submitted, or taken out of the inbox; by tnr_machine_now, ns. */
int64_t tnr_op_since(tnr_op *op);

/* Any thread that makes a plain call: validates, infers and makes the outputs at once. */
tnr_status tnr_op_create_now(tnr_op *op) TNR_MUST_USE;

/* Any thread: gives the op this error, made from the fault and what is known of the inputs. */
void tnr_op_fail(tnr_op *op, const tnr_fault *fault);

#endif
