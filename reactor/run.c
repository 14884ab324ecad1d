/* What a worker does with an op: one run of one of its parts. */
#include "op.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "movement.h"
#include "operands.h"
#include "program_run.h"
#include "record.h"
#include "recycle.h"
#include "runtime.h"
#include "thread.h"

/* ---- wait; where the user asked for it ---- */

static bool is_running(tnr_op *op) {
  /* acquire: pairs with the release in tnr_op_run; outputs and error are then visible */
  return atomic_load_explicit(&op->future.parts_running, memory_order_acquire) > 0;
}

static uint32_t has_ended(void *op) {
  return !is_running(op);
}

/* The other worker is on another CPU, if it took less time than that the last times: else it needs
 * this one. */
static bool look_for_end(tnr_lane *lane, tnr_op *op) {
  enum { LOOKS_MIN = 16, LOOKS_MAX = 256 };
  uint32_t looks = lane->device->worker.lookout.looks == 1 ? 1 : LOOKS_MIN + lane->patience;
  for (uint32_t i = 0; i < looks && is_running(op); i++)
    tnr_cpu_relax();
  bool ended = !is_running(op);
  if (!ended)
    lane->patience /= 2;
  else if (lane->patience < LOOKS_MAX)
    lane->patience += LOOKS_MIN;
  return ended;
}

/* It was launched before the op that waits for it, and so was all that it needs: it will run.
 * Signals are held back for a while: the dispatcher would only take a CPU from the other worker. */
static void wait_for_op(tnr_lane *lane, tnr_op *op) {
  enum { HOLD = 4, PATIENCE = 25 };
  const struct timespec nap = {0, 20000}; /* 20 µs */
  tnr_worker *worker = &lane->device->worker;
  if (look_for_end(lane, op))
    return;
  tnr_lookout *lookout = &worker->lookout;
  int64_t now = tnr_now_ns(), begin = now;
  while (is_running(op)) {
    if (now - begin >= HOLD * lookout->spin_ns)
      tnr_worker_flush(worker);
    if (now - begin < PATIENCE * lookout->spin_ns && tnr_lookout_may_look(lookout, now)) {
      now = tnr_lookout_give_way(lookout, now, has_ended, op);
    } else {
      nanosleep(&nap, NULL);
      now = tnr_now_ns();
    }
  }
}

static void wait_for_others(tnr_lane *lane, const tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    if (tnr_op_input_is_tensor(&op->in[i]))
      continue;
    tnr_future *source = tnr_future_source((tnr_future *)op->in[i].handle);
    if (tnr_future_is_op(source) && is_running(tnr_op_of(source)) &&
        !tnr_op_runs_beside(op, tnr_op_of(source)))
      wait_for_op(lane, tnr_op_of(source));
  }
}

/* ---- create; also the thread of a plain call ---- */

static tnr_status output_new(const tnr_op *op, const tnr_plan *plan, int index,
                             tnr_tensor *const *in, tnr_tensor **out, tnr_fault *fault) {
  if (op->def->alias)
    return tnr_tensor_alias(in[0], plan->out_dims[index], &plan->out[index], out, fault);
  tnr_status status = tnr_tensor_new_sized(in[0]->mesh, plan->out_dims[index], &plan->out[index],
                                           plan->out_bytes[index], out, fault);
  for (int i = 0; status == TNR_OK && i < (*out)->mesh->count; i++)
    (*out)->parts[i]->producer = (void *)op;
  return status;
}

static tnr_status one_output(tnr_op *op, const tnr_plan *plan, tnr_tensor *const *in,
                             tnr_object **out, tnr_fault *fault) {
  tnr_tensor *made;
  tnr_status status = output_new(op, plan, 0, in, &made, fault);
  if (status == TNR_OK)
    *out = &made->object;
  return status;
}

static tnr_status tuple_of(tnr_op *op, tnr_tensor *const *tensors, int count, tnr_object **out,
                           tnr_fault *fault) {
  tnr_tuple *tuple = tnr_tuple_new(&op->future.runtime->machine, tensors, count);
  if (!tuple)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for a tuple of %d", count);
  *out = &tuple->object;
  return TNR_OK;
}

static tnr_status tuple_output(tnr_op *op, const tnr_plan *plan, tnr_tensor *const *in,
                               tnr_object **out, tnr_fault *fault) {
  enum { FEW = 8 };
  tnr_tensor *few[FEW] = {0}, **made = few;
  if (plan->out_count > FEW && !(made = malloc((size_t)plan->out_count * sizeof *made)))
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for %d outputs", plan->out_count);
  tnr_status status = TNR_OK;
  int count = 0;
  while (count < plan->out_count &&
         (status = output_new(op, plan, count, in, &made[count], fault)) == TNR_OK)
    count++;
  if (status == TNR_OK)
    status = tuple_of(op, made, count, out, fault);
  while (status != TNR_OK && count > 0)
    tnr_object_release(&made[--count]->object);
  if (made != few)
    free(made);
  return status;
}

static tnr_status outputs_new(tnr_op *op, const tnr_plan *plan, tnr_tensor *const *in,
                              tnr_object **out, tnr_fault *fault) {
  return op->future.tuple ? tuple_output(op, plan, in, out, fault)
                          : one_output(op, plan, in, out, fault);
}

static tnr_status create_movement(tnr_op *op, tnr_operands *in, tnr_object **out,
                                  tnr_fault *fault) {
  tnr_tensor *made;
  tnr_status status = tnr_movement_create(op, in->tensors[0], &made, fault);
  if (status != TNR_OK)
    return status;
  for (int i = 0; i < made->mesh->count; i++)
    made->parts[i]->producer = op;
  *out = &made->object;
  return TNR_OK;
}

/* What uses them later can tell in a recording where they came from. */
static void number_outputs(const tnr_op *op, tnr_object *result) {
  if (!op->future.numbered)
    return;
  *tnr_object_number(result) = tnr_op_number(op);
  const tnr_tuple *tuple = (const tnr_tuple *)result;
  for (int i = 0; op->future.tuple && i < tuple->count; i++)
    tuple->tensors[i]->number = tnr_op_number(op);
}

static tnr_status make_outputs(tnr_op *op, const tnr_plan *plan, tnr_operands *in, tnr_object **out,
                               tnr_fault *fault) {
  return plan ? outputs_new(op, plan, in->tensors, out, fault)
              : create_movement(op, in, out, fault);
}

/* Where bytes in flight have limits. */
static tnr_status make_outputs_within(tnr_op *op, const tnr_plan *plan, tnr_operands *in,
                                      tnr_object **out, tnr_fault *fault) {
  const tnr_mesh *mesh = plan ? in->tensors[0]->mesh : tnr_movement_mesh(op, in->tensors[0]);
  size_t bytes = plan ? tnr_plan_out_bytes(plan) : tnr_movement_piece_bytes(op, in->tensors[0]);
  tnr_status status = tnr_bounds_hold(op, mesh, bytes, fault);
  if (status != TNR_OK)
    return status;
  status = make_outputs(op, plan, in, out, fault);
  if (status != TNR_OK)
    tnr_bounds_drop(op, mesh);
  return status;
}

/* `plan` is NULL for movements. True when the dispatcher has to be told. */
static bool create(tnr_op *op, const tnr_plan *plan, tnr_operands *in) {
  tnr_fault fault;
  tnr_object *result = NULL;
  bool bounded = op->future.runtime->bounds.on;
  tnr_status status = bounded ? make_outputs_within(op, plan, in, &result, &fault)
                              : make_outputs(op, plan, in, &result, &fault);
  if (status != TNR_OK) {
    tnr_op_fail(op, &fault);
    return false;
  }
  const tnr_mesh *mesh = plan ? in->tensors[0]->mesh : ((tnr_tensor *)result)->mesh;
  number_outputs(op, result);
  return tnr_future_create(&op->future, result, mesh);
}

tnr_status tnr_op_create_now(tnr_op *op) {
  uint64_t since = tnr_record_plain(op);
  tnr_operands in;
  tnr_fault fault;
  tnr_plan *plan = NULL;
  tnr_status status = TNR_OK;
  if (!tnr_operands_init(op, &in))
    return TNR_EKERNEL;
  if (!op->future.moves) {
    status = tnr_operands_check_devices(&in, &fault);
    if (status == TNR_OK)
      status = tnr_plan_new(op->def, tnr_op_attrs(op), in.tensors, in.count, &plan, &fault);
  }
  if (status == TNR_OK)
    (void)create(op, plan, &in);
  else
    tnr_op_fail(op, &fault);
  tnr_plan_destroy(plan);
  tnr_operands_finish(&in);
  tnr_record_create(op, since);
  return tnr_op_has_failed(op) ? TNR_EINVAL : TNR_OK;
}

static bool create_unless_there(tnr_op *op, const tnr_plan *plan, tnr_operands *in) {
  return tnr_future_get_state(&op->future) < TNR_FUTURE_CREATED && !tnr_op_has_failed(op) &&
         create(op, plan, in);
}

/* The first of several parts creates for all. */
static bool create_for_all(tnr_op_part *part, const tnr_plan *plan, tnr_operands *in) {
  tnr_spin *creating = &(part - part->piece)->creating;
  tnr_spin_lock(creating);
  bool tell = create_unless_there(part->op, plan, in);
  tnr_spin_unlock(creating);
  return tell;
}

static void create_once(tnr_worker *worker, tnr_op_item item, const tnr_plan *plan,
                        tnr_operands *in) {
  bool tell = item & TNR_ITEM_PART ? create_for_all(tnr_op_item_part(item), plan, in)
                                   : create_unless_there(tnr_op_item_op(item), plan, in);
  if (tell) {
    tnr_worker_give_back(worker, (void *)(item | TNR_ITEM_CREATED));
    tnr_worker_flush(worker);
  }
}

/* ---- execute ---- */

/* True when signals are not to be held back. */
static bool execute(tnr_lane *lane, tnr_op_item item, tnr_plan *plan, tnr_operands *in) {
  tnr_worker *worker = &lane->device->worker;
  tnr_op *op = tnr_op_item_op(item);
  tnr_fault fault;
  tnr_status status = TNR_OK;
  if (op->def->alias)
    return false;
  bool slow =
      plan ? plan->pace != TNR_PLAN_QUICK : !tnr_movement_is_quick(lane->device, in->tensors[0]);
  if (slow && !(plan && tnr_run_may_go_on(worker, plan)))
    tnr_worker_flush(worker);
  if (plan) {
    tnr_record_execute(lane, item, plan, slow);
    status = tnr_run_program(lane, op, tnr_op_item_piece(item), plan, in, &fault);
  } else {
    tnr_record_move(lane, item, in->tensors[0], slow);
    status = tnr_movement_run(lane->device, in->tensors[0], (tnr_tensor *)op->future.result,
                              tnr_op_item_piece(item), &fault);
  }
  if (status != TNR_OK)
    tnr_op_fail(op, &fault);
  else if (slow)
    tnr_op_recycle(op, tnr_op_item_piece(item));
  return slow && !(plan && tnr_run_may_hold(lane, op, plan));
}

static tnr_status get_plan(tnr_lane *lane, tnr_op *op, tnr_operands *in, tnr_plan **plan,
                           tnr_fault *fault) {
  *plan = NULL;
  if (op->future.moves)
    return TNR_OK;
  tnr_status status = tnr_operands_check_devices(in, fault);
  if (status != TNR_OK)
    return status;
  return tnr_plan_get(&lane->plans, op->def, tnr_op_attrs(op), in->tensors, in->count, plan, fault);
}

static bool create_and_execute(tnr_lane *lane, tnr_op_item item) {
  tnr_op *op = tnr_op_item_op(item);
  tnr_operands in;
  tnr_fault fault;
  tnr_plan *plan;
  bool slow = false;
  if (!tnr_operands_init(op, &in))
    return false;
  if (get_plan(lane, op, &in, &plan, &fault) != TNR_OK) {
    tnr_op_fail(op, &fault);
  } else {
    create_once(&lane->device->worker, item, plan, &in);
    if (!tnr_op_has_failed(op))
      slow = execute(lane, item, plan, &in);
  }
  tnr_operands_finish(&in);
  return slow;
}

/* Ops behind this one in the queue must see at once that their input will not come. Those of a
 * withdrawn op are the dispatcher's business. */
static void fail_outputs(tnr_op *op, int piece) {
  if (tnr_future_get_state(&op->future) != TNR_FUTURE_CREATED)
    return;
  for (int i = 0; i < tnr_op_output_count(op); i++) {
    tnr_storage *storage = tnr_op_output(op, i)->parts[piece];
    if (!op->def->alias && tnr_storage_get_state(storage) == TNR_STORAGE_PENDING)
      tnr_storage_finish(storage, tnr_error_object(op->future.error));
  }
}

void tnr_op_run(tnr_lane *lane, tnr_op_item item) {
  enum { AHEAD = 3 };
  tnr_worker *worker = &lane->device->worker;
  tnr_runtime *runtime = lane->device->machine->runtime;
  tnr_op *op = tnr_op_item_op(item);
  bool slow = false;
  assert(tnr_thread_here()->worker_of == runtime);
  tnr_op_item_prefetch(tnr_ring_peek(&worker->queues[op->future.level], AHEAD));
  /* acquire: pairs with the release where it is set; `aborted` is then visible */
  if (atomic_load_explicit(&runtime->abort, memory_order_acquire))
    tnr_future_set_error(&op->future, runtime->aborted);
  if (runtime->worker_waits)
    wait_for_others(lane, op);
  tnr_record_take_up(lane, item);
  if (op->future.has_terms && !tnr_op_has_failed(op))
    tnr_terms_started(tnr_op_terms(op));
  if (!tnr_op_has_failed(op))
    slow = create_and_execute(lane, item);
  if (tnr_op_has_failed(op))
    fail_outputs(op, tnr_op_item_piece(item));
  if (runtime->worker_waits) /* release: pairs with the acquire in is_running */
    atomic_fetch_sub_explicit(&op->future.parts_running, 1, memory_order_release);

  /* ---- signal ---- */
  tnr_record_ran(lane, item);
  tnr_count(&lane->device->items_done);
  tnr_worker_give_back(worker, (void *)item);
  if (slow)
    tnr_worker_flush(worker);
}
