/* The dispatcher: the one thread that owns the event base, dependency counts and callbacks. */
#ifndef TENOR_REACTOR_DISPATCHER_H
#define TENOR_REACTOR_DISPATCHER_H

#include "runtime.h"

/* Makes base, eventfd and wake event, and starts the thread if the runtime has threads. On failure
 * nothing is left behind. */
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

/* Any thread, after a letter came into the dispatcher's own mailbox. */
void tnr_dispatcher_mail_came(tnr_runtime *runtime);

/* Any thread, in a runtime without threads: has whoever waits in tnr_crank_wait for what this
 * thread has brought about look whether it has come. */
void tnr_dispatcher_look_again(tnr_runtime *runtime);

/* ---- The dispatcher itself: its thread, or whoever plays it where there is none. ---- */

/* Looks once at all that it has to do. True when there is more of it. */
bool tnr_dispatcher_turn(tnr_runtime *runtime);

/* Sleeps in the event base until there is something to do, or anything happens in the base. */
void tnr_dispatcher_rest(tnr_runtime *runtime);

/* The runtime is closed and everything in flight complete. */
bool tnr_dispatcher_is_over(tnr_runtime *runtime);

/* What a turn consists of, for who does it in another order. `limit`: how many, at most. */
void tnr_dispatcher_take_signals(tnr_runtime *runtime, int device, int limit);
void tnr_dispatcher_take_mail(tnr_runtime *runtime, int limit);
void tnr_dispatcher_take_submissions(tnr_runtime *runtime, int limit); /* launches nothing */
void tnr_dispatcher_fire(tnr_runtime *runtime);                        /* completion events */
void tnr_dispatcher_tidy(tnr_runtime *runtime);    /* drops inputs, tells mailboxes */
void tnr_dispatcher_publish(tnr_runtime *runtime); /* what was launched */
void tnr_dispatcher_settle(tnr_runtime *runtime);  /* who synchronizes a device */
bool tnr_dispatcher_has_events(const tnr_runtime *runtime);

#endif
