/* What any thread hands to the dispatcher: ops, and other messages. */
#ifndef TENOR_REACTOR_INBOX_H
#define TENOR_REACTOR_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenor/status.h>

#include "../devices/spin.h"

/* Anything but an op; embedded in what it is about. Handled once, on the dispatcher. */
typedef struct tnr_message {
  void (*handle)(struct tnr_message *message);
} tnr_message;

enum { TNR_INBOX_BATCH = 64 };

/* any thread → dispatcher. An array that grows; the dispatcher takes all of it at once and leaves
 * the one that it has emptied, so that the lock is held for a few instructions and each side works
 * on memory of its own. */
typedef struct tnr_inbox {
  _Alignas(64) tnr_spin lock;
  bool closed;            /* guarded by lock */
  atomic_bool asleep;     /* atomic, written under lock: the next item wants an eventfd write */
  uintptr_t *items;       /* guarded by lock: ops, and messages with their lowest bit set */
  size_t count, capacity; /* guarded by lock */

  /* On a cache line of its own, since the dispatcher looks often: atomic, relaxed: count as it was
   * when it was last 0, 1 or a multiple of TNR_INBOX_BATCH. */
  _Alignas(64) _Atomic size_t hint;

  _Alignas(64) int64_t taken_when; /* dispatcher only: CLOCK_MONOTONIC, ns */
  bool eager;       /* immutable after create: is looked into whenever something is in it */
  uintptr_t *taken; /* dispatcher only */
  size_t taken_at, taken_count, taken_capacity; /* dispatcher only */
} tnr_inbox;

typedef enum tnr_inbox_result {
  TNR_INBOX_TAKEN,
  TNR_INBOX_TAKEN_WAKE, /* and the dispatcher sleeps: the caller has to wake it */
  TNR_INBOX_CLOSED,
  TNR_INBOX_NO_MEMORY
} tnr_inbox_result;

void tnr_inbox_finish(tnr_inbox *inbox);

/* Any thread. `even_closed`: for what belongs to something that was taken before the end. */
tnr_inbox_result tnr_inbox_put_op(tnr_inbox *inbox, void *op, bool even_closed);
tnr_inbox_result tnr_inbox_put_message(tnr_inbox *inbox, tnr_message *message, bool even_closed);

/* Dispatcher: the next item, or 0 when there is none, or it is too early for the next batch. The
 * lowest bit says that it is a message. */
uintptr_t tnr_inbox_next(tnr_inbox *inbox);

/* Dispatcher: the item `ahead` places behind the next one, if it has been taken over already, else
 * 0. */
uintptr_t tnr_inbox_ahead(const tnr_inbox *inbox, size_t ahead);

/* Dispatcher: nothing is in it at this moment. */
bool tnr_inbox_is_empty(tnr_inbox *inbox);

/* Dispatcher: how many items are worth a look into it, about; 0 when it is not time for one.
 * Without the lock: may be wrong for a moment. While items come in a stream they are taken in
 * batches: what a submitting thread has just written is still in its cache, and it is about to
 * touch it again. */
size_t tnr_inbox_ripe(const tnr_inbox *inbox);

/* Any thread: the dispatcher waits for an item. A hint. */
static inline bool tnr_inbox_is_asleep(const tnr_inbox *inbox) {
  /* relaxed: only what is found under the lock counts */
  return atomic_load_explicit(&inbox->asleep, memory_order_relaxed);
}

/* Dispatcher: nothing is in it, and who puts something in from now on is told to wake. False when
 * something is. */
bool tnr_inbox_sleep(tnr_inbox *inbox);
void tnr_inbox_awake(tnr_inbox *inbox);

/* Dispatcher: from now on nothing is taken any more. */
void tnr_inbox_close(tnr_inbox *inbox);

#endif
