/* Mailboxes: callbacks on a thread of the program's own, through one descriptor that nests in
 * whatever event loop the program has. */
#ifndef TENOR_MAILBOX_H
#define TENOR_MAILBOX_H

#include <tenor/call.h>
#include <tenor/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Callbacks that were registered with a mailbox (tenor/callback.h) wait in it until a thread
 * dispatches it, and run on that thread. Nothing is lost while nobody dispatches, and delivering
 * needs no memory. It outlives its runtime: what the runtime's end completes or fails is delivered
 * like all else. */
typedef struct tnr_mailbox tnr_mailbox;

/* For the futures of this runtime (NULL: the default runtime). To be given back by
 * tnr_mailbox_destroy. NULL with tnr_error() on failure: TNR_ESYSTEM, TNR_ENOMEM, TNR_ECLOSED. Any
 * thread. */
TNR_API tnr_mailbox *tnr_mailbox_create(tnr_runtime *runtime) TNR_MUST_USE;

/* To be watched for reading, with poll, select, epoll (level- or edge-triggered) or any loop that
 * is built on them; not to be read, written or closed. It is readable as long as something waits,
 * and not otherwise; what completes while the dispatcher is in one turn makes it readable once, at
 * the turn's end. Each time that a dispatch leaves something behind is an edge of its own. The
 * descriptor lives as long as the mailbox. -1 for NULL.
 * In a runtime without threads (tnr_mode) it is readable, too, as long as there is something that
 * nobody does: an event loop that dispatches whenever it is readable is all that such a runtime
 * needs. Where other threads use the runtime as well, one of them may be quicker. */
TNR_API int tnr_mailbox_fd(const tnr_mailbox *mailbox);

/* How much one call may run. Zero: no such limit. */
typedef struct tnr_mailbox_limits {
  int64_t max_callbacks TNR_ZERO;
  int64_t max_ns TNR_ZERO; /* looked at after each callback: one of them runs in any case */
} tnr_mailbox_limits;

/* tnr_mailbox_dispatch(mailbox, .max_callbacks = 100, .max_ns = 1000000): runs what waits at this
 * moment, the oldest first, within the limits; what comes meanwhile, also from these callbacks,
 * waits for the next call. Returns how many callbacks ran; never waits for one. -1 with tnr_error()
 * for NULL.
 * In a runtime without threads this call first does what there is to do in it, as those that wait
 * do, until nothing is left or the limits are reached; kernels and callbacks on the dispatcher run
 * in here, then. A kernel that has begun is not interrupted; `max_ns` counts on the runtime's
 * clock. Any thread. Several threads may dispatch one mailbox at once: each callback runs on one of
 * them. A callback may dispatch the mailbox that it came from, and then runs what waits behind it.
 * It may block for whatever other threads bring about; what only a later callback from this mailbox
 * would bring about (a promise that it fulfils, say) never comes, unless the callback dispatches.
 */
#define tnr_mailbox_dispatch(mailbox, ...)                                                         \
  tnr_mailbox_dispatch_within(mailbox, TNR_ATTRS(tnr_mailbox_limits, __VA_ARGS__))

/* The plain function under the macro; NULL limits: none. */
TNR_API int tnr_mailbox_dispatch_within(tnr_mailbox *mailbox, const tnr_mailbox_limits *limits);

/* Takes no registration any more (TNR_ECLOSED), waits until everything that was registered has been
 * delivered, running it on this thread, and closes the descriptor, which should not be watched any
 * more by then. After tnr_runtime_destroy, and once all is detached, there is nothing to wait for;
 * a promise that nobody fulfils is waited for for ever. No other thread may come with a new call
 * meanwhile; one that dispatches already is waited for.
 * TNR_EDEADLK, and nothing has happened: in a callback from this mailbox, and where it would have
 * to wait on the runtime's own dispatcher or worker. NULL is fine. */
TNR_API tnr_status tnr_mailbox_destroy(tnr_mailbox *mailbox);

/* What lies in a mailbox, or waits for a moment to go there. The library's own, for those who embed
 * it (tnr_continuation). */
typedef struct tnr_letter {
  void (*deliver)(struct tnr_letter *letter);
  struct tnr_letter *next, **link;
  unsigned char armed, chained, queued, moment;
} tnr_letter;

#ifdef __cplusplus
}
#endif
#endif
