/* Continuations: what waits in a future, put there by any thread, to be called by the dispatcher or
 * to go into a mailbox. */
#ifndef TENOR_REACTOR_CONTINUATION_H
#define TENOR_REACTOR_CONTINUATION_H

#include <tenor/callback.h>

#include "future.h"
#include "mailbox.h"

/* Any thread: waits in the future from now on, retaining it, or is on its way already; as
 * tnr_attach. `deliver` is called with its letter, once, and consumes that reference. The caller
 * holds a reference of its own until this returns. */
tnr_status tnr_continuation_put(tnr_continuation *continuation, tnr_future *future,
                                tnr_moment moment, tnr_mailbox *mailbox,
                                void (*deliver)(tnr_letter *letter)) TNR_MUST_USE;

/* The continuation of a letter. */
static inline tnr_continuation *tnr_continuation_of(tnr_letter *letter) {
  return (tnr_continuation *)((char *)letter - offsetof(tnr_continuation, letter));
}

/* Dispatcher: `moment` has passed; what waits for it is called, or posted, in order. */
void tnr_continuations_tell_all(tnr_future *future, tnr_moment moment);

static inline void tnr_continuations_tell(tnr_future *future, tnr_moment moment) {
  /* sequentially consistent, like the store of the state before it and the pair of them in
   * tnr_continuation_put: either this sees that something waits, or that one sees the state */
  if (atomic_load_explicit(&future->has_continuations, memory_order_seq_cst))
    tnr_continuations_tell_all(future, moment);
}

#endif
