/* An op's inputs as the dispatcher sees them: what each still waits for, who uses what, and giving
 * them back. Dispatcher only. */
#ifndef TENOR_REACTOR_INPUTS_H
#define TENOR_REACTOR_INPUTS_H

#include "op.h"

/* Registers the op with all that it has to wait for: flight->missing is that many, and one more, so
 * that it is not ready before all inputs are looked at. */
void tnr_inputs_await(tnr_op *op);

/* Registers one input with the first thing that it still has to wait for; false when there is none.
 */
bool tnr_input_awaits(tnr_op *op, tnr_op_input *input);

/* The op is in flight, and has its inputs; or gives them back soon: what makes them has one use
 * more or less. */
void tnr_inputs_count_uses(const tnr_op *op, bool more);

/* Only the dispatcher's own reference is left, and those of ops in flight that have it as an input.
 * Each of those counts as a use, so no other thread has one. */
static inline bool tnr_op_is_unseen(const tnr_op *op) {
  return tnr_object_refs(&op->future.object) == 1u + op->future.uses;
}

/* The op has been cancelled, or what it is part of: what only it needed is, too. tnr_inputs_drop
 * follows. */
void tnr_inputs_give_up(tnr_op *op);

/* Gives back the op's references, some of them at the end of the turn. */
void tnr_inputs_drop(tnr_op *op);

#endif
