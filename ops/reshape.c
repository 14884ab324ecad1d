#include <inttypes.h>

#include <tenor/ops.h>

#include "dim.h"
#include "regroup.h"
#include "signature.h"
#include "words.h"

static tnr_status check_dims(const tnr_shape *shape, tnr_fault *fault) {
  if (shape->rank < 0 || shape->rank > TNR_MAX_RANK)
    return tnr_fail(fault, TNR_EINVAL, "the new shape has %" PRId64 " dims, not 0 to %d",
                    shape->rank, TNR_MAX_RANK);
  int open = -1;
  for (int d = 0; d < shape->rank; d++) {
    if (shape->dims[d] < -1)
      return tnr_fail(fault, TNR_EINVAL, "dim %d of the new shape is %" PRId64, d, shape->dims[d]);
    if (shape->dims[d] == -1 && open >= 0)
      return tnr_fail(fault, TNR_EINVAL, "dims %d and %d of the new shape are both -1", open, d);
    if (shape->dims[d] == -1)
      open = d;
  }
  return TNR_OK;
}

/* Puts what remains into the dim that is -1. */
static tnr_status close_open_dim(tnr_shape *shape, int64_t elements, tnr_fault *fault) {
  int open = 0;
  while (open < shape->rank && shape->dims[open] != -1)
    open++;
  if (open == shape->rank)
    return TNR_OK;
  int64_t others;
  shape->dims[open] = 1;
  tnr_status status = tnr_dim_product(shape->dims, (int)shape->rank, &others, fault);
  if (status != TNR_OK)
    return status;
  if (others == 0)
    return tnr_fail(fault, TNR_ESHAPE, "nothing says how large dim %d is: another dim is 0", open);
  if (elements % others != 0)
    return tnr_fail(fault, TNR_ESHAPE,
                    "%" PRId64 " elements do not divide by %" PRId64
                    ", the product of the dims given",
                    elements, others);
  shape->dims[open] = elements / others;
  return TNR_OK;
}

static tnr_status resolve(const tnr_op_call *call, tnr_shape *out, tnr_fault *fault) {
  const tnr_reshape_attrs *attrs = call->attrs;
  tnr_status status = check_dims(&attrs->shape, fault);
  if (status != TNR_OK)
    return status;
  int64_t elements = tnr_shape_elements(&call->in[0].shape), resolved;
  *out = tnr_shape_of((int)attrs->shape.rank, attrs->shape.dims);
  status = close_open_dim(out, elements, fault);
  if (status == TNR_OK)
    status = tnr_dim_product(out->dims, (int)out->rank, &resolved, fault);
  if (status == TNR_OK && resolved != elements)
    return tnr_fail(fault, TNR_ESHAPE, "the new shape has %" PRId64 " elements, the input %" PRId64,
                    resolved, elements);
  return status;
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  tnr_status status = tnr_signature_check(call, 1, TNR_DTYPES_ANY, fault);
  if (status != TNR_OK)
    return status;
  tnr_shape ignored;
  return resolve(call, &ignored, fault);
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  tnr_shape shape;
  tnr_status status = resolve(call, &shape, fault);
  if (status == TNR_OK)
    tnr_op_add_output(outputs, call->in[0].dtype, shape);
  return status;
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_reshape_attrs *attrs = from;
  char shape[TNR_SHAPE_TEXT_MAX];
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_text(&words, "shape", tnr_shape_format(&attrs->shape, shape, sizeof shape));
}

const tnr_op_def tnr_op_reshape = {
    .name = "reshape",
    .attrs_size = sizeof(tnr_reshape_attrs),
    .validate = validate,
    .infer = infer,
    .shard = tnr_regroup_shard,
    .alias = true,
    .describe = describe,
};
