#include "join.h"

#include <string.h>

#include "call.h"
#include "cancel.h"
#include "dispatcher.h"
#include "error.h"
#include "in_flight.h"
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
  uint32_t number; /* see tnr_class; unset where future.numbered is false */
  tnr_message message;
  int count;                     /* immutable after create */
  int not_created, not_complete; /* dispatcher only: members */
  uint32_t held;                 /* dispatcher only: references of its own listeners and messages */
  bool settled;                  /* dispatcher only: complete, or about to be */
  bool canceled;                 /* dispatcher only: an any-of that has no use for its members */
  tnr_pending pending;
  tnr_site site;         /* immutable after create */
  const char *composite; /* immutable after create: the composite around it, or NULL */
  member members[];      /* [count] */
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

static uint32_t join_own_refs(const tnr_future *future) {
  return ((const join *)future)->held;
}

static void all_cancel(tnr_future *future, tnr_error *error);
static void any_cancel(tnr_future *future, tnr_error *error);
static void all_describe(tnr_future *future, tnr_description *out);
static void any_describe(tnr_future *future, tnr_description *out);
static const tnr_manners all_manners = {all_cancel, join_own_refs, all_describe};
static const tnr_manners any_manners = {any_cancel, join_own_refs, any_describe};
const tnr_class tnr_all_class = {"future", join_destroy, &all_manners, offsetof(join, number)};
static const tnr_class any_class = {"future", join_destroy, &any_manners, offsetof(join, number)};

int tnr_all_count(const tnr_future *all) {
  return ((const join *)all)->count;
}

tnr_object *tnr_all_member(const tnr_future *all, int index) {
  return ((const join *)all)->members[index].handle;
}

/* ---- settling: dispatcher ---- */

/* One of the listeners is through: its reference to the join goes. */
static void let_go(join *made) {
  made->held--;
  tnr_object_release(&made->future.object);
}

static void settle(join *made, tnr_error *error) {
  if (made->settled)
    return;
  made->settled = true;
  if (error)
    tnr_future_set_error(&made->future, error);
  tnr_pending_remove(&made->pending);
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
  made->held += (uint32_t)listeners;
  for (int i = 0; i < listeners; i++)
    tnr_object_retain(&made->future.object);
}

static void begun(join *made) {
  made->future.runtime->in_flight--;
  let_go(made);
}

/* Whoever has the future can still ask it for its members. */
static void all_cancel(tnr_future *future, tnr_error *error) {
  join *made = (join *)future;
  tnr_object_retain(&future->object);
  settle(made, error);
  for (int i = 0; i < made->count; i++)
    tnr_give_up(made->members[i].handle, error);
  for (int i = 0; i < made->count; i++)
    tnr_give_up_not(made->members[i].handle);
  tnr_object_release(&future->object);
}

static void describe(const join *made, const char *op, tnr_description *out) {
  out->context = (tnr_error_context){.composite = made->composite, .op = op, .site = made->site};
}

static void all_describe(tnr_future *future, tnr_description *out) {
  describe((const join *)future, "all", out);
}

static void any_describe(tnr_future *future, tnr_description *out) {
  describe((const join *)future, "any", out);
}

static void all_arrives(tnr_message *message) {
  join *made = join_of(message);
  tnr_pending_add(&made->pending, &made->future);
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

/* The others go on, but not for it. */
static void give_up_members(join *made) {
  for (int i = 0; i < made->count; i++) {
    tnr_object *handle = made->members[i].handle;
    made->members[i].handle = NULL;
    if (handle) {
      tnr_give_up(handle, made->future.error);
      tnr_drop(handle);
    }
  }
}

static void any_settled(tnr_message *message) {
  join *made = join_of(message);
  tnr_pending_remove(&made->pending);
  tnr_record_settled(&made->future);
  tnr_future_complete(&made->future);
  if (made->canceled)
    give_up_members(made);
  begun(made);
}

static void settle_later(join *made) {
  made->settled = true;
  begin(made, 1);
  made->message.handle = any_settled;
  if (tnr_dispatcher_put_always(made->future.runtime, &made->message) != TNR_OK)
    any_settled(&made->message);
}

static void any_cancel(tnr_future *future, tnr_error *error) {
  join *made = (join *)future;
  if (made->settled)
    return;
  tnr_future_set_error(future, error);
  made->canceled = true;
  settle_later(made);
}

/* This member decides. The rest happens in a turn of its own and not in the member's chain, so that
 * a chain of any-ofs needs no stack. */
static void decide(join *made, const member *of, tnr_error *error) {
  tnr_object *result = error ? NULL : member_result(of, &error);
  if (result) {
    tnr_object_retain(result);
    (void)tnr_future_create(&made->future, result, ((tnr_tensor *)result)->mesh);
  } else {
    tnr_future_set_error(&made->future, error);
  }
  settle_later(made);
}

static void any_member_complete(tnr_listener *listener) {
  member *of = (member *)((char *)listener - offsetof(member, complete));
  join *made = of->join;
  made->not_complete--;
  if (of->handle) { /* else it was cancelled */
    tnr_error *error = tnr_future_get_error((tnr_future *)of->handle);
    if (!made->settled && (!error || made->not_complete == 0))
      decide(made, of, error);
    tnr_object_release(of->handle); /* or a chain of any-ofs would hold all of itself */
    of->handle = NULL;
  }
  let_go(made);
}

static void any_arrives(tnr_message *message) {
  join *made = join_of(message);
  tnr_pending_add(&made->pending, &made->future);
  begin(made, made->count);
  for (int i = 0; i < made->count; i++) {
    member *of = &made->members[i];
    listen_to((tnr_future *)of->handle, &of->complete.listener, TNR_UNTIL_COMPLETE,
              any_member_complete);
  }
  begun(made);
}

/* ---- making: any thread ---- */

static join *join_new(tnr_runtime *runtime, const tnr_class *class, bool tuple, int count,
                      tnr_site site) {
  join *made = tnr_pool_alloc(&runtime->machine.objects, join_bytes(count));
  if (!made) {
    tnr_error_raise(TNR_ENOMEM, "out of memory for a future of %d members", count);
    return NULL;
  }
  tnr_future_init(&made->future, class, runtime, tuple, 1);
  made->count = made->not_created = made->not_complete = count;
  made->held = 1; /* once it is submitted */
  made->settled = made->canceled = false;
  const tnr_frame *frame = tnr_thread_here()->frame;
  made->site = frame ? frame->site : site;
  made->composite = frame ? frame->name : NULL;
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
  join *made = join_new(arguments->runtime, &tnr_all_class, true, arguments->count, site);
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
  join *made = join_new(futures[0]->runtime, &any_class, false, count, site);
  for (int i = 0; made && i < count; i++)
    set_member(made, i, &futures[i]->object);
  return tnr_scope_adopt(made ? join_submit(made, "any", site, any_arrives) : NULL);
}
