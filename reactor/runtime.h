/* The inside of a runtime: who owns what. */
#ifndef TENOR_REACTOR_RUNTIME_H
#define TENOR_REACTOR_RUNTIME_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>

#include "../devices/machine.h"
#include "inbox.h"
#include "lane.h"
#include "op.h"
#include "recorder.h"

struct tnr_runtime {
  tnr_machine machine;
  tnr_lane *lanes;   /* [machine.count]; see there */
  tnr_lane nowhere;  /* dispatcher only: no queue, but the epochs of what has no device yet */
  int64_t spin_ns;   /* immutable after create */
  bool worker_waits; /* immutable after create */
  tnr_recorder recorder;

  /* The dispatcher's side. */
  pthread_t dispatcher;                  /* immutable after create */
  struct event_base *base;               /* dispatcher only */
  struct event *wake_event;              /* dispatcher only: reads wake_fd */
  int wake_fd;                           /* immutable after create: an eventfd */
  tnr_parker sleep;                      /* the dispatcher sleeps, anybody wakes */
  tnr_inbox inbox;                       /* any thread → dispatcher */
  tnr_op_part *ready_first, *ready_last; /* dispatcher only: nothing missing, to be launched */
  uint64_t in_flight;          /* dispatcher only: ops, and other futures that wait for something */
  atomic_bool close_requested; /* atomic: no more calls; the dispatcher ends when all is complete */
  bool aborting;               /* dispatcher only: what was queued has been taken back */
  bool in_body;                /* dispatcher only: a composite's body runs, and may still submit */
  atomic_bool abort;           /* atomic: what has not started fails */
  tnr_error *aborted;          /* written before abort: the error of what fails so */

  /* atomic, relaxed: written by the dispatcher alone, read by whoever asks */
  _Atomic uint64_t submitted, completed, failed;
  /* atomic, relaxed: counted by whoever wakes the dispatcher */
  _Atomic uint64_t wakes;
};

static inline tnr_runtime *tnr_runtime_of_mesh(const tnr_mesh *mesh) {
  return tnr_mesh_machine(mesh)->runtime;
}

static inline tnr_lane *tnr_lane_of(const tnr_device *device) {
  return &((tnr_runtime *)device->machine->runtime)->lanes[device->index];
}

/* True on the dispatcher thread of this runtime. */
bool tnr_on_dispatcher(const tnr_runtime *runtime);

#endif
