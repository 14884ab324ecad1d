/* Finding what is in flight. Ops are in no list of their own: they are on a device's queue, ready,
 * about to complete, or in the chain of what they wait for. Dispatcher only, all of it. */
#ifndef TENOR_REACTOR_IN_FLIGHT_H
#define TENOR_REACTOR_IN_FLIGHT_H

#include "op.h"
#include "promise.h"

/* A future in flight that is not an op's, and that ops may wait for: in the runtime's list.
 * Embedded.
 */
typedef struct tnr_pending {
  struct tnr_pending *next, **link;
  tnr_future *future;
} tnr_pending;

void tnr_pending_add(tnr_pending *pending, tnr_future *future);
void tnr_pending_remove(tnr_pending *pending);

/* All of these, and the promises that are open. */
void tnr_pending_visit(tnr_runtime *runtime, tnr_future_visit *visit, void *user);

typedef struct tnr_found_op {
  tnr_op *op;
  bool begun; /* a worker has taken a part of it off its queue */
} tnr_found_op;

typedef struct tnr_found {
  tnr_found_op *ops; /* [count]: those on devices' queues first, each behind what it needs there */
  size_t count, capacity;
  bool complete; /* these are all */
} tnr_found;

/* At most `limit` of the ops that the dispatcher has resolved; fewer when memory runs out. To be
 * finished before anything else is done. */
void tnr_found_init(tnr_found *found, tnr_runtime *runtime, size_t limit);
void tnr_found_finish(tnr_found *found);

#endif
