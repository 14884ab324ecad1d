/* One turn of a runtime without threads: a little of everything that its dispatcher and its workers
 * have to do, in the order that they would come to it, or in another one that is as right. All of
 * it is for the thread that turns the crank; the dispatcher's data is its own meanwhile. */
#ifndef TENOR_REACTOR_TURN_H
#define TENOR_REACTOR_TURN_H

#include <stdint.h>

#include "../devices/machine.h"
#include "thread.h"

typedef struct tnr_turns {
  tnr_role *roles;   /* [1 + devices]: the dispatcher's, and each worker's */
  uintptr_t *asleep; /* [devices]: the item that a worker that sleeps in virtual time has run */
  uint64_t random;   /* the state of the seed's random numbers */
  bool shuffled;     /* immutable after create: there is a seed */
} tnr_turns;

/* A seed of 0 is the natural order. TNR_ENOMEM: nothing is left behind. Any thread. */
tnr_status tnr_turns_init(tnr_turns *turns, tnr_runtime *runtime, uint64_t seed, tnr_fault *fault);

/* What the roles still hold is released. The memory stays until tnr_turns_free; NULLs are fine. */
void tnr_turns_finish(tnr_turns *turns, int devices);
void tnr_turns_free(tnr_turns *turns);

/* One turn. Virtual time passes when there is nothing else to do. False when there is nothing to do
 * before something comes from outside. */
bool tnr_turn(tnr_runtime *runtime);

/* Something is left to do. */
bool tnr_turn_has_work(tnr_runtime *runtime);

/* A worker's last act: its programs are destroyed. */
void tnr_turn_dismiss_worker(tnr_runtime *runtime, int device);

#endif
