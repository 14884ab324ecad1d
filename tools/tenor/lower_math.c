/* Operators that compute element by element, or sums of products. */
#include <inttypes.h>

#include "lower.h"

static void add_binary(struct recipe *recipe, const struct onnx_node *node, const tnr_op_def *op) {
  recipe_add(recipe, op, (size_t[]){lower_in(recipe, node, 0), lower_in(recipe, node, 1)}, 2,
             lower_out(recipe, node));
}

tnr_status lower_add(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  (void)fault;
  add_binary(recipe, node, &tnr_op_add);
  return TNR_OK;
}

tnr_status lower_sub(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  (void)fault;
  add_binary(recipe, node, &tnr_op_sub);
  return TNR_OK;
}

tnr_status lower_mul(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  (void)fault;
  add_binary(recipe, node, &tnr_op_mul);
  return TNR_OK;
}

tnr_status lower_div(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  (void)fault;
  add_binary(recipe, node, &tnr_op_div);
  return TNR_OK;
}

tnr_status lower_matmul(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  (void)fault;
  add_binary(recipe, node, &tnr_op_matmul);
  return TNR_OK;
}

/* How often nodes and the graph's outputs use what a slot holds. */
static size_t count_uses(const struct recipe *recipe, size_t slot) {
  const struct onnx_graph *graph = recipe->graph;
  size_t uses = 0;
  for (size_t i = 0; i < graph->node_count; i++)
    for (size_t j = 0; j < graph->nodes[i].input_count; j++)
      uses += graph->nodes[i].inputs[j] != ONNX_ABSENT &&
              recipe->slots[graph->nodes[i].inputs[j]] == slot;
  for (size_t i = 0; i < graph->output_count; i++)
    uses += recipe->slots[graph->outputs[i].id] == slot;
  return uses;
}

/* True when the step can do a relu behind its own work, and now does. */
static bool take_relu(struct step *step) {
  if (step->op == &tnr_op_conv2d)
    step->attrs.conv2d.relu = 1;
  else if (step->op == &tnr_op_matmul)
    step->attrs.matmul.relu = true;
  return step->op == &tnr_op_conv2d || step->op == &tnr_op_matmul;
}

/* True when the step before it, whose result nobody else sees, does the relu as well. */
static bool join_relu(struct recipe *recipe, const struct onnx_node *node) {
  size_t slot = lower_in(recipe, node, 0);
  if (recipe->step_count == 0 || count_uses(recipe, slot) != 1)
    return false;
  struct step *step = &recipe->steps[recipe->step_count - 1];
  if (step->output != slot || !take_relu(step))
    return false;
  recipe->slots[node->outputs[0]] = slot;
  return true;
}

tnr_status lower_relu(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  (void)fault;
  if (!join_relu(recipe, node))
    lower_unary(recipe, node, &tnr_op_relu);
  return TNR_OK;
}

tnr_status lower_softmax(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  enum { PER_AXIS_SINCE = 13 };
  if (recipe->graph->opset < PER_AXIS_SINCE)
    return onnx_node_fail(fault, node, TNR_EUNSUPPORTED,
                          "its meaning in operator set %" PRId64
                          " is not supported; export the model with set %d or later",
                          recipe->graph->opset, PER_AXIS_SINCE);
  int64_t axis;
  tnr_status status = onnx_int(node, "axis", -1, &axis, fault);
  if (status == TNR_OK)
    lower_unary(recipe, node, &tnr_op_softmax)->attrs.softmax.axis = axis;
  return status;
}

/* Gemm is alpha * A * B + beta * C. */
struct gemm {
  float alpha, beta;
  int64_t transpose_a, transpose_b;
};

static tnr_status read_gemm(const struct onnx_node *node, struct gemm *out, tnr_fault *fault) {
  tnr_status status = onnx_float(node, "alpha", 1, &out->alpha, fault);
  if (status == TNR_OK)
    status = onnx_float(node, "beta", 1, &out->beta, fault);
  if (status == TNR_OK)
    status = onnx_int(node, "transA", 0, &out->transpose_a, fault);
  if (status == TNR_OK)
    status = onnx_int(node, "transB", 0, &out->transpose_b, fault);
  return status;
}

/* Replaces a slot by one that holds its content times `factor`. */
static tnr_status scale(struct recipe *recipe, const struct onnx_node *node, float factor,
                        size_t *slot, tnr_fault *fault) {
  if (factor == 1)
    return TNR_OK;
  size_t inputs[2] = {*slot};
  tnr_status status = lower_filled(recipe, node, TNR_SCALAR, factor, &inputs[1], fault);
  if (status != TNR_OK)
    return status;
  *slot = recipe_add_slot(recipe);
  recipe_add(recipe, &tnr_op_mul, inputs, 2, *slot);
  return TNR_OK;
}

/* What a matmul takes as its bias: a constant row. A row of one element may stand for many. */
static bool is_bias(const struct recipe *recipe, const struct gemm *gemm, size_t slot) {
  const struct array *c = slot == ONNX_ABSENT ? NULL : recipe->constants[slot];
  return gemm->alpha == 1 && gemm->beta == 1 && c && c->desc.shape.rank == 1 &&
         c->desc.shape.dims[0] != 1;
}

static void add_product(struct recipe *recipe, const struct gemm *gemm, const size_t *inputs,
                        size_t input_count, size_t output) {
  tnr_matmul_attrs *attrs =
      &recipe_add(recipe, &tnr_op_matmul, inputs, input_count, output)->attrs.matmul;
  attrs->transpose_a = gemm->transpose_a != 0;
  attrs->transpose_b = gemm->transpose_b != 0;
}

/* Scaled, or with a C that need not be a row: the product, then the rest step by step. */
static tnr_status add_parts(struct recipe *recipe, const struct onnx_node *node,
                            const struct gemm *gemm, const size_t *inputs, tnr_fault *fault) {
  size_t product = recipe_add_slot(recipe), c = inputs[2];
  add_product(recipe, gemm, inputs, 2, product);
  tnr_status status = scale(recipe, node, gemm->alpha, &product, fault);
  if (status == TNR_OK && c != ONNX_ABSENT)
    status = scale(recipe, node, gemm->beta, &c, fault);
  if (status != TNR_OK)
    return status;
  if (c == ONNX_ABSENT)
    recipe->slots[node->outputs[0]] = product;
  else
    recipe_add(recipe, &tnr_op_add, (size_t[]){product, c}, 2, lower_out(recipe, node));
  return TNR_OK;
}

tnr_status lower_gemm(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  struct gemm gemm;
  tnr_status status = read_gemm(node, &gemm, fault);
  if (status != TNR_OK)
    return status;
  const size_t inputs[] = {lower_in(recipe, node, 0), lower_in(recipe, node, 1),
                           lower_in(recipe, node, 2)};
  if (!is_bias(recipe, &gemm, inputs[2]))
    return add_parts(recipe, node, &gemm, inputs, fault);
  add_product(recipe, &gemm, inputs, 3, lower_out(recipe, node));
  return TNR_OK;
}
