/* The inside of mailboxes: a queue of letters that any thread fills, and who is told of them. */
#ifndef TENOR_REACTOR_MAILBOX_H
#define TENOR_REACTOR_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include <tenor/mailbox.h>

#include "../devices/object.h"
#include "alarm.h"
#include "crank.h"

/* A letter is embedded in what it is about, and is in one list at most. `deliver` is called once,
 * on the thread that takes it out, and may free it. Its other fields: next and link belong to the
 * lock of the list that it is in, `queued` to the mailbox's; `armed` is atomic; `chained` and
 * `moment` are the continuation's. */

enum { TNR_MAILBOX_OF_DISPATCHER = -1 };
#define TNR_MAILBOX_CLOSED ((tnr_letter *)1)

/* any thread → the threads that dispatch it; or any thread → dispatcher. */
struct tnr_mailbox {
  tnr_object object;
  tnr_runtime *runtime;    /* immutable after create */
  int fd;                  /* immutable after create: an eventfd, or TNR_MAILBOX_OF_DISPATCHER */
  pthread_mutex_t lock;    /* held around reads and writes of the eventfd, too: it is readable
                            * exactly when `raised` */
  tnr_letter *first;       /* guarded by lock: the oldest */
  tnr_letter **end;        /* guarded by lock: where the next one is hung up */
  _Atomic size_t waiting;  /* atomic: letters in it; written with the lock held, and read without
                            * it as a hint */
  uint64_t expected;       /* guarded by lock: letters announced that have not been delivered */
  bool raised;             /* guarded by lock */
  bool called;             /* guarded by lock: has been told to turn the crank, and has not yet */
  bool closed;             /* guarded by lock: takes no announcement, the dispatcher's no letter */
  pthread_cond_t progress; /* destroy sleeps, whoever brings a letter or withdraws one wakes */
  tnr_watcher watcher;     /* the crank's, where there are no threads */
  tnr_alarm alarm;         /* guarded by lock: where there are no threads, for the next deadline */

  /* atomic: letters that have been put in since somebody last looked, the newest first, or
   * TNR_MAILBOX_CLOSED; taken over with the lock held. On a cache line of its own: many write it.
   */
  _Alignas(64) _Atomic(tnr_letter *) incoming;

  /* dispatcher only: in the runtime's list of those that it has filled and not raised */
  struct tnr_mailbox *next_unraised;
  bool unraised;
};

/* A mailbox whose letters a thread is delivering; on its stack. */
typedef struct tnr_mailbox_frame {
  const tnr_mailbox *mailbox;
  const struct tnr_mailbox_frame *outer;
} tnr_mailbox_frame;

/* In the caller's memory. */
void tnr_mailbox_init(tnr_mailbox *mailbox, tnr_runtime *runtime, int fd);
void tnr_mailbox_finish(tnr_mailbox *mailbox);

/* A letter will come, and so destroy waits for it; not for the dispatcher's own. False when the
 * mailbox is closed. Any thread. */
bool tnr_mailbox_announce(tnr_mailbox *mailbox);

/* Puts in a letter that was announced and is armed. False only for the dispatcher's own when it is
 * closed: the letter stays the caller's. Any thread; the dispatcher tells mailboxes at the end of
 * its turn. */
bool tnr_mailbox_post(tnr_mailbox *mailbox, tnr_letter *letter);

/* Before it is put in, or chained to what will put it in: from now on it may be claimed. */
void tnr_letter_arm(tnr_letter *letter);

/* Whoever wins may do with the letter what it wants: deliver it, or take it back. Any thread. */
bool tnr_letter_claim(tnr_letter *letter);

/* The winner: the letter is not to come, and is the caller's again. Any thread. */
void tnr_mailbox_withdraw(tnr_mailbox *mailbox, tnr_letter *letter);

/* Delivers up to `most` letters, until tnr_machine_now is `deadline`; returns how many. */
int tnr_mailbox_deliver(tnr_mailbox *mailbox, int64_t most, int64_t deadline);

/* Dispatcher: lets all know that it has filled in this turn. */
void tnr_mailbox_raise_all(tnr_runtime *runtime);

/* Dispatcher, of its own: takes nothing any more, if nothing is in it. False when something is. */
bool tnr_mailbox_close(tnr_mailbox *mailbox);

static inline bool tnr_mailbox_has_incoming(const tnr_mailbox *mailbox) {
  /* relaxed: a hint; who sleeps on it looks again after a fence, as with every parker */
  tnr_letter *newest = atomic_load_explicit(&mailbox->incoming, memory_order_relaxed);
  return newest && newest != TNR_MAILBOX_CLOSED;
}

/* The dispatcher, of its own: without the lock. What a thread has put in, it sees. */
static inline bool tnr_mailbox_has_letters(const tnr_mailbox *mailbox) {
  return tnr_mailbox_has_incoming(mailbox) ||
         atomic_load_explicit(&mailbox->waiting, memory_order_relaxed) > 0;
}

#endif
