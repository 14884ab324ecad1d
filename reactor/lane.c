#include "lane.h"

#include "op.h"
#include "record.h"

void tnr_lane_init(tnr_lane *lane, tnr_device *device) {
  lane->device = device;
  lane->oldest = lane->newest = &lane->first_epoch;
}

static tnr_ring *ring_of(const tnr_lane *lane, int level) {
  return &lane->device->worker.queues[level];
}

static void wake(tnr_lane *lane) {
  if (!tnr_parker_wake(&lane->device->worker.parker))
    return;
  /* relaxed: a counter */
  atomic_fetch_add_explicit(&lane->wakes, 1, memory_order_relaxed);
  tnr_record_wake(lane->device->machine->runtime, lane->device);
}

void tnr_lane_expect(tnr_lane *lane) {
  if (tnr_lookout_looks_beside(&lane->device->worker.lookout, tnr_now_ns()))
    wake(lane);
}

static void publish(tnr_lane *lane, tnr_level level) {
  lane->queues[level].unpublished = 0;
  tnr_ring_publish(ring_of(lane, (int)level));
  wake(lane);
}

static void hand_over(tnr_lane *lane, tnr_level level, tnr_op_part *part) {
  enum { PUBLISH_EVERY = 64 };
  tnr_lane_queue *queue = &lane->queues[level];
  tnr_ring_push(ring_of(lane, (int)level), (void *)tnr_op_item_of(part));
  queue->in_hand++;
  if (++queue->unpublished == PUBLISH_EVERY)
    publish(lane, level);
}

void tnr_lane_push(tnr_lane *lane, tnr_level level, tnr_op_part *part) {
  tnr_lane_queue *queue = &lane->queues[level];
  tnr_count(&lane->launched);
  if (!queue->first && queue->in_hand < tnr_worker_depth(level)) {
    hand_over(lane, level, part);
    return;
  }
  part->next = NULL;
  *(queue->first ? &queue->last->next : &queue->first) = part;
  queue->last = part;
}

void tnr_lane_returned(tnr_lane *lane, tnr_level level) {
  tnr_lane_queue *queue = &lane->queues[level];
  queue->in_hand--;
  tnr_op_part *part = queue->first;
  if (!part)
    return;
  queue->first = part->next;
  if (queue->first) /* it may have waited for long */
    tnr_prefetch(queue->first);
  hand_over(lane, level, part);
}

void tnr_lane_publish(tnr_lane *lane) {
  for (int level = 0; level < TNR_LEVELS; level++)
    if (lane->queues[level].unpublished)
      publish(lane, (tnr_level)level);
}

/* Moves the leaving parts of one queue to the end of a list; returns the new end. */
static tnr_op_part **take_back(tnr_lane_queue *queue, bool (*leaves)(const tnr_op_part *part),
                               tnr_op_part **end) {
  tnr_op_part **stay = &queue->first, *last = NULL;
  for (tnr_op_part *part = queue->first, *next; part; part = next) {
    next = part->next;
    if (leaves(part)) {
      *end = part;
      end = &part->next;
    } else {
      *stay = last = part;
      stay = &part->next;
    }
  }
  *stay = NULL;
  queue->last = last;
  return end;
}

tnr_op_part *tnr_lane_take_back(tnr_lane *lane, bool (*leaves)(const tnr_op_part *part)) {
  tnr_op_part *first = NULL, **end = &first;
  for (int level = 0; level < TNR_LEVELS; level++)
    end = take_back(&lane->queues[level], leaves, end);
  *end = NULL;
  for (const tnr_op_part *part = first; part; part = part->next)
    tnr_count(&lane->left);
  return first;
}

void tnr_lane_visit_all(const tnr_lane *lane, tnr_lane_visit *visit, void *user) {
  for (int level = 0; level < TNR_LEVELS; level++) {
    const tnr_lane_queue *queue = &lane->queues[level];
    const tnr_ring *ring = ring_of(lane, level);
    /* a place that the worker has left still holds its part, which has not come back */
    for (uint32_t i = ring->pushed - queue->in_hand; i != ring->pushed; i++)
      visit(tnr_op_item_op((tnr_op_item)ring->slots[i % TNR_RING_SIZE]), tnr_ring_has_left(ring, i),
            user);
    for (tnr_op_part *part = queue->first; part; part = part->next)
      visit(part->op, false, user);
  }
}

void tnr_lane_begin_epoch(tnr_lane *lane, tnr_epoch *epoch) {
  epoch->next = NULL;
  epoch->open = 0;
  lane->newest->next = epoch;
  lane->newest = epoch;
  tnr_lane_settle_epochs(lane);
}

void tnr_lane_settle_epochs(tnr_lane *lane) {
  while (lane->oldest != lane->newest && lane->oldest->open == 0) {
    tnr_epoch *done = lane->oldest;
    lane->oldest = done->next;
    lane->oldest->reached(lane->oldest);
    if (done->retired)
      done->retired(done);
  }
}
