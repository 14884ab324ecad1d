#include "program_run.h"

#include <stdlib.h>

/* The operands of one run; `run` points to its arrays. */
typedef struct operands {
  tnr_program_run run;
  int in_count, out_count;
  tnr_storage **storages; /* [in_count], then [out_count] */
  const void **in;
  void **out;
  tnr_derived_list **derived;
  const tnr_layout **in_layout, **out_layout;
} operands;

enum { ARRAYS = 3 }; /* of each input: storage, data, layout; derived besides */

/* Where they lie: few on the stack. */
typedef struct room {
  void *few[(2 * ARRAYS + 1) * TNR_OPERANDS_FEW];
  void *block; /* for more */
} room;

static void **lay_out(operands *made, void **at) {
  made->storages = (tnr_storage **)at;
  at += made->in_count + made->out_count;
  made->in = (const void **)at;
  at += made->in_count;
  made->out = at;
  at += made->out_count;
  made->derived = (tnr_derived_list **)at;
  at += made->in_count;
  made->in_layout = (const tnr_layout **)at;
  at += made->in_count;
  made->out_layout = (const tnr_layout **)at;
  return at + made->out_count;
}

static bool find_room(room *room, const tnr_plan *plan, operands *out) {
  *out = (operands){.in_count = plan->in_count, .out_count = plan->out_count};
  room->block = NULL;
  if (plan->in_count <= TNR_OPERANDS_FEW && plan->out_count <= TNR_OPERANDS_FEW) {
    lay_out(out, room->few);
    return true;
  }
  size_t words = (size_t)(ARRAYS + 1) * (size_t)plan->in_count + ARRAYS * (size_t)plan->out_count;
  room->block = malloc(words * sizeof(void *));
  if (room->block)
    lay_out(out, room->block);
  return room->block != NULL;
}

static const void *dense(const tnr_program_run *run, int i, tnr_fault *fault) {
  const operands *own = (const operands *)run;
  const void *data;
  return tnr_storage_dense(own->storages[i], &data, fault) == TNR_OK ? data : NULL;
}

/* True when an input lies in a layout of the device's own. */
static bool fill(operands *own, const tnr_op *op, int piece, const tnr_operands *in) {
  bool special = false;
  for (int i = 0; i < own->in_count; i++) {
    tnr_storage *storage = own->storages[i] = in->tensors[i]->parts[piece];
    own->in[i] = storage->memory;
    own->derived[i] = storage->keeps ? &storage->derived : NULL;
    own->in_layout[i] = tnr_storage_layout(storage);
    special |= own->in_layout[i] != NULL;
  }
  for (int i = 0; i < own->out_count; i++) {
    tnr_storage *storage = tnr_op_output(op, i)->parts[piece];
    own->storages[own->in_count + i] = storage;
    own->out[i] = storage->memory;
    own->out_layout[i] = NULL;
  }
  own->run =
      (tnr_program_run){own->in, own->out, own->derived, own->in_layout, own->out_layout, dense};
  return special;
}

static tnr_status run_dense(tnr_program *program, const operands *own, bool special,
                            tnr_fault *fault) {
  for (int i = 0; special && i < own->in_count; i++) {
    own->in[i] = dense(&own->run, i, fault);
    if (!own->in[i])
      return fault->code;
  }
  return program->run(program, own->in, own->out, fault);
}

static tnr_status run_keeping(tnr_program *program, const operands *own, tnr_fault *fault) {
  tnr_status status = program->run_keeping(program, &own->run, fault);
  if (status != TNR_OK)
    return status;
  for (int i = 0; i < own->out_count; i++)
    own->storages[own->in_count + i]->layout = own->out_layout[i];
  return TNR_OK;
}

static tnr_status run(tnr_plan *plan, const operands *own, bool special, tnr_fault *fault) {
  return plan->program->run_keeping ? run_keeping(plan->program, own, fault)
                                    : run_dense(plan->program, own, special, fault);
}

static tnr_status run_timed(tnr_plan *plan, const operands *own, bool special, tnr_fault *fault) {
  int64_t begin = tnr_now_ns();
  tnr_status status = run(plan, own, special, fault);
  plan->took_ns = tnr_now_ns() - begin;
  return status;
}

tnr_status tnr_run_program(tnr_lane *lane, tnr_op *op, int piece, tnr_plan *plan,
                           const tnr_operands *in, tnr_fault *fault) {
  room room;
  operands own;
  tnr_status status = tnr_plan_ready(&lane->plans, plan, fault);
  if (status != TNR_OK)
    return status;
  if (!find_room(&room, plan, &own))
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for %d operands",
                    plan->in_count + plan->out_count);
  bool special = fill(&own, op, piece, in);
  status = plan->pace == TNR_PLAN_STEADY ? run_timed(plan, &own, special, fault)
                                         : run(plan, &own, special, fault);
  free(room.block);
  return status;
}

bool tnr_run_may_hold(tnr_lane *lane, const tnr_op *op, const tnr_plan *plan) {
  if (plan->pace != TNR_PLAN_STEADY)
    return plan->pace == TNR_PLAN_QUICK;
  /* relaxed: who comes later waits a little */
  bool awaited = atomic_load_explicit(&op->future.has_continuations, memory_order_relaxed);
  return tnr_worker_may_hold(&lane->device->worker, plan->took_ns) && !awaited;
}
