/* Operators that give the same elements in another form. */
#include "lower.h"
#include "pb.h"

/* Nothing runs: the output is another name for the input. */
tnr_status lower_identity(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  (void)fault;
  recipe->slots[node->outputs[0]] = lower_in(recipe, node, 0);
  return TNR_OK;
}

tnr_status lower_constant(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  struct array array;
  tnr_status status = onnx_tensor(node, "value", &array, fault);
  if (status == TNR_OK)
    recipe->slots[node->outputs[0]] = recipe_add_constant(recipe, &array);
  return status;
}

tnr_status lower_concat(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  if (!onnx_find(node, "axis"))
    return onnx_node_fail(fault, node, TNR_EINVAL, "the attribute 'axis' is missing");
  int64_t axis;
  tnr_status status = onnx_int(node, "axis", 0, &axis, fault);
  if (status != TNR_OK)
    return status;
  struct step *step = recipe_add(recipe, &tnr_op_concat, NULL, 0, lower_out(recipe, node));
  step->input_count = node->input_count;
  for (size_t i = 0; i < node->input_count; i++)
    recipe->inputs[recipe->used_inputs++] = lower_in(recipe, node, i);
  step->attrs.concat.dim = axis;
  return TNR_OK;
}

tnr_status lower_transpose(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  const int64_t *permutation;
  size_t count;
  tnr_status status = onnx_ints(node, "perm", &permutation, &count, fault);
  if (status != TNR_OK)
    return status;
  if (count > TNR_MAX_RANK)
    return onnx_node_fail(fault, node, TNR_ESHAPE, "'perm' has %zu elements; the most is %d", count,
                          TNR_MAX_RANK);
  tnr_transpose_attrs *attrs = &lower_unary(recipe, node, &tnr_op_transpose)->attrs.transpose;
  attrs->permuted = (int64_t)count;
  for (size_t i = 0; i < count; i++)
    attrs->permutation[i] = permutation[i];
  return TNR_OK;
}

tnr_status lower_cast(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  int64_t to;
  tnr_dtype dtype;
  tnr_fault cause;
  tnr_status status = onnx_int(node, "to", 0, &to, fault);
  if (status != TNR_OK)
    return status;
  if (to < 0 || to > INT32_MAX)
    to = 0;
  status = pb_dtype((int32_t)to, &dtype, &cause);
  if (status != TNR_OK)
    return onnx_node_fail(fault, node, status, "'to': %s", cause.message);
  lower_unary(recipe, node, &tnr_op_cast)->attrs.cast.dtype = dtype;
  return TNR_OK;
}

/* What ONNX says relative to a shape that is known only when the model runs. */
static tnr_value flatten_from_end(const tnr_value *inputs, int count, const void *attrs) {
  (void)count;
  tnr_desc desc = {0};
  tnr_value_desc(inputs[0], &desc);
  const tnr_flatten_attrs *flatten = attrs;
  return tnr_flatten(inputs[0], .axis = flatten->axis + desc.shape.rank);
}

static const tnr_composite_def flatten_from_end_def = {
    .name = "flatten_from_end",
    .attrs_size = sizeof(tnr_flatten_attrs),
    .needs_shapes = true,
    .body = flatten_from_end,
};

tnr_status lower_flatten(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  int64_t axis;
  tnr_status status = onnx_int(node, "axis", 1, &axis, fault);
  if (status != TNR_OK)
    return status;
  struct step *step = lower_unary(recipe, node, axis < 0 ? NULL : &tnr_op_flatten);
  step->composite = axis < 0 ? &flatten_from_end_def : NULL;
  step->attrs.flatten.axis = axis;
  return TNR_OK;
}

/* A dim of 0 stands for the input's own. */
static tnr_value reshape_keeping(const tnr_value *inputs, int count, const void *attrs) {
  (void)count;
  tnr_desc desc = {0};
  tnr_value_desc(inputs[0], &desc);
  tnr_shape shape = ((const tnr_reshape_attrs *)attrs)->shape;
  for (int64_t i = 0; i < shape.rank && i < desc.shape.rank; i++)
    if (shape.dims[i] == 0)
      shape.dims[i] = desc.shape.dims[i];
  return tnr_reshape(inputs[0], .shape = shape);
}

static const tnr_composite_def reshape_keeping_def = {
    .name = "reshape_keeping",
    .attrs_size = sizeof(tnr_reshape_attrs),
    .needs_shapes = true,
    .body = reshape_keeping,
};

static bool is_list_of_i64(const struct array *array) {
  return array->desc.dtype == TNR_I64 && array->desc.shape.rank == 1 &&
         array->desc.shape.dims[0] <= TNR_MAX_RANK;
}

tnr_status lower_reshape(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  const struct array *target = lower_constant_in(recipe, node, 1);
  if (!target)
    return onnx_node_fail(fault, node, TNR_EUNSUPPORTED, "its shape is not a constant");
  if (!is_list_of_i64(target))
    return onnx_node_fail(fault, node, TNR_ESHAPE, "its shape is not a list of up to %d int64",
                          TNR_MAX_RANK);
  int64_t allow_zero;
  tnr_status status = onnx_int(node, "allowzero", 0, &allow_zero, fault);
  if (status != TNR_OK)
    return status;
  tnr_shape shape = tnr_shape_of((int)target->desc.shape.dims[0], target->data);
  bool keeps = false;
  for (int64_t i = 0; i < shape.rank; i++)
    keeps |= !allow_zero && shape.dims[i] == 0;
  struct step *step = lower_unary(recipe, node, keeps ? NULL : &tnr_op_reshape);
  step->composite = keeps ? &reshape_keeping_def : NULL;
  step->attrs.reshape.shape = shape;
  return TNR_OK;
}
