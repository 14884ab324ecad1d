/* What is recorded of what happens: one call for each kind of event, which costs a branch while
 * nothing is recorded. Called by the thread on which it happens, at the moment when it does. */
#ifndef TENOR_REACTOR_RECORD_H
#define TENOR_REACTOR_RECORD_H

#include "plan.h"
#include "runtime.h"

/* Behind the calls: each records. */
uint64_t tnr_recording_plain(tnr_op *op);
void tnr_recording_submit(tnr_op *op);
void tnr_recording_refused(tnr_op *op, tnr_status status);
void tnr_recording_resolve(tnr_op *op);
void tnr_recording_launch(tnr_op *op);
void tnr_recording_take_up(tnr_lane *lane, tnr_op_item item);
void tnr_recording_execute(tnr_lane *lane, tnr_op_item item, tnr_plan *plan, bool slow);
void tnr_recording_move(tnr_lane *lane, tnr_op_item item, const tnr_tensor *from, bool slow);
void tnr_recording_ran(tnr_lane *lane, tnr_op_item item);
void tnr_recording_start(tnr_lane *lane, tnr_op_item item);
void tnr_recording_end(tnr_lane *lane, tnr_op_item item);
void tnr_recording_held_call(tnr_runtime *runtime, tnr_op *op, const tnr_mesh *mesh,
                             uint64_t begin);
void tnr_recording_refusal(tnr_runtime *runtime, const tnr_mesh *mesh);
void tnr_recording_room(tnr_runtime *runtime, const tnr_mesh *mesh);
void tnr_recording_held_worker(tnr_op *op, uint64_t begin);
void tnr_recording_hold_back(tnr_lane *lane);
void tnr_recording_signal(tnr_runtime *runtime);
void tnr_recording_complete(tnr_op *op);
void tnr_recording_failed(tnr_op *op, const tnr_fault *fault);
void tnr_recording_batch(tnr_runtime *runtime);
void tnr_recording_turn(tnr_runtime *runtime);
uint64_t tnr_recording_now(tnr_runtime *runtime);
void tnr_recording_create(tnr_op *op, uint64_t since);
void tnr_recording_callback(tnr_future *future, uint64_t since);
void tnr_recording_wait(tnr_runtime *runtime, uint32_t number, tnr_trace_why why, uint64_t since);
void tnr_recording_rest(tnr_runtime *runtime, tnr_trace_why why, uint64_t since);
void tnr_recording_wake(tnr_runtime *runtime, const tnr_device *device);
uint32_t tnr_recording_composite(tnr_runtime *runtime, const char *name, tnr_site site,
                                 const tnr_value *in, int in_count);
void tnr_recording_body(tnr_runtime *runtime, uint32_t number, uint64_t since);
void tnr_recording_join(tnr_future *join, const char *name, tnr_site site);
void tnr_recording_settled(tnr_future *future);

static inline unsigned tnr_recorder_hears(const tnr_runtime *runtime) {
  /* acquire: pairs with the release in recorder.c's start; all that belongs to it is then visible
   */
  return atomic_load_explicit(&runtime->recorder.on, memory_order_acquire);
}

static inline bool tnr_is_recording(const tnr_runtime *runtime) {
  return __builtin_expect(tnr_recorder_hears(runtime) & TNR_RECORDS_TAPES, 0);
}

/* Tapes, or a timeline, or both. */
static inline bool tnr_is_watched(const tnr_runtime *runtime) {
  return __builtin_expect(tnr_recorder_hears(runtime) != 0, 0);
}

/* ---- the journey ---- */

/* Before it goes into the inbox. */
static inline void tnr_record_submit(tnr_op *op) {
  if (tnr_is_watched(op->future.runtime))
    tnr_recording_submit(op);
}

/* It did not go there. */
static inline void tnr_record_refused(tnr_op *op, tnr_status status) {
  if (tnr_is_watched(op->future.runtime))
    tnr_recording_refused(op, status);
}

/* With `missing` one more than it waits for. */
static inline void tnr_record_resolve(tnr_op *op) {
  if (tnr_is_recording(op->future.runtime))
    tnr_recording_resolve(op);
}

/* Before it goes onto its devices' queues. */
static inline void tnr_record_launch(tnr_op *op) {
  if (tnr_is_watched(op->future.runtime))
    tnr_recording_launch(op);
}

/* A worker begins with what comes next on its queue. */
static inline void tnr_record_take_up(tnr_lane *lane, tnr_op_item item) {
  if (tnr_is_recording(lane->device->machine->runtime))
    tnr_recording_take_up(lane, item);
}

/* Its outputs are created, and the program is about to run; not for aliases. `slow`: that may take
 * long. */
static inline void tnr_record_execute(tnr_lane *lane, tnr_op_item item, tnr_plan *plan, bool slow) {
  if (tnr_is_recording(lane->device->machine->runtime))
    tnr_recording_execute(lane, item, plan, slow);
}

/* The same for a copy. */
static inline void tnr_record_move(tnr_lane *lane, tnr_op_item item, const tnr_tensor *from,
                                   bool slow) {
  if (tnr_is_recording(lane->device->machine->runtime))
    tnr_recording_move(lane, item, from, slow);
}

/* It has run, or failed; before it is given back. Where that takes virtual time, which has not
 * passed yet, tnr_record_end follows. */
static inline void tnr_record_ran(tnr_lane *lane, tnr_op_item item) {
  if (tnr_is_recording(lane->device->machine->runtime))
    tnr_recording_ran(lane, item);
}

/* In virtual time, by whoever plays the worker: it is about to take this up. */
static inline void tnr_record_start(tnr_lane *lane, tnr_op_item item) {
  if (tnr_is_watched(lane->device->machine->runtime))
    tnr_recording_start(lane, item);
}

/* Likewise: the time at which it ends has come. */
static inline void tnr_record_end(tnr_lane *lane, tnr_op_item item) {
  if (tnr_is_watched(lane->device->machine->runtime))
    tnr_recording_end(lane, item);
}

/* Any thread: the dispatcher can see what was given back. Counts on a worker only. */
static inline void tnr_record_signal(tnr_runtime *runtime) {
  if (tnr_is_recording(runtime))
    tnr_recording_signal(runtime);
}

/* Before its future completes. */
static inline void tnr_record_complete(tnr_op *op) {
  if (tnr_is_watched(op->future.runtime))
    tnr_recording_complete(op);
}

/* It fails, and not because of another one. */
static inline void tnr_record_failed(tnr_op *op, const tnr_fault *fault) {
  if (tnr_is_recording(op->future.runtime))
    tnr_recording_failed(op, fault);
}

/* ---- the dispatcher's time ---- */

/* What other threads have put into a queue has just been taken over or counted: from now on all
 * that follows from it is dated later. */
static inline void tnr_record_batch(tnr_runtime *runtime) {
  if (tnr_is_recording(runtime))
    tnr_recording_batch(runtime);
}

/* A turn begins: now and then, counters are looked at. */
static inline void tnr_record_turn(tnr_runtime *runtime) {
  if (tnr_is_recording(runtime))
    tnr_recording_turn(runtime);
}

/* ---- what takes time: its beginning, 0 while nothing is recorded, is given to its end ---- */

static inline uint64_t tnr_record_now(tnr_runtime *runtime) {
  return tnr_is_recording(runtime) ? tnr_recording_now(runtime) : 0;
}

/* A plain call is about to create its result. */
static inline uint64_t tnr_record_plain(tnr_op *op) {
  return tnr_is_recording(op->future.runtime) ? tnr_recording_plain(op) : 0;
}

/* It has created it. */
static inline void tnr_record_create(tnr_op *op, uint64_t since) {
  if (since)
    tnr_recording_create(op, since);
}

/* A user's callback has returned. */
static inline void tnr_record_callback(tnr_future *future, uint64_t since) {
  if (since)
    tnr_recording_callback(future, since);
}

/* A thread has been blocked. */
static inline void tnr_record_wait(tnr_future *future, tnr_trace_why why, uint64_t since) {
  if (since)
    tnr_recording_wait(future->runtime, tnr_future_number(future), why, since);
}

static inline void tnr_record_synchronized(tnr_runtime *runtime, uint64_t since) {
  if (since)
    tnr_recording_wait(runtime, 0, TNR_TRACE_FOR_DEVICE, since);
}

/* The dispatcher had nothing to do. */
static inline void tnr_record_rest(tnr_runtime *runtime, tnr_trace_why why, uint64_t since) {
  if (since)
    tnr_recording_rest(runtime, why, since);
}

/* The body of a composite has ended. */
static inline void tnr_record_body(tnr_runtime *runtime, uint32_t number, uint64_t since) {
  if (since)
    tnr_recording_body(runtime, number, since);
}

/* ---- limits ---- */

/* A call has waited for room on `mesh` (NULL: not known). `op` NULL: a composite's. */
static inline void tnr_record_held_call(tnr_runtime *runtime, tnr_op *op, const tnr_mesh *mesh,
                                        uint64_t since) {
  if (since)
    tnr_recording_held_call(runtime, op, mesh, since);
}

/* A call fails for want of it. */
static inline void tnr_record_refusal(tnr_runtime *runtime, const tnr_mesh *mesh) {
  if (tnr_is_recording(runtime))
    tnr_recording_refusal(runtime, mesh);
}

/* Now there would be. */
static inline void tnr_record_room(tnr_runtime *runtime, const tnr_mesh *mesh) {
  if (tnr_is_recording(runtime))
    tnr_recording_room(runtime, mesh);
}

/* A worker has waited for room for the outputs of the op that it has taken up. */
static inline void tnr_record_held_worker(tnr_op *op, uint64_t since) {
  if (since)
    tnr_recording_held_worker(op, since);
}

/* Without threads: there is work on the lane that is not taken up for want of room. */
static inline void tnr_record_hold_back(tnr_lane *lane) {
  if (tnr_is_recording(lane->device->machine->runtime))
    tnr_recording_hold_back(lane);
}

/* ---- others ---- */

/* A thread was woken by a system call: a device's worker, or, NULL, the dispatcher. */
static inline void tnr_record_wake(tnr_runtime *runtime, const tnr_device *device) {
  if (tnr_is_recording(runtime))
    tnr_recording_wake(runtime, device);
}

/* A composite is called. Its number, 0 while nothing is recorded. */
static inline uint32_t tnr_record_composite(tnr_runtime *runtime, const char *name, tnr_site site,
                                            const tnr_value *in, int in_count) {
  return tnr_is_recording(runtime) ? tnr_recording_composite(runtime, name, site, in, in_count) : 0;
}

/* A future of several others is made. */
static inline void tnr_record_join(tnr_future *join, const char *name, tnr_site site) {
  if (tnr_is_recording(join->runtime))
    tnr_recording_join(join, name, site);
}

/* A future that is no op's is completed. */
static inline void tnr_record_settled(tnr_future *future) {
  if (tnr_is_recording(future->runtime))
    tnr_recording_settled(future);
}

#endif
