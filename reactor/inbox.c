#include "inbox.h"

#include <stdlib.h>

#include "../devices/parker.h"

/* An array that has grown beyond KEPT_MAX in a rush is not kept after it. */
enum { CAPACITY_MIN = 256, KEPT_MAX = 8192 };

/* As long as a stream of 64 items takes to come in; much less than waking a thread. */
static const int64_t BATCH_NS = 4000;

void tnr_inbox_finish(tnr_inbox *inbox) {
  free(inbox->items);
  free(inbox->taken);
}

/* With the lock held. */
static bool grow(tnr_inbox *inbox) {
  size_t capacity = inbox->capacity ? 2 * inbox->capacity : CAPACITY_MIN;
  uintptr_t *items = realloc(inbox->items, capacity * sizeof *items);
  if (!items)
    return false;
  inbox->items = items;
  inbox->capacity = capacity;
  return true;
}

/* With the lock held. */
static void set_asleep(tnr_inbox *inbox, bool asleep) {
  /* relaxed: the lock orders it, but for the hint */
  atomic_store_explicit(&inbox->asleep, asleep, memory_order_relaxed);
}

static tnr_inbox_result put(tnr_inbox *inbox, uintptr_t item, bool even_closed) {
  tnr_inbox_result result = TNR_INBOX_TAKEN;
  tnr_spin_lock(&inbox->lock);
  if (inbox->closed && !even_closed) {
    result = TNR_INBOX_CLOSED;
  } else if (inbox->count == inbox->capacity && !grow(inbox)) {
    result = TNR_INBOX_NO_MEMORY;
  } else {
    inbox->items[inbox->count++] = item;
    if (inbox->count == 1 || inbox->count % TNR_INBOX_BATCH == 0)
      atomic_store_explicit(&inbox->hint, inbox->count, memory_order_relaxed);
    if (tnr_inbox_is_asleep(inbox)) {
      set_asleep(inbox, false);
      result = TNR_INBOX_TAKEN_WAKE;
    }
  }
  tnr_spin_unlock(&inbox->lock);
  return result;
}

tnr_inbox_result tnr_inbox_put_op(tnr_inbox *inbox, void *op, bool even_closed) {
  return put(inbox, (uintptr_t)op, even_closed);
}

tnr_inbox_result tnr_inbox_put_message(tnr_inbox *inbox, tnr_message *message, bool even_closed) {
  return put(inbox, (uintptr_t)message | 1, even_closed);
}

static void take_over(tnr_inbox *inbox) {
  tnr_spin_lock(&inbox->lock);
  uintptr_t *emptied = inbox->taken;
  size_t capacity = inbox->taken_capacity;
  inbox->taken = inbox->items;
  inbox->taken_count = inbox->count;
  inbox->taken_capacity = inbox->capacity;
  inbox->items = emptied;
  inbox->count = 0;
  atomic_store_explicit(&inbox->hint, 0, memory_order_relaxed);
  inbox->capacity = capacity;
  tnr_spin_unlock(&inbox->lock);
  inbox->taken_at = 0;
  inbox->taken_when = tnr_now_ns();
}

size_t tnr_inbox_ripe(const tnr_inbox *inbox) {
  size_t waiting = atomic_load_explicit(&inbox->hint, memory_order_relaxed);
  bool early = waiting > 0 && waiting < TNR_INBOX_BATCH && !inbox->eager &&
               tnr_now_ns() - inbox->taken_when < BATCH_NS;
  return early ? 0 : waiting;
}

static void drop_large(tnr_inbox *inbox) {
  if (inbox->taken_capacity <= KEPT_MAX)
    return;
  free(inbox->taken);
  inbox->taken = NULL;
  inbox->taken_at = inbox->taken_count = inbox->taken_capacity = 0;
}

uintptr_t tnr_inbox_next(tnr_inbox *inbox) {
  if (inbox->taken_at == inbox->taken_count) {
    drop_large(inbox);
    if (tnr_inbox_ripe(inbox) > 0)
      take_over(inbox);
  }
  return inbox->taken_at < inbox->taken_count ? inbox->taken[inbox->taken_at++] : 0;
}

uintptr_t tnr_inbox_ahead(const tnr_inbox *inbox, size_t ahead) {
  size_t at = inbox->taken_at + ahead;
  return at < inbox->taken_count ? inbox->taken[at] : 0;
}

bool tnr_inbox_is_empty(tnr_inbox *inbox) {
  if (inbox->taken_at < inbox->taken_count)
    return false;
  tnr_spin_lock(&inbox->lock);
  bool empty = inbox->count == 0;
  tnr_spin_unlock(&inbox->lock);
  return empty;
}

bool tnr_inbox_sleep(tnr_inbox *inbox) {
  if (inbox->taken_at < inbox->taken_count)
    return false;
  tnr_spin_lock(&inbox->lock);
  bool empty = inbox->count == 0;
  set_asleep(inbox, empty);
  tnr_spin_unlock(&inbox->lock);
  return empty;
}

void tnr_inbox_awake(tnr_inbox *inbox) {
  tnr_spin_lock(&inbox->lock);
  set_asleep(inbox, false);
  tnr_spin_unlock(&inbox->lock);
}

void tnr_inbox_close(tnr_inbox *inbox) {
  tnr_spin_lock(&inbox->lock);
  inbox->closed = true;
  tnr_spin_unlock(&inbox->lock);
}
