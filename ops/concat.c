#include <inttypes.h>
#include <string.h>

#include <tenor/ops.h>

#include "dim.h"
#include "sharding.h"
#include "signature.h"
#include "words.h"

static int dim_of(const void *attrs, const tnr_desc *in) {
  return dim_index(((const tnr_concat_attrs *)attrs)->dim, in->shape.rank);
}

static tnr_status check_fits(const tnr_shape *first, const tnr_shape *other, int index, int dim,
                             tnr_fault *fault) {
  if (other->rank != first->rank)
    return tnr_fail(fault, TNR_ESHAPE,
                    "ranks differ: input 0 has %" PRId64 " dims and input %d has %" PRId64,
                    first->rank, index, other->rank);
  for (int d = 0; d < first->rank; d++)
    if (d != dim && other->dims[d] != first->dims[d])
      return tnr_fail(fault, TNR_ESHAPE,
                      "dim %d differs: %" PRId64 " in input 0 and %" PRId64 " in input %d", d,
                      first->dims[d], other->dims[d], index);
  return TNR_OK;
}

static tnr_status joined_size(const tnr_op_call *call, int dim, int64_t *out, tnr_fault *fault) {
  *out = 0;
  for (int i = 0; i < call->in_count; i++)
    if (__builtin_add_overflow(*out, call->in[i].shape.dims[dim], out))
      return tnr_fail(fault, TNR_EOVERFLOW, "the joined size of dim %d does not fit into 63 bits",
                      dim);
  return TNR_OK;
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  const tnr_concat_attrs *attrs = call->attrs;
  if (call->in_count < 1)
    return tnr_fail(fault, TNR_EINVAL, "takes at least 1 input, got 0");
  tnr_status status = tnr_signature_check(call, call->in_count, TNR_DTYPES_ANY, fault);
  if (status == TNR_OK)
    status = tnr_dim_check(attrs->dim, call->in[0].shape.rank, fault);
  if (status != TNR_OK)
    return status;
  int dim = dim_of(attrs, &call->in[0]);
  for (int i = 1; i < call->in_count && status == TNR_OK; i++)
    status = check_fits(&call->in[0].shape, &call->in[i].shape, i, dim, fault);
  if (status != TNR_OK)
    return status;
  int64_t ignored;
  return joined_size(call, dim, &ignored, fault);
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  tnr_shape shape = call->in[0].shape;
  int dim = dim_of(call->attrs, &call->in[0]);
  tnr_status status = joined_size(call, dim, &shape.dims[dim], fault);
  if (status == TNR_OK)
    tnr_op_add_output(outputs, call->in[0].dtype, shape);
  return status;
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  const tnr_desc *out = &call->out[0];
  if (tnr_shape_elements(&out->shape) == 0)
    return TNR_OK;
  int dim = dim_of(call->attrs, out);
  tnr_dim_view view = tnr_dim_view_of(&out->shape, dim);
  size_t inner = (size_t)view.inner * tnr_dtype_size(out->dtype);
  char *to = call->out_data[0];
  for (int64_t outer = 0; outer < view.outer; outer++)
    for (int i = 0; i < call->in_count; i++) {
      size_t chunk = (size_t)call->in[i].shape.dims[dim] * inner;
      if (chunk > 0)
        memcpy(to, (const char *)call->in_data[i] + (size_t)outer * chunk, chunk);
      to += chunk;
    }
  return TNR_OK;
}

static tnr_status shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                        int out_count, int *out_dims, tnr_fault *fault) {
  (void)out_count;
  for (int i = 1; i < call->in_count; i++)
    if (in_dims[i] != in_dims[0])
      return tnr_fail(fault, TNR_EDEVICE,
                      "inputs 0 and %d are not split over devices along the same dim: gather or "
                      "shard one of them likewise",
                      i);
  out_dims[0] = in_dims[0];
  return tnr_sharding_check(in_dims[0], dim_of(call->attrs, out), fault);
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_concat_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_number(&words, "dim", attrs->dim);
}

const tnr_op_def tnr_op_concat = {
    .name = "concat",
    .attrs_size = sizeof(tnr_concat_attrs),
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .shard = shard,
    .describe = describe,
};
