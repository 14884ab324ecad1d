#include "lane.h"

#include "op.h"
#include "record.h"

void tnr_lane_init(tnr_lane *lane, tnr_device *device) {
  lane->device = device;
  lane->oldest = lane->newest = &lane->first_epoch;
}

static void hand_over(tnr_lane *lane, tnr_op_part *part) {
  enum { PUBLISH_EVERY = 64 };
  tnr_ring_push(&lane->device->worker.queue, (void *)tnr_op_item_of(part));
  lane->unpublished = true;
  if (++lane->in_hand % PUBLISH_EVERY == 0)
    tnr_lane_publish(lane);
}

void tnr_lane_push(tnr_lane *lane, tnr_op_part *part) {
  if (!lane->first && lane->in_hand < TNR_WORKER_DEPTH) {
    hand_over(lane, part);
    return;
  }
  part->next = NULL;
  *(lane->first ? &lane->last->next : &lane->first) = part;
  lane->last = part;
}

void tnr_lane_returned(tnr_lane *lane) {
  lane->in_hand--;
  tnr_op_part *part = lane->first;
  if (!part)
    return;
  lane->first = part->next;
  if (lane->first) { /* it may have waited for long */
    tnr_prefetch(lane->first);
    tnr_op_prefetch(lane->first->op);
  }
  hand_over(lane, part);
}

void tnr_lane_publish(tnr_lane *lane) {
  if (!lane->unpublished)
    return;
  lane->unpublished = false;
  tnr_ring_publish(&lane->device->worker.queue);
  if (tnr_parker_wake(&lane->device->worker.parker))
    tnr_record_wake(lane->device->machine->runtime, lane->device);
}

tnr_op_part *tnr_lane_take_back(tnr_lane *lane) {
  tnr_op_part *first = lane->first;
  lane->first = lane->last = NULL;
  return first;
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
