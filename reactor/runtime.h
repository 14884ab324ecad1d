/* The inside of a runtime: who owns what. */
#ifndef TENOR_REACTOR_RUNTIME_H
#define TENOR_REACTOR_RUNTIME_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>

#include <tenor/timeline.h>

#include "../devices/machine.h"
#include "bounds.h"
#include "crank.h"
#include "deadline.h"
#include "inbox.h"
#include "lane.h"
#include "latency.h"
#include "mailbox.h"
#include "op.h"
#include "promise.h"
#include "recorder.h"
#include "thread.h"

/* Whom to tell what happens. */
typedef struct tnr_timeline {
  tnr_timeline_fn *write; /* immutable after create; NULL: nobody */
  void *user;             /* immutable after create */
  pthread_mutex_t lock;   /* held while `write` is called */
  uint32_t submitted;     /* guarded by lock: ops */
} tnr_timeline;

/* What different threads write stands on cache lines of its own. */
struct tnr_runtime {
  tnr_machine machine;

  /* Read by everybody, hardly ever written. */
  _Alignas(64) tnr_lane *lanes; /* [machine.count]; see there */
  tnr_lookout lookout;          /* the dispatcher's */
  tnr_lookout waiters;          /* of all threads that wait for results; they look twice as long */
  tnr_mode mode;                /* immutable after create */
  bool worker_waits;            /* immutable after create */
  bool serves_viewers;          /* immutable after create: see live.h */
  int64_t op_timeout_ns;        /* immutable after create; 0: none */
  atomic_bool close_requested; /* atomic: no more calls; the dispatcher ends when all is complete */
  atomic_bool abort;           /* atomic: what has not started fails */
  atomic_bool dispatcher_ended; /* atomic */
  atomic_int dumps;             /* atomic: calls of tnr_runtime_dump under way */
  tnr_error *aborted;           /* written before abort: the error of what fails so */
  pthread_t dispatcher;         /* immutable after create; unused without threads */
  int wake_fd;                  /* immutable after create: an eventfd */
  tnr_timeline timeline;
  tnr_bounds bounds;
  tnr_crank crank; /* where there are no threads */

  _Alignas(64) tnr_parker sleep; /* the dispatcher sleeps, anybody wakes */
  _Atomic uint64_t wakes;        /* atomic, relaxed: counted by whoever wakes the dispatcher */

  tnr_inbox inbox;       /* any thread → dispatcher */
  tnr_mailbox mail;      /* any thread → dispatcher: what must not fail */
  tnr_promises promises; /* any thread */

  /* dispatcher only */
  _Alignas(64) struct event_base *base;
  struct event *wake_event;              /* reads wake_fd */
  tnr_op_part *ready_first, *ready_last; /* nothing missing, to be launched */
  tnr_flights flights;
  uint64_t in_flight; /* ops, and other futures that wait for something */
  /* An input of completed ops, and how many references they held: given back together, since
   * weights are the input of many ops in turn. */
  tnr_object *dropped;
  uint32_t drops;
  tnr_mailbox *unraised;       /* filled in this turn, to be told */
  struct tnr_pending *pending; /* of what is in flight, the futures that ops may wait for */
  tnr_deadlines deadlines;
  int64_t sweep_after; /* not before; CLOCK_MONOTONIC, ns */
  bool sweep;          /* see tnr_cancel_sweep */
  bool aborting;       /* what was queued has been taken back */
  bool in_body;        /* a composite's body runs, and may still submit */
  tnr_lane nowhere;    /* no queue, but the epochs of what has no device yet */

  /* atomic, relaxed: written by the dispatcher alone, read by whoever asks */
  _Atomic uint64_t submitted, completed, failed;

  struct tnr_live *live; /* immutable after create, until its dispatcher has ended; or NULL */
  tnr_latency latency;
  tnr_recorder recorder;
};

static inline tnr_runtime *tnr_runtime_of_mesh(const tnr_mesh *mesh) {
  return tnr_mesh_machine(mesh)->runtime;
}

static inline tnr_lane *tnr_lane_of(const tnr_device *device) {
  return &((tnr_runtime *)device->machine->runtime)->lanes[device->index];
}

/* True on the dispatcher thread of this runtime, or on a thread that plays it, be it under a role
 * in another one. */
static inline bool tnr_on_dispatcher(const tnr_runtime *runtime) {
  const tnr_thread *thread = tnr_thread_here();
  return thread->dispatcher_of == runtime ||
         (thread->outer && tnr_thread_service(runtime) == TNR_SERVES_AS_DISPATCHER);
}

#endif
