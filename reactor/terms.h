/* Terms: what an op was submitted under. Ops without a group and a deadline hold none, and pay
 * nothing for it. */
#ifndef TENOR_REACTOR_TERMS_H
#define TENOR_REACTOR_TERMS_H

#include <event2/event_struct.h>
#include <stdatomic.h>

#include <tenor/request.h>

#include "../devices/worker.h"
#include "deadline.h"
#include "future.h"
#include "thread.h"

/* Terms that are open on a thread, with what they inherit. All of it the thread's. */
typedef struct tnr_thread_terms {
  struct tnr_thread_terms *outer;
  tnr_group *group;   /* retained, or NULL */
  int64_t timeout_ns; /* 0: the runtime's default; negative: none */
  tnr_level level;
} tnr_thread_terms;

typedef enum tnr_phase {
  TNR_PHASE_WAITING = 0,
  TNR_PHASE_QUEUED,
  TNR_PHASE_RUNNING,
  TNR_PHASE_OVER
} tnr_phase;

/* Stands behind the attributes of an op with terms, and in a composite that waits. */
typedef struct tnr_held_terms {
  tnr_future *future; /* immutable after create: whose terms they are; borrowed */
  tnr_group *group;   /* immutable after create: retained, or NULL */
  int64_t since;      /* immutable after create: when it was submitted; CLOCK_MONOTONIC, ns */
  int64_t limit;      /* immutable after create: how long it may wait to start, ns; INT64_MAX: for
                       * ever, but for the group's deadline */
  struct tnr_held_terms *next, **link; /* dispatcher only: in the group's list; link NULL: not */
  tnr_deadline deadline;               /* dispatcher only */
  _Atomic uint8_t phase;               /* atomic: a tnr_phase; ops only */
} tnr_held_terms;

/* Any thread: is what it submits to this runtime to hold terms? */
bool tnr_terms_bind(const tnr_runtime *runtime);

/* Any thread: the queue for what it submits now. */
tnr_level tnr_terms_level(const tnr_runtime *runtime);

/* Any thread: takes hold of the open terms for a future that is about to be submitted. TNR_EINVAL
 * with tnr_error() when the group belongs to another runtime: nothing is to be finished then. */
tnr_status tnr_terms_hold(tnr_held_terms *held, tnr_future *future, const char *op, tnr_site site);
void tnr_terms_finish(tnr_held_terms *held);

/* Closes all that are open on a thread that ends. */
void tnr_terms_abandon_all(tnr_thread *thread);

/* ---- dispatcher only ---- */

/* It is in flight from now on: it counts in its group, and `timer` will fire at its deadline. NULL,
 * or why it is to be ended at once: a reference. */
tnr_error *tnr_terms_arrive(tnr_held_terms *held, struct event *timer);

/* The same for what has ended already: only its group hears of it. */
void tnr_terms_arrive_ended(tnr_held_terms *held);

/* It is on a device's queue. */
void tnr_terms_launched(tnr_held_terms *held);

/* Its timer has fired. NULL when it runs already, or the timer was early and has been started
 * again; else its error, a reference. */
tnr_error *tnr_terms_expire(tnr_held_terms *held);

/* Until when it has to start: CLOCK_MONOTONIC, ns; INT64_MAX: whenever. */
int64_t tnr_terms_deadline(const tnr_held_terms *held);

/* It is about to complete: it counts as such before anybody hears of it. */
void tnr_terms_count_end(tnr_held_terms *held);

/* It is complete. */
void tnr_terms_end(tnr_held_terms *held);

/* What the future submits from now on, on this thread, is under its terms (NULL: none but its
 * level), until it is left. `frame` is the caller's memory. */
void tnr_terms_enter(tnr_thread_terms *frame, const tnr_future *future, const tnr_held_terms *held);
void tnr_terms_leave(const tnr_thread_terms *frame);

/* ---- worker only ---- */

/* A part of it runs. */
void tnr_terms_started(tnr_held_terms *held);

#endif
