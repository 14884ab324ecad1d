#include "group.h"

#include <stdio.h>
#include <string.h>

#include "cancel.h"
#include "dispatcher.h"
#include "in_flight.h"
#include "runtime.h"
#include "scope.h"
#include "wait.h"

/* ---- life: any thread ---- */

static void join_parent(tnr_group *group) {
  tnr_group *parent = group->parent;
  tnr_spin_lock(&parent->lock);
  group->sibling = parent->children;
  group->sibling_link = &parent->children;
  if (group->sibling)
    group->sibling->sibling_link = &group->sibling;
  parent->children = group;
  tnr_spin_unlock(&parent->lock);
}

static void leave_parent(tnr_group *group) {
  tnr_group *parent = group->parent;
  tnr_spin_lock(&parent->lock);
  *group->sibling_link = group->sibling;
  if (group->sibling)
    group->sibling->sibling_link = group->sibling_link;
  tnr_spin_unlock(&parent->lock);
  tnr_object_release(&parent->object);
}

static void group_destroy(tnr_object *object) {
  tnr_group *group = (tnr_group *)object;
  if (group->parent)
    leave_parent(group);
  if (group->error)
    tnr_object_release(tnr_error_object(group->error));
  tnr_pool_free(&group->runtime->machine.objects, group, sizeof *group);
}

static const tnr_class group_class = {.name = "group", .destroy = group_destroy};

static tnr_status check(const tnr_runtime *runtime, const tnr_group_options *options) {
  if (!options || options->timeout_ns < 0 || options->priority < TNR_PRIORITY_INHERITED ||
      options->priority > TNR_PRIORITY_LOW)
    return tnr_error_raise(TNR_EINVAL, "group_create: an option makes no sense");
  if (options->parent && options->parent->runtime != runtime)
    return tnr_error_raise(TNR_EINVAL, "group_create: the parent belongs to another runtime");
  return TNR_OK;
}

static void set_deadline(tnr_group *group, int64_t timeout_ns) {
  const tnr_group *parent = group->parent;
  group->limit = timeout_ns ? timeout_ns : INT64_MAX;
  if (__builtin_add_overflow(tnr_machine_now(&group->runtime->machine), group->limit,
                             &group->deadline))
    group->deadline = INT64_MAX;
  if (parent && parent->deadline < group->deadline) {
    group->deadline = parent->deadline;
    group->limit = parent->limit;
  }
}

static void set_title(tnr_group *group, const char *name) {
  if (name)
    snprintf(group->title, sizeof group->title, "group '%.47s'", name);
  else
    strcpy(group->title, "its group");
}

static tnr_group *group_new(tnr_runtime *runtime, const tnr_group_options *options) {
  tnr_group *group = tnr_pool_alloc(&runtime->machine.objects, sizeof *group);
  if (!group) {
    tnr_error_raise(TNR_ENOMEM, "out of memory for a group");
    return NULL;
  }
  *group =
      (tnr_group){.runtime = runtime, .parent = options->parent, .priority = options->priority};
  tnr_object_init(&group->object, &group_class, 1);
  set_deadline(group, options->timeout_ns);
  set_title(group, options->name);
  if (!group->parent)
    return group;
  tnr_object_retain(&group->parent->object);
  if (group->priority == TNR_PRIORITY_INHERITED)
    group->priority = group->parent->priority;
  join_parent(group);
  return group;
}

tnr_group *tnr_group_create_with(tnr_runtime *runtime, const tnr_group_options *options) {
  if (!runtime && !(runtime = tnr_default_runtime()))
    return NULL;
  if (check(runtime, options) != TNR_OK)
    return NULL;
  return tnr_scope_adopt(group_new(runtime, options));
}

static tnr_status refuse_null(void) {
  return tnr_error() ? tnr_error_code(tnr_error())
                     : tnr_error_raise(TNR_EINVAL, "the group is NULL");
}

/* ---- what is in flight: dispatcher ---- */

static bool is_op(const tnr_held_terms *held) {
  return tnr_future_is_op(held->future);
}

static void link_member(tnr_group *group, tnr_held_terms *held) {
  held->next = group->members;
  held->link = &group->members;
  if (held->next)
    held->next->link = &held->next;
  group->members = held;
}

static void unlink_member(tnr_held_terms *held) {
  *held->link = held->next;
  if (held->next)
    held->next->link = held->link;
}

void tnr_group_enter(tnr_group *group, tnr_held_terms *held) {
  link_member(group, held);
  for (; group; group = group->parent) {
    group->open++;
    if (is_op(held))
      tnr_count(&group->submitted);
  }
}

static _Atomic uint64_t *counter_of(tnr_group *group, const tnr_error *error) {
  if (!error)
    return &group->completed;
  return tnr_error_code(error) == TNR_ECANCELED ? &group->canceled : &group->failed;
}

void tnr_group_count_end(tnr_group *group, tnr_future *future) {
  const tnr_error *error = tnr_future_get_error(future);
  for (; group; group = group->parent)
    tnr_count(counter_of(group, error));
}

static void tell_done(tnr_group *group);

void tnr_group_leave(tnr_group *group, tnr_held_terms *held) {
  unlink_member(held);
  for (; group; group = group->parent)
    if (--group->open == 0)
      tell_done(group);
}

/* ---- waiting for the end ---- */

/* The future of a group that is done. */
typedef struct tnr_done {
  tnr_future future;
  tnr_message message;
  tnr_pending pending;
  tnr_group *group;              /* immutable after create; retained */
  tnr_object *tuple;             /* the empty tuple until it is the result; retained */
  struct tnr_done *next, **link; /* dispatcher only: in the group's list */
} tnr_done;

static void done_destroy(tnr_object *object) {
  tnr_done *done = (tnr_done *)object;
  tnr_group *group = done->group;
  tnr_pool *objects = &done->future.runtime->machine.objects;
  tnr_release(done->tuple);
  tnr_future_finish(&done->future);
  tnr_pool_free(objects, done, sizeof *done);
  tnr_object_release(&group->object);
}

static void done_ends(tnr_done *done) {
  *done->link = done->next;
  if (done->next)
    done->next->link = done->link;
  tnr_pending_remove(&done->pending);
  tnr_future_complete(&done->future);
  done->future.runtime->in_flight--;
  tnr_object_release(&done->future.object);
}

static void done_cancel(tnr_future *future, tnr_error *error) {
  tnr_future_set_error(future, error);
  done_ends((tnr_done *)future);
}

static uint32_t done_own_refs(const tnr_future *future) {
  (void)future;
  return 1;
}

static void done_describe(tnr_future *future, tnr_description *out) {
  (void)future;
  out->context = (tnr_error_context){.op = "group_done"};
}

static const tnr_manners done_manners = {done_cancel, done_own_refs, done_describe};
static const tnr_class done_class = {
    .name = "future", .destroy = done_destroy, .manners = &done_manners};

static void tell_done(tnr_group *group) {
  tnr_object_retain(&group->object); /* the last of them may be all that holds it */
  while (group->awaited) {
    tnr_done *done = group->awaited;
    (void)tnr_future_create(&done->future, done->tuple, NULL);
    done->tuple = NULL;
    done_ends(done);
  }
  tnr_object_release(&group->object);
}

static void done_arrives(tnr_message *message) {
  tnr_done *done = (tnr_done *)((char *)message - offsetof(tnr_done, message));
  tnr_group *group = done->group;
  done->future.runtime->in_flight++;
  tnr_pending_add(&done->pending, &done->future);
  done->next = group->awaited;
  done->link = &group->awaited;
  if (done->next)
    done->next->link = &done->next;
  group->awaited = done;
  if (group->open == 0)
    tell_done(group);
}

static tnr_done *done_new(tnr_group *group) {
  tnr_machine *machine = &group->runtime->machine;
  tnr_tensor *none[1] = {NULL};
  tnr_tuple *tuple = tnr_tuple_new(machine, none, 0);
  tnr_done *done = tuple ? tnr_pool_alloc(&machine->objects, sizeof *done) : NULL;
  if (!done) {
    tnr_release(tuple);
    tnr_error_raise(TNR_ENOMEM, "out of memory for a future");
    return NULL;
  }
  tnr_future_init(&done->future, &done_class, group->runtime, true, 2);
  done->message.handle = done_arrives;
  done->group = group;
  done->tuple = &tuple->object;
  tnr_object_retain(&group->object);
  return done;
}

/* Not in any scope. */
static tnr_future *done_submit(tnr_group *group) {
  tnr_done *done = done_new(group);
  if (!done)
    return NULL;
  tnr_status status = tnr_dispatcher_put_message(group->runtime, &done->message);
  if (status == TNR_OK)
    return &done->future;
  tnr_object_release(&done->future.object);
  tnr_object_release(&done->future.object);
  tnr_error_raise(status, "%s", tnr_dispatcher_refusal(status));
  return NULL;
}

tnr_future_tuple *tnr_group_done(tnr_group *group) {
  if (!group) {
    (void)refuse_null();
    return NULL;
  }
  return tnr_scope_adopt(done_submit(group));
}

/* Who gives up waiting leaves nothing behind. */
static void withdraw(tnr_value done) {
  (void)tnr_cancel_value(done, TNR_HERE);
  tnr_error_clear();
}

tnr_status tnr_group_wait(tnr_group *group, int64_t timeout_ns) {
  if (!group)
    return refuse_null();
  tnr_status status = tnr_wait_refused(group->runtime, "waiting for a group");
  if (status != TNR_OK)
    return status;
  tnr_future *done = done_submit(group);
  if (!done)
    return tnr_error_code(tnr_error());
  status = tnr_wait_value(tnr_future_value(done), TNR_COMPLETE, timeout_ns);
  if (status != TNR_OK) {
    withdraw(tnr_future_value(done));
    tnr_error_raise(status, "the group is not done yet");
  }
  tnr_object_release(&done->object);
  return status;
}

/* ---- cancelling ---- */

typedef struct cancellation {
  tnr_message message;
  tnr_group *group; /* retained */
  tnr_error *error; /* a reference */
} cancellation;

/* Ending one may end others, and runs callbacks: each is taken off the list before. */
static void cancel_members(tnr_group *group) {
  tnr_held_terms *left = group->members;
  group->members = NULL;
  if (left)
    left->link = &left;
  while (left) {
    tnr_held_terms *held = left;
    unlink_member(held);
    link_member(group, held);
    tnr_future_cancel(held->future, group->error);
  }
}

/* The next child that is not about to go, from `child` on; retained. With the lock held. */
static tnr_group *retain_child(tnr_group *child) {
  while (child && !tnr_object_try_retain(&child->object))
    child = child->sibling;
  return child;
}

static tnr_group *first_child(tnr_group *group) {
  tnr_spin_lock(&group->lock);
  tnr_group *child = retain_child(group->children);
  tnr_spin_unlock(&group->lock);
  return child;
}

static tnr_group *next_child(tnr_group *group, tnr_group *child) {
  tnr_spin_lock(&group->lock);
  tnr_group *next = retain_child(child->sibling);
  tnr_spin_unlock(&group->lock);
  tnr_object_release(&child->object);
  return next;
}

/* As deep as groups are nested. */
static void cancel_all(tnr_group *group, tnr_error *error) {
  if (!group->error) {
    tnr_object_retain(tnr_error_object(error));
    group->error = error;
  }
  cancel_members(group);
  for (tnr_group *child = first_child(group); child; child = next_child(group, child))
    cancel_all(child, error);
}

static void cancellation_finish(cancellation *made) {
  tnr_group *group = made->group;
  tnr_object_release(tnr_error_object(made->error));
  tnr_pool_free(&group->runtime->machine.objects, made, sizeof *made);
  tnr_object_release(&group->object);
}

static void cancellation_arrives(tnr_message *message) {
  cancellation *made = (cancellation *)message;
  cancel_all(made->group, made->error);
  cancellation_finish(made);
}

static tnr_error *canceled_at(const tnr_group *group, tnr_site site) {
  tnr_fault fault;
  tnr_fail(&fault, TNR_ECANCELED, "%s was cancelled", group->title);
  return tnr_error_new(&(tnr_error_context){.site = site}, &fault);
}

tnr_status tnr_group_cancel_at(tnr_group *group, tnr_site site) {
  if (!group)
    return refuse_null();
  cancellation *made = tnr_pool_alloc(&group->runtime->machine.objects, sizeof *made);
  if (!made)
    return tnr_error_raise(TNR_ENOMEM, "out of memory to cancel a group");
  tnr_object_retain(&group->object);
  *made = (cancellation){{cancellation_arrives}, group, canceled_at(group, site)};
  tnr_status status = tnr_dispatcher_put_message(group->runtime, &made->message);
  if (status == TNR_OK)
    return TNR_OK;
  cancellation_finish(made);
  return tnr_error_raise(status, "%s", tnr_dispatcher_refusal(status));
}

/* ---- asking ---- */

static uint64_t look(const _Atomic uint64_t *counter) {
  return atomic_load_explicit(counter, memory_order_relaxed);
}

tnr_group_stats tnr_group_get_stats(const tnr_group *group) {
  if (!group)
    return (tnr_group_stats){0};
  tnr_group_stats stats = {
      .completed = look(&group->completed),
      .failed = look(&group->failed),
      .canceled = look(&group->canceled),
      .running = look(&group->running),
      .queued = look(&group->queued),
      .submitted = look(&group->submitted),
  };
  uint64_t elsewhere =
      stats.completed + stats.failed + stats.canceled + stats.running + stats.queued;
  stats.waiting = stats.submitted > elsewhere ? stats.submitted - elsewhere : 0;
  return stats;
}
