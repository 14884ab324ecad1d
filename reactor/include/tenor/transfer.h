/* Getting data in and out, and moving it between devices. */
#ifndef TENOR_TRANSFER_H
#define TENOR_TRANSFER_H

#include <tenor/future.h>
#include <tenor/op.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A new tensor on `device` (NULL: the default runtime's first device) with a copy of `data`: dense,
 * row-major, tnr_desc_bytes of it; NULL data: all zero. The data has been read when this returns.
 * NULL with tnr_error() on failure. Any thread; never waits for a device. */
TNR_API tnr_tensor *tnr_tensor_create(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                      const void *data) TNR_MUST_USE;

/* The same from memory with gaps: element [i, j, …] is at data + (i * strides[0] + j * strides[1] +
 * …) elements. Strides may be 0 or negative. */
TNR_API tnr_tensor *tnr_tensor_create_strided(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                              const void *data,
                                              const int64_t *strides) TNR_MUST_USE;

/* A new tensor that uses `data` where it is, without a copy on devices that compute in host memory
 * and on the host. `data` must be aligned to its element and must not change until `release(user)`
 * is called: once, on any thread, when nothing needs the memory any more (on devices with memory
 * of their own as soon as it has been copied there). When this fails, release is not called. */
TNR_API tnr_tensor *tnr_tensor_borrow(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                      const void *data, void (*release)(void *user),
                                      void *user) TNR_MUST_USE;

/* A scalar (shape []) on every device of a mesh, converted to `dtype`. */
TNR_API tnr_tensor *tnr_scalar(const tnr_mesh *mesh, tnr_dtype dtype, double value) TNR_MUST_USE;

/* Waits for *complete* and copies all elements, dense and row-major, into `out` of `bytes` bytes,
 * which must be tnr_tensor_bytes. Pieces of a sharded tensor are put together. TNR_EDEADLK when it
 * would have to wait on the dispatcher. Errors also in tnr_error(). */
TNR_API tnr_status tnr_tensor_read(tnr_tensor *tensor, void *out, size_t bytes) TNR_MUST_USE;

/* The same with a limit on the waiting; TNR_ETIMEDOUT, and nothing is written. From a device with
 * memory of its own the copy to the host is part of the waiting: a limit of 0 is never enough. */
TNR_API tnr_status tnr_tensor_read_for(tnr_tensor *tensor, void *out, size_t bytes,
                                       int64_t timeout_ns) TNR_MUST_USE;

/* Copies are ops; x: a tensor, future or value; the result likewise.
 * tnr_to_device: the whole tensor onto one device (or the host: tnr_runtime_device(rt, "host")),
 *   put together if it was sharded, from the first copy if it was replicated.
 * tnr_gather: the same, onto the first device of the mesh it is on.
 * tnr_shard: split along .dim (negative counts from the end) into equal pieces, one a device of
 *   `mesh`; TNR_EDEVICE when it does not divide.
 * tnr_replicate: the whole tensor on each device of `mesh`.
 * The input of shard and replicate is on one device or the host. */
#define tnr_to_device(x, device) TNR_ONE(tnr_call_to_device(TNR_HERE, TNR_VALUE(x), device), x)
#define tnr_gather(x)            TNR_ONE(tnr_call_gather(TNR_HERE, TNR_VALUE(x)), x)
#define tnr_shard(x, mesh, ...)                                                                    \
  TNR_ONE(tnr_call_shard(TNR_HERE, TNR_VALUE(x), mesh, TNR_ATTRS(tnr_shard_attrs, __VA_ARGS__)), x)
#define tnr_replicate(x, mesh) TNR_ONE(tnr_call_replicate(TNR_HERE, TNR_VALUE(x), mesh), x)

typedef struct tnr_shard_attrs {
  int64_t dim TNR_ZERO;
} tnr_shard_attrs;

TNR_API tnr_value tnr_call_to_device(tnr_site site, tnr_value x, tnr_device *device) TNR_MUST_USE;
TNR_API tnr_value tnr_call_gather(tnr_site site, tnr_value x) TNR_MUST_USE;
TNR_API tnr_value tnr_call_shard(tnr_site site, tnr_value x, const tnr_mesh *mesh,
                                 const tnr_shard_attrs *attrs) TNR_MUST_USE;
TNR_API tnr_value tnr_call_replicate(tnr_site site, tnr_value x, const tnr_mesh *mesh) TNR_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
