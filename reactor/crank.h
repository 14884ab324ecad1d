/* How a runtime without threads gets on. Whoever waits for something of it turns its crank, one
 * thread at a time; the others sleep until they have what they wait for, or it is up to them to
 * turn. */
#ifndef TENOR_REACTOR_CRANK_H
#define TENOR_REACTOR_CRANK_H

#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>

#include "turn.h"

/* Somebody who is told, while nobody turns the crank, whether there is something to turn it for,
 * and when the next deadline is (INT64_MAX: none, or time does not pass by itself). Called by any
 * thread, again and again, with the crank's lock held: it may do no more than write to a
 * descriptor, under a lock with which nobody calls in here. Embedded in what it is about. */
typedef struct tnr_watcher {
  struct tnr_watcher *next; /* guarded by the crank's lock */
  void (*tell)(struct tnr_watcher *watcher, bool work, int64_t next);
} tnr_watcher;

typedef struct tnr_crank {
  tnr_turns turns;    /* of the thread that turns */
  struct event limit; /* dispatcher only: ends its sleep when the time allowed is over */
  atomic_bool ended;  /* atomic; set by the thread that turns: there is nothing left to turn for */
  pthread_mutex_t lock;
  pthread_cond_t quiet; /* nobody waits or turns any more */
  bool turned;          /* guarded by lock: a thread turns it */
  struct tnr_sleeper
      *sleepers;         /* guarded by lock: all threads that wait, also the one that turns */
  tnr_watcher *watchers; /* guarded by lock */
} tnr_crank;

/* A seed of 0 is the natural order. On failure nothing is left behind. */
tnr_status tnr_crank_init(tnr_runtime *runtime, uint64_t seed, tnr_fault *fault);

/* The last handle is gone, and so no call is under way. */
void tnr_crank_finish(tnr_runtime *runtime);

/* Any thread that may block (tnr_wait_refused): until over(what) is true. It is asked on any thread
 * while this one waits. TNR_ETIMEDOUT: it is not at `deadline` (tnr_machine_now; INT64_MAX: never);
 * a kernel that runs longer is not interrupted. TNR_ECLOSED: it never will be, since the runtime
 * has ended. Sets no tnr_error(). */
tnr_status tnr_crank_wait(tnr_runtime *runtime, bool (*over)(const void *what), const void *what,
                          int64_t deadline) TNR_MUST_USE;

/* The closed runtime: turns until everything is complete, and all threads have left. */
void tnr_crank_run_out(tnr_runtime *runtime);

/* Any thread: one turn. False when there was nothing to do, or another thread is at it, or this one
 * already serves the runtime. */
bool tnr_crank_step(tnr_runtime *runtime);

/* Any thread, in any mode: calls fn(user) as the dispatcher, which does nothing else. False when it
 * was not called: there are threads, or the runtime has ended, or another thread is at it. */
bool tnr_crank_borrow(tnr_runtime *runtime, void (*fn)(void *user), void *user);

/* Any thread: turns once, and on until there is nothing to do, or enough(what) is true, which is
 * asked after each turn. Another thread that is at it is left to it. */
void tnr_crank_work(tnr_runtime *runtime, bool (*enough)(const void *what), const void *what);

/* Any thread, after it has made `over` of a tnr_crank_wait true by itself: calls those who sleep
 * and may go. True when a thread turns and may be about to sleep in the event base; has to be
 * woken. */
bool tnr_crank_look_again(tnr_runtime *runtime);

/* Any thread: nothing is left to turn for, ever. */
bool tnr_crank_has_ended(const tnr_runtime *runtime);

/* Any thread, after something came into the inbox of a runtime that wants to be told: tells its
 * watchers. True when a thread sleeps in the event base instead, which has to be woken. */
bool tnr_crank_call(tnr_runtime *runtime);

/* Any thread. `watcher` is told at once if there is something to do. */
void tnr_crank_watch(tnr_runtime *runtime, tnr_watcher *watcher);
void tnr_crank_unwatch(tnr_runtime *runtime, tnr_watcher *watcher);

/* The thread that turns, in virtual time, when nothing else is left to do at this moment: the waits
 * whose deadline it is end. False when there is none. */
bool tnr_crank_end_late_waits(tnr_runtime *runtime);

/* The thread that turns: the earliest deadline of a thread that waits, of those yet to come;
 * INT64_MAX: none. */
int64_t tnr_crank_next_deadline(tnr_runtime *runtime);

#endif
