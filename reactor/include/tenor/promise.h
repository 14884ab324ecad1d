/* Promises: futures that the program itself fulfils, with what comes from a socket, say. */
#ifndef TENOR_PROMISE_H
#define TENOR_PROMISE_H

#include <tenor/future.h>
#include <tenor/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The side of a future of one tensor that fulfils it, once: a counted handle like any other, any
 * thread. When the last reference to it goes (tnr_release, the end of its scope) and it has neither
 * been fulfilled nor failed, its future fails with TNR_ECANCELED and names the call that made the
 * promise. So do promises that are open when their runtime is destroyed, with TNR_ECLOSED
 * (TNR_DRAIN) or TNR_ECANCELED (TNR_ABORT): draining does not wait for the program. */
typedef struct tnr_promise tnr_promise;

/* What is known of the tensor beforehand. Zero: nothing, and ops that use the future find out when
 * it is created. */
typedef struct tnr_promise_options {
  tnr_device *device TNR_ZERO;   /* where it will be: ops that use it can be queued there at once */
  const tnr_desc *desc TNR_ZERO; /* its shape and dtype; read during the call. With both, composites
                                  * that need shapes run at once */
} tnr_promise_options;

/* tnr_promise_create(runtime, .device = device, .desc = &desc). NULL runtime: the default one. NULL
 * with tnr_error() on failure. */
#define tnr_promise_create(runtime, ...)                                                           \
  tnr_promise_create_at(TNR_HERE, runtime, TNR_ATTRS(tnr_promise_options, __VA_ARGS__))

/* Its future: input of any op, to be waited for, asked and listened to like all others. The caller
 * owns the reference. Waiting for an op that uses it waits for whoever fulfils it, and so does
 * tnr_synchronize_device. NULL for NULL. */
TNR_API tnr_future *tnr_promise_future(tnr_promise *promise) TNR_MUST_USE;

/* tnr_promise_fulfil(promise, tensor): the future is created now, and complete when the tensor's
 * data is, which may still be on its way, or fail. The tensor stays the caller's. TNR_EINVAL when
 * the promise has been fulfilled or failed before (TNR_ECLOSED: by the end of its runtime;
 * TNR_ECANCELED: its future has been cancelled);
 * TNR_EDEVICE, TNR_ESHAPE, TNR_EDTYPE when the tensor is not what was promised, or of another
 * runtime: the promise stays open. Never blocks. */
#define tnr_promise_fulfil(promise, tensor) tnr_promise_fulfil_at(TNR_HERE, promise, tensor)

/* tnr_promise_fail(promise, TNR_ESYSTEM, "the connection was lost: %s", reason): the future, and
 * what descends from it, fails with this error and the place of this call. Errors as above. */
#define tnr_promise_fail(promise, code, ...)                                                       \
  tnr_promise_fail_at(TNR_HERE, promise, code, __VA_ARGS__)

/* The plain functions under the macros. NULL options: all zero. */
TNR_API tnr_promise *tnr_promise_create_at(tnr_site site, tnr_runtime *runtime,
                                           const tnr_promise_options *options) TNR_MUST_USE;
TNR_API tnr_status tnr_promise_fulfil_at(tnr_site site, tnr_promise *promise, tnr_tensor *tensor);
TNR_API tnr_status tnr_promise_fail_at(tnr_site site, tnr_promise *promise, tnr_status code,
                                       const char *format, ...) TNR_PRINTF(4, 5);

#ifdef __cplusplus
}
#endif
#endif
