#include "binary.h"

#include "broadcast.h"
#include "signature.h"
#include "walk.h"

tnr_status tnr_binary_validate(const tnr_op_call *call, tnr_fault *fault) {
  tnr_status status = tnr_signature_check(call, 2, TNR_DTYPES_FLOAT | TNR_DTYPES_INTEGER, fault);
  if (status != TNR_OK)
    return status;
  tnr_shape ignored;
  return tnr_broadcast_shapes(&call->in[0].shape, &call->in[1].shape, 0, &ignored, fault);
}

tnr_status tnr_binary_infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  tnr_shape shape;
  tnr_status status =
      tnr_broadcast_shapes(&call->in[0].shape, &call->in[1].shape, 0, &shape, fault);
  if (status == TNR_OK)
    tnr_op_add_output(outputs, call->in[0].dtype, shape);
  return status;
}

tnr_status tnr_binary_shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                            int out_count, int *out_dims, tnr_fault *fault) {
  (void)out_count;
  return tnr_broadcast_shard(call, in_dims, out, out_dims, fault);
}

void tnr_binary_run(const tnr_kernel_call *call, tnr_binary_row_fn *const rows[TNR_DTYPE_COUNT]) {
  const tnr_desc *out = &call->out[0];
  if (tnr_shape_elements(&out->shape) == 0)
    return;
  int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK];
  tnr_broadcast_strides(&call->in[0].shape, out->shape.rank, strides[0]);
  tnr_broadcast_strides(&call->in[1].shape, out->shape.rank, strides[1]);
  tnr_walk walk;
  tnr_walk_start(&walk, &out->shape, strides);
  int64_t size = (int64_t)tnr_dtype_size(out->dtype);
  tnr_binary_row row = {.out = call->out_data[0],
                        .a_step = walk.step[0],
                        .b_step = walk.step[1],
                        .count = walk.count};
  do {
    row.a = (const char *)call->in_data[0] + walk.offset[0] * size;
    row.b = (const char *)call->in_data[1] + walk.offset[1] * size;
    rows[out->dtype](&row);
    row.out = (char *)row.out + row.count * size;
  } while (tnr_walk_next(&walk));
}
