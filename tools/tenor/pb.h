/* ONNX TensorProto messages as arrays: those of a `.pb` file and those inside a model. */
#ifndef TENOR_TOOL_PB_H
#define TENOR_TOOL_PB_H

#include "array.h"
#include "onnx.pb-c.h"

/* The dtype of an ONNX element type; TNR_EDTYPE for one that tenor lacks. */
tnr_status pb_dtype(int32_t data_type, tnr_dtype *out, tnr_fault *fault) TNR_MUST_USE;

/* Copies a tensor out of its message. Fails with TNR_EINVAL, TNR_EDTYPE, TNR_ESHAPE,
 * TNR_EOVERFLOW, TNR_ENOMEM; the sentence names neither file nor tensor; `out` is then all zero. */
tnr_status pb_copy(const Onnx__TensorProto *tensor, struct array *out,
                   tnr_fault *fault) TNR_MUST_USE;

#endif
