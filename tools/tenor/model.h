/* A recipe on one device: its constants are there, and it can be applied to inputs. */
#ifndef TENOR_TOOL_MODEL_H
#define TENOR_TOOL_MODEL_H

#include "recipe.h"

struct model {
  const struct recipe *recipe; /* borrowed */
  tnr_tensor **constants; /* of each slot, on the device; NULL when it is computed or not used */
};

/* Copies what the recipe's steps use to the device. The recipe must outlive the model. Fails
 * with what tnr_tensor_create gives, or TNR_ENOMEM. `out` is then all zero. */
tnr_status model_init(const struct recipe *recipe, tnr_device *device, struct model *out,
                      tnr_fault *fault) TNR_MUST_USE;

/* All zero is fine, and what is left; also while results of model_apply are on their way. */
void model_finish(struct model *model);

/* Submits one run: inputs and outputs in the graph's order, the inputs on the model's device. The
 * outputs are futures when an input is one, and belong to the caller as the result of an op does.
 * Errors that are known at once are returned, with the node's name in the sentence and every output
 * of kind NONE; others are in the futures. Any thread; never waits. */
tnr_status model_apply(const struct model *model, const tnr_value *inputs, tnr_value *outputs,
                       tnr_fault *fault) TNR_MUST_USE;

#endif
