/* Callbacks: telling a program that a moment has passed. */
#ifndef TENOR_CALLBACK_H
#define TENOR_CALLBACK_H

#include <tenor/future.h>
#include <tenor/mailbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `future` is what was registered, as a future; borrowed. */
typedef void tnr_callback(tnr_value future, void *user);

typedef struct tnr_on_options {
  tnr_mailbox *mailbox TNR_ZERO; /* of the same runtime; NULL: the dispatcher thread */
} tnr_on_options;

/* tnr_on(x, moment, fn, user, .mailbox = box): calls fn(x, user) once the moment has passed, on
 * success and on failure, exactly once, and never inside this call: soon, on the dispatcher thread,
 * where fn may call anything that does not block; or, with a mailbox, on the thread that dispatches
 * it. x, any handle, is kept alive until fn returns. Callbacks of one future that go to one place
 * run in the order of registration. When this fails (TNR_ENOMEM, TNR_ECLOSED, TNR_EINVAL), fn is
 * never called. Any thread. */
#define tnr_on(x, moment, fn, user, ...)                                                           \
  tnr_on_value(TNR_VALUE(x), moment, fn, user, TNR_ATTRS(tnr_on_options, __VA_ARGS__))

/* A callback that lives in the caller's own struct, so that registering it takes no memory. From
 * tnr_attach on it is the library's, until its fn is entered or it is detached; then it may be
 * freed, or attached again. */
typedef struct tnr_continuation {
  tnr_callback *fn;
  void *user;
  tnr_letter letter;    /* the library's, as what follows */
  tnr_future *future;   /* retained while attached */
  tnr_mailbox *mailbox; /* NULL: the dispatcher */
} tnr_continuation;

/* Once before it is first attached. `user`: often the struct that it lives in. */
TNR_API void tnr_continuation_init(tnr_continuation *continuation, tnr_callback *fn, void *user);

/* tnr_attach(x, moment, &continuation, .mailbox = box): as tnr_on, but takes no memory where x is a
 * future. TNR_EINVAL when it is attached already. */
#define tnr_attach(x, moment, continuation, ...)                                                   \
  tnr_attach_value(TNR_VALUE(x), moment, continuation, TNR_ATTRS(tnr_on_options, __VA_ARGS__))

/* Takes it back. True: it was attached, its fn will not be called, and it is the caller's again.
 * False: it was not attached, or its fn has been called or is about to be; exactly one of the two,
 * whatever happens at the same time. On the thread that calls fn (the dispatcher, or the only one
 * that dispatches the mailbox) false means that fn has been entered. Any thread; never blocks. */
TNR_API bool tnr_detach(tnr_continuation *continuation);

/* The plain functions under the macros. NULL options: all defaults. */
TNR_API tnr_status tnr_on_value(tnr_value x, tnr_moment moment, tnr_callback *fn, void *user,
                                const tnr_on_options *options) TNR_MUST_USE;
TNR_API tnr_status tnr_attach_value(tnr_value x, tnr_moment moment, tnr_continuation *continuation,
                                    const tnr_on_options *options) TNR_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
