#include <inttypes.h>
#include <string.h>

#include <tenor/ops.h>

#include "dim.h"
#include "sharding.h"
#include "signature.h"
#include "words.h"

/* An empty dim divides by any number: something has to bound the tuple. */
enum { MOST_PARTS = 1 << 20 };

static int dim_of(const void *attrs, const tnr_desc *in) {
  return dim_index(((const tnr_split_attrs *)attrs)->dim, in->shape.rank);
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  const tnr_split_attrs *attrs = call->attrs;
  tnr_status status = tnr_signature_check(call, 1, TNR_DTYPES_ANY, fault);
  if (status == TNR_OK)
    status = tnr_dim_check(attrs->dim, call->in[0].shape.rank, fault);
  if (status != TNR_OK)
    return status;
  if (attrs->parts < 1 || attrs->parts > MOST_PARTS)
    return tnr_fail(fault, TNR_EINVAL, "parts is %" PRId64 ", not 1 to %d", attrs->parts,
                    MOST_PARTS);
  int dim = dim_of(attrs, &call->in[0]);
  int64_t size = call->in[0].shape.dims[dim];
  if (size % attrs->parts != 0)
    return tnr_fail(fault, TNR_ESHAPE,
                    "dim %d of size %" PRId64 " does not divide into %" PRId64 " equal parts", dim,
                    size, attrs->parts);
  return TNR_OK;
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  const tnr_split_attrs *attrs = call->attrs;
  tnr_shape shape = call->in[0].shape;
  shape.dims[dim_of(attrs, &call->in[0])] /= attrs->parts;
  for (int64_t i = 0; i < attrs->parts; i++)
    tnr_op_add_output(outputs, call->in[0].dtype, shape);
  return TNR_OK;
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  const tnr_desc *in = &call->in[0];
  if (tnr_shape_elements(&in->shape) == 0)
    return TNR_OK;
  tnr_dim_view view = tnr_dim_view_of(&in->shape, dim_of(call->attrs, in));
  size_t chunk = (size_t)(view.size / call->out_count * view.inner) * tnr_dtype_size(in->dtype);
  const char *from = call->in_data[0];
  for (int64_t outer = 0; outer < view.outer; outer++)
    for (int part = 0; part < call->out_count; part++) {
      memcpy((char *)call->out_data[part] + (size_t)outer * chunk, from, chunk);
      from += chunk;
    }
  return TNR_OK;
}

static tnr_status shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                        int out_count, int *out_dims, tnr_fault *fault) {
  (void)out;
  for (int i = 0; i < out_count; i++)
    out_dims[i] = in_dims[0];
  return tnr_sharding_check(in_dims[0], dim_of(call->attrs, &call->in[0]), fault);
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_split_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_number(&words, "dim", attrs->dim);
  tnr_words_number(&words, "parts", attrs->parts);
}

const tnr_op_def tnr_op_split = {
    .name = "split",
    .attrs_size = sizeof(tnr_split_attrs),
    .result = TNR_OP_TUPLE,
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .shard = shard,
    .describe = describe,
};
