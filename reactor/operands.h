/* The inputs of an op as tensors: futures looked into, tuples laid out one by one. */
#ifndef TENOR_REACTOR_OPERANDS_H
#define TENOR_REACTOR_OPERANDS_H

#include "op.h"

enum { TNR_OPERANDS_FEW = 8 };

/* Borrowed from the op. */
typedef struct tnr_operands {
  tnr_tensor **tensors; /* [count] */
  int count, capacity;
  tnr_error *error; /* of the tensor that ended the walk */
  tnr_tensor *few[TNR_OPERANDS_FEW];
} tnr_operands;

/* When all inputs are created. False when one failed, or there is no memory: the op has its error
 * then and nothing is to be finished. */
bool tnr_operands_init(tnr_op *op, tnr_operands *out);
void tnr_operands_finish(tnr_operands *operands);

/* True when an input that is created has failed: the op has its error then. */
bool tnr_operands_failed(tnr_op *op);

/* All on one mesh, and not on the host? */
tnr_status tnr_operands_check_devices(const tnr_operands *operands, tnr_fault *fault);

/* What is known of the inputs now, at most `max` of them, NULL for what is not; returns how many.
 */
int tnr_operands_descs(tnr_op *op, const tnr_desc **out, int max);

/* Where a tensor, tuple or future lives or will live; NULL while not known. */
const tnr_mesh *tnr_handle_mesh(tnr_object *handle);

#endif
