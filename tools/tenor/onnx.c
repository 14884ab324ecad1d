#include "onnx.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "onnx_link.h"
#include "pb.h"

#define FILE_MAX ((size_t)INT32_MAX)

/* A field that the file leaves out is a NULL pointer. */
static const char *text(const char *string) {
  return string ? string : "";
}

tnr_status onnx_node_fail(tnr_fault *fault, const struct onnx_node *node, tnr_status code,
                          const char *format, ...) {
  char reason[TNR_FAULT_MESSAGE_MAX];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof(reason), format, arguments);
  va_end(arguments);
  return tnr_fail(fault, code, "node '%.60s' (%.40s): %s", node->name, node->op, reason);
}

static void *make(size_t count, size_t size) {
  return calloc(count ? count : 1, size);
}

static tnr_status read_dims(const Onnx__TensorShapeProto *shape, const char *what, const char *name,
                            tnr_shape *out, tnr_fault *fault) {
  *out = (tnr_shape){.rank = -1};
  if (!shape)
    return TNR_OK;
  if (shape->n_dim > TNR_MAX_RANK)
    return tnr_fail(fault, TNR_ESHAPE, "%s '%.80s' has %zu dimensions; the most is %d", what, name,
                    shape->n_dim, TNR_MAX_RANK);
  out->rank = (int64_t)shape->n_dim;
  for (size_t i = 0; i < shape->n_dim; i++) {
    const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
    if (dim->has_dim_value && dim->dim_value < 0)
      return tnr_fail(fault, TNR_ESHAPE, "%s '%.80s': dimension %zu is %" PRId64, what, name, i,
                      dim->dim_value);
    out->dims[i] = dim->has_dim_value ? dim->dim_value : -1;
  }
  return TNR_OK;
}

static tnr_status read_value(const Onnx__ValueInfoProto *proto, const char *what,
                             struct onnx_value *out, tnr_fault *fault) {
  *out = (struct onnx_value){.name = text(proto->name)};
  if (!*out->name)
    return tnr_fail(fault, TNR_EINVAL, "an %s of the graph has no name", what);
  if (!proto->type || !proto->type->tensor_type || !proto->type->tensor_type->has_elem_type)
    return tnr_fail(fault, TNR_EDTYPE, "%s '%.80s' is not declared to be a tensor", what,
                    out->name);
  tnr_fault cause;
  tnr_status status = pb_dtype(proto->type->tensor_type->elem_type, &out->dtype, &cause);
  if (status != TNR_OK)
    return tnr_fail(fault, status, "%s '%.80s': %s", what, out->name, cause.message);
  return read_dims(proto->type->tensor_type->shape, what, out->name, &out->shape, fault);
}

static tnr_status read_constants(const Onnx__GraphProto *proto, struct onnx_graph *out,
                                 tnr_fault *fault) {
  if (proto->n_sparse_initializer > 0)
    return tnr_fail(fault, TNR_EINVAL, "sparse tensors are not supported");
  out->constants = make(proto->n_initializer, sizeof(*out->constants));
  if (!out->constants)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu constants", proto->n_initializer);
  for (size_t i = 0; i < proto->n_initializer; i++) {
    struct onnx_constant *constant = &out->constants[out->constant_count++];
    constant->name = text(proto->initializer[i]->name);
    if (!*constant->name)
      return tnr_fail(fault, TNR_EINVAL, "constant %zu has no name", i);
    tnr_fault cause;
    tnr_status status = pb_copy(proto->initializer[i], &constant->array, &cause);
    if (status != TNR_OK)
      return tnr_fail(fault, status, "constant '%.80s': %s", constant->name, cause.message);
  }
  return TNR_OK;
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **sorted_constant_names(const struct onnx_graph *graph) {
  const char **names = make(graph->constant_count, sizeof(*names));
  for (size_t i = 0; names && i < graph->constant_count; i++)
    names[i] = graph->constants[i].name;
  if (names)
    qsort(names, graph->constant_count, sizeof(*names), by_text);
  return names;
}

/* Before IR version 4 each constant had to be listed as an input, too. */
static tnr_status read_inputs(const Onnx__GraphProto *proto, struct onnx_graph *out,
                              tnr_fault *fault) {
  out->inputs = make(proto->n_input, sizeof(*out->inputs));
  const char **constants = sorted_constant_names(out);
  tnr_status status = TNR_OK;
  if (!out->inputs || !constants)
    status = tnr_fail(fault, TNR_ENOMEM, "no memory for %zu inputs", proto->n_input);
  for (size_t i = 0; status == TNR_OK && i < proto->n_input; i++) {
    const char *name = text(proto->input[i]->name);
    if (!bsearch(&name, constants, out->constant_count, sizeof(name), by_text))
      status = read_value(proto->input[i], "input", &out->inputs[out->input_count++], fault);
  }
  free(constants);
  return status;
}

static tnr_status read_outputs(const Onnx__GraphProto *proto, struct onnx_graph *out,
                               tnr_fault *fault) {
  if (proto->n_output == 0)
    return tnr_fail(fault, TNR_EINVAL, "the graph has no output");
  out->outputs = make(proto->n_output, sizeof(*out->outputs));
  if (!out->outputs)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu outputs", proto->n_output);
  tnr_status status = TNR_OK;
  for (size_t i = 0; status == TNR_OK && i < proto->n_output; i++)
    status = read_value(proto->output[i], "output", &out->outputs[out->output_count++], fault);
  return status;
}

/* AttributeProto.AttributeType of the specification. */
static enum onnx_kind kind_of(const Onnx__AttributeProto *proto) {
  switch (proto->has_type ? proto->type : 0) {
  case 1:
    return ONNX_FLOAT;
  case 2:
    return ONNX_INT;
  case 3:
    return ONNX_STRING;
  case 4:
    return ONNX_TENSOR;
  case 6:
    return ONNX_FLOATS;
  case 7:
    return ONNX_INTS;
  default:
    return ONNX_OTHER;
  }
}

static tnr_status read_attributes(const Onnx__NodeProto *proto, struct onnx_node *node,
                                  struct onnx_attribute *out, tnr_fault *fault) {
  /* No operator has nearly as many; it keeps the search for twins short. */
  enum { ATTRIBUTES_MAX = 100 };
  if (proto->n_attribute > ATTRIBUTES_MAX)
    return onnx_node_fail(fault, node, TNR_EINVAL, "%zu attributes; the most is %d",
                          proto->n_attribute, ATTRIBUTES_MAX);
  node->attributes = out;
  for (size_t i = 0; i < proto->n_attribute; i++) {
    const char *name = text(proto->attribute[i]->name);
    if (onnx_find(node, name))
      return onnx_node_fail(fault, node, TNR_EINVAL, "attribute '%.80s' is there twice", name);
    out[i] = (struct onnx_attribute){name, kind_of(proto->attribute[i]), proto->attribute[i]};
    node->attribute_count++;
  }
  return TNR_OK;
}

static tnr_status read_node(const Onnx__NodeProto *proto, size_t at, struct onnx_node *out,
                            tnr_fault *fault) {
  *out = (struct onnx_node){
      .op = text(proto->op_type),
      .domain = text(proto->domain),
      .name = text(proto->name),
      .input_count = proto->n_input,
      .output_count = proto->n_output,
  };
  if (proto->n_output == 0)
    return tnr_fail(fault, TNR_EINVAL, "node %zu '%.60s' (%.40s) has no output", at, out->name,
                    out->op);
  if (!*out->name)
    out->name = proto->output[0];
  if (strcmp(out->domain, "ai.onnx") == 0)
    out->domain = "";
  if (!*out->op)
    return onnx_node_fail(fault, out, TNR_EINVAL, "the operator is missing");
  return TNR_OK;
}

static tnr_status read_nodes(const Onnx__GraphProto *proto, struct onnx_graph *out,
                             tnr_fault *fault) {
  size_t attributes = 0;
  for (size_t i = 0; i < proto->n_node; i++)
    attributes += proto->node[i]->n_attribute;
  out->nodes = make(proto->n_node, sizeof(*out->nodes));
  out->attributes = make(attributes, sizeof(*out->attributes));
  if (!out->nodes || !out->attributes)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu nodes", proto->n_node);
  struct onnx_attribute *next = out->attributes;
  for (size_t i = 0; i < proto->n_node; i++) {
    struct onnx_node *node = &out->nodes[out->node_count++];
    tnr_status status = read_node(proto->node[i], i, node, fault);
    if (status == TNR_OK)
      status = read_attributes(proto->node[i], node, next, fault);
    if (status != TNR_OK)
      return status;
    next += proto->node[i]->n_attribute;
  }
  return TNR_OK;
}

static tnr_status read_opset(const Onnx__ModelProto *proto, struct onnx_graph *out,
                             tnr_fault *fault) {
  for (size_t i = 0; i < proto->n_opset_import; i++) {
    const char *domain = text(proto->opset_import[i]->domain);
    if (!*domain || strcmp(domain, "ai.onnx") == 0)
      out->opset = proto->opset_import[i]->version;
  }
  if (out->opset < 1)
    return tnr_fail(fault, TNR_EINVAL, "the model does not say which operator set it is of");
  return TNR_OK;
}

static tnr_status read_graph(const Onnx__ModelProto *proto, struct onnx_graph *out,
                             tnr_fault *fault) {
  if (!proto->has_ir_version || !proto->graph)
    return tnr_fail(fault, TNR_EINVAL, "this is no ONNX model");
  tnr_status status = read_opset(proto, out, fault);
  if (status == TNR_OK)
    status = read_constants(proto->graph, out, fault);
  if (status == TNR_OK)
    status = read_inputs(proto->graph, out, fault);
  if (status == TNR_OK)
    status = read_outputs(proto->graph, out, fault);
  if (status == TNR_OK)
    status = read_nodes(proto->graph, out, fault);
  if (status == TNR_OK)
    status = onnx_link(proto->graph, out, fault);
  return status;
}

tnr_status onnx_parse(const void *data, size_t size, struct onnx_graph *out, tnr_fault *fault) {
  *out = (struct onnx_graph){0};
  if (size > FILE_MAX)
    return tnr_fail(fault, TNR_EOVERFLOW, "more than %zu bytes, the most that is read", FILE_MAX);
  out->model = onnx__model_proto__unpack(NULL, size, data);
  if (!out->model)
    return tnr_fail(fault, TNR_EINVAL, "this is no ONNX model, or it is damaged or cut short");
  tnr_status status = read_graph(out->model, out, fault);
  if (status != TNR_OK)
    onnx_finish(out);
  return status;
}

tnr_status onnx_read(const char *path, struct onnx_graph *out, tnr_fault *fault) {
  struct bytes file;
  tnr_fault cause;
  *out = (struct onnx_graph){0};
  tnr_status status = bytes_read(path, FILE_MAX, &file, &cause);
  if (status == TNR_OK)
    status = onnx_parse(file.data, file.size, out, &cause);
  bytes_finish(&file);
  return status == TNR_OK ? TNR_OK : file_fail(fault, path, &cause);
}

void onnx_finish(struct onnx_graph *graph) {
  for (size_t i = 0; i < graph->constant_count; i++)
    array_finish(&graph->constants[i].array);
  free(graph->constants);
  free(graph->inputs);
  free(graph->outputs);
  free(graph->nodes);
  free(graph->ids);
  free(graph->attributes);
  if (graph->model)
    onnx__model_proto__free_unpacked(graph->model, NULL);
  *graph = (struct onnx_graph){0};
}
