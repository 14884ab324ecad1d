/* Bounds on what is in flight: a program that submits faster than its devices compute is held back,
 * or told so, before memory runs out. */
#ifndef TENOR_BOUNDS_H
#define TENOR_BOUNDS_H

#include <tenor/callback.h>
#include <tenor/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What tnr_limits (tenor/runtime.h) count. An op is in flight from the call that submits it until
 * it is complete; its bytes are those of its outputs, from when they are allocated (a plain call:
 * in the call; an async one: right before its kernel) until it is complete. What is complete is the
 * program's: it counts no more, however large it is, and however long it lives. Where a runtime has
 * no limits nothing is counted.
 *
 * When a limit is reached, calls wait for room in them:
 * - a call that submits an op, on a thread of the program; a composite's before its body runs, the
 *   ops of which then go through;
 * - a worker, before it allocates an op's outputs, for ops that it or others have run already and
 *   whose completion is on its way.
 * They never wait on the dispatcher, in callbacks, mailboxes' included, in composites' bodies, and
 * in kernels: what is submitted there goes through, beyond the limits if need be. Bytes may also go
 * beyond them by one op a device where plain calls fill them beside async ones, or the runtime has
 * no threads; and by ops on several devices at once, which workers do not wait for.
 *
 * With `full_is_error` calls do not wait: they fail with TNR_EAGAIN, and nothing has happened (a
 * composite fails before its body runs). So do those in callbacks of mailboxes.
 *
 * An op whose outputs alone are larger than a limit fails with TNR_EINVAL, always. A call that
 * waits ends with the runtime (TNR_ECLOSED). Ops that wait for a promise are in flight: who fills
 * the limits with them must not be the one to fulfil it. */

/* What counts at this moment, and the most that ever did. */
typedef struct tnr_in_flight {
  int64_t ops, bytes;
  int64_t peak_ops, peak_bytes;
} tnr_in_flight;

/* Zeroes where there are no limits, and for NULL. Any thread. */
TNR_API tnr_in_flight tnr_runtime_in_flight(const tnr_runtime *runtime);
TNR_API tnr_in_flight tnr_device_in_flight(const tnr_device *device);

/* tnr_on_writable(runtime, fn, user, .mailbox = box): calls fn(user) once, as soon as there is room
 * for the call that was the last to fail with TNR_EAGAIN on this thread, in this runtime; where
 * none has, for any op. At once if there is room now, but never inside this call; also when the
 * runtime is destroyed, and then the call fails with TNR_ECLOSED. Another thread may have taken the
 * room meanwhile: then the call fails with TNR_EAGAIN again. fn runs where tnr_on's would. NULL
 * runtime: the default one. When this fails (TNR_ENOMEM, TNR_ECLOSED, TNR_EINVAL) fn is never
 * called. Any thread. */
typedef void tnr_writable_callback(void *user);
#define tnr_on_writable(runtime, fn, user, ...)                                                    \
  tnr_on_writable_with(runtime, fn, user, TNR_ATTRS(tnr_on_options, __VA_ARGS__))

/* The plain function under the macro. NULL options: all defaults. */
TNR_API tnr_status tnr_on_writable_with(tnr_runtime *runtime, tnr_writable_callback *fn, void *user,
                                        const tnr_on_options *options) TNR_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
