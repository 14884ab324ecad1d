#include "join.h"

#include <string.h>

#include "call.h"
#include "dispatcher.h"
#include "error.h"
#include "record.h"
#include "scope.h"
#include "source.h"
#include "thread.h"

/* One member, and what listens to it. Dispatcher only, except `handle`. */
typedef struct member {
  tnr_listener created;
  tnr_follower complete; /* of a plain tensor; else its listener alone listens to the future */
  struct join *join;
  tnr_object *handle; /* immutable after create; a tensor or a future; retained until destroy, in an
                       * any-of until it is complete */
} member;

typedef struct join {
  tnr_future future;
  tnr_message message;
  int count;                     /* immutable after create */
  int not_created, not_complete; /* dispatcher only: members */
  bool settled;                  /* dispatcher only: complete already */
  member members[];              /* [count] */
} join;

static size_t join_bytes(int count) {
  return sizeof(join) + (size_t)count * sizeof(member);
}

static void join_destroy(tnr_object *object) {
  join *made = (join *)object;
  for (int i = 0; i < made->count; i++)
    tnr_release(made->members[i].handle);
  tnr_future_finish(&made->future);
  tnr_pool_free(&made->future.runtime->machine.objects, made, join_bytes(made->count));
}

const tnr_class tnr_all_class = {"future", join_destroy};
static const tnr_class any_class = {"future", join_destroy};

int tnr_all_count(const tnr_future *all) {
  return ((const join *)all)->count;
}

tnr_object *tnr_all_member(const tnr_future *all, int index) {
  return ((const join *)all)->members[index].handle;
}

/* ---- settling: dispatcher ---- */

/* One of the listeners is through: its reference to the join goes. */
static void let_go(join *made) {
  tnr_object_release(&made->future.object);
}

static void settle(join *made, tnr_error *error) {
  if (made->settled)
    return;
  made->settled = true;
  if (error)
    tnr_future_set_error(&made->future, error);
  tnr_record_settled(&made->future);
  tnr_future_complete(&made->future);
}

static tnr_object *member_result(const member *of, tnr_error **error) {
  *error = NULL;
  if (of->handle->class == &tnr_tensor_class)
    return of->handle;
  return tnr_future_get_result((tnr_future *)of->handle, error);
}

static tnr_error *no_memory_for(int count) {
  tnr_fault fault;
  tnr_fail(&fault, TNR_ENOMEM, "out of memory for a tuple of %d", count);
  return tnr_error_new(&(tnr_error_context){.op = "all"}, &fault);
}

/* What a member gave when it was created; that it has failed since is told when it is complete. */
static tnr_tensor *created_tensor(const member *of) {
  if (of->handle->class == &tnr_tensor_class)
    return (tnr_tensor *)of->handle;
  const tnr_future *future = (const tnr_future *)of->handle;
  if (!tnr_future_is_element(future))
    return (tnr_tensor *)future->result;
  const tnr_element *element = (const tnr_element *)future;
  return ((const tnr_tuple *)element->tuple->result)->tensors[element->index];
}

/* All members are created: so is the tuple of them. */
static void create_tuple(join *made) {
  tnr_machine *machine = &made->future.runtime->machine;
  tnr_tuple *tuple =
      tnr_pool_alloc(&machine->objects, sizeof *tuple + (size_t)made->count * sizeof(tnr_tensor *));
  if (!tuple) {
    tnr_error *error = no_memory_for(made->count);
    settle(made, error);
    tnr_object_release(tnr_error_object(error));
    return;
  }
  tnr_object_init(&tuple->object, &tnr_tuple_class, 1);
  tuple->machine = machine;
  tuple->count = made->count;
  for (int i = 0; i < made->count; i++) {
    tuple->tensors[i] = created_tensor(&made->members[i]);
    tnr_object_retain(&tuple->tensors[i]->object);
  }
  if (tnr_future_create(&made->future, &tuple->object,
                        made->count ? tuple->tensors[0]->mesh : NULL))
    tnr_future_tell_created(&made->future);
}

static void all_member_created(tnr_listener *listener) {
  member *of = (member *)listener;
  join *made = of->join;
  tnr_error *error;
  if (!made->settled) {
    if (!member_result(of, &error))
      settle(made, error);
    else if (--made->not_created == 0)
      create_tuple(made);
  }
  let_go(made);
}

static void all_member_complete(member *of, tnr_error *error) {
  join *made = of->join;
  if (error)
    settle(made, error);
  else if (--made->not_complete == 0)
    settle(made, NULL);
  let_go(made);
}

/* A future's error may also be that of an element that does not exist. */
static void all_future_complete(tnr_listener *listener) {
  member *of = (member *)((char *)listener - offsetof(member, complete));
  all_member_complete(of, tnr_future_get_error((tnr_future *)of->handle));
}

static void all_tensor_complete(tnr_follower *follower, tnr_error *error) {
  all_member_complete((member *)((char *)follower - offsetof(member, complete)), error);
}

static void listen_to(tnr_future *future, tnr_listener *listener, tnr_waits_for until,
                      void (*fire)(tnr_listener *listener)) {
  listener->waiter.input = TNR_WAITER_LISTENS;
  listener->fire = fire;
  if (!tnr_future_add_waiter(tnr_future_source(future), &listener->waiter, until))
    fire(listener);
}

static join *join_of(tnr_message *message) {
  return (join *)((char *)message - offsetof(join, message));
}

static void begin(join *made, int listeners) {
  made->future.runtime->in_flight++;
  for (int i = 0; i < listeners; i++)
    tnr_object_retain(&made->future.object);
}

static void begun(join *made) {
  made->future.runtime->in_flight--;
  tnr_object_release(&made->future.object);
}

static void all_arrives(tnr_message *message) {
  join *made = join_of(message);
  begin(made, 2 * made->count);
  for (int i = 0; i < made->count; i++) {
    member *of = &made->members[i];
    of->created.waiter.input = TNR_WAITER_LISTENS;
    if (of->handle->class == &tnr_tensor_class)
      all_member_created(&of->created);
    else
      listen_to((tnr_future *)of->handle, &of->created, TNR_UNTIL_CREATED, all_member_created);
  }
  for (int i = 0; i < made->count; i++) {
    member *of = &made->members[i];
    if (of->handle->class == &tnr_tensor_class)
      tnr_follow(&of->complete, of->handle, all_tensor_complete);
    else
      listen_to((tnr_future *)of->handle, &of->complete.listener, TNR_UNTIL_COMPLETE,
                all_future_complete);
  }
  begun(made);
}

static void any_settled(tnr_message *message) {
  join *made = join_of(message);
  tnr_record_settled(&made->future);
  tnr_future_complete(&made->future);
  begun(made);
}

/* This member decides. The rest happens in a turn of its own and not in the member's chain, so that
 * a chain of any-ofs needs no stack. */
static void decide(join *made, const member *of, tnr_error *error) {
  made->settled = true;
  if (error) {
    tnr_future_set_error(&made->future, error);
  } else {
    tnr_object *result = member_result(of, &error);
    tnr_object_retain(result);
    (void)tnr_future_create(&made->future, result, ((tnr_tensor *)result)->mesh);
  }
  begin(made, 1);
  made->message.handle = any_settled;
  if (tnr_dispatcher_put_always(made->future.runtime, &made->message) != TNR_OK)
    any_settled(&made->message);
}

static void any_member_complete(tnr_listener *listener) {
  member *of = (member *)((char *)listener - offsetof(member, complete));
  join *made = of->join;
  tnr_error *error = tnr_future_get_error((tnr_future *)of->handle);
  made->not_complete--;
  if (!made->settled && (!error || made->not_complete == 0))
    decide(made, of, error);
  tnr_object_release(of->handle); /* or a chain of any-ofs would hold all of itself */
  of->handle = NULL;
  let_go(made);
}

static void any_arrives(tnr_message *message) {
  join *made = join_of(message);
  begin(made, made->count);
  for (int i = 0; i < made->count; i++) {
    member *of = &made->members[i];
    listen_to((tnr_future *)of->handle, &of->complete.listener, TNR_UNTIL_COMPLETE,
              any_member_complete);
  }
  begun(made);
}

/* ---- making: any thread ---- */

static join *join_new(tnr_runtime *runtime, const tnr_class *class, bool tuple, int count) {
  join *made = tnr_pool_alloc(&runtime->machine.objects, join_bytes(count));
  if (!made) {
    tnr_error_raise(TNR_ENOMEM, "out of memory for a future of %d members", count);
    return NULL;
  }
  tnr_future_init(&made->future, class, runtime, tuple, 1);
  made->count = made->not_created = made->not_complete = count;
  made->settled = false;
  return made;
}

static void set_member(join *made, int index, tnr_object *handle) {
  tnr_object_retain(handle);
  made->members[index].join = made;
  made->members[index].handle = handle;
}

static tnr_future *join_submit(join *made, const char *op, tnr_site site,
                               void (*arrives)(tnr_message *message)) {
  made->message.handle = arrives;
  tnr_record_join(&made->future, op, site);
  tnr_object_retain(&made->future.object); /* the dispatcher's */
  tnr_status status = tnr_dispatcher_put_message(made->future.runtime, &made->message);
  if (status == TNR_OK)
    return &made->future;
  tnr_object_release(&made->future.object);
  tnr_object_release(&made->future.object);
  tnr_error_raise_at(op, site, status, "%s", tnr_dispatcher_refusal(status));
  return NULL;
}

/* Elements of a tuple whose length is not known yet cannot be members. */
static bool has_unknown_tuple(const tnr_arguments *arguments, tnr_site site) {
  for (int i = 0; i < arguments->count; i++) {
    tnr_object *handle = arguments->handles[i];
    if (handle->class != &tnr_tensor_class && ((tnr_future *)handle)->tuple) {
      tnr_error_raise_at("all", site, TNR_EINVAL,
                         "member %d is a future of a tuple whose length is not known yet", i);
      return true;
    }
  }
  return false;
}

static tnr_value all_of(const tnr_arguments *arguments, tnr_site site) {
  if (!arguments->async) {
    tnr_tuple *tuple = tnr_tuple_new(&arguments->runtime->machine,
                                     (tnr_tensor *const *)arguments->handles, arguments->count);
    if (!tuple) {
      tnr_error_raise_at("all", site, TNR_ENOMEM, "out of memory for a tuple of %d",
                         arguments->count);
      return (tnr_value){TNR_VALUE_NONE, NULL};
    }
    for (int i = 0; i < arguments->count; i++)
      tnr_object_retain(arguments->handles[i]);
    return tnr_value_adopt(tnr_value_of_tuple(tuple));
  }
  if (has_unknown_tuple(arguments, site))
    return (tnr_value){TNR_VALUE_NONE, NULL};
  join *made = join_new(arguments->runtime, &tnr_all_class, true, arguments->count);
  for (int i = 0; made && i < arguments->count; i++)
    set_member(made, i, arguments->handles[i]);
  tnr_future *future = made ? join_submit(made, "all", site, all_arrives) : NULL;
  return tnr_value_adopt(tnr_value_of_future_tuple((tnr_future_tuple *)future));
}

tnr_value tnr_all(const tnr_value *values, int count, tnr_site site) {
  tnr_arguments arguments;
  if (!tnr_arguments_init(&arguments, "all", site, values, count))
    return (tnr_value){TNR_VALUE_NONE, NULL};
  tnr_value result = all_of(&arguments, site);
  tnr_arguments_finish(&arguments);
  return result;
}

static bool check_any(tnr_future *const *futures, int count, tnr_site site) {
  if (count < 1) {
    tnr_error_raise_at("any", site, TNR_EINVAL, "there are no futures");
    return false;
  }
  for (int i = 0; i < count; i++) {
    if (!futures[i]) {
      if (!tnr_error())
        tnr_error_raise_at("any", site, TNR_EINVAL, "input %d is NULL", i);
      return false;
    }
    if (futures[i]->runtime != futures[0]->runtime) {
      tnr_error_raise_at("any", site, TNR_EDEVICE, "input %d belongs to another runtime", i);
      return false;
    }
  }
  return true;
}

tnr_future *tnr_any(tnr_future *const *futures, int count, tnr_site site) {
  if (!check_any(futures, count, site))
    return NULL;
  join *made = join_new(futures[0]->runtime, &any_class, false, count);
  for (int i = 0; made && i < count; i++)
    set_member(made, i, &futures[i]->object);
  return tnr_scope_adopt(made ? join_submit(made, "any", site, any_arrives) : NULL);
}

/* ---- elements ---- */

static void element_destroy(tnr_object *object) {
  tnr_element *element = (tnr_element *)object;
  tnr_pool *objects = &element->future.runtime->machine.objects;
  tnr_future_finish(&element->future);
  tnr_object_release(&element->tuple->object);
  tnr_pool_free(objects, element, sizeof *element);
}

const tnr_class tnr_element_class = {"future", element_destroy};

static tnr_future *element_new(tnr_future *tuple, int index, tnr_site site) {
  tnr_element *element = tnr_pool_alloc(&tuple->runtime->machine.objects, sizeof *element);
  if (!element) {
    tnr_error_raise_at("at", site, TNR_ENOMEM, "out of memory for a future");
    return NULL;
  }
  tnr_future_init(&element->future, &tnr_element_class, tuple->runtime, false, 1);
  element->tuple = tuple;
  const tnr_frame *frame = tnr_thread_here()->frame;
  element->index = index;
  element->site = frame ? frame->site : site;
  element->composite = frame ? frame->name : NULL;
  tnr_object_retain(&tuple->object);
  return &element->future;
}

static bool check_index(int index, int count, tnr_site site) {
  if (index >= 0 && index < count)
    return true;
  tnr_error_raise_at("at", site, TNR_EINVAL, "there is no element %d in a tuple of %d", index,
                     count);
  return false;
}

tnr_tensor *tnr_at_tuple(tnr_tuple *x, int index, tnr_site site) {
  if (!x || !check_index(index, x->count, site))
    return NULL;
  return tnr_scope_adopt(tnr_retain(x->tensors[index]));
}

/* A member of an all-of need not wait for the others, nor fail with them. */
static tnr_future *member_of_all(tnr_future *all, int index, tnr_site site) {
  if (!check_index(index, tnr_all_count(all), site))
    return NULL;
  tnr_object *handle = tnr_all_member(all, index);
  if (handle->class == &tnr_tensor_class)
    return tnr_source_new(handle);
  return tnr_retain(handle);
}

/* The same for a tuple that exists. */
static tnr_future *member_of_source(tnr_future *source, int index, tnr_site site) {
  const tnr_tuple *tuple = (tnr_tuple *)source->result;
  if (!check_index(index, tuple->count, site))
    return NULL;
  return tnr_source_new(&tuple->tensors[index]->object);
}

tnr_future *tnr_at_future(tnr_future_tuple *x, int index, tnr_site site) {
  tnr_future *tuple = tnr_future_of(x);
  if (!tuple)
    return NULL;
  if (tuple->object.class == &tnr_all_class)
    return tnr_scope_adopt(member_of_all(tuple, index, site));
  if (tuple->object.class == &tnr_source_class)
    return tnr_scope_adopt(member_of_source(tuple, index, site));
  return tnr_scope_adopt(element_new(tuple, index, site));
}

tnr_value tnr_at_value(tnr_value x, int index, tnr_site site) {
  switch (x.kind) {
  case TNR_VALUE_TUPLE:
    return tnr_value_of_tensor(tnr_at_tuple(x.handle, index, site));
  case TNR_VALUE_FUTURE_TUPLE:
    return tnr_value_of_future(tnr_at_future(x.handle, index, site));
  case TNR_VALUE_NONE:
    break;
  default:
    tnr_error_raise_at("at", site, TNR_EINVAL, "the value is not a tuple");
  }
  return (tnr_value){TNR_VALUE_NONE, NULL};
}
