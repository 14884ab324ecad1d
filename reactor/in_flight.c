#include "in_flight.h"

#include <stdlib.h>

#include "runtime.h"

void tnr_pending_add(tnr_pending *pending, tnr_future *future) {
  tnr_runtime *runtime = future->runtime;
  *pending = (tnr_pending){runtime->pending, &runtime->pending, future};
  if (pending->next)
    pending->next->link = &pending->next;
  runtime->pending = pending;
}

void tnr_pending_remove(tnr_pending *pending) {
  *pending->link = pending->next;
  if (pending->next)
    pending->next->link = pending->link;
}

void tnr_pending_visit(tnr_runtime *runtime, tnr_future_visit *visit, void *user) {
  for (const tnr_pending *pending = runtime->pending; pending; pending = pending->next)
    visit(pending->future, user);
  tnr_promises_visit(runtime, visit, user);
}

/* ---- one walk ---- */

typedef struct walk {
  tnr_found *found;
  size_t limit;
} walk;

static bool has_room(const walk *w) {
  tnr_found *found = w->found;
  if (found->count == w->limit)
    return false;
  if (found->count < found->capacity)
    return true;
  size_t capacity = found->capacity ? 2 * found->capacity : 256;
  tnr_found_op *ops = realloc(found->ops, capacity * sizeof *ops);
  if (!ops)
    return false;
  found->ops = ops;
  found->capacity = capacity;
  return true;
}

static void add(const walk *w, tnr_op *op, bool begun) {
  if (op->future.seen)
    return;
  if (!has_room(w)) {
    w->found->complete = false;
    return;
  }
  op->future.seen = true;
  w->found->ops[w->found->count++] = (tnr_found_op){op, begun};
}

static void add_queued(tnr_op *op, bool begun, void *user) {
  add(user, op, begun);
}

static int add_active(const struct event_base *base, const struct event *event, void *user) {
  (void)base;
  tnr_op *op = tnr_op_of_event(event);
  if (op)
    add(user, op, true);
  return 0;
}

static void add_waiting(const walk *w, const tnr_future *future) {
  tnr_waiter *waiter = future->last_waiter;
  if (!waiter)
    return;
  do {
    waiter = waiter->next;
    if (waiter->input != TNR_WAITER_LISTENS)
      add(w, tnr_op_of_waiter(waiter), false);
  } while (waiter != future->last_waiter);
}

static void add_waiting_for(tnr_future *future, void *user) {
  add_waiting(user, future);
}

void tnr_found_init(tnr_found *found, tnr_runtime *runtime, size_t limit) {
  walk w = {found, limit};
  *found = (tnr_found){.complete = true};
  for (int i = 0; i < runtime->machine.count; i++)
    tnr_lane_visit_all(&runtime->lanes[i], add_queued, &w);
  for (tnr_op_part *part = runtime->ready_first; part; part = part->next)
    add(&w, part->op, false);
  if (event_base_get_num_events(runtime->base, EVENT_BASE_COUNT_ACTIVE) > 0)
    event_base_foreach_event(runtime->base, add_active, &w);
  tnr_pending_visit(runtime, add_waiting_for, &w);
  for (size_t i = 0; i < found->count; i++)
    add_waiting(&w, &found->ops[i].op->future);
}

void tnr_found_finish(tnr_found *found) {
  for (size_t i = 0; i < found->count; i++)
    found->ops[i].op->future.seen = false;
  free(found->ops);
}
