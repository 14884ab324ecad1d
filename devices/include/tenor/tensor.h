/* Tensors and tuples of tensors: small, plain, immutable once complete. */
#ifndef TENOR_TENSOR_H
#define TENOR_TENSOR_H

#include <tenor/device.h>
#include <tenor/shape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A tensor: dtype, shape, where it lives. Counted; any thread. Its data may still be on the way:
 * see tnr_tensor_read. */
typedef struct tnr_tensor tnr_tensor;

/* A fixed list of tensors. Counted; any thread. */
typedef struct tnr_tuple tnr_tuple;

/* Asking never waits. A NULL tensor gives an empty shape, TNR_DTYPE_COUNT, NULL, 0. */
TNR_API tnr_shape tnr_tensor_shape(const tnr_tensor *tensor);
TNR_API int64_t tnr_tensor_dim(const tnr_tensor *tensor,
                               int dim); /* negative counts from the end */
TNR_API int tnr_tensor_rank(const tnr_tensor *tensor);
TNR_API tnr_dtype tnr_tensor_dtype(const tnr_tensor *tensor);
TNR_API size_t tnr_tensor_bytes(const tnr_tensor *tensor); /* of the whole tensor */

/* Where it lives. The mesh belongs to the runtime. */
TNR_API const tnr_mesh *tnr_tensor_mesh(const tnr_tensor *tensor);

/* The dimension along which it is split over the devices of its mesh, or -1: on one device, or
 * replicated on each. */
TNR_API int tnr_tensor_shard_dim(const tnr_tensor *tensor);

TNR_API int tnr_tuple_count(const tnr_tuple *tuple); /* 0 for NULL */

#ifdef __cplusplus
}
#endif
#endif
