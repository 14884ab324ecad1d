#include "model.h"

#include <stdlib.h>

static tnr_status fail_with_error(tnr_fault *fault) {
  return tnr_fail(fault, tnr_error_code(tnr_error()), "%s", tnr_error_message(tnr_error()));
}

static tnr_status copy_constant(struct model *model, tnr_device *device, size_t slot,
                                tnr_fault *fault) {
  const struct array *array = model->recipe->constants[slot];
  if (!array || model->constants[slot])
    return TNR_OK;
  model->constants[slot] =
      tnr_tensor_create(device, array->desc.dtype, array->desc.shape, array->data);
  return model->constants[slot] ? TNR_OK : fail_with_error(fault);
}

tnr_status model_init(const struct recipe *recipe, tnr_device *device, struct model *out,
                      tnr_fault *fault) {
  *out = (struct model){recipe, calloc(recipe->slot_count, sizeof(tnr_tensor *))};
  tnr_status status = TNR_OK;
  if (!out->constants)
    status = tnr_fail(fault, TNR_ENOMEM, "no memory for %zu values", recipe->slot_count);
  for (size_t i = 0; i < recipe->step_count; i++)
    for (size_t j = 0; status == TNR_OK && j < recipe->steps[i].input_count; j++)
      status = copy_constant(out, device, recipe->steps[i].inputs[j], fault);
  if (status != TNR_OK)
    model_finish(out);
  return status;
}

void model_finish(struct model *model) {
  for (size_t i = 0; model->constants && i < model->recipe->slot_count; i++)
    tnr_release(model->constants[i]);
  free(model->constants);
  *model = (struct model){0};
}

static void fill_slots(const struct model *model, const tnr_value *inputs, tnr_value *slots) {
  for (size_t i = 0; i < model->recipe->graph->input_count; i++)
    slots[i] = inputs[i];
  for (size_t i = 0; i < model->recipe->slot_count; i++)
    if (model->constants[i])
      slots[i] = tnr_value_of_tensor(model->constants[i]);
}

static tnr_value take_step(const struct step *step, const tnr_value *slots, tnr_value *scratch) {
  int count = (int)step->input_count;
  for (int i = 0; i < count; i++)
    scratch[i] = slots[step->inputs[i]];
  if (step->composite)
    return tnr_call_composite(step->composite, TNR_HERE, scratch, count, &step->attrs);
  return tnr_call(step->op, TNR_HERE, scratch, count, &step->attrs);
}

/* In an open scope, which releases what is not kept. */
static tnr_status take_steps(const struct recipe *recipe, tnr_value *slots, tnr_value *scratch,
                             tnr_value *outputs, tnr_fault *fault) {
  for (size_t i = 0; i < recipe->step_count; i++) {
    tnr_value *output = &slots[recipe->steps[i].output];
    *output = take_step(&recipe->steps[i], slots, scratch);
    if (output->kind == TNR_VALUE_NONE)
      return onnx_node_fail(fault, recipe->steps[i].node, tnr_error_code(tnr_error()), "%s",
                            tnr_error_message(tnr_error()));
  }
  for (size_t i = 0; i < recipe->graph->output_count; i++)
    outputs[i] = tnr_keep(slots[recipe->outputs[i]]);
  return TNR_OK;
}

tnr_status model_apply(const struct model *model, const tnr_value *inputs, tnr_value *outputs,
                       tnr_fault *fault) {
  const struct recipe *recipe = model->recipe;
  for (size_t i = 0; i < recipe->graph->output_count; i++)
    outputs[i] = (tnr_value){0};
  /* Behind the slots the inputs of the step that is being taken. */
  tnr_value *slots = calloc(recipe->slot_count + recipe->used_inputs, sizeof(*slots));
  if (!slots)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu values", recipe->slot_count);
  fill_slots(model, inputs, slots);
  tnr_status status = tnr_scope_open();
  if (status != TNR_OK) {
    fail_with_error(fault);
    goto free_slots;
  }
  status = take_steps(recipe, slots, slots + recipe->slot_count, outputs, fault);
  tnr_scope_close();
free_slots:
  free(slots);
  return status;
}
