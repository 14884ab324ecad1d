/* What is in flight and how much of it may be. Only where a runtime has limits: `on` is asked
 * first, by who calls in here. */
#ifndef TENOR_REACTOR_BOUNDS_H
#define TENOR_REACTOR_BOUNDS_H

#include <pthread.h>

#include <tenor/bounds.h>

#include "../devices/storage.h"

typedef struct tnr_op tnr_op;

/* Of the runtime, or of one device. */
typedef struct tnr_share {
  tnr_limits most;   /* immutable after create */
  tnr_in_flight now; /* guarded by the bounds' lock */
  int64_t sure;      /* guarded by the bounds' lock: ops whose outputs a worker has allocated, and
                      * which complete though nothing else gets on */
} tnr_share;

/* What is to come: `ops` of them on these devices (NULL: not known), with so many bytes on each. */
typedef struct tnr_want {
  const tnr_mesh *mesh;
  int64_t ops, bytes;
} tnr_want;

typedef struct tnr_bounds {
  bool on;           /* immutable after create */
  bool refuses;      /* immutable after create: calls fail instead of waiting */
  tnr_share all;     /* the runtime's */
  tnr_share *shares; /* [devices] */
  pthread_mutex_t lock;
  pthread_cond_t room;           /* calls and workers sleep; whoever makes room wakes */
  int sleepers;                  /* guarded by lock: threads that do */
  struct tnr_writable *writable; /* guarded by lock: who wants to hear of room, the oldest first */
  int posting;                   /* guarded by lock: threads that are telling some of them */
  tnr_want refused;              /* guarded by lock: the last call that was; ops 0: none, or there
                                  * has been room for it since */
  uint64_t rooms;                /* guarded by lock: how often there has */
  bool closed;                   /* guarded by lock: nobody waits any more */
} tnr_bounds;

/* With `all` as the runtime's limits, and none of devices. TNR_ENOMEM: nothing is left behind. */
tnr_status tnr_bounds_init(tnr_runtime *runtime, tnr_limits all, bool refuses, tnr_fault *fault);
void tnr_bounds_limit_device(tnr_runtime *runtime, int device, tnr_limits limits);
void tnr_bounds_finish(tnr_runtime *runtime);

/* Any thread, before the runtime takes no calls any more. */
void tnr_bounds_close(tnr_runtime *runtime);

/* Any thread, with the lock held: whether there is room for it now. */
bool tnr_bounds_fits(tnr_bounds *bounds, const tnr_want *want);

/* ---- an op; also where nothing is limited for what it needs ---- */

/* Any thread, for a call: counts the op in once there is room. TNR_EAGAIN, with tnr_error(): there
 * is none, and it is not to be waited for. */
tnr_status tnr_bounds_admit(tnr_op *op) TNR_MUST_USE;

/* Any thread: counts the op in, unless it is already. */
void tnr_bounds_count(tnr_op *op);

/* A worker, or the thread of a plain call, before it allocates the outputs: `bytes` on each device
 * of the mesh; waits for room. TNR_EINVAL: there never is. TNR_EAGAIN: as above. */
tnr_status tnr_bounds_hold(tnr_op *op, const tnr_mesh *mesh, size_t bytes,
                           tnr_fault *fault) TNR_MUST_USE;

/* They could not be allocated. */
void tnr_bounds_drop(tnr_op *op, const tnr_mesh *mesh);

/* Who gives it up. */
void tnr_bounds_leave(tnr_op *op);

/* The dispatcher, when it is complete: releases its reference, which may free the outputs, and then
 * makes room. */
void tnr_bounds_release(tnr_op *op);

/* ---- other things ---- */

/* Any thread, for a composite's call: waits until there is room for one op on `mesh`, as admit. */
tnr_status tnr_bounds_await(tnr_runtime *runtime, const tnr_mesh *mesh, const char *name,
                            tnr_site site) TNR_MUST_USE;

/* A future that is in flight as an op is, on no device. */
void tnr_bounds_count_one(tnr_runtime *runtime);
void tnr_bounds_leave_one(tnr_runtime *runtime);

/* Who plays a worker: it should leave the device alone until something is complete. */
bool tnr_bounds_hold_back(tnr_runtime *runtime, int device);

#endif
