#include "terms.h"

#include <stdlib.h>

#include "error.h"
#include "group.h"
#include "runtime.h"

/* ---- open on a thread ---- */

static tnr_level level_of(tnr_priority priority) {
  switch (priority) {
  case TNR_PRIORITY_HIGH:
    return TNR_LEVEL_HIGH;
  case TNR_PRIORITY_LOW:
    return TNR_LEVEL_LOW;
  case TNR_PRIORITY_NORMAL:
  case TNR_PRIORITY_INHERITED:
    break;
  }
  return TNR_LEVEL_NORMAL;
}

static void inherit(tnr_thread_terms *made, const tnr_terms *terms) {
  const tnr_thread_terms *outer = made->outer;
  made->group = terms->group ? terms->group : outer ? outer->group : NULL;
  made->timeout_ns = terms->timeout_ns ? terms->timeout_ns : outer ? outer->timeout_ns : 0;
  if (terms->priority != TNR_PRIORITY_INHERITED)
    made->level = level_of(terms->priority);
  else if (terms->group && terms->group->priority != TNR_PRIORITY_INHERITED)
    made->level = level_of(terms->group->priority);
  else
    made->level = outer ? outer->level : TNR_LEVEL_NORMAL;
}

static tnr_status check(const tnr_terms *terms) {
  if (!terms)
    return tnr_error_raise(TNR_EINVAL, "terms_open: the terms are NULL");
  if (terms->priority < TNR_PRIORITY_INHERITED || terms->priority > TNR_PRIORITY_LOW)
    return tnr_error_raise(TNR_EINVAL, "terms_open: %d is no priority", (int)terms->priority);
  return TNR_OK;
}

tnr_status tnr_terms_open_with(const tnr_terms *terms) {
  tnr_thread *thread = tnr_thread_here();
  tnr_status status = check(terms);
  if (status != TNR_OK)
    return status;
  tnr_thread_terms *made = malloc(sizeof *made);
  if (!made)
    return tnr_error_raise(TNR_ENOMEM, "out of memory for terms");
  made->outer = thread->terms;
  inherit(made, terms);
  if (made->group)
    tnr_object_retain(&made->group->object);
  tnr_thread_clean_up_at_end(thread);
  thread->terms = made;
  return TNR_OK;
}

static void close_innermost(tnr_thread *thread) {
  tnr_thread_terms *innermost = thread->terms;
  thread->terms = innermost->outer;
  if (innermost->group)
    tnr_object_release(&innermost->group->object);
  free(innermost);
}

tnr_status tnr_terms_close(void) {
  tnr_thread *thread = tnr_thread_here();
  if (!thread->terms || thread->terms == thread->borrowed_terms)
    return tnr_error_raise(TNR_EINVAL, "no terms are open on this thread");
  close_innermost(thread);
  return TNR_OK;
}

void tnr_terms_abandon_all(tnr_thread *thread) {
  while (thread->terms)
    close_innermost(thread);
}

/* ---- held by what is submitted ---- */

static int64_t timeout_here(const tnr_runtime *runtime) {
  const tnr_thread_terms *terms = tnr_thread_here()->terms;
  return terms && terms->timeout_ns ? terms->timeout_ns : runtime->op_timeout_ns;
}

bool tnr_terms_bind(const tnr_runtime *runtime) {
  const tnr_thread_terms *terms = tnr_thread_here()->terms;
  if (!terms)
    return runtime->op_timeout_ns > 0;
  return terms->group || timeout_here(runtime) > 0;
}

tnr_level tnr_terms_level(const tnr_runtime *runtime) {
  const tnr_thread_terms *terms = tnr_thread_here()->terms;
  return terms && !runtime->worker_waits ? terms->level : TNR_LEVEL_NORMAL;
}

tnr_status tnr_terms_hold(tnr_held_terms *held, tnr_future *future, const char *op, tnr_site site) {
  const tnr_thread_terms *terms = tnr_thread_here()->terms;
  tnr_group *group = terms ? terms->group : NULL;
  int64_t timeout = timeout_here(future->runtime);
  if (group && group->runtime != future->runtime)
    return tnr_error_raise_at(op, site, TNR_EINVAL,
                              "the group of the open terms belongs to another runtime");
  *held = (tnr_held_terms){
      .future = future,
      .group = group,
      .since = tnr_machine_now(&future->runtime->machine),
      .limit = timeout > 0 ? timeout : INT64_MAX,
  };
  if (group)
    tnr_object_retain(&group->object);
  return TNR_OK;
}

void tnr_terms_finish(tnr_held_terms *held) {
  if (held->group)
    tnr_object_release(&held->group->object);
}

void tnr_terms_enter(tnr_thread_terms *frame, const tnr_future *future,
                     const tnr_held_terms *held) {
  tnr_thread *thread = tnr_thread_here();
  *frame = (tnr_thread_terms){
      .outer = thread->terms,
      .group = held ? held->group : NULL,
      .timeout_ns = held && held->limit < INT64_MAX ? held->limit : TNR_NO_TIMEOUT,
      .level = future->level,
  };
  thread->terms = thread->borrowed_terms = frame;
}

void tnr_terms_leave(const tnr_thread_terms *frame) {
  tnr_thread *thread = tnr_thread_here();
  while (thread->terms != frame) /* what a body has opened and not closed */
    close_innermost(thread);
  thread->terms = frame->outer;
  thread->borrowed_terms = NULL;
}

int64_t tnr_terms_deadline(const tnr_held_terms *held) {
  int64_t own;
  if (__builtin_add_overflow(held->since, held->limit, &own))
    own = INT64_MAX;
  return held->group && held->group->deadline < own ? held->group->deadline : own;
}

/* ---- deadlines: dispatcher ---- */

static tnr_error *late(const tnr_held_terms *held) {
  tnr_fault fault;
  const tnr_group *group = held->group;
  if (group && group->deadline == tnr_terms_deadline(held))
    tnr_fail(&fault, TNR_ETIMEDOUT, "had not started when the %g ms of %s were over",
             (double)group->limit / 1e6, group->title);
  else
    tnr_fail(&fault, TNR_ETIMEDOUT, "had not started within %g ms", (double)held->limit / 1e6);
  return tnr_future_error_new(held->future, &fault);
}

static tnr_error *no_timer(const tnr_held_terms *held) {
  tnr_fault fault;
  tnr_fail(&fault, TNR_ENOMEM, "out of memory for its deadline");
  return tnr_future_error_new(held->future, &fault);
}

static tnr_error *meet_deadline(tnr_held_terms *held, struct event *timer) {
  int64_t at = tnr_terms_deadline(held);
  tnr_runtime *runtime = held->future->runtime;
  if (at == INT64_MAX)
    return NULL;
  if (at <= tnr_machine_now(&runtime->machine))
    return late(held);
  return tnr_deadline_start(runtime, &held->deadline, timer, at) ? NULL : no_timer(held);
}

tnr_error *tnr_terms_expire(tnr_held_terms *held) {
  /* relaxed: a worker that begins it at this moment is as good as one that began before */
  if (atomic_load_explicit(&held->phase, memory_order_relaxed) == TNR_PHASE_RUNNING)
    return NULL;
  return meet_deadline(held, held->deadline.event); /* once more if the timer was early */
}

/* ---- in flight: dispatcher ---- */

tnr_error *tnr_terms_arrive(tnr_held_terms *held, struct event *timer) {
  tnr_group *group = held->group;
  if (group)
    tnr_group_enter(group, held);
  for (; group; group = group->parent)
    if (group->error) {
      tnr_object_retain(tnr_error_object(group->error));
      return group->error;
    }
  return meet_deadline(held, timer);
}

void tnr_terms_arrive_ended(tnr_held_terms *held) {
  if (held->group)
    tnr_group_enter(held->group, held);
}

void tnr_terms_launched(tnr_held_terms *held) {
  atomic_store_explicit(&held->phase, TNR_PHASE_QUEUED, memory_order_relaxed);
  for (tnr_group *group = held->group; group; group = group->parent)
    atomic_fetch_add_explicit(&group->queued, 1, memory_order_relaxed);
}

void tnr_terms_started(tnr_held_terms *held) {
  uint8_t queued = TNR_PHASE_QUEUED;
  /* relaxed, as all of the counters */
  if (!atomic_compare_exchange_strong_explicit(&held->phase, &queued, TNR_PHASE_RUNNING,
                                               memory_order_relaxed, memory_order_relaxed))
    return;
  for (tnr_group *group = held->group; group; group = group->parent) {
    atomic_fetch_add_explicit(&group->running, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&group->queued, 1, memory_order_relaxed);
  }
}

void tnr_terms_count_end(tnr_held_terms *held) {
  uint8_t phase = atomic_exchange_explicit(&held->phase, TNR_PHASE_OVER, memory_order_relaxed);
  for (tnr_group *group = held->group; group; group = group->parent)
    if (phase == TNR_PHASE_QUEUED)
      atomic_fetch_sub_explicit(&group->queued, 1, memory_order_relaxed);
    else if (phase == TNR_PHASE_RUNNING)
      atomic_fetch_sub_explicit(&group->running, 1, memory_order_relaxed);
  if (held->group)
    tnr_group_count_end(held->group, held->future);
}

void tnr_terms_end(tnr_held_terms *held) {
  tnr_deadline_stop(&held->deadline);
  if (held->group)
    tnr_group_leave(held->group, held);
}
