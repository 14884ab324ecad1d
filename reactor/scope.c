#include "scope.h"

#include <stdlib.h>

#include "../devices/object.h"
#include "error.h"

typedef struct tnr_scope {
  struct tnr_scope *outer;
  tnr_object **handles; /* [capacity], `count` of them in use */
  size_t count, capacity;
} tnr_scope;

tnr_status tnr_scope_open(void) {
  tnr_thread *thread = tnr_thread_here();
  tnr_scope *scope = calloc(1, sizeof *scope);
  if (!scope)
    return tnr_error_raise(TNR_ENOMEM, "out of memory for a scope");
  tnr_thread_clean_up_at_end(thread);
  scope->outer = thread->scope;
  thread->scope = scope;
  return TNR_OK;
}

static void close_innermost(tnr_thread *thread) {
  tnr_scope *scope = thread->scope;
  thread->scope = scope->outer;
  while (scope->count > 0)
    tnr_object_release(scope->handles[--scope->count]);
  free(scope->handles);
  free(scope);
}

tnr_status tnr_scope_close(void) {
  tnr_thread *thread = tnr_thread_here();
  if (!thread->scope)
    return tnr_error_raise(TNR_EINVAL, "no scope is open on this thread");
  close_innermost(thread);
  return TNR_OK;
}

void tnr_scope_abandon_all(tnr_thread *thread) {
  while (thread->scope)
    close_innermost(thread);
}

static bool grow(tnr_scope *scope) {
  size_t capacity = scope->capacity ? 2 * scope->capacity : 16;
  tnr_object **handles = realloc(scope->handles, capacity * sizeof(*handles));
  if (!handles)
    return false;
  scope->handles = handles;
  scope->capacity = capacity;
  return true;
}

static bool has_room(tnr_scope *scope) {
  return scope->count < scope->capacity || grow(scope);
}

static bool add(tnr_scope *scope, tnr_object *handle) {
  if (!has_room(scope))
    return false;
  scope->handles[scope->count++] = handle;
  return true;
}

static void raise_full(const tnr_scope *scope) {
  tnr_error_raise(TNR_ENOMEM, "out of memory for a scope of %zu handles", scope->count + 1);
}

bool tnr_scope_reserve(void) {
  tnr_scope *scope = tnr_thread_here()->scope;
  if (!scope || has_room(scope))
    return true;
  raise_full(scope);
  return false;
}

void *tnr_scope_adopt(void *handle) {
  tnr_scope *scope = tnr_thread_here()->scope;
  if (!scope || !handle || add(scope, handle))
    return handle;
  tnr_object_release(handle);
  raise_full(scope);
  return NULL;
}

/* What is kept was usually made last. */
static bool take_out(tnr_scope *scope, const tnr_object *handle) {
  for (size_t i = scope->count; i-- > 0;)
    if (scope->handles[i] == handle) {
      for (; i + 1 < scope->count; i++)
        scope->handles[i] = scope->handles[i + 1];
      scope->count--;
      return true;
    }
  return false;
}

void *tnr_keep_handle(void *handle) {
  tnr_scope *scope = tnr_thread_here()->scope;
  if (!scope || !handle || !take_out(scope, handle) || !scope->outer)
    return handle;
  if (!add(scope->outer, handle)) {
    /* its place here is free: better released with this scope than lost */
    (void)add(scope, handle);
    raise_full(scope->outer);
    return NULL;
  }
  return handle;
}

void tnr_scope_disown(const void *handle) {
  tnr_scope *scope = tnr_thread_here()->scope;
  if (scope)
    (void)take_out(scope, handle);
}

void *tnr_scope_close_keeping(void *handle) {
  tnr_thread *thread = tnr_thread_here();
  if (handle && !take_out(thread->scope, handle))
    tnr_object_retain(handle);
  close_innermost(thread);
  return tnr_scope_adopt(handle);
}

tnr_value tnr_keep_value(tnr_value value) {
  return tnr_keep_handle(value.handle) ? value : (tnr_value){TNR_VALUE_NONE, NULL};
}

tnr_tensor *tnr_keep_tensor(tnr_tensor *handle) {
  return tnr_keep_handle(handle);
}

tnr_tuple *tnr_keep_tuple(tnr_tuple *handle) {
  return tnr_keep_handle(handle);
}

tnr_future *tnr_keep_future(tnr_future *handle) {
  return tnr_keep_handle(handle);
}

tnr_future_tuple *tnr_keep_future_tuple(tnr_future_tuple *handle) {
  return tnr_keep_handle(handle);
}

tnr_promise *tnr_keep_promise(tnr_promise *handle) {
  return tnr_keep_handle(handle);
}

tnr_group *tnr_keep_group(tnr_group *handle) {
  return tnr_keep_handle(handle);
}
