/* What reading out in all its forms has in common. */
#ifndef TENOR_REACTOR_TRANSFER_H
#define TENOR_REACTOR_TRANSFER_H

#include <tenor/transfer.h>
#include <tenor/view.h>

/* Blocks until all data of the tensor is there, or it failed, or the deadline (CLOCK_MONOTONIC, ns;
 * INT64_MAX: none) passes. The tensor's own status, TNR_ETIMEDOUT, or TNR_EDEADLK, with
 * tnr_error(). Where nothing is to be waited for nothing is allocated or refused. */
tnr_status tnr_tensor_await(tnr_tensor *tensor, int64_t deadline);

/* TNR_OK, or the error for a NULL tensor: the older one if there is one. */
tnr_status tnr_tensor_check(const tnr_tensor *tensor, const char *call);

/* tnr_tensor_view_for, with errors in the name of `call`. */
tnr_status tnr_tensor_view_as(const char *call, tnr_tensor *tensor, tnr_host_view *out,
                              int64_t timeout_ns);

#endif
