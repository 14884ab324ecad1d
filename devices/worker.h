/* A device's worker: it runs what is on the device's in-order queue, on a thread of its own, or on
 * whichever thread makes its rounds. It knows nothing of what the items are. */
#ifndef TENOR_WORKER_H
#define TENOR_WORKER_H

#include <pthread.h>

#include <tenor/status.h>

#include "parker.h"
#include "pool.h"
#include "ring.h"

typedef struct tnr_worker tnr_worker;

/* What the reactor does with items, and how it is told of finished ones. Immutable. */
typedef struct tnr_worker_duty {
  void (*start)(void *user, tnr_worker *worker);           /* on the worker, first */
  void (*run)(void *user, tnr_worker *worker, void *item); /* on the worker */
  void (*finish)(void *user, tnr_worker *worker);          /* on the worker, last */
  void (*wake_dispatcher)(void *user);                     /* on the worker, after a publish */
  void *user;
} tnr_worker_duty;

struct tnr_worker {
  tnr_worker_duty duty; /* immutable after create */
  const char *name;     /* immutable after create: the thread's, for debuggers and profilers */
  int64_t spin_ns;      /* immutable after create */
  int looks;            /* immutable after create: tnr_parker_looks */
  tnr_thread_slot slot; /* immutable after create */
  pthread_t thread;     /* immutable after create; unused where there is none */
  int64_t asleep_until; /* worker only: ns of a virtual clock; 0: awake */
  tnr_ring queue;       /* dispatcher → worker */
  tnr_ring done;        /* worker → dispatcher */
  _Alignas(64) tnr_parker parker; /* the worker sleeps, the dispatcher wakes */
  atomic_bool stop;               /* atomic */
};

/* How many items may be in the worker's hands at once: each takes one place in `queue`, and up to
 * two in `done`. */
enum { TNR_WORKER_DEPTH = TNR_RING_SIZE / 2 };

/* `worker` is the caller's memory, all zero, as is `name`. */
void tnr_worker_init(tnr_worker *worker, const tnr_worker_duty *duty, tnr_thread_slot slot,
                     const char *name, int64_t spin_ns);

/* Starts the thread. TNR_ESYSTEM when there is none to be had. */
tnr_status tnr_worker_start(tnr_worker *worker);

/* Ends the thread once its queue is empty, and waits for that. */
void tnr_worker_stop(tnr_worker *worker);

/* The worker's own thread, or without one whoever does its work: runs what waits, in order, at most
 * `limit` items of it, and shows it to the dispatcher. False when nothing waited. */
bool tnr_worker_round(tnr_worker *worker, uint32_t limit);

/* Whoever does its work: the virtual time until which it sleeps has come. What it has given back
 * since it fell asleep is seen now. */
void tnr_worker_awake(tnr_worker *worker);

/* The worker's own thread: hands an item back. Seen by the dispatcher after the next flush. */
void tnr_worker_give_back(tnr_worker *worker, void *item);

/* The worker's own thread: shows the dispatcher all that was given back, and wakes it if needed.
 * The worker does this by itself when its queue is empty and every so many items; it is for what
 * must not wait that long. */
void tnr_worker_flush(tnr_worker *worker);

#endif
