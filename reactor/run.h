/* One run of a plan's program: from the op's tensors to what a driver gets. */
#ifndef TENOR_REACTOR_RUN_H
#define TENOR_REACTOR_RUN_H

#include "operands.h"

/* On the worker of the lane's device, for piece `piece` of the op's mesh; the outputs are created.
 */
tnr_status tnr_run_program(tnr_lane *lane, tnr_op *op, int piece, tnr_plan *plan,
                           const tnr_operands *in, tnr_fault *fault);

#endif
