#include "mailbox.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dispatcher.h"
#include "error.h"
#include "thread.h"
#include "wait.h"

static bool is_dispatchers(const tnr_mailbox *mailbox) {
  return mailbox->fd == TNR_MAILBOX_OF_DISPATCHER;
}

/* ---- the queue: with the lock held ---- */

static void count_waiting(tnr_mailbox *mailbox, int more) {
  size_t waiting = atomic_load_explicit(&mailbox->waiting, memory_order_relaxed);
  atomic_store_explicit(&mailbox->waiting, waiting + (size_t)more, memory_order_relaxed);
}

static void append(tnr_mailbox *mailbox, tnr_letter *letter) {
  letter->next = NULL;
  letter->link = mailbox->end;
  letter->queued = true;
  *mailbox->end = letter;
  mailbox->end = &letter->next;
  count_waiting(mailbox, 1);
}

static void take_out(tnr_mailbox *mailbox, tnr_letter *letter) {
  *letter->link = letter->next;
  *(letter->next ? &letter->next->link : &mailbox->end) = letter->link;
  letter->queued = false;
  count_waiting(mailbox, -1);
}

/* What has come lies newest first. */
static void take_in(tnr_mailbox *mailbox) {
  if (!tnr_mailbox_has_incoming(mailbox)) /* or closed, which stays so while the lock is held */
    return;
  /* acquire: pairs with the release in push; what the letters are about is then visible */
  tnr_letter *letter = atomic_exchange_explicit(&mailbox->incoming, NULL, memory_order_acquire);
  tnr_letter *oldest = NULL, *next;
  for (; letter; letter = next) {
    next = letter->next;
    letter->next = oldest;
    oldest = letter;
  }
  for (letter = oldest; letter; letter = next) {
    next = letter->next;
    append(mailbox, letter);
  }
}

static bool is_empty(tnr_mailbox *mailbox) {
  if (!mailbox->first)
    take_in(mailbox);
  return !mailbox->first;
}

/* One letter that was announced is done with. */
static void settle_one(tnr_mailbox *mailbox) {
  if (!is_dispatchers(mailbox))
    mailbox->expected--;
}

/* After a letter has come or gone. The caller keeps the runtime alive; as soon as the lock is free,
 * whoever destroys the mailbox may be done with it. */
static void unlock_and_tell(tnr_mailbox *mailbox) {
  tnr_runtime *runtime = mailbox->runtime;
  bool drained = mailbox->closed && !is_dispatchers(mailbox);
  if (drained)
    pthread_cond_broadcast(&mailbox->progress);
  pthread_mutex_unlock(&mailbox->lock);
  if (drained && runtime->mode != TNR_THREADS)
    tnr_dispatcher_look_again(runtime);
}

/* ---- the descriptor: with the lock held ---- */

static void write_fd(tnr_mailbox *mailbox) {
  uint64_t one = 1;
  mailbox->raised = true;
  while (write(mailbox->fd, &one, sizeof one) == -1 && errno == EINTR) {
  }
}

static void raise_fd(tnr_mailbox *mailbox) {
  if (!mailbox->raised && !is_empty(mailbox))
    write_fd(mailbox);
}

static void lower_fd(tnr_mailbox *mailbox) {
  uint64_t count;
  if (!mailbox->raised || mailbox->called || !is_empty(mailbox))
    return;
  mailbox->raised = false;
  while (read(mailbox->fd, &count, sizeof count) == -1 && errno == EINTR) {
  }
}

/* ---- putting in ---- */

bool tnr_mailbox_announce(tnr_mailbox *mailbox) {
  pthread_mutex_lock(&mailbox->lock);
  bool open = !mailbox->closed;
  mailbox->expected += open;
  pthread_mutex_unlock(&mailbox->lock);
  return open;
}

typedef enum push_result { PUSHED, PUSHED_FIRST, PUSH_CLOSED } push_result;

static push_result push(tnr_mailbox *mailbox, tnr_letter *letter) {
  tnr_letter *newest = atomic_load_explicit(&mailbox->incoming, memory_order_relaxed);
  do {
    if (newest == TNR_MAILBOX_CLOSED)
      return PUSH_CLOSED;
    letter->next = newest;
    /* release: pairs with the acquire in take_in */
  } while (!atomic_compare_exchange_weak_explicit(&mailbox->incoming, &newest, letter,
                                                  memory_order_release, memory_order_relaxed));
  return newest ? PUSHED : PUSHED_FIRST;
}

/* Who waits for the descriptor, and who waits in destroy. */
static void tell(tnr_mailbox *mailbox) {
  pthread_mutex_lock(&mailbox->lock);
  raise_fd(mailbox);
  unlock_and_tell(mailbox);
}

static void tell_later(tnr_mailbox *mailbox) {
  if (mailbox->unraised)
    return;
  tnr_object_retain(&mailbox->object);
  mailbox->unraised = true;
  mailbox->next_unraised = mailbox->runtime->unraised;
  mailbox->runtime->unraised = mailbox;
}

static bool post_to_dispatcher(tnr_mailbox *mailbox, tnr_letter *letter) {
  if (push(mailbox, letter) == PUSH_CLOSED)
    return false;
  if (!tnr_on_dispatcher(mailbox->runtime))
    tnr_dispatcher_mail_came(mailbox->runtime);
  return true;
}

/* Once the letter is in, it may be delivered and the mailbox destroyed at any time: hence the
 * references. */
bool tnr_mailbox_post(tnr_mailbox *mailbox, tnr_letter *letter) {
  if (is_dispatchers(mailbox))
    return post_to_dispatcher(mailbox, letter);
  if (tnr_on_dispatcher(mailbox->runtime)) {
    tell_later(mailbox);
    (void)push(mailbox, letter);
    return true;
  }
  tnr_object_retain(&mailbox->object);
  if (push(mailbox, letter) == PUSHED_FIRST) /* else whoever was first tells */
    tell(mailbox);
  tnr_object_release(&mailbox->object);
  return true;
}

void tnr_mailbox_raise_all(tnr_runtime *runtime) {
  while (runtime->unraised) {
    tnr_mailbox *mailbox = runtime->unraised;
    runtime->unraised = mailbox->next_unraised;
    mailbox->unraised = false;
    tell(mailbox);
    tnr_object_release(&mailbox->object);
  }
}

/* ---- taking out ---- */

void tnr_letter_arm(tnr_letter *letter) {
  /* release: pairs with the exchange in tnr_letter_claim; what was written before is then visible
   */
  __atomic_store_n(&letter->armed, true, __ATOMIC_RELEASE);
}

bool tnr_letter_claim(tnr_letter *letter) {
  /* acquire-release: pairs with the store in tnr_letter_arm and, of the next round, with itself */
  return __atomic_exchange_n(&letter->armed, false, __ATOMIC_ACQ_REL);
}

/* Letters on their way from what has come into the queue are in neither for the dispatcher, which
 * looks without the lock and may go to sleep; hence it is woken. */
void tnr_mailbox_withdraw(tnr_mailbox *mailbox, tnr_letter *letter) {
  tnr_runtime *runtime = mailbox->runtime;
  pthread_mutex_lock(&mailbox->lock);
  take_in(mailbox);
  if (letter->queued) {
    take_out(mailbox, letter);
    lower_fd(mailbox);
  }
  settle_one(mailbox);
  bool hidden = is_dispatchers(mailbox) && mailbox->first;
  unlock_and_tell(mailbox);
  if (hidden)
    tnr_dispatcher_mail_came(runtime);
}

/* With the lock held: the oldest letter that nobody is taking back. */
static tnr_letter *take_oldest(tnr_mailbox *mailbox) {
  while (!is_empty(mailbox)) {
    tnr_letter *letter = mailbox->first;
    take_out(mailbox, letter);
    if (tnr_letter_claim(letter)) {
      lower_fd(mailbox);
      return letter;
    }
  }
  lower_fd(mailbox);
  return NULL;
}

/* `again`: the letter before this one has been delivered. */
static tnr_letter *next_letter(tnr_mailbox *mailbox, bool again, bool enough) {
  pthread_mutex_lock(&mailbox->lock);
  if (again)
    settle_one(mailbox);
  tnr_letter *letter = enough ? NULL : take_oldest(mailbox);
  if (!letter && !is_dispatchers(mailbox)) {
    if (is_empty(mailbox))
      lower_fd(mailbox);
    else
      write_fd(mailbox); /* an edge, for those who wait for edges */
  }
  unlock_and_tell(mailbox);
  return letter;
}

int tnr_mailbox_deliver(tnr_mailbox *mailbox, int64_t most, int64_t deadline) {
  int delivered = 0;
  bool enough = most <= 0;
  tnr_letter *letter;
  while ((letter = next_letter(mailbox, delivered > 0, enough))) {
    letter->deliver(letter);
    enough = ++delivered >= most ||
             (deadline != INT64_MAX && tnr_machine_now(&mailbox->runtime->machine) >= deadline);
  }
  return delivered;
}

static int64_t count(tnr_mailbox *mailbox) {
  pthread_mutex_lock(&mailbox->lock);
  take_in(mailbox);
  size_t waiting = atomic_load_explicit(&mailbox->waiting, memory_order_relaxed);
  pthread_mutex_unlock(&mailbox->lock);
  return waiting < INT_MAX ? (int64_t)waiting : INT_MAX;
}

/* ---- without threads: turning the crank for what is to come ---- */

/* An edge of its own each time. */
static void call(tnr_watcher *watcher, bool work, int64_t next) {
  tnr_mailbox *mailbox = (tnr_mailbox *)((char *)watcher - offsetof(tnr_mailbox, watcher));
  pthread_mutex_lock(&mailbox->lock);
  if (work && !mailbox->called)
    write_fd(mailbox);
  mailbox->called = work;
  lower_fd(mailbox);
  tnr_alarm_set(&mailbox->alarm, next);
  pthread_mutex_unlock(&mailbox->lock);
}

static void forget_call(tnr_mailbox *mailbox) {
  pthread_mutex_lock(&mailbox->lock);
  mailbox->called = false;
  tnr_alarm_set(&mailbox->alarm, INT64_MAX);
  pthread_mutex_unlock(&mailbox->lock);
}

typedef struct work_limits {
  tnr_mailbox *mailbox;
  int64_t most, deadline;
} work_limits;

static bool is_enough(const void *what) {
  const work_limits *limits = what;
  tnr_mailbox *mailbox = limits->mailbox;
  return (limits->most != INT64_MAX && count(mailbox) >= limits->most) ||
         (limits->deadline != INT64_MAX &&
          tnr_machine_now(&mailbox->runtime->machine) >= limits->deadline);
}

/* Whoever has the crank calls again when it leaves something behind: so the call is forgotten
 * first. */
static void work(tnr_mailbox *mailbox, int64_t most, int64_t deadline) {
  const work_limits limits = {mailbox, most, deadline};
  forget_call(mailbox);
  tnr_crank_work(mailbox->runtime, is_enough, &limits);
}

/* ---- dispatching ---- */

static int dispatch(tnr_mailbox *mailbox, int64_t most, int64_t deadline) {
  tnr_thread *thread = tnr_thread_here();
  const tnr_mailbox_frame frame = {mailbox, thread->mailboxes};
  tnr_object_retain(&mailbox->object);
  thread->mailboxes = &frame;
  int delivered = tnr_mailbox_deliver(mailbox, most, deadline);
  thread->mailboxes = frame.outer;
  tnr_object_release(&mailbox->object);
  return delivered;
}

int tnr_mailbox_dispatch_within(tnr_mailbox *mailbox, const tnr_mailbox_limits *limits) {
  static const tnr_mailbox_limits none;
  if (!mailbox) {
    if (!tnr_error())
      tnr_error_raise(TNR_EINVAL, "mailbox_dispatch: the mailbox is NULL");
    return -1;
  }
  if (!limits)
    limits = &none;
  int64_t allowed = limits->max_callbacks > 0 ? limits->max_callbacks : INT64_MAX;
  int64_t deadline =
      limits->max_ns > 0 ? tnr_deadline_after(mailbox->runtime, limits->max_ns) : INT64_MAX;
  if (mailbox->runtime->mode != TNR_THREADS)
    work(mailbox, allowed, deadline);
  int64_t most = count(mailbox);
  return dispatch(mailbox, allowed < most ? allowed : most, deadline);
}

/* ---- life ---- */

void tnr_mailbox_init(tnr_mailbox *mailbox, tnr_runtime *runtime, int fd) {
  *mailbox = (tnr_mailbox){.runtime = runtime, .fd = fd};
  mailbox->end = &mailbox->first;
  pthread_mutex_init(&mailbox->lock, NULL);
  pthread_cond_init(&mailbox->progress, NULL);
}

void tnr_mailbox_finish(tnr_mailbox *mailbox) {
  pthread_cond_destroy(&mailbox->progress);
  pthread_mutex_destroy(&mailbox->lock);
}

bool tnr_mailbox_close(tnr_mailbox *mailbox) {
  tnr_letter *none = NULL;
  pthread_mutex_lock(&mailbox->lock);
  /* relaxed: nothing hangs on it; what is refused stays where it was */
  mailbox->closed |= is_empty(mailbox) && atomic_compare_exchange_strong_explicit(
                                              &mailbox->incoming, &none, TNR_MAILBOX_CLOSED,
                                              memory_order_relaxed, memory_order_relaxed);
  bool closed = mailbox->closed;
  pthread_mutex_unlock(&mailbox->lock);
  return closed;
}

static void mailbox_destroy(tnr_object *object) {
  tnr_mailbox *mailbox = (tnr_mailbox *)object;
  tnr_mailbox_finish(mailbox);
  tnr_pool_free(&mailbox->runtime->machine.objects, mailbox, sizeof *mailbox);
}

static const tnr_class mailbox_class = {.name = "mailbox", .destroy = mailbox_destroy};

static tnr_status raise_at_create(tnr_status status, const char *reason) {
  return tnr_error_raise(status, "mailbox_create: %s", reason);
}

static bool make_alarm(tnr_mailbox *mailbox) {
  if (mailbox->runtime->mode == TNR_THREADS)
    return true;
  if (tnr_alarm_init(&mailbox->alarm, mailbox->fd))
    return true;
  raise_at_create(TNR_ESYSTEM, strerror(errno));
  return false;
}

tnr_mailbox *tnr_mailbox_create(tnr_runtime *runtime) {
  if (!runtime && !(runtime = tnr_default_runtime()))
    return NULL;
  if (!tnr_dispatcher_takes(runtime)) {
    raise_at_create(TNR_ECLOSED, tnr_dispatcher_refusal(TNR_ECLOSED));
    return NULL;
  }
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd == -1) {
    raise_at_create(TNR_ESYSTEM, strerror(errno));
    return NULL;
  }
  tnr_mailbox *mailbox = tnr_pool_alloc(&runtime->machine.objects, sizeof *mailbox);
  if (!mailbox) {
    close(fd);
    raise_at_create(TNR_ENOMEM, "out of memory");
    return NULL;
  }
  tnr_mailbox_init(mailbox, runtime, fd);
  tnr_object_init(&mailbox->object, &mailbox_class, 1);
  mailbox->watcher.tell = call;
  if (!make_alarm(mailbox)) {
    close(fd);
    tnr_object_release(&mailbox->object);
    return NULL;
  }
  if (runtime->mode != TNR_THREADS)
    tnr_crank_watch(runtime, &mailbox->watcher);
  return mailbox;
}

int tnr_mailbox_fd(const tnr_mailbox *mailbox) {
  if (!mailbox)
    return -1;
  return mailbox->runtime->mode == TNR_THREADS ? mailbox->fd : mailbox->alarm.fd;
}

static bool is_dispatching(const tnr_mailbox *mailbox) {
  const tnr_mailbox_frame *frame = tnr_thread_here()->mailboxes;
  while (frame && frame->mailbox != mailbox)
    frame = frame->outer;
  return frame != NULL;
}

static tnr_status may_drain(tnr_mailbox *mailbox) {
  if (is_dispatching(mailbox))
    return tnr_error_raise(TNR_EDEADLK, "destroying the mailbox would wait for this very callback");
  pthread_mutex_lock(&mailbox->lock);
  bool waits = mailbox->expected > 0;
  pthread_mutex_unlock(&mailbox->lock);
  return waits ? tnr_wait_refused(mailbox->runtime, "destroying the mailbox") : TNR_OK;
}

static bool has_progress(const void *what) {
  tnr_mailbox *mailbox = (tnr_mailbox *)what;
  pthread_mutex_lock(&mailbox->lock);
  bool progress = mailbox->expected == 0 || !is_empty(mailbox);
  pthread_mutex_unlock(&mailbox->lock);
  return progress;
}

/* With the lock held: something is expected, and not there. */
static void await_progress(tnr_mailbox *mailbox) {
  tnr_runtime *runtime = mailbox->runtime;
  if (runtime->mode == TNR_THREADS || tnr_crank_has_ended(runtime)) {
    pthread_cond_wait(&mailbox->progress, &mailbox->lock);
    return;
  }
  pthread_mutex_unlock(&mailbox->lock);
  (void)!tnr_crank_wait(runtime, has_progress, mailbox, INT64_MAX);
  pthread_mutex_lock(&mailbox->lock);
}

static void drain(tnr_mailbox *mailbox) {
  pthread_mutex_lock(&mailbox->lock);
  mailbox->closed = true;
  while (mailbox->expected > 0) {
    if (is_empty(mailbox)) {
      await_progress(mailbox);
      continue;
    }
    pthread_mutex_unlock(&mailbox->lock);
    (void)dispatch(mailbox, INT_MAX, INT64_MAX);
    pthread_mutex_lock(&mailbox->lock);
  }
  pthread_mutex_unlock(&mailbox->lock);
}

tnr_status tnr_mailbox_destroy(tnr_mailbox *mailbox) {
  if (!mailbox)
    return TNR_OK;
  tnr_status status = may_drain(mailbox);
  if (status != TNR_OK)
    return status;
  drain(mailbox);
  if (mailbox->runtime->mode != TNR_THREADS) {
    tnr_crank_unwatch(mailbox->runtime, &mailbox->watcher);
    tnr_alarm_finish(&mailbox->alarm);
  }
  close(mailbox->fd);
  tnr_object_release(&mailbox->object);
  return TNR_OK;
}
