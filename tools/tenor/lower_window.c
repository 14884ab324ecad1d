/* Operators that move a window over an image. */
#include <inttypes.h>
#include <string.h>

#include "lower.h"

/* The window of Conv and MaxPool; of two elements: height, width. */
struct window {
  int64_t kernel[2]; /* 0: not given */
  int64_t stride[2], dilation[2], pad_before[2], pad_after[2];
};

/* A list of `count` numbers that are `low` or more; `values` stays as it is when there is none. */
static tnr_status read_list(const struct onnx_node *node, const char *name, int64_t low,
                            size_t count, int64_t *values, tnr_fault *fault) {
  const int64_t *list;
  size_t have;
  tnr_status status = onnx_ints(node, name, &list, &have, fault);
  if (status != TNR_OK || (have == 0 && !onnx_find(node, name)))
    return status;
  if (have != count)
    return onnx_node_fail(fault, node, TNR_EUNSUPPORTED,
                          "'%s' has %zu elements and not %zu: only images of two dimensions are "
                          "supported",
                          name, have, count);
  for (size_t i = 0; i < count; i++) {
    if (list[i] < low || list[i] > INT32_MAX)
      return onnx_node_fail(fault, node, TNR_EINVAL, "'%s' has an element %" PRId64, name, list[i]);
    values[i] = list[i];
  }
  return TNR_OK;
}

/* ONNX gives both beginnings, then both ends. */
static tnr_status read_pads(const struct onnx_node *node, struct window *out, tnr_fault *fault) {
  const char *automatic;
  int64_t pads[4] = {0};
  tnr_status status = onnx_string(node, "auto_pad", "NOTSET", &automatic, fault);
  if (status != TNR_OK || strcmp(automatic, "VALID") == 0)
    return status;
  if (strcmp(automatic, "NOTSET") != 0)
    return onnx_node_fail(fault, node, TNR_EUNSUPPORTED, "auto_pad '%.40s' is not supported",
                          automatic);
  status = read_list(node, "pads", 0, 4, pads, fault);
  memcpy(out->pad_before, pads, sizeof(out->pad_before));
  memcpy(out->pad_after, pads + 2, sizeof(out->pad_after));
  return status;
}

static tnr_status read_window(const struct onnx_node *node, struct window *out, tnr_fault *fault) {
  *out = (struct window){.stride = {1, 1}, .dilation = {1, 1}};
  tnr_status status = read_list(node, "kernel_shape", 1, 2, out->kernel, fault);
  if (status == TNR_OK)
    status = read_list(node, "strides", 1, 2, out->stride, fault);
  if (status == TNR_OK)
    status = read_list(node, "dilations", 1, 2, out->dilation, fault);
  if (status == TNR_OK)
    status = read_pads(node, out, fault);
  return status;
}

static tnr_status check_weights(const struct onnx_node *node, const struct array *weights,
                                const struct window *window, tnr_fault *fault) {
  const tnr_shape *shape = &weights->desc.shape;
  char text[TNR_SHAPE_TEXT_MAX];
  bool fits = shape->rank == 4;
  for (int i = 0; fits && i < 2; i++)
    fits = window->kernel[i] == 0 || window->kernel[i] == shape->dims[2 + i];
  if (fits)
    return TNR_OK;
  return onnx_node_fail(fault, node, TNR_EUNSUPPORTED, "weights of shape %s are not supported%s",
                        tnr_shape_format(shape, text, sizeof(text)),
                        shape->rank == 4 ? ": 'kernel_shape' differs" : "");
}

/* tenor's conv2d always has a bias. */
static tnr_status find_bias(struct recipe *recipe, const struct onnx_node *node, size_t *slot,
                            tnr_fault *fault) {
  const struct array *weights = lower_constant_in(recipe, node, 1);
  *slot = lower_in(recipe, node, 2);
  if (*slot != ONNX_ABSENT)
    return TNR_OK;
  if (!weights)
    return onnx_node_fail(fault, node, TNR_EUNSUPPORTED,
                          "without a bias its weights have to be a constant");
  return lower_filled(recipe, node, TNR_SHAPE(weights->desc.shape.dims[0]), 0, slot, fault);
}

static tnr_status read_groups(const struct onnx_node *node, int64_t *out, tnr_fault *fault) {
  tnr_status status = onnx_int(node, "group", 1, out, fault);
  if (status == TNR_OK && (*out < 1 || *out > INT32_MAX))
    status = onnx_node_fail(fault, node, TNR_EINVAL, "'group' is %" PRId64, *out);
  return status;
}

tnr_status lower_conv(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  struct window window;
  int64_t groups = 1;
  size_t bias;
  const struct array *weights = lower_constant_in(recipe, node, 1);
  tnr_status status = read_window(node, &window, fault);
  if (status == TNR_OK)
    status = read_groups(node, &groups, fault);
  if (status == TNR_OK && weights)
    status = check_weights(node, weights, &window, fault);
  if (status == TNR_OK)
    status = find_bias(recipe, node, &bias, fault);
  if (status != TNR_OK)
    return status;
  const size_t inputs[] = {lower_in(recipe, node, 0), lower_in(recipe, node, 1), bias};
  tnr_conv2d_attrs *attrs =
      &recipe_add(recipe, &tnr_op_conv2d, inputs, 3, lower_out(recipe, node))->attrs.conv2d;
  memcpy(attrs->stride, window.stride, sizeof(attrs->stride));
  memcpy(attrs->dilation, window.dilation, sizeof(attrs->dilation));
  memcpy(attrs->pad_before, window.pad_before, sizeof(attrs->pad_before));
  memcpy(attrs->pad_after, window.pad_after, sizeof(attrs->pad_after));
  attrs->groups = groups;
  return TNR_OK;
}

static tnr_status refuse_unless_zero(const struct onnx_node *node, const char *name,
                                     tnr_fault *fault) {
  int64_t value;
  tnr_status status = onnx_int(node, name, 0, &value, fault);
  if (status == TNR_OK && value != 0)
    status = onnx_node_fail(fault, node, TNR_EUNSUPPORTED, "%s %" PRId64 " is not supported", name,
                            value);
  return status;
}

tnr_status lower_max_pool(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  struct window window;
  tnr_status status = refuse_unless_zero(node, "ceil_mode", fault);
  if (status == TNR_OK)
    status = refuse_unless_zero(node, "storage_order", fault);
  if (status == TNR_OK)
    status = read_window(node, &window, fault);
  if (status != TNR_OK)
    return status;
  if (window.kernel[0] == 0)
    return onnx_node_fail(fault, node, TNR_EINVAL, "the attribute 'kernel_shape' is missing");
  tnr_max_pool2d_attrs *attrs = &lower_unary(recipe, node, &tnr_op_max_pool2d)->attrs.max_pool2d;
  memcpy(attrs->kernel, window.kernel, sizeof(attrs->kernel));
  memcpy(attrs->stride, window.stride, sizeof(attrs->stride));
  memcpy(attrs->dilation, window.dilation, sizeof(attrs->dilation));
  memcpy(attrs->pad_before, window.pad_before, sizeof(attrs->pad_before));
  memcpy(attrs->pad_after, window.pad_after, sizeof(attrs->pad_after));
  return TNR_OK;
}
