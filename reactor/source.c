#include "source.h"

#include "call.h"
#include "cancel.h"
#include "dispatcher.h"
#include "error.h"
#include "scope.h"

typedef struct source {
  tnr_future future;
  uint32_t number; /* see tnr_class: of what it is of */
  tnr_message message;
  tnr_follower follower;
} source;

/* ---- following a result ---- */

static const tnr_storage *unfinished_storage(const tnr_tensor *tensor) {
  for (int i = 0; i < tensor->mesh->count; i++)
    if (tnr_storage_get_state(tensor->parts[i]) != TNR_STORAGE_COMPLETE)
      return tensor->parts[i];
  return NULL;
}

/* The first storage that is not complete: pending, or failed. */
static const tnr_storage *unfinished(const tnr_object *result) {
  if (result->class == &tnr_tensor_class)
    return unfinished_storage((const tnr_tensor *)result);
  const tnr_tuple *tuple = (const tnr_tuple *)result;
  const tnr_storage *found = NULL;
  for (int i = 0; i < tuple->count && !found; i++)
    found = unfinished_storage(tuple->tensors[i]);
  return found;
}

tnr_storage_state tnr_result_state(const tnr_object *result, tnr_error **error) {
  const tnr_storage *storage;
  tnr_storage_state state = TNR_STORAGE_COMPLETE;
  /* one that completes between the two looks says nothing of those behind it */
  while ((storage = unfinished(result)) &&
         (state = tnr_storage_get_state(storage)) == TNR_STORAGE_COMPLETE) {
  }
  *error = storage && state == TNR_STORAGE_FAILED ? (tnr_error *)storage->error : NULL;
  return storage ? state : TNR_STORAGE_COMPLETE;
}

static void follow_on(tnr_listener *listener) {
  tnr_follower *follower = (tnr_follower *)listener;
  const tnr_storage *storage;
  /* every producer that is complete has finished its storages, so each round gets further */
  while ((storage = unfinished(follower->result)) &&
         tnr_storage_get_state(storage) == TNR_STORAGE_PENDING) {
    tnr_op *producer = storage->producer;
    if (tnr_future_add_waiter(&producer->future, &listener->waiter, TNR_UNTIL_COMPLETE))
      return;
  }
  follower->done(follower, storage ? (tnr_error *)storage->error : NULL);
}

void tnr_follow(tnr_follower *follower, tnr_object *result,
                void (*done)(tnr_follower *follower, tnr_error *error)) {
  follower->listener.waiter.input = TNR_WAITER_LISTENS;
  follower->listener.fire = follow_on;
  follower->result = result;
  follower->done = done;
  follow_on(&follower->listener);
}

/* ---- sources ---- */

static void source_destroy(tnr_object *object) {
  source *made = (source *)object;
  tnr_future_finish(&made->future);
  tnr_pool_free(&made->future.runtime->machine.objects, made, sizeof *made);
}

/* Dispatcher: goes on to follow the result, but nobody hears of it. */
static void source_cancel(tnr_future *future, tnr_error *error) {
  tnr_object *result = future->result;
  tnr_future_set_error(future, error);
  tnr_future_complete(future);
  tnr_give_up(result, error);
  tnr_give_up_not(result); /* the user may still ask this future for it */
}

static uint32_t source_own_refs(const tnr_future *future) {
  (void)future;
  return 1;
}

static void source_describe(tnr_future *future, tnr_description *out) {
  (void)future;
  out->context = (tnr_error_context){.op = "to_async"};
}

static const tnr_manners source_manners = {source_cancel, source_own_refs, source_describe};
const tnr_class tnr_source_class = {"future", source_destroy, &source_manners,
                                    offsetof(source, number)};

static source *source_of(tnr_follower *follower) {
  return (source *)((char *)follower - offsetof(source, follower));
}

/* Dispatcher. */
static void source_done(tnr_follower *follower, tnr_error *error) {
  source *made = source_of(follower);
  if (tnr_future_get_state(&made->future) < TNR_FUTURE_COMPLETE) { /* else it was cancelled */
    if (error)
      tnr_future_set_error(&made->future, error);
    tnr_future_complete(&made->future);
  }
  made->future.runtime->in_flight--;
  tnr_object_release(&made->future.object);
}

/* Dispatcher. */
static void source_arrives(tnr_message *message) {
  source *made = (source *)((char *)message - offsetof(source, message));
  made->future.runtime->in_flight++;
  tnr_follow(&made->follower, made->future.result, source_done);
}

static const tnr_mesh *mesh_of_result(const tnr_object *result) {
  if (result->class == &tnr_tensor_class)
    return ((const tnr_tensor *)result)->mesh;
  const tnr_tuple *tuple = (const tnr_tuple *)result;
  return tuple->count ? tuple->tensors[0]->mesh : NULL;
}

static tnr_machine *machine_of(const tnr_object *result) {
  if (result->class == &tnr_tuple_class)
    return ((const tnr_tuple *)result)->machine;
  return tnr_mesh_machine(((const tnr_tensor *)result)->mesh);
}

/* The data is there, or will never be: nobody has to be told. */
static bool is_over(source *made) {
  tnr_error *error;
  if (tnr_result_state(made->future.result, &error) == TNR_STORAGE_PENDING)
    return false;
  if (error)
    tnr_future_set_error(&made->future, error);
  /* release: as in tnr_future_create; nobody else knows the future yet */
  atomic_store_explicit(&made->future.state, TNR_FUTURE_COMPLETE, memory_order_release);
  return true;
}

tnr_future *tnr_source_new(tnr_object *of) {
  tnr_machine *machine = machine_of(of);
  tnr_runtime *runtime = machine->runtime;
  source *made = tnr_pool_alloc(&machine->objects, sizeof *made);
  if (!made) {
    tnr_error_raise(TNR_ENOMEM, "out of memory for a future");
    return NULL;
  }
  tnr_future_init(&made->future, &tnr_source_class, runtime, of->class == &tnr_tuple_class, 1);
  made->message.handle = source_arrives;
  tnr_future_set_number(&made->future, *tnr_object_number(of));
  tnr_object_retain(of);
  (void)tnr_future_create(&made->future, of, mesh_of_result(of));
  made->future.created_told = true;
  if (is_over(made))
    return &made->future;
  tnr_object_retain(&made->future.object); /* the dispatcher's, until complete */
  tnr_status status = tnr_dispatcher_put_message(runtime, &made->message);
  if (status == TNR_OK)
    return &made->future;
  tnr_object_release(&made->future.object);
  tnr_object_release(&made->future.object);
  tnr_error_raise(status, "%s", tnr_dispatcher_refusal(status));
  return NULL;
}

tnr_future *tnr_future_of_value(tnr_value x) {
  switch (x.kind) {
  case TNR_VALUE_FUTURE:
  case TNR_VALUE_FUTURE_TUPLE:
    return tnr_retain(x.handle);
  case TNR_VALUE_TENSOR:
  case TNR_VALUE_TUPLE:
    return tnr_source_new(x.handle);
  case TNR_VALUE_NONE:
    break;
  }
  if (!tnr_error())
    tnr_error_raise(TNR_EINVAL, "the handle is NULL");
  return NULL;
}

static void *adopt(tnr_object *handle) {
  return tnr_scope_adopt(handle);
}

tnr_future *tnr_to_async_tensor(tnr_tensor *x) {
  return x ? adopt((tnr_object *)tnr_source_new(&x->object)) : NULL;
}

tnr_future_tuple *tnr_to_async_tuple(tnr_tuple *x) {
  return x ? adopt((tnr_object *)tnr_source_new(&x->object)) : NULL;
}

tnr_future *tnr_to_async_future(tnr_future *x) {
  return adopt(tnr_retain(x));
}

tnr_future_tuple *tnr_to_async_future_tuple(tnr_future_tuple *x) {
  return adopt(tnr_retain(x));
}

tnr_value tnr_to_async_value(tnr_value x) {
  switch (x.kind) {
  case TNR_VALUE_TENSOR:
    return tnr_value_of_future(tnr_to_async_tensor(x.handle));
  case TNR_VALUE_TUPLE:
    return tnr_value_of_future_tuple(tnr_to_async_tuple(x.handle));
  default:
    return tnr_value_adopt((tnr_value){x.kind, tnr_retain(x.handle)});
  }
}
