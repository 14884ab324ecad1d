#include <tenor/future.h>
#include <tenor/ops.h>

static tnr_value product(const tnr_value *in, int in_count, bool relu) {
  return tnr_call(&tnr_op_matmul, TNR_HERE, in, in_count,
                  TNR_ATTRS(tnr_matmul_attrs, .transpose_b = true, .relu = relu));
}

static tnr_value linear(const tnr_value *in, int in_count, const void *attrs) {
  (void)attrs;
  return product(in, in_count, false);
}

static tnr_value linear_with_relu(const tnr_value *in, int in_count, const void *attrs) {
  (void)attrs;
  return product(in, in_count, true);
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
