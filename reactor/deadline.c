#include "deadline.h"

#include <event2/event.h>

#include "runtime.h"

static struct timeval timeval_of(int64_t ns) {
  int64_t us = ns / 1000 + 1;
  return (struct timeval){us / 1000000, us % 1000000};
}

/* ---- with threads: the base's ---- */

void tnr_deadlines_init(tnr_runtime *runtime) {
  tnr_deadlines *deadlines = &runtime->deadlines;
  deadlines->ring.next = deadlines->ring.previous = &deadlines->ring;
  struct timeval usual = timeval_of(runtime->op_timeout_ns);
  if (runtime->op_timeout_ns > 0 && runtime->mode == TNR_THREADS)
    deadlines->usual = event_base_init_common_timeout(runtime->base, &usual);
}

/* The runtime's own limit is that of all its ops, which libevent keeps in a list and not in a heap.
 */
static bool is_usual(const tnr_runtime *runtime, int64_t left) {
  enum { NEAR_NS = 1000000 };
  return runtime->deadlines.usual && left <= runtime->op_timeout_ns &&
         runtime->op_timeout_ns - left < NEAR_NS;
}

static bool add_timer(const tnr_runtime *runtime, struct event *event, int64_t at) {
  int64_t left = at - tnr_now_ns();
  struct timeval own = timeval_of(left > 0 ? left : 0);
  return event_add(event, is_usual(runtime, left) ? runtime->deadlines.usual : &own) == 0;
}

/* ---- without: the list ---- */

/* Behind those of the same time. Most come in order. */
static void link_deadline(tnr_deadlines *deadlines, tnr_deadline *deadline) {
  tnr_deadline *before = deadlines->ring.previous;
  while (before != &deadlines->ring && before->at > deadline->at)
    before = before->previous;
  deadline->previous = before;
  deadline->next = before->next;
  before->next->previous = deadline;
  before->next = deadline;
}

static void unlink_deadline(tnr_deadline *deadline) {
  deadline->previous->next = deadline->next;
  deadline->next->previous = deadline->previous;
  deadline->next = NULL;
}

int64_t tnr_deadlines_next(const tnr_runtime *runtime) {
  const tnr_deadline *ring = &runtime->deadlines.ring;
  return ring->next == ring ? INT64_MAX : ring->next->at;
}

bool tnr_deadlines_fire(tnr_runtime *runtime) {
  bool any = false;
  while (tnr_deadlines_next(runtime) != INT64_MAX &&
         tnr_deadlines_next(runtime) <= tnr_machine_now(&runtime->machine)) {
    tnr_deadline *deadline = runtime->deadlines.ring.next;
    unlink_deadline(deadline);
    event_active(deadline->event, EV_TIMEOUT, 1);
    any = true;
  }
  return any;
}

/* ---- both ---- */

bool tnr_deadline_start(tnr_runtime *runtime, tnr_deadline *deadline, struct event *event,
                        int64_t at) {
  *deadline = (tnr_deadline){.event = event, .at = at};
  if (runtime->mode == TNR_THREADS)
    return add_timer(runtime, event, at);
  link_deadline(&runtime->deadlines, deadline);
  return true;
}

void tnr_deadline_stop(tnr_deadline *deadline) {
  if (!deadline->event)
    return;
  if (deadline->next)
    unlink_deadline(deadline);
  else
    (void)event_del(deadline->event);
}
