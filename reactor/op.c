#include "op.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bounds.h"
#include "dispatcher.h"
#include "error.h"
#include "movement.h"
#include "operands.h"
#include "runtime.h"
#include "thread.h"
#include "timeline.h"

static bool has_failed(tnr_op *op) {
  /* acquire: pairs with tnr_future_set_error */
  return atomic_load_explicit(&op->future.error, memory_order_acquire) != NULL;
}

/* ---- submit: any thread ---- */

static size_t op_bytes(uint32_t in_count, size_t attrs_size) {
  return offsetof(tnr_op, in) + in_count * sizeof(tnr_op_input) + attrs_size;
}

static void release_inputs(tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    if (op->in[i].handle)
      tnr_object_release(op->in[i].handle);
    op->in[i].handle = NULL;
  }
}

static void op_destroy(tnr_object *object) {
  tnr_op *op = tnr_op_of((tnr_future *)object);
  tnr_pool *objects = &op->future.runtime->machine.objects;
  release_inputs(op);
  tnr_future_finish(&op->future);
  tnr_pool_free(objects, op, op_bytes(op->in_count, op->def->attrs_size));
}

const tnr_class tnr_op_class = {"future", op_destroy};

/* The first mesh that is known and not the host's. */
static const tnr_mesh *known_mesh(const tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    const tnr_mesh *mesh = tnr_handle_mesh(op->in[i].handle);
    if (mesh && !tnr_device_is_host(tnr_mesh_first(mesh)))
      return mesh;
  }
  return NULL;
}

static void set_inputs(tnr_op *op, tnr_object *const *handles) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_object_retain(handles[i]);
    op->in[i].handle = handles[i];
    op->in[i].waiter.input = i;
  }
}

tnr_op *tnr_op_new(tnr_runtime *runtime, const tnr_op_def *def, tnr_site site,
                   tnr_object *const *handles, int count, const void *attrs) {
  size_t bytes = op_bytes((uint32_t)count, def->attrs_size);
  tnr_op *op = tnr_pool_alloc_behind(&runtime->machine.objects, offsetof(tnr_op, future), bytes);
  if (!op) {
    tnr_error_raise_at(def->name, site, TNR_ENOMEM, "out of memory for an op of %zu bytes", bytes);
    return NULL;
  }
  const tnr_frame *frame = tnr_thread_here()->frame;
  tnr_future_init(&op->future, &tnr_op_class, runtime, def->result == TNR_OP_TUPLE, 2);
  op->def = def;
  op->file = frame ? frame->site.file : site.file;
  op->line = frame ? frame->site.line : site.line;
  op->composite = frame ? frame->name : NULL;
  op->in_count = (uint32_t)count;
  set_inputs(op, handles);
  tnr_future_set_mesh(&op->future, known_mesh(op));
  if (def->attrs_size)
    memcpy(tnr_op_attrs(op), attrs, def->attrs_size);
  if (runtime->bounds.on)
    tnr_bounds_begin(op);
  return op;
}

void tnr_op_give_up(tnr_op *op) {
  if (op->future.runtime->bounds.on)
    tnr_bounds_leave(op);
  tnr_object_release(&op->future.object);
  tnr_object_release(&op->future.object);
}

tnr_status tnr_op_submit(tnr_op *op) {
  if (op->future.runtime->bounds.on)
    tnr_bounds_count(op);
  tnr_timeline_note(op, TNR_TIMELINE_SUBMIT, NULL);
  tnr_status status = tnr_dispatcher_put_op(op->future.runtime, op);
  if (status == TNR_OK)
    return TNR_OK;
  tnr_error_raise_at(op->def->name, tnr_op_site(op), status, "%s", tnr_dispatcher_refusal(status));
  tnr_future_set_error(&op->future, (tnr_error *)tnr_error());
  tnr_timeline_note(op, TNR_TIMELINE_COMPLETE, NULL);
  tnr_op_give_up(op);
  return status;
}

/* ---- resolve: dispatcher ---- */

static void on_done(evutil_socket_t fd, short what, void *op);

/* With neither descriptor nor time limit the event pends until event_active, and costs no entry in
 * any list of the base. */
static void register_completion(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  (void)event_assign(&op->done, runtime->base, -1, 0, on_done, op);
  (void)event_add(&op->done, NULL);
}

static void push_ready(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  op->part.next = NULL;
  *(runtime->ready_first ? &runtime->ready_last->next : &runtime->ready_first) = &op->part;
  runtime->ready_last = &op->part;
}

/* What an input needs is made by `producer`, or was. */
static bool awaits_producer(tnr_op *op, tnr_op_input *input, tnr_op *producer, bool worker_waits) {
  /* what a promise was fulfilled with may still be in the inbox */
  bool queued =
      producer->future.resolved && producer->exec && (producer->exec == op->exec || worker_waits);
  return tnr_future_add_waiter(&producer->future, &input->waiter,
                               queued ? TNR_UNTIL_LAUNCHED : TNR_UNTIL_COMPLETE);
}

static bool awaits_tensor(tnr_op *op, tnr_op_input *input, const tnr_tensor *tensor) {
  tnr_op *producer = tensor->parts[0]->producer;
  return producer && awaits_producer(op, input, producer, false);
}

static bool awaits_result(tnr_op *op, tnr_op_input *input, tnr_future *future) {
  tnr_error *error;
  tnr_object *result = tnr_future_get_result(future, &error);
  if (!result)
    return false;
  if (result->class == &tnr_tensor_class)
    return awaits_tensor(op, input, (tnr_tensor *)result);
  const tnr_tuple *tuple = (tnr_tuple *)result;
  for (int i = 0; i < tuple->count; i++)
    if (awaits_tensor(op, input, tuple->tensors[i]))
      return true;
  return false;
}

/* Registers the input with the first thing that it still has to wait for; false when there is none.
 */
static bool awaits(tnr_op *op, tnr_op_input *input) {
  if (input->handle->class == &tnr_tensor_class)
    return op->exec && awaits_tensor(op, input, (tnr_tensor *)input->handle);
  tnr_future *future = (tnr_future *)input->handle, *source = tnr_future_source(future);
  if (tnr_future_get_state(source) == TNR_FUTURE_COMPLETE)
    return false;
  if (tnr_future_is_op(source) && op->exec)
    return awaits_producer(op, input, tnr_op_of(source), op->future.runtime->worker_waits);
  if (tnr_future_add_waiter(source, &input->waiter, TNR_UNTIL_CREATED))
    return true;
  return op->exec && awaits_result(op, input, future);
}

/* One more is missing than there is, so that the op is not ready before all inputs are looked at.
 */
static void await_inputs(tnr_op *op) {
  op->missing = 1;
  for (uint32_t i = 0; i < op->in_count; i++)
    op->missing += awaits(op, &op->in[i]);
}

static tnr_status open_epochs(tnr_op *op) {
  const tnr_mesh *mesh = op->exec;
  if (mesh->count > 1) {
    size_t bytes = (size_t)mesh->count * sizeof *op->parts;
    op->parts = tnr_pool_alloc(&op->future.runtime->machine.objects, bytes);
    if (!op->parts)
      return TNR_ENOMEM;
  } else {
    op->parts = &op->part;
  }
  tnr_epoch *nowhere = op->part.epoch;
  for (int i = 0; i < mesh->count; i++) {
    tnr_epoch *epoch = nowhere ? nowhere : tnr_lane_of(mesh->devices[i])->newest;
    op->parts[i] = (tnr_op_part){.op = op, .epoch = epoch};
    epoch->open++;
  }
  if (nowhere)
    nowhere->open--;
  return TNR_OK;
}

/* Who synchronizes any device from now on waits for it: it may come to be there. */
static void open_epoch_nowhere(tnr_op *op) {
  op->part.epoch = op->future.runtime->nowhere.newest;
  op->part.epoch->open++;
}

static void close_epochs(tnr_op *op) {
  tnr_op_part *parts = op->parts ? op->parts : &op->part;
  int count = op->parts ? op->exec->count : 1;
  for (int i = 0; i < count; i++)
    if (parts[i].epoch)
      parts[i].epoch->open--;
}

static void place(tnr_op *op) {
  tnr_fault fault;
  if (open_epochs(op) == TNR_OK)
    return;
  tnr_fail(&fault, TNR_ENOMEM, "out of memory for an op on %d devices", op->exec->count);
  tnr_op_fail(op, &fault);
}

/* All inputs that had to be there for it are: where will the op run? */
static void place_late(tnr_op *op) {
  tnr_fault fault;
  op->exec = tnr_movement_is(op->def) ? tnr_movement_exec(op) : known_mesh(op);
  if (op->exec) {
    place(op);
    await_inputs(op);
    op->missing--;
  } else if (!has_failed(op)) {
    if (tnr_operands_failed(op))
      return;
    tnr_fail(&fault, TNR_EDEVICE,
             "all inputs live on the host; move them to a device with tnr_to_device");
    tnr_op_fail(op, &fault);
  }
}

static void one_less(tnr_op *op) {
  if (--op->missing > 0)
    return;
  if (!op->exec)
    place_late(op);
  if (op->missing == 0)
    push_ready(op);
}

void tnr_op_resolve(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  assert(tnr_on_dispatcher(runtime));
  tnr_count(&runtime->submitted);
  runtime->in_flight++;
  register_completion(op);
  op->part = (tnr_op_part){.op = op};
  op->parts = NULL;
  op->exec = tnr_movement_is(op->def) ? tnr_movement_exec(op) : tnr_future_get_mesh(&op->future);
  op->parts_left = 0;
  atomic_init(&op->parts_running, 0);
  op->creating = (tnr_spin){false};
  op->stage = TNR_OP_WAITING;
  op->future.resolved = true;
  if (!op->exec || tnr_movement_is(op->def)) /* a copy belongs to where it comes from, too */
    open_epoch_nowhere(op);
  if (op->exec)
    place(op);
  await_inputs(op);
  one_less(op);
}

void tnr_op_input_ready(tnr_waiter *waiter) {
  tnr_op_input *input = (tnr_op_input *)waiter;
  tnr_op *op = (tnr_op *)((char *)(input - waiter->input) - offsetof(tnr_op, in));
  if (!awaits(op, input))
    one_less(op);
}

/* ---- launch: dispatcher ---- */

static void end(tnr_op *op) {
  assert(op->stage == TNR_OP_WAITING || op->stage == TNR_OP_LAUNCHED);
  op->stage = TNR_OP_ENDED;
  event_active(&op->done, EV_TIMEOUT, 1);
}

static void launch(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  assert(tnr_on_dispatcher(runtime) && op->stage == TNR_OP_WAITING);
  /* acquire: pairs with the release where it is set; `aborted` is then visible */
  if (atomic_load_explicit(&runtime->abort, memory_order_acquire) && !has_failed(op))
    tnr_future_set_error(&op->future, runtime->aborted);
  if (!op->parts || has_failed(op)) {
    end(op);
    return;
  }
  op->stage = TNR_OP_LAUNCHED;
  tnr_timeline_note(op, TNR_TIMELINE_LAUNCH, NULL);
  op->parts_left = (uint8_t)op->exec->count;
  /* relaxed: whoever looks has seen a later launch, published after this */
  atomic_store_explicit(&op->parts_running, op->parts_left, memory_order_relaxed);
  for (int i = 0; i < op->exec->count; i++)
    tnr_lane_push(tnr_lane_of(op->exec->devices[i]), &op->parts[i]);
  tnr_future_tell_launched(&op->future);
}

void tnr_op_launch_next(tnr_runtime *runtime) {
  tnr_op_part *part = runtime->ready_first;
  runtime->ready_first = part->next;
  launch(part->op);
}

void tnr_op_launch_ready(tnr_runtime *runtime) {
  while (runtime->ready_first)
    tnr_op_launch_next(runtime);
}

/* ---- wait: worker, where the user asked for it ---- */

static bool is_running(tnr_op *op) {
  /* acquire: pairs with the release in tnr_op_run; outputs and error are then visible */
  return atomic_load_explicit(&op->parts_running, memory_order_acquire) > 0;
}

/* It was launched before the op that waits for it, and so was all that it needs: it will run.
 * Signals are held back at first: the dispatcher would only take a CPU from the other worker. */
static void wait_for_op(tnr_worker *worker, tnr_op *op) {
  enum { PATIENCE = 25, ROUNDS = 4 };
  const struct timespec nap = {0, 20000}; /* 20 µs */
  for (int i = 0; i < ROUNDS * worker->looks && is_running(op); i++)
    tnr_cpu_relax();
  if (!is_running(op))
    return;
  int64_t end = tnr_now_ns() + PATIENCE * worker->spin_ns;
  tnr_worker_flush(worker);
  while (is_running(op)) {
    if (tnr_now_ns() < end)
      sched_yield();
    else
      nanosleep(&nap, NULL);
  }
}

static void wait_for_others(tnr_worker *worker, const tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_object *handle = op->in[i].handle;
    if (handle->class == &tnr_tensor_class)
      continue;
    tnr_future *source = tnr_future_source((tnr_future *)handle);
    if (tnr_future_is_op(source) && tnr_op_of(source)->exec != op->exec &&
        is_running(tnr_op_of(source)))
      wait_for_op(worker, tnr_op_of(source));
  }
}

/* ---- create: worker, or the thread of a plain call ---- */

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
  return tnr_future_create(&op->future, result, mesh);
}

tnr_status tnr_op_create_now(tnr_op *op) {
  tnr_operands in;
  tnr_fault fault;
  tnr_plan *plan = NULL;
  tnr_status status = TNR_OK;
  if (!tnr_operands_init(op, &in))
    return TNR_EKERNEL;
  if (!tnr_movement_is(op->def)) {
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
  return has_failed(op) ? TNR_EINVAL : TNR_OK;
}

/* Where an op has several parts, the first of them creates for all. */
static void create_once(tnr_worker *worker, tnr_op_item item, const tnr_plan *plan,
                        tnr_operands *in) {
  tnr_op *op = tnr_op_item_op(item);
  bool tell = false;
  if (item & TNR_ITEM_PART)
    tnr_spin_lock(&op->creating);
  if (tnr_future_get_state(&op->future) < TNR_FUTURE_CREATED && !has_failed(op))
    tell = create(op, plan, in);
  if (item & TNR_ITEM_PART)
    tnr_spin_unlock(&op->creating);
  if (tell) {
    tnr_worker_give_back(worker, (void *)(item | TNR_ITEM_CREATED));
    tnr_worker_flush(worker);
  }
}

/* ---- execute: worker ---- */

/* Where the arrays of one run's operands lie: few on the stack. */
typedef struct run_room {
  const void *in[TNR_OPERANDS_FEW];
  tnr_derived_list *derived[TNR_OPERANDS_FEW];
  void *out[TNR_OPERANDS_FEW];
  void *block; /* for more: one block with all three */
} run_room;

typedef struct run_arrays {
  const void **in;
  tnr_derived_list **derived;
  void **out;
} run_arrays;

static bool find_room(run_room *room, const tnr_plan *plan, run_arrays *arrays) {
  room->block = NULL;
  *arrays = (run_arrays){room->in, room->derived, room->out};
  if (plan->in_count <= TNR_OPERANDS_FEW && plan->out_count <= TNR_OPERANDS_FEW)
    return true;
  room->block = malloc((2 * (size_t)plan->in_count + (size_t)plan->out_count) * sizeof(void *));
  arrays->in = room->block;
  if (!room->block)
    return false;
  arrays->derived = (tnr_derived_list **)(arrays->in + plan->in_count);
  arrays->out = (void **)(arrays->derived + plan->in_count);
  return true;
}

static tnr_status run_program(tnr_lane *lane, tnr_op *op, int piece, tnr_plan *plan,
                              tnr_operands *in, tnr_fault *fault) {
  run_room room;
  run_arrays arrays;
  if (!find_room(&room, plan, &arrays))
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for %d operands",
                    plan->in_count + plan->out_count);
  for (int i = 0; i < plan->in_count; i++) {
    tnr_storage *storage = in->tensors[i]->parts[piece];
    arrays.in[i] = storage->data;
    arrays.derived[i] = storage->keeps ? &storage->derived : NULL;
  }
  for (int i = 0; i < plan->out_count; i++)
    arrays.out[i] = tnr_op_output(op, i)->parts[piece]->data;
  tnr_plan_operands operands = {arrays.in, arrays.derived, arrays.out};
  tnr_status status = tnr_plan_run(&lane->plans, plan, &operands, fault);
  if (room.block)
    free(room.block);
  return status;
}

/* True when what follows may be slow, or was: signals are not held back around it. */
static bool execute(tnr_lane *lane, tnr_op_item item, tnr_plan *plan, tnr_operands *in) {
  tnr_op *op = tnr_op_item_op(item);
  tnr_fault fault;
  tnr_status status = TNR_OK;
  if (op->def->alias)
    return false;
  bool slow = plan ? !plan->quick : !tnr_movement_is_quick(lane->device, in->tensors[0]);
  if (slow)
    tnr_worker_flush(&lane->device->worker);
  if (plan)
    status = run_program(lane, op, tnr_op_item_piece(item), plan, in, &fault);
  else
    tnr_movement_run(lane->device, in->tensors[0], (tnr_tensor *)op->future.result,
                     tnr_op_item_piece(item));
  if (status != TNR_OK)
    tnr_op_fail(op, &fault);
  return slow;
}

static tnr_status get_plan(tnr_lane *lane, tnr_op *op, tnr_operands *in, tnr_plan **plan,
                           tnr_fault *fault) {
  *plan = NULL;
  if (tnr_movement_is(op->def))
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
    if (!has_failed(op))
      slow = execute(lane, item, plan, &in);
  }
  tnr_operands_finish(&in);
  return slow;
}

/* Ops behind this one in the queue must see at once that their input will not come. */
static void fail_outputs(tnr_op *op, int piece) {
  if (tnr_future_get_state(&op->future) < TNR_FUTURE_CREATED)
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
  tnr_op_item_prefetch(tnr_ring_peek(&worker->queue, AHEAD));
  /* acquire: pairs with the release where it is set; `aborted` is then visible */
  if (atomic_load_explicit(&runtime->abort, memory_order_acquire))
    tnr_future_set_error(&op->future, runtime->aborted);
  if (runtime->worker_waits)
    wait_for_others(worker, op);
  if (!has_failed(op))
    slow = create_and_execute(lane, item);
  if (has_failed(op))
    fail_outputs(op, tnr_op_item_piece(item));
  if (runtime->worker_waits) /* release: pairs with the acquire in is_running */
    atomic_fetch_sub_explicit(&op->parts_running, 1, memory_order_release);

  /* ---- signal ---- */
  tnr_worker_give_back(worker, (void *)item);
  if (slow)
    tnr_worker_flush(worker);
}

/* ---- complete: dispatcher ---- */

void tnr_op_take_signal(tnr_lane *lane, tnr_op_item item) {
  tnr_op *op = tnr_op_item_op(item);
  if (item & TNR_ITEM_CREATED) {
    tnr_future_tell_created(&op->future);
    return;
  }
  tnr_lane_returned(lane);
  if (--op->parts_left > 0)
    return;
  tnr_tensor_prefetch(op->future.result);
  end(op);
}

void tnr_op_never_ran(tnr_op_part *part) {
  tnr_op *op = part->op;
  if (!has_failed(op))
    tnr_future_set_error(&op->future, op->future.runtime->aborted);
  /* release: pairs with the acquire in is_running; a worker may wait for this very part */
  atomic_fetch_sub_explicit(&op->parts_running, 1, memory_order_release);
  if (--op->parts_left == 0)
    end(op);
}

int tnr_op_output_count(const tnr_op *op) {
  const tnr_object *result = op->future.result;
  return !result ? 0 : op->future.tuple ? ((const tnr_tuple *)result)->count : 1;
}

tnr_tensor *tnr_op_output(const tnr_op *op, int index) {
  tnr_object *result = op->future.result;
  return op->future.tuple ? ((tnr_tuple *)result)->tensors[index] : (tnr_tensor *)result;
}

static void finish_outputs(tnr_op *op) {
  tnr_error *error = op->future.error;
  for (int i = 0; i < tnr_op_output_count(op); i++) {
    tnr_tensor *tensor = tnr_op_output(op, i);
    for (int p = 0; p < tensor->mesh->count; p++) {
      tnr_storage *storage = tensor->parts[p];
      if (storage->producer != op)
        continue; /* an alias: somebody else's */
      storage->producer = NULL;
      if (tnr_storage_get_state(storage) == TNR_STORAGE_PENDING)
        tnr_storage_finish(storage, error ? tnr_error_object(error) : NULL);
    }
  }
}

static void free_parts(tnr_op *op) {
  if (op->parts && op->parts != &op->part)
    tnr_pool_free(&op->future.runtime->machine.objects, op->parts,
                  (size_t)op->exec->count * sizeof *op->parts);
  op->parts = NULL;
}

void tnr_op_drop_inputs(tnr_runtime *runtime) {
  tnr_object *dropped = runtime->dropped;
  runtime->dropped = NULL;
  if (dropped)
    tnr_object_release_many(dropped, runtime->drops);
}

static void drop_inputs(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_object *handle = op->in[i].handle;
    op->in[i].handle = NULL;
    if (handle != runtime->dropped) {
      tnr_op_drop_inputs(runtime);
      runtime->dropped = handle;
      runtime->drops = 0;
    }
    runtime->drops++;
  }
}

static void complete(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  assert(tnr_on_dispatcher(runtime) && op->stage == TNR_OP_ENDED);
  tnr_count(&runtime->completed);
  if (has_failed(op))
    tnr_count(&runtime->failed);
  tnr_timeline_note(op, TNR_TIMELINE_COMPLETE, NULL);
  finish_outputs(op);
  tnr_future_complete(&op->future);
  close_epochs(op);
  free_parts(op);
  drop_inputs(op);
  runtime->in_flight--;
  if (runtime->bounds.on)
    tnr_bounds_release(op);
  else
    tnr_object_release(&op->future.object);
}

static void on_done(evutil_socket_t fd, short what, void *op) {
  (void)fd;
  (void)what;
  complete(op);
}

/* ---- errors ---- */

void tnr_op_fail(tnr_op *op, const tnr_fault *fault) {
  enum { SHOWN_MAX = 16 };
  const tnr_desc *inputs[SHOWN_MAX];
  tnr_error_context context = {
      .composite = op->composite,
      .op = op->def->name,
      .site = tnr_op_site(op),
      .inputs = inputs,
      .input_count = tnr_operands_descs(op, inputs, SHOWN_MAX),
  };
  tnr_error *error = tnr_error_new(&context, fault);
  tnr_future_set_error(&op->future, error);
  tnr_object_release(tnr_error_object(error));
}
