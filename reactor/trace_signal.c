#include "trace_signal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "recorder.h"

enum { WATCHED_MAX = 8, SIGNALS = 65 };

static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { DEADLY = sizeof deadly / sizeof *deadly };

/* Entries are read by handlers, which take no lock. */
typedef struct watch {
  _Atomic(tnr_recorder *) recorder; /* atomic: set last, and NULL first */
  bool crash;                       /* written before recorder */
  int signal;                       /* likewise */
} watch;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static watch list[WATCHED_MAX];          /* guarded by lock, but for handlers */
static int users[SIGNALS];               /* guarded by lock: recorders that want the signal */
static struct sigaction before[SIGNALS]; /* written before the handler is set */
static _Atomic int in_handlers;          /* atomic: threads that may look into the list */

static bool is_deadly(int number) {
  for (int i = 0; i < DEADLY; i++)
    if (deadly[i] == number)
      return true;
  return false;
}

static bool wants(const watch *entry, int number) {
  return is_deadly(number) ? entry->crash : entry->signal == number;
}

/* The signal comes again as soon as this returns, and meets what there was before. */
static void let_die(int number) {
  sigaction(number, &before[number], NULL);
  raise(number);
}

static void handle(int number) {
  int error = errno;
  atomic_fetch_add(&in_handlers, 1);
  for (int i = 0; i < WATCHED_MAX; i++) {
    tnr_recorder *recorder = atomic_load(&list[i].recorder);
    if (!recorder || !wants(&list[i], number))
      continue;
    if (is_deadly(number))
      tnr_scribe_write_numbered(recorder);
    else
      tnr_scribe_want(recorder);
  }
  atomic_fetch_sub(&in_handlers, 1);
  if (is_deadly(number))
    let_die(number);
  errno = error;
}

/* With the lock held. */
static bool take(int number) {
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK | SA_RESTART};
  sigfillset(&action.sa_mask);
  if (users[number] == 0 &&
      (sigaction(number, NULL, &before[number]) != 0 || sigaction(number, &action, NULL) != 0))
    return false;
  users[number]++;
  return true;
}

/* With the lock held. */
static void give_back(int number) {
  if (--users[number] == 0)
    sigaction(number, &before[number], NULL);
}

/* With the lock held. */
static watch *find(const tnr_recorder *recorder) {
  for (int i = 0; i < WATCHED_MAX; i++)
    if (atomic_load(&list[i].recorder) == recorder)
      return &list[i];
  return NULL;
}

/* With the lock held. */
static tnr_status add(tnr_recorder *recorder, bool crash, int number, tnr_fault *fault) {
  watch *entry = find(NULL);
  if (!entry)
    return tnr_fail(fault, TNR_ESYSTEM, "%d recordings wait for signals already", WATCHED_MAX);
  if (number && !take(number))
    return tnr_fail(fault, TNR_EINVAL, "a handler for signal %d cannot be set: %s", number,
                    strerror(errno));
  for (int i = 0; i < DEADLY && crash; i++)
    (void)take(deadly[i]); /* they exist, and may be handled */
  entry->crash = crash;
  entry->signal = number;
  atomic_store(&entry->recorder, recorder);
  return TNR_OK;
}

tnr_status tnr_trace_signals_watch(tnr_recorder *recorder, bool crash, int signal,
                                   tnr_fault *fault) {
  if (signal < 0 || signal >= SIGNALS || is_deadly(signal))
    return tnr_fail(fault, TNR_EINVAL, "%d is no signal to write a recording on", signal);
  pthread_mutex_lock(&lock);
  tnr_status status = add(recorder, crash, signal, fault);
  pthread_mutex_unlock(&lock);
  return status;
}

void tnr_trace_signals_leave(tnr_recorder *recorder) {
  pthread_mutex_lock(&lock);
  watch *entry = find(recorder);
  if (entry) {
    atomic_store(&entry->recorder, NULL);
    while (atomic_load(&in_handlers) > 0) /* one may have found it in the list before */
      sched_yield();
    if (entry->signal)
      give_back(entry->signal);
    for (int i = 0; i < DEADLY && entry->crash; i++)
      give_back(deadly[i]);
  }
  pthread_mutex_unlock(&lock);
}
