#include "recipe.h"

#include <stdlib.h>
#include <string.h>

struct step *recipe_add(struct recipe *recipe, const tnr_op_def *op, const size_t *inputs,
                        size_t input_count, size_t output) {
  size_t *own = recipe->inputs + recipe->used_inputs;
  for (size_t i = 0; i < input_count; i++)
    own[i] = inputs[i];
  recipe->used_inputs += input_count;
  struct step *step = &recipe->steps[recipe->step_count++];
  step->op = op;
  step->inputs = own;
  step->input_count = input_count;
  step->output = output;
  return step;
}

size_t recipe_add_slot(struct recipe *recipe) {
  return recipe->slot_count++;
}

size_t recipe_add_constant(struct recipe *recipe, const struct array *array) {
  struct array *own = &recipe->made[recipe->made_count++];
  *own = *array;
  size_t slot = recipe_add_slot(recipe);
  recipe->constants[slot] = own;
  return slot;
}

static bool allocate(struct recipe *recipe) {
  const struct onnx_graph *graph = recipe->graph;
  size_t nodes = graph->node_count, inputs = 1 + nodes * NODE_EXTRA_INPUTS_MAX;
  for (size_t i = 0; i < nodes; i++)
    inputs += graph->nodes[i].input_count;
  size_t slots = 1 + graph->value_count + nodes * (NODE_STEPS_MAX + NODE_CONSTANTS_MAX);
  recipe->steps = calloc(1 + nodes * NODE_STEPS_MAX, sizeof(*recipe->steps));
  recipe->outputs = calloc(graph->output_count, sizeof(*recipe->outputs));
  recipe->constants = calloc(slots, sizeof(*recipe->constants));
  recipe->slots = calloc(1 + graph->value_count, sizeof(*recipe->slots));
  recipe->inputs = calloc(inputs, sizeof(*recipe->inputs));
  recipe->made = calloc(1 + nodes * NODE_CONSTANTS_MAX, sizeof(*recipe->made));
  return recipe->steps && recipe->outputs && recipe->constants && recipe->slots && recipe->inputs &&
         recipe->made;
}

/* A slot for every value, under the value's own number. */
static void assign_slots(struct recipe *recipe) {
  const struct onnx_graph *graph = recipe->graph;
  for (size_t i = 0; i < graph->value_count; i++)
    recipe->slots[i] = recipe_add_slot(recipe);
  for (size_t i = 0; i < graph->constant_count; i++)
    recipe->constants[graph->input_count + i] = &graph->constants[i].array;
}

static bool is_computed(const struct recipe *recipe, size_t slot) {
  return slot >= recipe->graph->input_count && !recipe->constants[slot];
}

/* Who applies a model owns its outputs: each has to be a handle of its own. */
static tnr_status link_outputs(struct recipe *recipe, tnr_fault *fault) {
  for (size_t i = 0; i < recipe->graph->output_count; i++) {
    const struct onnx_value *output = &recipe->graph->outputs[i];
    size_t slot = recipe->outputs[i] = recipe->slots[output->id];
    if (!is_computed(recipe, slot))
      return tnr_fail(fault, TNR_EUNSUPPORTED, "output '%.80s' is an input or a constant",
                      output->name);
    for (size_t j = 0; j < i; j++)
      if (recipe->outputs[j] == slot)
        return tnr_fail(fault, TNR_EUNSUPPORTED, "outputs '%.80s' and '%.80s' are the same",
                        recipe->graph->outputs[j].name, output->name);
  }
  return TNR_OK;
}

static tnr_status lower(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault) {
  size_t first = recipe->step_count;
  tnr_status status = operator_lower(recipe, node, fault);
  for (size_t i = first; i < recipe->step_count; i++)
    recipe->steps[i].node = node;
  return status;
}

tnr_status recipe_init(const struct onnx_graph *graph, struct recipe *out, tnr_fault *fault) {
  *out = (struct recipe){.graph = graph};
  tnr_status status = TNR_OK;
  if (!allocate(out))
    status = tnr_fail(fault, TNR_ENOMEM, "no memory for %zu nodes", graph->node_count);
  else
    assign_slots(out);
  for (size_t i = 0; status == TNR_OK && i < graph->node_count; i++)
    status = lower(out, &graph->nodes[i], fault);
  if (status == TNR_OK)
    status = link_outputs(out, fault);
  if (status != TNR_OK)
    recipe_finish(out);
  return status;
}

void recipe_finish(struct recipe *recipe) {
  for (size_t i = 0; i < recipe->made_count; i++)
    array_finish(&recipe->made[i]);
  free(recipe->steps);
  free(recipe->outputs);
  free(recipe->constants);
  free(recipe->slots);
  free(recipe->inputs);
  free(recipe->made);
  *recipe = (struct recipe){0};
}
