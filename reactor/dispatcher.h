/* The dispatcher: the one thread that owns the event base, dependency counts and callbacks. */
#ifndef TENOR_REACTOR_DISPATCHER_H
#define TENOR_REACTOR_DISPATCHER_H

#include "runtime.h"

/* Makes base, eventfd and wake event, and starts the thread. On failure nothing is left behind. */
tnr_status tnr_dispatcher_start(tnr_runtime *runtime, tnr_fault *fault);

/* Any other thread: from now on nothing is taken any more. `abort` and `aborted` are set before. */
void tnr_dispatcher_close(tnr_runtime *runtime);

/* Waits for the thread, which ends once the runtime is closed and everything in flight is
 * complete. */
void tnr_dispatcher_join(tnr_runtime *runtime);

/* Frees what start made, but for the eventfd: a thread that was quick enough to put something in
 * before the end may be about to write to it. */
void tnr_dispatcher_finish(tnr_runtime *runtime);

/* Closes the eventfd, once no handle is left and so no call is under way. */
void tnr_dispatcher_close_fd(tnr_runtime *runtime);

/* Any thread → dispatcher. TNR_ECLOSED or TNR_ENOMEM: not taken. */
tnr_status tnr_dispatcher_put_op(tnr_runtime *runtime, tnr_op *op) TNR_MUST_USE;
tnr_status tnr_dispatcher_put_message(tnr_runtime *runtime, tnr_message *message) TNR_MUST_USE;

/* Dispatcher: the same for what belongs to something that was taken before the end. */
tnr_status tnr_dispatcher_put_always(tnr_runtime *runtime, tnr_message *message) TNR_MUST_USE;

/* The reason to give for what was not taken. */
const char *tnr_dispatcher_refusal(tnr_status status);

/* Any thread: false once the runtime is closed for this thread. */
bool tnr_dispatcher_takes(const tnr_runtime *runtime);

/* Workers: wakes the dispatcher if it sleeps, after something was put onto a completion queue. */
void tnr_dispatcher_wake(void *runtime);

#endif
