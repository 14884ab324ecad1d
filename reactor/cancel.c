#include "cancel.h"

#include <assert.h>

#include "call.h"
#include "dispatcher.h"
#include "in_flight.h"
#include "runtime.h"

bool tnr_is_cancellation(const tnr_runtime *runtime, const tnr_error *error) {
  tnr_status code = tnr_error_code(error);
  if (code != TNR_ECANCELED && code != TNR_ETIMEDOUT)
    return false;
  /* acquire: pairs with the release where it is set; `aborted` is then visible */
  return !atomic_load_explicit(&runtime->abort, memory_order_acquire) || error != runtime->aborted;
}

static bool is_complete(const tnr_future *future) {
  return tnr_future_get_state(future) == TNR_FUTURE_COMPLETE;
}

void tnr_future_cancel(tnr_future *future, tnr_error *error) {
  assert(tnr_on_dispatcher(future->runtime));
  if (!is_complete(future) && tnr_future_manners(future))
    tnr_future_manners(future)->cancel(future, error);
}

/* ---- what is needed ---- */

static bool is_tensor_needed(const tnr_tensor *tensor) {
  if (tnr_object_refs(&tensor->object) != 1 + tensor->object.given_up)
    return true;
  for (int i = 0; i < tensor->mesh->count; i++)
    /* acquire: as in tnr_object_refs; an alias may hold it */
    if (atomic_load_explicit(&tensor->parts[i]->refs, memory_order_acquire) != 1)
      return true;
  return false;
}

/* A plain call's result is the user's, and not its future. */
static bool is_result_needed(const tnr_future *future) {
  if (tnr_future_get_state(future) < TNR_FUTURE_CREATED || !future->result)
    return false;
  if (future->result->class == &tnr_tensor_class)
    return is_tensor_needed((const tnr_tensor *)future->result);
  const tnr_tuple *tuple = (const tnr_tuple *)future->result;
  bool needed = tnr_object_refs(&tuple->object) != 1 + tuple->object.given_up;
  for (int i = 0; i < tuple->count && !needed; i++)
    needed = is_tensor_needed(tuple->tensors[i]);
  return needed;
}

static void cancel_unless_needed(tnr_future *future, tnr_error *error) {
  const tnr_manners *manners = tnr_future_manners(future);
  if (is_complete(future) || !manners)
    return;
  tnr_op_drop_inputs(future->runtime); /* references that are about to go do not count */
  if (tnr_object_refs(&future->object) == manners->own_refs(future) + future->object.given_up &&
      !is_result_needed(future))
    manners->cancel(future, error);
}

static void give_up_producers(const tnr_tensor *tensor, tnr_error *error) {
  for (int i = 0; i < tensor->mesh->count; i++) {
    tnr_op *producer = tensor->parts[i]->producer;
    if (producer)
      cancel_unless_needed(&producer->future, error);
  }
}

/* An element that all have given up gives up its tuple. */
static void give_up_element(tnr_element *element, tnr_error *error) {
  tnr_object *object = &element->future.object;
  tnr_op_drop_inputs(element->future.runtime); /* as above */
  if (element->given_up || tnr_object_refs(object) != object->given_up)
    return;
  element->given_up = true;
  tnr_give_up(&element->tuple->object, error);
}

static bool is_element(const tnr_object *handle) {
  return handle->class == &tnr_element_class;
}

void tnr_give_up(tnr_object *handle, tnr_error *error) {
  handle->given_up++;
  if (handle->class == &tnr_tensor_class) {
    give_up_producers((const tnr_tensor *)handle, error);
  } else if (handle->class == &tnr_tuple_class) {
    const tnr_tuple *tuple = (const tnr_tuple *)handle;
    for (int i = 0; i < tuple->count; i++)
      give_up_producers(tuple->tensors[i], error);
  } else if (is_element(handle)) {
    give_up_element((tnr_element *)handle, error);
  } else {
    cancel_unless_needed((tnr_future *)handle, error);
  }
}

void tnr_give_up_not(tnr_object *handle) {
  handle->given_up--;
  if (!is_element(handle) || !((tnr_element *)handle)->given_up)
    return;
  ((tnr_element *)handle)->given_up = false;
  tnr_give_up_not(&((tnr_element *)handle)->tuple->object);
}

void tnr_drop(tnr_object *handle) {
  handle->given_up--;
  if (is_element(handle) && ((tnr_element *)handle)->given_up && tnr_object_refs(handle) == 1)
    tnr_give_up_not(&((tnr_element *)handle)->tuple->object);
  tnr_object_release(handle);
}

/* ---- what descends ---- */

/* The chain stays as it is: it is called when the future completes. */
void tnr_cancel_waiting(tnr_future *future) {
  tnr_error *error = tnr_future_get_error(future);
  if (!tnr_is_cancellation(future->runtime, error))
    return;
  tnr_waiter *waiter = future->last_waiter;
  do {
    waiter = waiter->next;
    if (waiter->input != TNR_WAITER_LISTENS)
      tnr_op_withdraw(tnr_op_of_waiter(waiter), error);
  } while (waiter != future->last_waiter);
}

static tnr_error *error_of_tensor(const tnr_tensor *tensor) {
  for (int i = 0; i < tensor->mesh->count; i++) {
    const tnr_storage *storage = tensor->parts[i];
    tnr_op *producer = storage->producer;
    if (tnr_storage_get_state(storage) == TNR_STORAGE_FAILED)
      return (tnr_error *)storage->error;
    if (producer && producer->future.error)
      return producer->future.error;
  }
  return NULL;
}

static tnr_error *error_of_input(tnr_object *handle) {
  if (handle->class == &tnr_tensor_class)
    return error_of_tensor((const tnr_tensor *)handle);
  tnr_future *future = (tnr_future *)handle;
  tnr_error *error = future->error;
  return error ? error : (tnr_error *)tnr_future_source(future)->error;
}

bool tnr_op_inherits_end(tnr_op *op, tnr_object *input) {
  tnr_error *error = error_of_input(input);
  if (!error || !tnr_is_cancellation(op->future.runtime, error))
    return false;
  tnr_future_set_error(&op->future, error);
  return true;
}

static tnr_error *inherited_error(const tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_error *error = error_of_input(op->in[i].handle);
    if (error && tnr_is_cancellation(op->future.runtime, error))
      return error;
  }
  return NULL;
}

static size_t withdraw_descendants(const tnr_found *found) {
  size_t withdrawn = 0;
  for (size_t i = 0; i < found->count; i++) {
    tnr_op *op = found->ops[i].op;
    tnr_error *error = tnr_op_may_be_withdrawn(op) ? inherited_error(op) : NULL;
    if (error) {
      tnr_op_withdraw(op, error);
      withdrawn++;
    }
  }
  return withdrawn;
}

static bool is_withdrawn(const tnr_op_part *part) {
  return part->op->future.flight->stage == TNR_OP_WITHDRAWN;
}

static void clear_queues(tnr_runtime *runtime) {
  for (int i = 0; i < runtime->machine.count; i++) {
    tnr_op_part *part = tnr_lane_take_back(&runtime->lanes[i], is_withdrawn);
    for (tnr_op_part *next; part; part = next) {
      next = part->next;
      tnr_op_never_ran(part);
    }
  }
}

/* Again until nothing more is found to end: what is on several devices may be found before what it
 * descends from, where its first device is further than the others. However many things are
 * cancelled, at most a quarter of the dispatcher's time goes into this. And where very much is in
 * flight, and none of what is looked at descends from them, the rest ends when its turn comes. */
void tnr_cancel_sweep(tnr_runtime *runtime) {
  enum { VISITED_MAX = 100000, REST = 3 };
  int64_t begin = tnr_machine_now(&runtime->machine);
  tnr_found found;
  if (begin < runtime->sweep_after)
    return;
  tnr_found_init(&found, runtime, VISITED_MAX);
  size_t withdrawn = withdraw_descendants(&found);
  runtime->sweep = withdrawn > 0;
  tnr_found_finish(&found);
  clear_queues(runtime);
  int64_t end = tnr_machine_now(&runtime->machine);
  runtime->sweep_after = end + REST * (end - begin);
}

/* ---- the call ---- */

typedef struct cancellation {
  tnr_message message;
  tnr_value what; /* its handle is retained */
  tnr_site site;  /* of the call */
} cancellation;

static void cancel_future(tnr_future *future, tnr_site site) {
  tnr_fault fault;
  if (is_complete(tnr_future_source(future)))
    return;
  tnr_fail(&fault, TNR_ECANCELED, "cancelled at %s:%d", site.file ? site.file : "", site.line);
  tnr_error *error = tnr_future_error_new(future, &fault);
  tnr_future_cancel(future, error);
  tnr_object_release(tnr_error_object(error));
}

static void cancel_tensor(const tnr_tensor *tensor, tnr_site site) {
  for (int i = 0; i < tensor->mesh->count; i++) {
    tnr_op *producer = tensor->parts[i]->producer;
    if (producer)
      cancel_future(&producer->future, site);
  }
}

static void cancel_value(tnr_value what, tnr_site site) {
  const tnr_tuple *tuple = tnr_value_tuple(what);
  if (what.kind == TNR_VALUE_TENSOR)
    cancel_tensor(what.handle, site);
  else if (tuple)
    for (int i = 0; i < tuple->count; i++)
      cancel_tensor(tuple->tensors[i], site);
  else
    cancel_future(what.handle, site);
}

static void cancellation_finish(cancellation *made) {
  tnr_object *handle = made->what.handle;
  tnr_pool_free(&tnr_handle_runtime(handle)->machine.objects, made, sizeof *made);
  tnr_object_release(handle);
}

static void cancellation_arrives(tnr_message *message) {
  cancellation *made = (cancellation *)message;
  cancel_value(made->what, made->site);
  cancellation_finish(made);
}

tnr_status tnr_cancel_value(tnr_value x, tnr_site site) {
  if (x.kind == TNR_VALUE_NONE || !x.handle)
    return tnr_error() ? tnr_error_code(tnr_error())
                       : tnr_error_raise_at("cancel", site, TNR_EINVAL, "the handle is NULL");
  tnr_runtime *runtime = tnr_handle_runtime(x.handle);
  cancellation *made = tnr_pool_alloc(&runtime->machine.objects, sizeof *made);
  if (!made)
    return tnr_error_raise_at("cancel", site, TNR_ENOMEM, "out of memory to cancel a future");
  *made = (cancellation){{cancellation_arrives}, x, site};
  tnr_object_retain(x.handle);
  tnr_status status = tnr_dispatcher_put_message(runtime, &made->message);
  if (status == TNR_OK)
    return TNR_OK;
  cancellation_finish(made);
  return tnr_error_raise_at("cancel", site, status, "%s", tnr_dispatcher_refusal(status));
}
