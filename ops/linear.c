#include <tenor/future.h>
#include <tenor/ops.h>

static tnr_value linear(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  tnr_value x = in[0], weights = in[1], bias = in[2];
  return tnr_add(tnr_matmul(x, weights, .transpose_b = true), bias);
}

static tnr_value linear_with_relu(const tnr_value *in, int in_count, const void *attrs) {
  return tnr_relu(linear(in, in_count, attrs));
}

static tnr_value linear_with_intermediate(const tnr_value *in, int in_count, const void *attrs) {
  tnr_value intermediate = linear(in, in_count, attrs);
  return tnr_tuple_of(tnr_relu(intermediate), intermediate);
}

const tnr_composite_def tnr_op_linear = {.name = "linear", .body = linear};

const tnr_composite_def tnr_op_linear_with_relu = {
    .name = "linear_with_relu",
    .body = linear_with_relu,
};

const tnr_composite_def tnr_op_linear_with_intermediate = {
    .name = "linear_with_intermediate",
    .result = TNR_OP_TUPLE,
    .body = linear_with_intermediate,
};
