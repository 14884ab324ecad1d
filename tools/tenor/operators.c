/* The operators of ONNX that tenor runs. */
#include <string.h>

#include "lower.h"

size_t lower_in(const struct recipe *recipe, const struct onnx_node *node, size_t i) {
  if (i >= node->input_count || node->inputs[i] == ONNX_ABSENT)
    return ONNX_ABSENT;
  return recipe->slots[node->inputs[i]];
}

size_t lower_out(const struct recipe *recipe, const struct onnx_node *node) {
  return recipe->slots[node->outputs[0]];
}

const struct array *lower_constant_in(const struct recipe *recipe, const struct onnx_node *node,
                                      size_t i) {
  size_t slot = lower_in(recipe, node, i);
  return slot == ONNX_ABSENT ? NULL : recipe->constants[slot];
}

tnr_status lower_filled(struct recipe *recipe, const struct onnx_node *node, tnr_shape shape,
                        float value, size_t *slot, tnr_fault *fault) {
  struct array array;
  tnr_fault cause;
  const tnr_desc desc = {.shape = shape, .dtype = TNR_F32};
  tnr_status status = array_init(&array, &desc, &cause);
  if (status != TNR_OK)
    return onnx_node_fail(fault, node, status, "%s", cause.message);
  for (size_t i = 0; i < array.size / sizeof(value); i++)
    ((float *)array.data)[i] = value;
  *slot = recipe_add_constant(recipe, &array);
  return TNR_OK;
}

struct step *lower_unary(struct recipe *recipe, const struct onnx_node *node,
                         const tnr_op_def *op) {
  return recipe_add(recipe, op, (size_t[]){lower_in(recipe, node, 0)}, 1, lower_out(recipe, node));
}

enum { ATTRIBUTES_MAX = 8 };

static const struct known {
  const char *name;
  size_t inputs_min, inputs_max;
  lower_fn *lower;
  const char *attributes[ATTRIBUTES_MAX];
} operators[] = {
    {"Add", 2, 2, lower_add, {NULL}},
    {"Cast", 1, 1, lower_cast, {"to", "saturate"}},
    {"Concat", 1, SIZE_MAX, lower_concat, {"axis"}},
    {"Constant", 0, 0, lower_constant, {"value"}},
    {"Conv",
     2,
     3,
     lower_conv,
     {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"}},
    {"Div", 2, 2, lower_div, {NULL}},
    {"Flatten", 1, 1, lower_flatten, {"axis"}},
    {"Gemm", 2, 3, lower_gemm, {"alpha", "beta", "transA", "transB"}},
    {"Identity", 1, 1, lower_identity, {NULL}},
    {"MatMul", 2, 2, lower_matmul, {NULL}},
    {"MaxPool",
     1,
     1,
     lower_max_pool,
     {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"}},
    {"Mul", 2, 2, lower_mul, {NULL}},
    {"Relu", 1, 1, lower_relu, {NULL}},
    {"Reshape", 2, 2, lower_reshape, {"allowzero"}},
    {"Softmax", 1, 1, lower_softmax, {"axis"}},
    {"Sub", 2, 2, lower_sub, {NULL}},
    {"Transpose", 1, 1, lower_transpose, {"perm"}},
};

static const struct known *find_operator(const struct onnx_node *node) {
  for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
    if (*node->domain == '\0' && strcmp(node->op, operators[i].name) == 0)
      return &operators[i];
  return NULL;
}

/* Optional inputs may be left out at the end, by an empty name or none. */
static size_t count_inputs(const struct known *known, const struct onnx_node *node) {
  size_t count = node->input_count;
  while (known->inputs_max != SIZE_MAX && count > known->inputs_min &&
         node->inputs[count - 1] == ONNX_ABSENT)
    count--;
  return count;
}

static tnr_status check_arity(const struct known *known, const struct onnx_node *node,
                              tnr_fault *fault) {
  size_t count = count_inputs(known, node);
  if (count < known->inputs_min || count > known->inputs_max)
    return onnx_node_fail(fault, node, TNR_EINVAL, "a number of inputs it does not take: %zu",
                          count);
  for (size_t i = 0; i < count; i++)
    if (node->inputs[i] == ONNX_ABSENT)
      return onnx_node_fail(fault, node, TNR_EINVAL, "its input %zu is missing", i);
  if (node->outputs[0] == ONNX_ABSENT)
    return onnx_node_fail(fault, node, TNR_EINVAL, "its output is missing");
  for (size_t i = 1; i < node->output_count; i++)
    if (node->outputs[i] != ONNX_ABSENT)
      return onnx_node_fail(fault, node, TNR_EUNSUPPORTED, "output %zu is not supported", i);
  return TNR_OK;
}

static bool knows(const struct known *known, const char *attribute) {
  for (size_t i = 0; i < ATTRIBUTES_MAX && known->attributes[i]; i++)
    if (strcmp(known->attributes[i], attribute) == 0)
      return true;
  return false;
}

tnr_status operator_lower(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  const struct known *known = find_operator(node);
  if (!known)
    return onnx_node_fail(fault, node, TNR_EUNSUPPORTED, "this operator is not supported%s%.40s",
                          *node->domain ? ", of domain " : "", node->domain);
  tnr_status status = check_arity(known, node, fault);
  if (status != TNR_OK)
    return status;
  for (size_t i = 0; i < node->attribute_count; i++)
    if (!knows(known, node->attributes[i].name))
      return onnx_node_fail(fault, node, TNR_EUNSUPPORTED, "attribute '%.60s' is not supported",
                            node->attributes[i].name);
  return known->lower(recipe, node, fault);
}
