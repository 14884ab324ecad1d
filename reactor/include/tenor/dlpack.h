/* Tensors handed over to other libraries, and taken from them, through DLPack: what NumPy, PyTorch
 * and others call from_dlpack and __dlpack__. It is the unversioned form, which all of them know.
 * This header needs none of DLPack's own; include <dlpack/dlpack.h> to look inside. */
#ifndef TENOR_DLPACK_H
#define TENOR_DLPACK_H

#include <tenor/value.h>

#ifdef __cplusplus
extern "C" {
#endif

struct DLManagedTensor;

/* Waits for *complete* and shows the tensor's data where it is, without a copy: dense, row-major,
 * on DLPack's CPU, aligned to 64 bytes where tenor allocated it. The caller owns the result, and
 * whoever owns it last calls its deleter, once, on any thread; until then the data stays as it is,
 * whatever becomes of the tensor and the runtime. It must not be written to. bool has DLPack's code
 * for it, which NumPy knows from 1.25 on. NULL with tnr_error(): as tnr_tensor_view, or TNR_ENOMEM.
 * Any thread. */
TNR_API struct DLManagedTensor *tnr_to_dlpack(tnr_tensor *tensor) TNR_MUST_USE;

/* A new tensor on `device` (NULL: the default runtime's first device) with the data of `managed`,
 * which must be in CPU memory. Where it is dense, row-major and aligned to its element, and the
 * device computes in host memory, it is used where it is; else it is copied. tenor owns `managed`
 * from now on, and calls its deleter once it needs the data no more: once, on any thread, perhaps
 * in this call, so it must not block. Nobody may write to the data before that.
 *
 * When this fails, `managed` stays the caller's: NULL with tnr_error(). TNR_EDTYPE: elements that
 * tenor lacks (64-bit floats, complex numbers, vectors, …); TNR_EDEVICE: other memory than the
 * CPU's; TNR_ESHAPE: more than TNR_MAX_RANK dims. Any thread; never waits for a device. */
TNR_API tnr_tensor *tnr_from_dlpack(tnr_device *device,
                                    struct DLManagedTensor *managed) TNR_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
