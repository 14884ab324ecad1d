#include <math.h>

#include <tenor/ops.h>
#include <tenor/transfer.h>

/* A q without dims is left for matmul to refuse. */
static tnr_value scale_for(tnr_value q) {
  tnr_desc desc;
  if (!tnr_value_desc(q, &desc))
    return (tnr_value){TNR_VALUE_NONE, NULL};
  int64_t d = desc.shape.rank > 0 ? desc.shape.dims[desc.shape.rank - 1] : 1;
  return tnr_value_of_tensor(tnr_scalar(tnr_value_mesh(q), desc.dtype, 1 / sqrt((double)d)));
}

static tnr_value attention(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  tnr_value q = in[0], k = in[1], v = in[2];
  tnr_value scores = tnr_mul(tnr_matmul(q, k, .transpose_b = true), scale_for(q));
  return tnr_matmul(tnr_softmax(scores, .axis = -1), v);
}

const tnr_composite_def tnr_op_attention = {
    .name = "attention",
    .needs_shapes = true,
    .body = attention,
};
