/* Getting data in and out, and moving it between devices. */
#ifndef TENOR_TRANSFER_H
#define TENOR_TRANSFER_H

#include <tenor/future.h>
#include <tenor/op.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- data in: three ways, by whose the memory is afterwards ----
 *
 *                                         given back                    when the call fails
 *   tnr_tensor_create   copied: stays     the call has read it          stays yours
 *                       yours             when it returns
 *   tnr_tensor_borrow   lent by you       release(user), once           stays yours: release is
 *                                                                       not called
 *   tnr_tensor_adopt    tenor's, from     free_data(data), once         tenor's all the same:
 *                       the call on                                     freed before it returns
 *
 * In all of them `device` NULL means the default runtime's first device; data is dense and
 * row-major, tnr_desc_bytes of it; a tensor without elements needs no data. NULL with tnr_error()
 * on failure. Any thread; never waits for a device.
 *
 * Memory that is lent or adopted is used where it is, on the host and on devices that compute in
 * host memory; on devices with memory of their own until it has been copied there. It must be
 * aligned to its element, and nobody may change it before it is given back; tenor only reads it, so
 * it may be mapped read-only. It is given back when nothing needs it any more, perhaps after the
 * runtime has ended, on any thread, the runtime's own included: release and free_data must not
 * block. */

/* A new tensor with a copy of `data`; NULL data: all zero. */
TNR_API tnr_tensor *tnr_tensor_create(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                      const void *data) TNR_MUST_USE;

/* The same from memory with gaps: element [i, j, …] is at data + (i * strides[0] + j * strides[1] +
 * …) elements. Strides may be 0 or negative; no element need be aligned. */
TNR_API tnr_tensor *tnr_tensor_create_strided(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                              const void *data,
                                              const int64_t *strides) TNR_MUST_USE;

/* A new tensor that uses `data` until it calls release(user). TNR_EINVAL where the memory is not
 * aligned, or something is NULL. */
TNR_API tnr_tensor *tnr_tensor_borrow(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                      const void *data, void (*release)(void *user),
                                      void *user) TNR_MUST_USE;

/* The same with strides as in create_strided. Where the elements turn out to be dense and aligned
 * they are used where they are, else they are copied, and given back before this returns. */
TNR_API tnr_tensor *tnr_tensor_borrow_strided(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                              const void *data, const int64_t *strides,
                                              void (*release)(void *user), void *user) TNR_MUST_USE;

/* A new tensor that owns `data`: tnr_tensor_adopt(device, dtype, shape, malloc(bytes), free). The
 * caller must not touch the pointer any more, whatever this returns. TNR_EINVAL where the memory is
 * not aligned, or something is NULL; without a free_data nothing is freed. */
TNR_API tnr_tensor *tnr_tensor_adopt(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                     void *data, void (*free_data)(void *data)) TNR_MUST_USE;

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
