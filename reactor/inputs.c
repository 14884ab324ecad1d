#include "inputs.h"

#include "cancel.h"
#include "runtime.h"

/* ---- what is still waited for ---- */

/* Whether both go through the same queues. Most run where their result will be, which can be told
 * without a look at what is kept of the producer. */
static bool goes_behind(const tnr_op *op, const tnr_op *producer) {
  const tnr_mesh *its = producer->future.moves ? producer->future.flight->exec
                                               : tnr_future_get_mesh(&producer->future);
  return its == op->future.flight->exec;
}

/* Until when an op that has a place has to wait for one that makes an input; what a promise was
 * fulfilled with may still be in the inbox. */
static tnr_waits_for until(const tnr_op *op, const tnr_op *producer, bool worker_waits) {
  bool queued = producer->future.flight && producer->future.level == op->future.level &&
                (goes_behind(op, producer) || (worker_waits && producer->future.flight->exec));
  return queued ? TNR_UNTIL_LAUNCHED : TNR_UNTIL_COMPLETE;
}

/* What an input needs is made by `producer`, or was. */
static bool awaits_producer(tnr_op *op, tnr_op_input *input, tnr_op *producer, bool worker_waits) {
  return tnr_future_add_waiter(&producer->future, &input->waiter,
                               until(op, producer, worker_waits));
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

bool tnr_input_awaits(tnr_op *op, tnr_op_input *input) {
  if (tnr_op_input_is_tensor(input))
    return op->future.flight->exec && awaits_tensor(op, input, (tnr_tensor *)input->handle);
  tnr_future *future = (tnr_future *)input->handle, *source = tnr_future_source(future);
  if (tnr_future_get_state(source) == TNR_FUTURE_COMPLETE) {
    if (source->error || future->error)
      (void)tnr_op_inherits_end(op, input->handle);
    return false;
  }
  if (tnr_future_is_op(source) && op->future.flight->exec)
    return awaits_producer(op, input, tnr_op_of(source), op->future.runtime->worker_waits);
  if (tnr_future_add_waiter(source, &input->waiter, TNR_UNTIL_CREATED))
    return true;
  return op->future.flight->exec && awaits_result(op, input, future);
}

static tnr_future *awaited_producer(const tnr_op *op, tnr_op *producer) {
  if (!producer || !op->future.flight->exec ||
      tnr_future_get_state(&producer->future) == TNR_FUTURE_COMPLETE)
    return NULL;
  bool launched = until(op, producer, op->future.runtime->worker_waits) == TNR_UNTIL_LAUNCHED &&
                  producer->future.launched;
  return launched ? NULL : &producer->future;
}

static tnr_future *awaited_of_result(const tnr_op *op, const tnr_object *result) {
  if (!result)
    return NULL;
  if (result->class == &tnr_tensor_class)
    return awaited_producer(op, ((const tnr_tensor *)result)->parts[0]->producer);
  const tnr_tuple *tuple = (const tnr_tuple *)result;
  tnr_future *awaited = NULL;
  for (int i = 0; i < tuple->count && !awaited; i++)
    awaited = awaited_of_result(op, &tuple->tensors[i]->object);
  return awaited;
}

tnr_future *tnr_op_awaits(tnr_op *op, uint32_t input) {
  tnr_error *error;
  tnr_object *handle = op->in[input].handle;
  if (tnr_op_input_is_tensor(&op->in[input]))
    return awaited_of_result(op, handle);
  tnr_future *source = tnr_future_source((tnr_future *)handle);
  if (tnr_future_is_op(source) && op->future.flight->exec)
    return awaited_producer(op, tnr_op_of(source));
  if (tnr_future_get_state(source) < TNR_FUTURE_CREATED)
    return source;
  return awaited_of_result(op, tnr_future_get_result((tnr_future *)handle, &error));
}

void tnr_inputs_await(tnr_op *op) {
  tnr_flight *flight = op->future.flight;
  flight->missing = 1;
  for (uint32_t i = 0; i < op->in_count; i++)
    if (tnr_input_awaits(op, &op->in[i]))
      flight->missing++;
}

/* ---- who uses what ---- */

/* Modulo 256, and not below 0; what is complete is not counted any more. So there may be too few,
 * and that does no harm: see tnr_op_is_unseen. */
static void count_use(tnr_future *future, bool more) {
  if (tnr_future_get_state(future) == TNR_FUTURE_COMPLETE)
    return;
  if (more)
    future->uses++;
  else if (future->uses > 0)
    future->uses--;
}

void tnr_inputs_count_uses(const tnr_op *op, bool more) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_future *future = (tnr_future *)op->in[i].handle;
    if (!tnr_op_input_is_tensor(&op->in[i]) && tnr_future_is_op(future))
      count_use(future, more);
  }
}

/* ---- giving them back ---- */

void tnr_op_drop_inputs(tnr_runtime *runtime) {
  tnr_object *dropped = runtime->dropped;
  runtime->dropped = NULL;
  if (dropped)
    tnr_object_release_many(dropped, runtime->drops);
}

/* The end of the turn is soon enough for these. */
static void drop_inputs_later(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_object *handle = op->in[i].handle;
    if (handle != runtime->dropped) {
      tnr_op_drop_inputs(runtime);
      runtime->dropped = handle;
      runtime->drops = 0;
    }
    runtime->drops++;
  }
}

static void drop_given_up_inputs(tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++)
    tnr_drop(op->in[i].handle);
}

/* Without a write to where they stand, which stays in all the CPUs' caches that way. */
void tnr_inputs_drop(tnr_op *op) {
  op->future.drained = true;
  if (tnr_op_has_failed(op) && tnr_is_cancellation(op->future.runtime, op->future.error))
    drop_given_up_inputs(op);
  else
    drop_inputs_later(op);
}

void tnr_inputs_give_up(tnr_op *op) {
  tnr_error *error = op->future.error;
  if (tnr_is_cancellation(op->future.runtime, error))
    for (uint32_t i = 0; i < op->in_count; i++)
      tnr_give_up(op->in[i].handle, error);
}
