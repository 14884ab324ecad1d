/* An ONNX model file as a plain description of its graph: every name resolved, every tensor copied
 * out, the nodes in an order in which they can run. What the operators mean is not known here. */
#ifndef TENOR_TOOL_ONNX_H
#define TENOR_TOOL_ONNX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "array.h"

/* The values of a graph are numbered: first its inputs, then its constants, then what the nodes put
 * out, in order. */
#define ONNX_ABSENT SIZE_MAX /* an optional input or output that is left out */

/* An input or output of the graph. */
struct onnx_value {
  const char *name;
  size_t id;
  tnr_dtype dtype;
  tnr_shape shape; /* a dim of -1 is dynamic; a rank of -1: the file does not say */
};

/* A tensor that the file brings along: weights. */
struct onnx_constant {
  const char *name;
  struct array array;
};

enum onnx_kind {
  ONNX_OTHER, /* a graph, a type, a list of strings or tensors, …: its content is not read */
  ONNX_FLOAT,
  ONNX_INT,
  ONNX_STRING,
  ONNX_TENSOR,
  ONNX_FLOATS,
  ONNX_INTS
};

struct onnx_attribute {
  const char *name;
  enum onnx_kind kind;
  const struct Onnx__AttributeProto *content;
};

struct onnx_node {
  const char *op;     /* "Conv" */
  const char *domain; /* "" for the standard operators */
  const char *name;   /* its first output's name when it has none */
  size_t input_count, output_count, attribute_count;
  const size_t *inputs, *outputs; /* ids of values, or ONNX_ABSENT */
  const struct onnx_attribute *attributes;
};

/* Everything in it belongs to the graph. */
struct onnx_graph {
  int64_t opset; /* the version of the standard operators */
  size_t input_count, constant_count, output_count, node_count, value_count;
  struct onnx_value *inputs; /* without those that a constant of the same name gives */
  struct onnx_constant *constants;
  struct onnx_value *outputs; /* at least one */
  struct onnx_node *nodes;    /* each uses only what inputs, constants and earlier nodes give */
  size_t *ids;
  struct onnx_attribute *attributes;
  struct Onnx__ModelProto *model;
};

/* Reads a model file of up to 2 GiB, which is protobuf's own limit. Fails with TNR_EINVAL (no such
 * file, not a model, damaged, names used twice or not at all, nodes out of order or in a cycle,
 * data outside the file or of the wrong size), TNR_EDTYPE, TNR_ESHAPE, TNR_EOVERFLOW, TNR_ENOMEM;
 * the sentence begins with the path and names the value, or the node and its operator. `out` is
 * then all zero. */
tnr_status onnx_read(const char *path, struct onnx_graph *out, tnr_fault *fault) TNR_MUST_USE;

/* The same from memory, which is not needed afterwards; the sentence does not name a file. */
tnr_status onnx_parse(const void *data, size_t size, struct onnx_graph *out,
                      tnr_fault *fault) TNR_MUST_USE;

/* All zero is fine, and what is left. */
void onnx_finish(struct onnx_graph *graph);

/* Fills `fault` with a sentence that begins "node 'NAME' (OPERATOR): " and returns `code`. */
tnr_status onnx_node_fail(tnr_fault *fault, const struct onnx_node *node, tnr_status code,
                          const char *format, ...) TNR_PRINTF(4, 5);

/* The attribute of that name, or NULL. */
const struct onnx_attribute *onnx_find(const struct onnx_node *node, const char *name);

/* The value of an attribute, or `otherwise` when the node has none of that name. They fail with
 * TNR_EINVAL when it is of another kind. Strings and lists belong to the graph. */
tnr_status onnx_int(const struct onnx_node *node, const char *name, int64_t otherwise, int64_t *out,
                    tnr_fault *fault) TNR_MUST_USE;
tnr_status onnx_float(const struct onnx_node *node, const char *name, float otherwise, float *out,
                      tnr_fault *fault) TNR_MUST_USE;
tnr_status onnx_string(const struct onnx_node *node, const char *name, const char *otherwise,
                       const char **out, tnr_fault *fault) TNR_MUST_USE;

/* As above; *count is 0 and *out NULL when the node has none of that name. */
tnr_status onnx_ints(const struct onnx_node *node, const char *name, const int64_t **out,
                     size_t *count, tnr_fault *fault) TNR_MUST_USE;

/* A copy of a tensor attribute, the caller's to finish. Fails with TNR_EINVAL when there is none of
 * that name and kind, and as pb_copy does. `out` is then all zero. */
tnr_status onnx_tensor(const struct onnx_node *node, const char *name, struct array *out,
                       tnr_fault *fault) TNR_MUST_USE;

#endif
