/* Looking at a tensor's data where it is, without a copy. */
#ifndef TENOR_VIEW_H
#define TENOR_VIEW_H

#include <tenor/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Filled by tnr_tensor_view. Holds the tensor: no scope owns it, and it is valid until it is
 * released, whatever becomes of other handles and of the runtime. */
typedef struct tnr_host_view {
  const void *data;   /* dense, row-major; never changes. Not NULL, even of no elements */
  size_t bytes;       /* tnr_tensor_bytes */
  tnr_tensor *tensor; /* whose data it is, for its shape and dtype; borrowed from the view */
} tnr_host_view;

/* Waits for *complete* and shows the data of a tensor that is, as a whole, on the host or on a
 * device that computes in host memory; of a replicated one the first copy. TNR_EDEVICE, at once,
 * when it is elsewhere, or split; the error of a tensor that failed; TNR_EDEADLK when it would have
 * to wait on the dispatcher, which it need not in a callback for *complete*. Errors also in
 * tnr_error(), and then `out` is all zero. Any thread. */
TNR_API tnr_status tnr_tensor_view(tnr_tensor *tensor, tnr_host_view *out) TNR_MUST_USE;

/* The same with a limit on the waiting: TNR_ETIMEDOUT. 0 asks without waiting. */
TNR_API tnr_status tnr_tensor_view_for(tnr_tensor *tensor, tnr_host_view *out,
                                       int64_t timeout_ns) TNR_MUST_USE;

/* Gives the data back and sets the view to zero; of a view that is all zero, or NULL, nothing is
 * done. Any thread. */
TNR_API void tnr_host_view_release(tnr_host_view *view);

#ifdef __cplusplus
}
#endif
#endif
