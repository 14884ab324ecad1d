#define _GNU_SOURCE /* memfd_create */

#include "live_copy.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../devices/parker.h"
#include "runtime.h"

enum {
  SHARE = 100, /* of a CPU's time: one part in so many */
  PAUSE_MAX_NS = 1000000000
};

/* ---- the thread ---- */

static tnr_live_file make(tnr_recorder *recorder) {
  tnr_live_file file = {.fd = memfd_create("tenor timeline", MFD_CLOEXEC),
                        .reason = "it could not be written"};
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file.fd);
  if (file.fd != -1 && !tnr_recorder_copy(recorder, path, &file.bytes, &file.reason)) {
    close(file.fd);
    file.fd = -1;
  }
  return file;
}

static void *copy_main(void *argument) {
  tnr_live_copy *copy = argument;
  (void)prctl(PR_SET_NAME, "timeline");
  copy->file = make(&copy->runtime->recorder);
  (void)!write(copy->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
  return NULL;
}

/* Signals are for the program's own threads. */
static int start(tnr_live_copy *copy) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&copy->thread, NULL, copy_main, copy);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

/* ---- the dispatcher ---- */

static void on_wake(evutil_socket_t fd, short what, void *user) {
  tnr_live_copy *copy = user;
  uint64_t count;
  (void)what;
  if (read(fd, &count, sizeof count) == -1 || !copy->running)
    return;
  pthread_join(copy->thread, NULL);
  int64_t now = tnr_now_ns(), pause = (SHARE - 1) * (now - copy->began_ns);
  copy->running = false;
  copy->next_ns = now + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
  copy->done(copy->user, &copy->file);
}

tnr_status tnr_live_copy_init(tnr_live_copy *copy, tnr_runtime *runtime,
                              void (*done)(void *user, const tnr_live_file *file), void *user,
                              tnr_fault *fault) {
  *copy = (tnr_live_copy){.runtime = runtime, .done = done, .user = user};
  copy->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (copy->wake_fd == -1)
    return tnr_fail(fault, TNR_ESYSTEM, "no eventfd for viewers: %s", strerror(errno));
  copy->event = event_new(runtime->base, copy->wake_fd, EV_READ | EV_PERSIST, on_wake, copy);
  if (copy->event && event_add(copy->event, NULL) == 0)
    return TNR_OK;
  tnr_live_copy_finish(copy);
  return tnr_fail(fault, TNR_ENOMEM, "out of memory to listen for viewers");
}

void tnr_live_copy_finish(tnr_live_copy *copy) {
  if (!copy->runtime)
    return;
  if (copy->running) {
    pthread_join(copy->thread, NULL);
    if (copy->file.fd != -1)
      close(copy->file.fd);
  }
  if (copy->event)
    event_free(copy->event);
  close(copy->wake_fd);
  *copy = (tnr_live_copy){0};
}

int64_t tnr_live_copy_pause(const tnr_live_copy *copy) {
  int64_t now = tnr_now_ns();
  return copy->running ? INT64_MAX : copy->next_ns > now ? copy->next_ns - now : 0;
}

void tnr_live_copy_begin(tnr_live_copy *copy) {
  const tnr_live_file none = {.fd = -1, .reason = "there is no thread to write it"};
  copy->began_ns = tnr_now_ns();
  copy->running = start(copy) == 0;
  if (!copy->running)
    copy->done(copy->user, &none);
}
