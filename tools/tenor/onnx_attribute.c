#include <string.h>

#include "onnx.h"
#include "pb.h"

const struct onnx_attribute *onnx_find(const struct onnx_node *node, const char *name) {
  for (size_t i = 0; i < node->attribute_count; i++)
    if (strcmp(node->attributes[i].name, name) == 0)
      return &node->attributes[i];
  return NULL;
}

static const char *kind_name(enum onnx_kind kind) {
  switch (kind) {
  case ONNX_FLOAT:
    return "a float";
  case ONNX_INT:
    return "an int";
  case ONNX_STRING:
    return "a string";
  case ONNX_TENSOR:
    return "a tensor";
  case ONNX_FLOATS:
    return "a list of floats";
  case ONNX_INTS:
    return "a list of ints";
  default:
    return "something else";
  }
}

/* *out is NULL when the node has no such attribute. */
static tnr_status find_kind(const struct onnx_node *node, const char *name, enum onnx_kind kind,
                            const Onnx__AttributeProto **out, tnr_fault *fault) {
  const struct onnx_attribute *attribute = onnx_find(node, name);
  *out = attribute ? attribute->content : NULL;
  if (!attribute || attribute->kind == kind)
    return TNR_OK;
  return onnx_node_fail(fault, node, TNR_EINVAL, "attribute '%s' is %s and not %s", name,
                        kind_name(attribute->kind), kind_name(kind));
}

tnr_status onnx_int(const struct onnx_node *node, const char *name, int64_t otherwise, int64_t *out,
                    tnr_fault *fault) {
  const Onnx__AttributeProto *content;
  tnr_status status = find_kind(node, name, ONNX_INT, &content, fault);
  if (status == TNR_OK)
    *out = content ? content->i : otherwise;
  return status;
}

tnr_status onnx_float(const struct onnx_node *node, const char *name, float otherwise, float *out,
                      tnr_fault *fault) {
  const Onnx__AttributeProto *content;
  tnr_status status = find_kind(node, name, ONNX_FLOAT, &content, fault);
  if (status == TNR_OK)
    *out = content ? content->f : otherwise;
  return status;
}

tnr_status onnx_string(const struct onnx_node *node, const char *name, const char *otherwise,
                       const char **out, tnr_fault *fault) {
  const Onnx__AttributeProto *content;
  tnr_status status = find_kind(node, name, ONNX_STRING, &content, fault);
  if (status != TNR_OK)
    return status;
  *out = otherwise;
  if (content)
    *out = content->s ? content->s : "";
  return TNR_OK;
}

tnr_status onnx_ints(const struct onnx_node *node, const char *name, const int64_t **out,
                     size_t *count, tnr_fault *fault) {
  const Onnx__AttributeProto *content;
  tnr_status status = find_kind(node, name, ONNX_INTS, &content, fault);
  if (status != TNR_OK)
    return status;
  *out = content ? content->ints : NULL;
  *count = content ? content->n_ints : 0;
  return TNR_OK;
}

tnr_status onnx_tensor(const struct onnx_node *node, const char *name, struct array *out,
                       tnr_fault *fault) {
  const Onnx__AttributeProto *content;
  *out = (struct array){0};
  tnr_status status = find_kind(node, name, ONNX_TENSOR, &content, fault);
  if (status != TNR_OK)
    return status;
  if (!content || !content->t)
    return onnx_node_fail(fault, node, TNR_EINVAL, "the tensor '%s' is missing", name);
  tnr_fault cause;
  status = pb_copy(content->t, out, &cause);
  if (status == TNR_OK)
    return TNR_OK;
  return onnx_node_fail(fault, node, status, "attribute '%s': %s", name, cause.message);
}
