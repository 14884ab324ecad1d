/* Scopes: nested calls without leaks. */
#ifndef TENOR_SCOPE_H
#define TENOR_SCOPE_H

#include <tenor/promise.h>
#include <tenor/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opens a scope on the calling thread: every handle made on this thread while it is the innermost
 * one is released when it closes. What a scope owns is not to be released by anybody else. Scopes
 * nest. TNR_ENOMEM: nothing was opened. */
TNR_API tnr_status tnr_scope_open(void) TNR_MUST_USE;

/* Closes the innermost scope of the calling thread, releasing what it owns, the newest first.
 * TNR_EINVAL with tnr_error() when none is open. */
TNR_API tnr_status tnr_scope_close(void);

/* Moves a handle out of the innermost scope into the one around it, or to the caller where there is
 * none. Returns the handle. A handle that the scope does not own, and NULL, are returned as they
 * are. NULL with tnr_error() when out of memory: then the handle goes with the innermost scope. */
TNR_API void *tnr_keep_handle(void *handle);
#ifdef __cplusplus
}
template <class T> static inline T *tnr_keep(T *handle) {
  return static_cast<T *>(tnr_keep_handle(handle));
}
static inline tnr_value tnr_keep(tnr_value value) {
  return tnr_keep_handle(value.handle) ? value : tnr_value{TNR_VALUE_NONE, NULL};
}
#else
TNR_API tnr_value tnr_keep_value(tnr_value value);
TNR_API tnr_tensor *tnr_keep_tensor(tnr_tensor *handle);
TNR_API tnr_tuple *tnr_keep_tuple(tnr_tuple *handle);
TNR_API tnr_future *tnr_keep_future(tnr_future *handle);
TNR_API tnr_future_tuple *tnr_keep_future_tuple(tnr_future_tuple *handle);
TNR_API tnr_promise *tnr_keep_promise(tnr_promise *handle);
TNR_API tnr_group *tnr_keep_group(tnr_group *handle);
#define tnr_keep(x)                                                                                \
  _Generic((x), tnr_tensor *                                                                       \
           : tnr_keep_tensor, tnr_tuple *                                                          \
           : tnr_keep_tuple, tnr_future *                                                          \
           : tnr_keep_future, tnr_future_tuple *                                                   \
           : tnr_keep_future_tuple, tnr_promise *                                                  \
           : tnr_keep_promise, tnr_group *                                                         \
           : tnr_keep_group, tnr_value                                                             \
           : tnr_keep_value)(x)
#endif
#endif
