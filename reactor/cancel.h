/* Ending early what is not to be run, and finding what only that needed. Dispatcher only, all of
 * it.
 *
 * A future is needed as long as somebody outside of the library refers to it, or something that is
 * needed itself: all of that holds references. So when something is ended early it gives up what it
 * refers to: it may go on to hold its references, because a worker is looking at them even now, but
 * they are counted as such (tnr_object.given_up). What nobody refers to any more but the library
 * itself and those is not needed. */
#ifndef TENOR_REACTOR_CANCEL_H
#define TENOR_REACTOR_CANCEL_H

#include "future.h"
#include "op.h"

/* Errors of what was cancelled, or too late: they spread at once, and not when the queues get
 * there.
 */
bool tnr_is_cancellation(const tnr_runtime *runtime, const tnr_error *error);

/* Ends a future with this error unless it is complete; it gives up what it refers to. Callbacks may
 * run in it. */
void tnr_future_cancel(tnr_future *future, tnr_error *error);

/* One of the references to a tensor, tuple or future does not need it any more. What is not needed
 * by anybody then is cancelled. To be followed by one of the two below. */
void tnr_give_up(tnr_object *handle, tnr_error *error);

/* That reference does need it, after all. */
void tnr_give_up_not(tnr_object *handle);

/* That reference goes. */
void tnr_drop(tnr_object *handle);

/* This future fails: the ops in its chain need not wait for their other inputs. */
void tnr_cancel_waiting(tnr_future *future);

/* An input that has failed: true when it was cancelled, or too late, and so is the op now. */
bool tnr_op_inherits_end(tnr_op *op, tnr_object *input);

/* To be called now and then, where runtime->sweep is set: ends what descends from what was ended
 * early, as far as it is not in a chain, and takes off the devices' queues what has ended. */
void tnr_cancel_sweep(tnr_runtime *runtime);

#endif
