#include "program_run.h"

#include <stdlib.h>

/* What one run needs besides the program. */
typedef struct run_of {
  tnr_plan *plan;
  const tnr_op *op;
  int piece; /* of the op's mesh */
  const tnr_operands *in;
} run_of;

static tnr_storage *input(const run_of *of, int i) {
  return of->in->tensors[i]->parts[of->piece];
}

static tnr_storage *output(const run_of *of, int i) {
  return tnr_op_output(of->op, i)->parts[of->piece];
}

static tnr_status no_memory(const tnr_plan *plan, tnr_fault *fault) {
  return tnr_fail(fault, TNR_ENOMEM, "out of memory for %d operands",
                  plan->in_count + plan->out_count);
}

/* ---- a program that knows dense data only ---- */

static tnr_status get_dense(tnr_storage *storage, const void **out, tnr_fault *fault) {
  *out = storage->memory;
  return tnr_storage_layout(storage) ? tnr_storage_dense(storage, out, fault) : TNR_OK;
}

static tnr_status run_dense_in(const run_of *of, const void **in, void **out, tnr_fault *fault) {
  tnr_program *program = of->plan->program;
  for (int i = 0; i < of->plan->in_count; i++) {
    tnr_status status = get_dense(input(of, i), &in[i], fault);
    if (status != TNR_OK)
      return status;
  }
  for (int i = 0; i < of->plan->out_count; i++)
    out[i] = output(of, i)->memory;
  return program->run(program, in, out, fault);
}

static tnr_status run_dense(const run_of *of, tnr_fault *fault) {
  const tnr_plan *plan = of->plan;
  const void *few_in[TNR_OPERANDS_FEW];
  void *few_out[TNR_OPERANDS_FEW];
  if (plan->in_count <= TNR_OPERANDS_FEW && plan->out_count <= TNR_OPERANDS_FEW)
    return run_dense_in(of, few_in, few_out, fault);
  void **block = malloc((size_t)(plan->in_count + plan->out_count) * sizeof *block);
  if (!block)
    return no_memory(plan, fault);
  tnr_status status = run_dense_in(of, (const void **)block, block + plan->in_count, fault);
  free(block);
  return status;
}

/* ---- one that keeps things, and knows layouts ---- */

typedef struct operands {
  tnr_program_run run; /* points to the arrays */
  const run_of *of;
  const void **in;
  void **out;
  tnr_derived_list **derived;
  const tnr_layout **in_layout, **out_layout;
} operands;

enum { OF_INPUT = 3, OF_OUTPUT = 2 }; /* arrays */

/* Where they lie: few on the stack. */
typedef struct room {
  void *few[(OF_INPUT + OF_OUTPUT) * TNR_OPERANDS_FEW];
  void *block; /* for more */
} room;

static void lay_out(operands *made, void **at) {
  size_t in_count = (size_t)made->of->plan->in_count, out_count = (size_t)made->of->plan->out_count;
  made->in = (const void **)at;
  made->derived = (tnr_derived_list **)(at + in_count);
  made->in_layout = (const tnr_layout **)(at + 2 * in_count);
  at += OF_INPUT * in_count;
  made->out = at;
  made->out_layout = (const tnr_layout **)(at + out_count);
}

static bool find_room(room *room, operands *out) {
  const tnr_plan *plan = out->of->plan;
  room->block = NULL;
  if (plan->in_count <= TNR_OPERANDS_FEW && plan->out_count <= TNR_OPERANDS_FEW) {
    lay_out(out, room->few);
    return true;
  }
  size_t words = OF_INPUT * (size_t)plan->in_count + OF_OUTPUT * (size_t)plan->out_count;
  room->block = malloc(words * sizeof(void *));
  if (room->block)
    lay_out(out, room->block);
  return room->block != NULL;
}

static const void *dense(const tnr_program_run *run, int i, tnr_fault *fault) {
  const void *data;
  tnr_status status = tnr_storage_dense(input(((const operands *)run)->of, i), &data, fault);
  return status == TNR_OK ? data : NULL;
}

static void fill(operands *own) {
  const run_of *of = own->of;
  for (int i = 0; i < of->plan->in_count; i++) {
    tnr_storage *storage = input(of, i);
    own->in[i] = storage->memory;
    own->derived[i] = storage->keeps ? &storage->derived : NULL;
    own->in_layout[i] = tnr_storage_layout(storage);
  }
  for (int i = 0; i < of->plan->out_count; i++) {
    own->out[i] = output(of, i)->memory;
    own->out_layout[i] = NULL;
  }
  own->run =
      (tnr_program_run){own->in, own->out, own->derived, own->in_layout, own->out_layout, dense};
}

static tnr_status run_keeping(const run_of *of, tnr_fault *fault) {
  tnr_program *program = of->plan->program;
  operands own = {.of = of};
  room room;
  if (!find_room(&room, &own))
    return no_memory(of->plan, fault);
  fill(&own);
  tnr_status status = program->run_keeping(program, &own.run, fault);
  for (int i = 0; status == TNR_OK && i < of->plan->out_count; i++)
    tnr_storage_set_layout(output(of, i), own.out_layout[i]);
  free(room.block);
  return status;
}

/* ---- either ---- */

static tnr_status run(const run_of *of, tnr_fault *fault) {
  return of->plan->program->run_keeping ? run_keeping(of, fault) : run_dense(of, fault);
}

/* Looking at the clock twice costs as much as a hundredth of a small convolution. */
static bool is_to_be_timed(tnr_plan *plan) {
  enum { OFTEN = 8 };
  uint32_t runs = plan->runs++;
  return runs < OFTEN || runs % OFTEN == 0;
}

static tnr_status run_timed(const run_of *of, tnr_fault *fault) {
  int64_t begin = tnr_now_ns();
  tnr_status status = run(of, fault);
  of->plan->took_ns = tnr_now_ns() - begin;
  return status;
}

tnr_status tnr_run_program(tnr_lane *lane, tnr_op *op, int piece, tnr_plan *plan,
                           const tnr_operands *in, tnr_fault *fault) {
  const run_of of = {plan, op, piece, in};
  tnr_status status = tnr_plan_ready(&lane->plans, plan, fault);
  if (status != TNR_OK)
    return status;
  return plan->pace == TNR_PLAN_STEADY && is_to_be_timed(plan) ? run_timed(&of, fault)
                                                               : run(&of, fault);
}

bool tnr_run_may_hold(tnr_lane *lane, const tnr_op *op, const tnr_plan *plan) {
  if (plan->pace != TNR_PLAN_STEADY)
    return plan->pace == TNR_PLAN_QUICK;
  /* relaxed: who comes later waits a little */
  bool awaited = atomic_load_explicit(&op->future.has_continuations, memory_order_relaxed);
  return tnr_worker_may_hold(&lane->device->worker, plan->took_ns) && !awaited;
}
