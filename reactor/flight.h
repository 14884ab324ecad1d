/* What the dispatcher keeps of an op while it is in flight: its completion event, its place in a
 * device's queue, and what it still waits for. It comes when the op is taken out of the inbox and
 * goes when the op is complete and back from every queue; so what has not been looked at yet, and
 * what somebody keeps the future of, is small, and the dispatcher uses the same few of these again
 * and again, from its CPU's cache. Dispatcher only, unless it says otherwise. */
#ifndef TENOR_REACTOR_FLIGHT_H
#define TENOR_REACTOR_FLIGHT_H

#include <event2/event_struct.h>

#include <tenor/device.h>

#include "../devices/spin.h"
#include "lane.h"

typedef struct tnr_op tnr_op;

/* The op's share on one device of its mesh. */
struct tnr_op_part {
  struct tnr_op_part *next; /* in a queue */
  tnr_op *op;               /* immutable once launched; then read by workers, too */
  tnr_epoch *epoch;         /* what tnr_synchronize_device counts it in */
  int piece;                /* as `op`: the device's index in the mesh */
  bool several;             /* as `op`: it is one of several */
  tnr_spin creating; /* of the first of several: held by the worker that creates the outputs */
};

/* Where an op is.
 *
 *   submit (any thread)
 *      │
 *   in the inbox ──resolve (dispatcher)──▶ WAITING ──launch (dispatcher)──▶ LAUNCHED
 *                                          │                               │ create, execute,
 *                     no device, or abort  │                               │ signal (worker)
 *                                          ▼                               ▼
 *                                        ENDED ◀──────signals counted (dispatcher)
 *                                          │
 *                                          └──complete (dispatcher, the op's event)──▶ released
 *
 *   WAITING, LAUNCHED ──withdraw (dispatcher)──▶ WITHDRAWN: its event completes the future at once;
 *   it is released when no chain, no queue and no worker has any part of it any more
 */
typedef enum tnr_op_stage {
  TNR_OP_WAITING = 0,
  TNR_OP_LAUNCHED,
  TNR_OP_ENDED,
  TNR_OP_WITHDRAWN
} tnr_op_stage;

typedef struct tnr_flight {
  struct event done;    /* the completion event */
  tnr_op_part part;     /* what parts points to where there is one */
  tnr_op_part *parts;   /* [exec->count]; NULL before it has a place */
  const tnr_mesh *exec; /* the devices whose queues it goes through; NULL while not known */
  uint32_t missing;     /* inputs still waited for */
  uint8_t parts_left;   /* signals still to come */
  uint8_t stage;        /* a tnr_op_stage */
} tnr_flight;

/* Those of one runtime. What was given back is used again, the last one first; the memory goes back
 * to the system at the end. All zero at first. */
typedef struct tnr_flights {
  void *free;   /* a list through their first words */
  char *unused; /* of the newest chunk, never handed out */
  size_t unused_bytes;
  size_t chunk_bytes; /* the next one's */
  struct tnr_flight_chunk *chunks;
} tnr_flights;

/* NULL when out of memory. Contents are unspecified. */
tnr_flight *tnr_flight_new(tnr_flights *flights);
void tnr_flight_free(tnr_flights *flights, tnr_flight *flight);

/* None is in use. Any thread, when the dispatcher has ended. */
void tnr_flights_finish(tnr_flights *flights);

#endif
