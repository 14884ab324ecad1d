/* The inside of promises, and the list of those of a runtime that are open. */
#ifndef TENOR_REACTOR_PROMISE_H
#define TENOR_REACTOR_PROMISE_H

#include <tenor/promise.h>

#include "../devices/spin.h"
#include "future.h"

/* All of a runtime's. */
typedef struct tnr_promises {
  tnr_spin lock;
  tnr_promise *first; /* guarded by lock: open ones, the newest first */
  uint64_t open;      /* guarded by lock: made, and not yet settled by the dispatcher */
  bool closed;        /* guarded by lock */
} tnr_promises;

/* What a future that may not be created yet will be; NULL when that is not known. Any thread. */
const tnr_desc *tnr_promised_desc(const tnr_future *future);

/* Dispatcher: calls visit(future, user) for all that the dispatcher has not heard of yet. */
typedef void tnr_future_visit(tnr_future *future, void *user);
void tnr_promises_visit(tnr_runtime *runtime, tnr_future_visit *visit, void *user);

/* Dispatcher, once the runtime is closed: fails those that are open. True when all are settled. */
bool tnr_promises_end(tnr_runtime *runtime);

#endif
