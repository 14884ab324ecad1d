/* One run of a plan's program: from the op's tensors to what a driver gets. */
#ifndef TENOR_REACTOR_PROGRAM_RUN_H
#define TENOR_REACTOR_PROGRAM_RUN_H

#include "operands.h"

/* On the worker of the lane's device, for piece `piece` of the op's mesh; the outputs are created.
 */
tnr_status tnr_run_program(tnr_lane *lane, tnr_op *op, int piece, tnr_plan *plan,
                           const tnr_operands *in, tnr_fault *fault);

/* Whether what has been given back may go unseen until the plan has run. */
static inline bool tnr_run_may_go_on(const tnr_worker *worker, const tnr_plan *plan) {
  return plan->pace == TNR_PLAN_QUICK ||
         (plan->pace == TNR_PLAN_STEADY && tnr_worker_may_go_on(worker, plan->took_ns));
}

/* The same worker, once after each run: whether the op's signal may go unseen for a while. */
bool tnr_run_may_hold(tnr_lane *lane, const tnr_op *op, const tnr_plan *plan);

#endif
