/* A copy of a runtime's recording in flight, made beside its dispatcher by a thread of its own,
 * which lives as long as that takes. Dispatcher only, but for what the thread does. */
#ifndef TENOR_REACTOR_LIVE_COPY_H
#define TENOR_REACTOR_LIVE_COPY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <tenor/runtime.h>
#include <tenor/status.h>

struct event;

/* A file without a name. */
typedef struct tnr_live_file {
  int fd; /* -1: there is none */
  uint64_t bytes;
  const char *reason; /* why there is none */
} tnr_live_file;

typedef struct tnr_live_copy {
  tnr_runtime *runtime; /* immutable after create */
  void (*done)(void *user, const tnr_live_file *file);
  void *user;
  struct event *event; /* on wake_fd */
  int wake_fd;         /* the thread writes when it is about to end */
  bool running;
  pthread_t thread;
  int64_t began_ns, next_ns; /* by tnr_now_ns: when the last one began; before this, none does */
  tnr_live_file file;        /* the thread's while it runs */
} tnr_live_copy;

/* done(user, file) is called once for every copy that was begun, unless finish comes first; the
 * file is then its own. TNR_ENOMEM, TNR_ESYSTEM: nothing is left behind. */
tnr_status tnr_live_copy_init(tnr_live_copy *copy, tnr_runtime *runtime,
                              void (*done)(void *user, const tnr_live_file *file), void *user,
                              tnr_fault *fault);
void tnr_live_copy_finish(tnr_live_copy *copy);

/* ns until one may be begun: they take a hundredth of a CPU at most; 0: now. INT64_MAX: one is
 * being made. */
int64_t tnr_live_copy_pause(const tnr_live_copy *copy);

/* Where there is no pause. */
void tnr_live_copy_begin(tnr_live_copy *copy);

#endif
