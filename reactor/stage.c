/* What the dispatcher does with an op, stage by stage. */
#include "op.h"

#include <assert.h>

#include "cancel.h"
#include "dispatcher.h"
#include "error.h"
#include "inputs.h"
#include "movement.h"
#include "operands.h"
#include "record.h"
#include "runtime.h"

/* ---- resolve ---- */

static void on_done(evutil_socket_t fd, short what, void *op);

/* Near enough. */
static int64_t now(const tnr_runtime *runtime) {
  return runtime->mode == TNR_DETERMINISTIC ? tnr_machine_now(&runtime->machine)
                                            : runtime->inbox.taken_when;
}

/* With neither descriptor nor time limit the event pends until event_active, and costs no entry in
 * any list of the base. */
static void register_completion(tnr_op *op, struct event *done) {
  tnr_runtime *runtime = op->future.runtime;
  (void)event_assign(done, runtime->base, -1, 0, on_done, op);
  (void)event_add(done, NULL);
  done->ev_timeout.tv_sec = now(runtime); /* it has no time limit, and so no use for this field */
  if (op->future.level != TNR_LEVEL_NORMAL)
    (void)event_priority_set(done, op->future.level);
}

int64_t tnr_op_since(tnr_op *op) {
  return op->future.has_terms ? tnr_op_terms(op)->since : op->future.flight->done.ev_timeout.tv_sec;
}

tnr_op *tnr_op_of_event(const struct event *event) {
  return event_get_callback(event) == on_done ? event_get_callback_arg(event) : NULL;
}

static void push_ready(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  tnr_op_part *part = &op->future.flight->part;
  part->next = NULL;
  *(runtime->ready_first ? &runtime->ready_last->next : &runtime->ready_first) = part;
  runtime->ready_last = part;
}

static tnr_op_part *new_parts(tnr_op *op) {
  tnr_flight *flight = op->future.flight;
  if (flight->exec->count == 1)
    return &flight->part;
  return tnr_pool_alloc(&op->future.runtime->machine.objects,
                        (size_t)flight->exec->count * sizeof *flight->parts);
}

static tnr_status open_epochs(tnr_op *op) {
  tnr_flight *flight = op->future.flight;
  const tnr_mesh *mesh = flight->exec;
  tnr_epoch *nowhere = flight->part.epoch;
  flight->parts = new_parts(op);
  if (!flight->parts)
    return TNR_ENOMEM;
  for (int i = 0; i < mesh->count; i++) {
    tnr_epoch *epoch = nowhere ? nowhere : tnr_lane_of(mesh->devices[i])->newest;
    flight->parts[i] =
        (tnr_op_part){.op = op, .epoch = epoch, .piece = i, .several = mesh->count > 1};
    epoch->open++;
  }
  if (nowhere)
    nowhere->open--;
  return TNR_OK;
}

/* Who synchronizes any device from now on waits for it: it may come to be there. */
static void open_epoch_nowhere(tnr_op *op) {
  tnr_epoch *epoch = op->future.runtime->nowhere.newest;
  op->future.flight->part.epoch = epoch;
  epoch->open++;
}

static void close_epochs(tnr_flight *flight) {
  tnr_op_part *parts = flight->parts ? flight->parts : &flight->part;
  int count = flight->parts ? flight->exec->count : 1;
  for (int i = 0; i < count; i++)
    if (parts[i].epoch) {
      parts[i].epoch->open--;
      parts[i].epoch = NULL;
    }
}

static void place(tnr_op *op) {
  tnr_fault fault;
  if (open_epochs(op) == TNR_OK)
    return;
  tnr_fail(&fault, TNR_ENOMEM, "out of memory for an op on %d devices",
           op->future.flight->exec->count);
  tnr_op_fail(op, &fault);
}

static const tnr_mesh *exec_of(tnr_op *op) {
  return op->future.moves ? tnr_movement_exec(op) : tnr_future_get_mesh(&op->future);
}

/* All inputs that had to be there for it are: where will the op run? */
static void place_late(tnr_op *op) {
  tnr_fault fault;
  tnr_flight *flight = op->future.flight;
  flight->exec = op->future.moves ? tnr_movement_exec(op) : tnr_op_known_mesh(op);
  if (flight->exec) {
    if (!op->future.moves)
      tnr_future_set_mesh(&op->future, flight->exec);
    place(op);
    tnr_inputs_await(op);
    flight->missing--;
  } else if (!tnr_op_has_failed(op)) {
    if (tnr_operands_failed(op))
      return;
    tnr_fail(&fault, TNR_EDEVICE,
             "all inputs live on the host; move them to a device with tnr_to_device");
    tnr_op_fail(op, &fault);
  }
}

static void come_home(tnr_op *op);

static void one_less(tnr_op *op) {
  tnr_flight *flight = op->future.flight;
  if (--flight->missing > 0)
    return;
  if (flight->stage == TNR_OP_WITHDRAWN) {
    come_home(op);
    return;
  }
  if (!flight->exec)
    place_late(op);
  if (flight->missing == 0)
    push_ready(op);
}

/* One input has failed already, and the others need not be waited for. */
static void end_at_once(tnr_op *op) {
  if (tnr_is_cancellation(op->future.runtime, op->future.error))
    tnr_op_withdraw(op, op->future.error);
}

static void withdraw_with(tnr_op *op, tnr_error *error) {
  if (!error)
    return;
  tnr_op_withdraw(op, error);
  tnr_object_release(tnr_error_object(error));
}

static void arrive_under_terms(tnr_op *op) {
  withdraw_with(op, tnr_terms_arrive(tnr_op_terms(op), &op->future.flight->done));
}

static void begin_flight(tnr_op *op, tnr_flight *flight) {
  op->future.flight = flight;
  register_completion(op, &flight->done);
  flight->part = (tnr_op_part){.op = op};
  flight->parts = NULL;
  flight->exec = exec_of(op);
  flight->parts_left = 0;
  flight->stage = TNR_OP_WAITING;
  tnr_inputs_count_uses(op, true);
  if (!flight->exec || op->future.moves) /* a copy belongs to where it comes from, too */
    open_epoch_nowhere(op);
  if (flight->exec)
    place(op);
  tnr_inputs_await(op);
  tnr_record_resolve(op);
  one_less(op);
  if (tnr_op_has_failed(op))
    end_at_once(op);
  if (op->future.has_terms)
    arrive_under_terms(op);
}

static void end_without_flight(tnr_op *op);

void tnr_op_resolve(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  assert(tnr_on_dispatcher(runtime));
  tnr_count(&runtime->submitted);
  runtime->in_flight++;
  tnr_flight *flight = tnr_flight_new(&runtime->flights);
  if (flight)
    begin_flight(op, flight);
  else
    end_without_flight(op);
}

void tnr_op_input_ready(tnr_waiter *waiter) {
  tnr_op *op = tnr_op_of_waiter(waiter);
  if (!tnr_input_awaits(op, (tnr_op_input *)waiter))
    one_less(op);
}

/* ---- launch ---- */

static void end(tnr_op *op) {
  tnr_flight *flight = op->future.flight;
  if (flight->stage == TNR_OP_WITHDRAWN) {
    come_home(op);
    return;
  }
  assert(flight->stage == TNR_OP_WAITING || flight->stage == TNR_OP_LAUNCHED);
  flight->stage = TNR_OP_ENDED;
  event_active(&flight->done, EV_TIMEOUT, 1);
}

static void launch(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  tnr_flight *flight = op->future.flight;
  assert(tnr_on_dispatcher(runtime) && flight->stage == TNR_OP_WAITING);
  /* acquire: pairs with the release where it is set; `aborted` is then visible */
  if (atomic_load_explicit(&runtime->abort, memory_order_acquire) && !tnr_op_has_failed(op))
    tnr_future_set_error(&op->future, runtime->aborted);
  if (!flight->parts || tnr_op_has_failed(op)) {
    end(op);
    return;
  }
  flight->stage = TNR_OP_LAUNCHED;
  tnr_record_launch(op);
  flight->parts_left = (uint8_t)flight->exec->count;
  /* relaxed: whoever looks has seen a later launch, published after this */
  atomic_store_explicit(&op->future.parts_running, flight->parts_left, memory_order_relaxed);
  if (op->future.has_terms)
    tnr_terms_launched(tnr_op_terms(op));
  for (int i = 0; i < flight->exec->count; i++)
    tnr_lane_push(tnr_lane_of(flight->exec->devices[i]), (tnr_level)op->future.level,
                  &flight->parts[i]);
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

/* ---- complete ---- */

void tnr_op_take_signal(tnr_lane *lane, tnr_op_item item) {
  tnr_op *op = tnr_op_item_op(item);
  if (item & TNR_ITEM_CREATED) {
    tnr_future_tell_created(&op->future);
    return;
  }
  tnr_lane_returned(lane, (tnr_level)op->future.level);
  if (--op->future.flight->parts_left > 0)
    return;
  tnr_tensor_prefetch(op->future.result);
  end(op);
}

void tnr_op_never_ran(tnr_op_part *part) {
  tnr_op *op = part->op;
  if (!tnr_op_has_failed(op))
    tnr_future_set_error(&op->future, op->future.runtime->aborted);
  /* release: pairs with the acquire in is_running; a worker may wait for this very part */
  atomic_fetch_sub_explicit(&op->future.parts_running, 1, memory_order_release);
  if (--op->future.flight->parts_left == 0)
    end(op);
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

static void end_flight(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  tnr_flight *flight = op->future.flight;
  tnr_inputs_count_uses(op, false);
  close_epochs(flight);
  if (flight->parts && flight->parts != &flight->part)
    tnr_pool_free(&runtime->machine.objects, flight->parts,
                  (size_t)flight->exec->count * sizeof *flight->parts);
  op->future.flight = NULL;
  tnr_flight_free(&runtime->flights, flight);
}

/* The future's moments pass, and what waits for them goes on. */
static void settle(tnr_op *op, bool unseen) {
  tnr_runtime *runtime = op->future.runtime;
  tnr_count(&runtime->completed);
  if (tnr_op_has_failed(op))
    tnr_count(&runtime->failed);
  tnr_record_complete(op);
  if (op->future.flight && tnr_latency_is_due(&runtime->latency))
    tnr_latency_note(&runtime->latency, tnr_machine_now(&runtime->machine) - tnr_op_since(op));
  if (op->future.has_terms)
    tnr_terms_count_end(tnr_op_terms(op));
  if (unseen)
    tnr_future_complete_unseen(&op->future);
  else
    tnr_future_complete(&op->future);
  if (op->future.has_terms)
    tnr_terms_end(tnr_op_terms(op));
}

/* The op goes, but for its future. */
static void leave(tnr_op *op, bool unseen) {
  if (op->future.flight)
    end_flight(op);
  tnr_inputs_drop(op);
  op->future.runtime->in_flight--;
  if (op->future.runtime->bounds.on)
    tnr_bounds_release(op);
  else if (unseen)
    tnr_object_release_unseen(&op->future.object);
  else
    tnr_object_release(&op->future.object);
}

static void complete(tnr_op *op) {
  assert(tnr_on_dispatcher(op->future.runtime) && op->future.flight->stage == TNR_OP_ENDED);
  bool unseen = tnr_op_is_unseen(op);
  finish_outputs(op);
  settle(op, unseen);
  if (tnr_op_has_failed(op))
    tnr_inputs_give_up(op);
  leave(op, unseen);
}

static void end_without_flight(tnr_op *op) {
  tnr_fault fault;
  tnr_fail(&fault, TNR_ENOMEM, "out of memory for an op in flight");
  if (!tnr_op_has_failed(op))
    tnr_op_fail(op, &fault);
  if (op->future.has_terms)
    tnr_terms_arrive_ended(tnr_op_terms(op));
  finish_outputs(op);
  settle(op, false);
  tnr_inputs_give_up(op);
  leave(op, false);
}

/* ---- withdraw ---- */

void tnr_op_withdraw(tnr_op *op, tnr_error *error) {
  tnr_flight *flight = op->future.flight;
  if (!tnr_op_may_be_withdrawn(op))
    return;
  tnr_future_set_error(&op->future, error);
  if (!flight)
    return; /* a promise was fulfilled with what is still in the inbox */
  if (flight->stage == TNR_OP_WAITING && flight->missing == 0)
    return; /* it is ready, and ends instead of being launched */
  op->future.runtime->sweep |= flight->stage == TNR_OP_LAUNCHED;
  flight->stage = TNR_OP_WITHDRAWN;
  event_active(&flight->done, EV_TIMEOUT, 1);
}

/* A worker may be in it even now, and look at its inputs; so nothing goes before it is back. What
 * it gives up may complete here and now, and call it: that counts as missing meanwhile. */
static void complete_early(tnr_op *op) {
  bool in_hand = op->future.flight->parts_left > 0;
  op->future.flight->missing++;
  if (!in_hand || !tnr_future_end_early(&op->future))
    finish_outputs(op);
  settle(op, false);
  if (!in_hand)
    close_epochs(op->future.flight);
  tnr_inputs_give_up(op);
  one_less(op);
}

/* What was abroad is back: the inputs' waiters from their chains, the parts from their queues. */
static void come_home(tnr_op *op) {
  const tnr_flight *flight = op->future.flight;
  if (flight->missing > 0 || flight->parts_left > 0 ||
      tnr_future_get_state(&op->future) < TNR_FUTURE_COMPLETE)
    return;
  finish_outputs(op); /* that came to be meanwhile */
  leave(op, false);
}

static void on_done(evutil_socket_t fd, short what, void *user) {
  tnr_op *op = user;
  (void)fd;
  (void)what;
  if (op->future.flight->stage == TNR_OP_ENDED)
    complete(op);
  else if (op->future.flight->stage == TNR_OP_WITHDRAWN)
    complete_early(op);
  else
    withdraw_with(op, tnr_terms_expire(tnr_op_terms(op)));
}
