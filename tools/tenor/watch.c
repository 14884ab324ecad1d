#include "watch.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include <tenor/dump.h>
#include <tenor/error.h>

static struct watch {
  bool begun;           /* the main thread's */
  pthread_t thread;     /* the main thread's */
  tnr_runtime *runtime; /* immutable while the thread runs */
  atomic_bool ends;     /* atomic */
} watch;

static sigset_t the_signal(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  return set;
}

void watch_prepare(void) {
  sigset_t set = the_signal();
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void print_line(const char *line, void *user) {
  fprintf(user, "%s\n", line);
}

static void *watch_main(void *unused) {
  sigset_t set = the_signal();
  int signal;
  while (sigwait(&set, &signal) == 0 && !atomic_load(&watch.ends))
    if (tnr_runtime_dump(watch.runtime, print_line, stderr) != TNR_OK)
      fprintf(stderr, "tenor: %s\n", tnr_error_message(tnr_error()));
  return unused;
}

void watch_begin(tnr_runtime *runtime) {
  watch.runtime = runtime;
  atomic_store(&watch.ends, false);
  watch.begun = pthread_create(&watch.thread, NULL, watch_main, NULL) == 0;
}

void watch_end(void) {
  if (!watch.begun)
    return;
  watch.begun = false;
  atomic_store(&watch.ends, true);
  pthread_kill(watch.thread, SIGUSR1);
  pthread_join(watch.thread, NULL);
}
