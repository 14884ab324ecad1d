#include <inttypes.h>
#include <string.h>

#include <tenor/ops.h>

#include "dim.h"
#include "signature.h"
#include "walk.h"
#include "words.h"

/* The input dim that output dim `dim` is. */
static int source_dim(const void *attrs, int64_t rank, int dim) {
  const tnr_transpose_attrs *transpose = attrs;
  if (transpose->permuted == 0)
    return (int)rank - 1 - dim;
  return dim_index(transpose->permutation[dim], rank);
}

static tnr_status check_permutation(const void *attrs, int64_t rank, tnr_fault *fault) {
  const tnr_transpose_attrs *transpose = attrs;
  bool taken[TNR_MAX_RANK] = {false};
  for (int d = 0; d < rank; d++) {
    tnr_status status = tnr_dim_check(transpose->permutation[d], rank, fault);
    if (status != TNR_OK)
      return status;
    int source = source_dim(attrs, rank, d);
    if (taken[source])
      return tnr_fail(fault, TNR_EINVAL, "dim %d stands twice in the permutation", source);
    taken[source] = true;
  }
  return TNR_OK;
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  const tnr_transpose_attrs *attrs = call->attrs;
  tnr_status status = tnr_signature_check(call, 1, TNR_DTYPES_ANY, fault);
  if (status != TNR_OK || attrs->permuted == 0)
    return status;
  int64_t rank = call->in[0].shape.rank;
  if (attrs->permuted != rank)
    return tnr_fail(fault, TNR_EINVAL, "the permutation has %" PRId64 " dims, the input %" PRId64,
                    attrs->permuted, rank);
  return check_permutation(attrs, rank, fault);
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  const tnr_shape *in = &call->in[0].shape;
  tnr_shape shape = {.rank = in->rank};
  for (int d = 0; d < in->rank; d++)
    shape.dims[d] = in->dims[source_dim(call->attrs, in->rank, d)];
  tnr_op_add_output(outputs, call->in[0].dtype, shape);
  return TNR_OK;
}

#define GATHER(TYPE, to, from, step, count)                                                        \
  do {                                                                                             \
    for (int64_t i = 0; i < (count); i++)                                                          \
      ((TYPE *)(to))[i] = ((const TYPE *)(from))[i * (step)];                                      \
  } while (0)

static void gather_row(char *to, const char *from, int64_t step, int64_t count, size_t size) {
  if (step == 1) {
    memcpy(to, from, (size_t)count * size);
    return;
  }
  switch (size) {
  case 1:
    GATHER(uint8_t, to, from, step, count);
    break;
  case 2:
    GATHER(uint16_t, to, from, step, count);
    break;
  case 4:
    GATHER(uint32_t, to, from, step, count);
    break;
  default:
    GATHER(uint64_t, to, from, step, count);
  }
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  const tnr_desc *out = &call->out[0];
  if (tnr_shape_elements(&out->shape) == 0)
    return TNR_OK;
  int64_t dense[TNR_MAX_RANK], strides[TNR_WALK_OPERANDS][TNR_MAX_RANK] = {{0}};
  tnr_walk_dense_strides(&call->in[0].shape, dense);
  for (int d = 0; d < out->shape.rank; d++)
    strides[0][d] = dense[source_dim(call->attrs, out->shape.rank, d)];
  tnr_walk walk;
  tnr_walk_start(&walk, &out->shape, strides);
  size_t size = tnr_dtype_size(out->dtype);
  const char *from = call->in_data[0];
  char *to = call->out_data[0];
  do {
    gather_row(to, from + (size_t)walk.offset[0] * size, walk.step[0], walk.count, size);
    to += (size_t)walk.count * size;
  } while (tnr_walk_next(&walk));
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  int64_t rank = call->in[0].shape.rank;
  out->kind = TNR_PRIMITIVE_TRANSPOSE;
  for (int d = 0; d < rank; d++)
    out->permutation[d] = source_dim(call->attrs, rank, d);
}

static tnr_status shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                        int out_count, int *out_dims, tnr_fault *fault) {
  (void)out_count;
  (void)fault;
  out_dims[0] = 0;
  while (source_dim(call->attrs, out->shape.rank, out_dims[0]) != in_dims[0])
    out_dims[0]++;
  return TNR_OK;
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_transpose_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  if (attrs->permuted > 0)
    tnr_words_list(&words, "permutation", attrs->permutation, (int)attrs->permuted);
}

const tnr_op_def tnr_op_transpose = {
    .name = "transpose",
    .attrs_size = sizeof(tnr_transpose_attrs),
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .primitive = primitive,
    .shard = shard,
    .describe = describe,
};
