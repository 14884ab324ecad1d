/* What a model does, as a list of tenor's own ops: the graph of an ONNX file lowered node by node,
 * everything that is not supported refused. It knows no device and no runtime. */
#ifndef TENOR_TOOL_RECIPE_H
#define TENOR_TOOL_RECIPE_H

#include <tenor.h>

#include "onnx.h"

union step_attrs {
  tnr_matmul_attrs matmul;
  tnr_softmax_attrs softmax;
  tnr_concat_attrs concat;
  tnr_reshape_attrs reshape;
  tnr_flatten_attrs flatten;
  tnr_transpose_attrs transpose;
  tnr_conv2d_attrs conv2d;
  tnr_max_pool2d_attrs max_pool2d;
  tnr_cast_attrs cast;
};

/* One call of an op or of a composite: the other of the two is NULL. */
struct step {
  const struct onnx_node *node; /* where it comes from */
  const tnr_op_def *op;
  const tnr_composite_def *composite;
  union step_attrs attrs;
  const size_t *inputs; /* slots */
  size_t input_count;
  size_t output; /* slot */
};

/* Slots hold what steps use and give: slot i < graph->input_count is the graph's input i. */
struct recipe {
  const struct onnx_graph *graph; /* borrowed */
  struct step *steps;
  size_t *outputs;                /* the slot of each output of the graph; each another step's */
  const struct array **constants; /* of each slot: its content, or NULL when it is computed */
  size_t step_count, slot_count;

  /* What recipe_init works with. */
  size_t *slots;  /* of each value of the graph */
  size_t *inputs; /* of all steps in a row */
  size_t used_inputs;
  struct array *made; /* constants that the graph does not have */
  size_t made_count;
};

/* Lowers the graph, which must outlive the recipe. Fails with TNR_EUNSUPPORTED, TNR_EINVAL,
 * TNR_ESHAPE, TNR_EDTYPE with a sentence that names the node and its operator, or TNR_ENOMEM. `out`
 * is then all zero. */
tnr_status recipe_init(const struct onnx_graph *graph, struct recipe *out,
                       tnr_fault *fault) TNR_MUST_USE;

/* All zero is fine, and what is left. */
void recipe_finish(struct recipe *recipe);

/* For the lowering of operators. One node may add at most these. */
enum { NODE_STEPS_MAX = 4, NODE_EXTRA_INPUTS_MAX = 6, NODE_CONSTANTS_MAX = 2 };

/* Adds a call that puts out `output`; the caller fills in its attributes, which are all zero. */
struct step *recipe_add(struct recipe *recipe, const tnr_op_def *op, const size_t *inputs,
                        size_t input_count, size_t output);

/* A slot for a result between two steps of one node. */
size_t recipe_add_slot(struct recipe *recipe);

/* A slot that holds `array`, which the recipe takes over. */
size_t recipe_add_constant(struct recipe *recipe, const struct array *array);

/* Lowers one node, whose inputs all have slots. */
tnr_status operator_lower(struct recipe *recipe, const struct onnx_node *node,
                          tnr_fault *fault) TNR_MUST_USE;

#endif
