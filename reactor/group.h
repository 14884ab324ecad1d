/* Groups of ops. */
#ifndef TENOR_REACTOR_GROUP_H
#define TENOR_REACTOR_GROUP_H

#include "../devices/spin.h"
#include "inbox.h"
#include "terms.h"

enum { TNR_GROUP_TITLE_MAX = 64 };

struct tnr_group {
  tnr_object object;
  tnr_runtime *runtime;  /* immutable after create */
  tnr_group *parent;     /* immutable after create: retained, or NULL */
  int64_t deadline;      /* immutable after create: CLOCK_MONOTONIC, ns; INT64_MAX: none */
  int64_t limit;         /* immutable after create: what it allowed when it began, ns */
  tnr_priority priority; /* immutable after create */
  char title[TNR_GROUP_TITLE_MAX]; /* immutable after create: "group 'name'" or "its group" */

  tnr_spin lock;
  tnr_group *children;                /* guarded by lock: the first */
  tnr_group *sibling, **sibling_link; /* guarded by the parent's lock */

  tnr_held_terms *members;  /* dispatcher only: what is in flight, but for that of children */
  uint64_t open;            /* dispatcher only: how much is in flight, that of children included */
  struct tnr_done *awaited; /* dispatcher only: the first of those who wait for open to be 0 */
  tnr_error *error;         /* dispatcher only: it has been cancelled; retained, or NULL */

  /* atomic, relaxed: the dispatcher's, and read by whoever asks */
  _Atomic uint64_t submitted, completed, failed, canceled;
  /* atomic, relaxed: counted by the dispatcher and by workers, and read by whoever asks */
  _Atomic uint64_t queued, running;
};

/* Dispatcher: what holds these terms is in flight from now on; is about to complete, an op; is
 * complete. */
void tnr_group_enter(tnr_group *group, tnr_held_terms *held);
void tnr_group_count_end(tnr_group *group, tnr_future *op);
void tnr_group_leave(tnr_group *group, tnr_held_terms *held);

#endif
