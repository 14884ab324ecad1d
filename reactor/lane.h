/* One device as the dispatcher sees it: what it has launched there, and which epochs are open. All
 * of it dispatcher only, unless it says otherwise. */
#ifndef TENOR_REACTOR_LANE_H
#define TENOR_REACTOR_LANE_H

#include "plan.h"

typedef struct tnr_op tnr_op;
typedef struct tnr_op_part tnr_op_part;

/* Counts the op parts that came to one device between two calls of tnr_synchronize_device. */
typedef struct tnr_epoch {
  struct tnr_epoch *next;                   /* the younger one */
  uint64_t open;                            /* parts in it that are not complete */
  void (*reached)(struct tnr_epoch *epoch); /* all older epochs are complete; NULL for the first */
  void (*retired)(struct tnr_epoch *epoch); /* nothing points here any more; NULL for the first */
} tnr_epoch;

/* The parts of one level: in order, and in no order with those of other levels. */
typedef struct tnr_lane_queue {
  tnr_op_part *first, *last; /* launched, waiting for room in the worker's hands */
  uint32_t in_hand;          /* in the worker's hands: those pushed last onto its ring */
  uint32_t unpublished;      /* of these, pushed since the last publish */
} tnr_lane_queue;

typedef struct tnr_lane {
  _Alignas(64) tnr_lane_queue queues[TNR_LEVELS];
  tnr_epoch *oldest, *newest;
  tnr_epoch first_epoch;
  _Atomic uint64_t launched; /* atomic, relaxed: read by whoever asks; parts that came here */
  _Atomic uint64_t left;     /* likewise: of these, without having been in the worker's hands */
  _Atomic uint64_t wakes;    /* atomic, relaxed: of the worker, counted by whoever wakes it */
  _Alignas(64) tnr_device *device; /* immutable after create */
  tnr_plan_cache plans;            /* worker only */
  uint32_t patience; /* worker only: further looks for the end of another device's op before its
                      * worker gets the CPU, where workers wait */
} tnr_lane;

void tnr_lane_init(tnr_lane *lane, tnr_device *device);

/* Behind everything else on the device's queue of this level. */
void tnr_lane_push(tnr_lane *lane, tnr_level level, tnr_op_part *part);

/* One part of this level has left the worker's hands: the next one may go there. */
void tnr_lane_returned(tnr_lane *lane, tnr_level level);

static inline bool tnr_lane_has_unpublished(const tnr_lane *lane) {
  return lane->queues[TNR_LEVEL_NORMAL].unpublished || lane->queues[TNR_LEVEL_HIGH].unpublished ||
         lane->queues[TNR_LEVEL_LOW].unpublished;
}

/* Shows the worker what was pushed, and wakes it if it sleeps. */
void tnr_lane_publish(tnr_lane *lane);

/* Any thread: a part is about to come, once the dispatcher is awake. A worker that sleeps is woken
 * now, so that both get up at the same time, if it would look for work. */
void tnr_lane_expect(tnr_lane *lane);

/* Takes off the queues what the worker has not got yet and `leaves` says true for: the first of a
 * list. */
tnr_op_part *tnr_lane_take_back(tnr_lane *lane, bool (*leaves)(const tnr_op_part *part));

/* Calls visit(op, begun, user) for every op on the device's queues, those of a level in order;
 * `begun`: the worker has taken it off its ring. */
typedef void tnr_lane_visit(tnr_op *op, bool begun, void *user);
void tnr_lane_visit_all(const tnr_lane *lane, tnr_lane_visit *visit, void *user);

/* Begins a new epoch; epoch->reached is called, perhaps at once, when all older ones are complete.
 */
void tnr_lane_begin_epoch(tnr_lane *lane, tnr_epoch *epoch);

/* To be called now and then: tells those whose epochs are complete. */
void tnr_lane_settle_epochs(tnr_lane *lane);

#endif
