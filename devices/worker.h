/* A device's worker: it runs what is on the device's in-order queues, on a thread of its own, or on
 * whichever thread makes its rounds. It knows nothing of what the items are. */
#ifndef TENOR_WORKER_H
#define TENOR_WORKER_H

#include <pthread.h>

#include <tenor/status.h>

#include "lookout.h"
#include "parker.h"
#include "pool.h"
#include "ring.h"

typedef struct tnr_worker tnr_worker;

/* How urgent an item is. Each level has a queue of its own, and each queue is in order; between the
 * queues there is none. */
typedef enum tnr_level {
  TNR_LEVEL_HIGH = 0,
  TNR_LEVEL_NORMAL,
  TNR_LEVEL_LOW,
  TNR_LEVELS
} tnr_level;

/* The next item is one of the highest level that has one; but once so many of higher levels have
 * passed over a level that has one, it is one of that level. */
enum { TNR_PASSED_OVER_MAX = 16 };

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
  tnr_lookout lookout;  /* the worker's; see there */
  tnr_thread_slot slot; /* immutable after create */
  pthread_t thread;     /* immutable after create; unused where there is none */
  int64_t asleep_until; /* worker only: ns of a virtual clock; 0: awake */
  int64_t held_ns;      /* worker only: see tnr_worker_may_hold */
  tnr_ring queues[TNR_LEVELS];      /* dispatcher → worker */
  uint32_t passed_over[TNR_LEVELS]; /* worker only: items of higher levels since its last one */
  tnr_ring done;                    /* worker → dispatcher */
  _Alignas(64) tnr_parker parker;   /* the worker sleeps, anybody wakes */
  atomic_bool stop;                 /* atomic */
};

/* How many items may be in the worker's hands at once: each takes one place in its queue, and up to
 * two in `done`. So many of each level. */
enum {
  TNR_WORKER_DEPTH = TNR_RING_SIZE / 2,
  TNR_WORKER_DEPTH_HIGH = TNR_WORKER_DEPTH / 4,
  TNR_WORKER_DEPTH_LOW = TNR_WORKER_DEPTH / 8,
  TNR_WORKER_DEPTH_NORMAL = TNR_WORKER_DEPTH - TNR_WORKER_DEPTH_HIGH - TNR_WORKER_DEPTH_LOW
};

static inline uint32_t tnr_worker_depth(tnr_level level) {
  return level == TNR_LEVEL_NORMAL ? TNR_WORKER_DEPTH_NORMAL
         : level == TNR_LEVEL_HIGH ? TNR_WORKER_DEPTH_HIGH
                                   : TNR_WORKER_DEPTH_LOW;
}

/* For so long what was given back may go unseen. */
enum { TNR_WORKER_HELD_NS_MAX = 1000000 };

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

/* Likewise: something waits; and what is next, or NULL. */
bool tnr_worker_has_work(const tnr_worker *worker);
void *tnr_worker_peek(tnr_worker *worker);

/* Whoever does its work: the virtual time until which it sleeps has come. What it has given back
 * since it fell asleep is seen now. */
void tnr_worker_awake(tnr_worker *worker);

/* The worker's own thread: hands an item back. Seen by the dispatcher after the next flush. */
void tnr_worker_give_back(tnr_worker *worker, void *item);

/* The worker's own thread: shows the dispatcher all that was given back, and wakes it if needed.
 * The worker does this by itself when its queue is empty and every so many items; it is for what
 * must not wait that long. */
void tnr_worker_flush(tnr_worker *worker);

/* The worker's own thread, before an item that takes about so long: whether what was given back may
 * go unseen until it has been run. */
static inline bool tnr_worker_may_go_on(const tnr_worker *worker, int64_t takes_ns) {
  return takes_ns < TNR_WORKER_HELD_NS_MAX - worker->held_ns;
}

/* The worker's own thread, to be asked once for each item that took so long, after it was run:
 * whether what was given back may go unseen a little longer. Yes while enough others wait, until
 * a millisecond has gone by. */
bool tnr_worker_may_hold(tnr_worker *worker, int64_t took_ns);

#endif
