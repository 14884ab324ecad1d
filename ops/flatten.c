#include <inttypes.h>

#include <tenor/ops.h>

#include "dim.h"
#include "regroup.h"
#include "signature.h"
#include "words.h"

static tnr_status flat_shape(const tnr_op_call *call, tnr_shape *out, tnr_fault *fault) {
  const tnr_flatten_attrs *attrs = call->attrs;
  const tnr_shape *in = &call->in[0].shape;
  int axis = dim_index(attrs->axis, in->rank);
  *out = (tnr_shape){.rank = 2};
  tnr_status status = tnr_dim_product(in->dims, axis, &out->dims[0], fault);
  if (status == TNR_OK)
    status = tnr_dim_product(in->dims + axis, (int)in->rank - axis, &out->dims[1], fault);
  return status;
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  const tnr_flatten_attrs *attrs = call->attrs;
  tnr_status status = tnr_signature_check(call, 1, TNR_DTYPES_ANY, fault);
  if (status != TNR_OK)
    return status;
  int64_t rank = call->in[0].shape.rank;
  if (attrs->axis < -rank || attrs->axis > rank)
    return tnr_fail(fault, TNR_EINVAL, "axis %" PRId64 " is out of range for rank %" PRId64,
                    attrs->axis, rank);
  tnr_shape ignored;
  return flat_shape(call, &ignored, fault);
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  tnr_shape shape;
  tnr_status status = flat_shape(call, &shape, fault);
  if (status == TNR_OK)
    tnr_op_add_output(outputs, call->in[0].dtype, shape);
  return status;
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_flatten_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_number(&words, "axis", attrs->axis);
}

const tnr_op_def tnr_op_flatten = {
    .name = "flatten",
    .attrs_size = sizeof(tnr_flatten_attrs),
    .validate = validate,
    .infer = infer,
    .shard = tnr_regroup_shard,
    .alias = true,
    .describe = describe,
};
