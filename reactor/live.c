#define _GNU_SOURCE /* struct ucred, memfd_create, program_invocation_short_name */

#include "live.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dispatcher.h"
#include "runtime.h"

enum {
  VIEWERS_MAX = 8,
  LINE_BYTES_MAX = 64,
  UNREAD_MAX = 64 << 10, /* bytes; while a viewer leaves so many unread, it gets no more answers */
  STUCK_S = 2,           /* for how long it may take nothing of what is there */
  NUMBERS_MAX = 99
};

/* Owned by its tnr_live; a file that is being written holds one reference more. */
typedef struct viewer {
  tnr_live *live;
  struct bufferevent *events;
} viewer;

struct tnr_live {
  tnr_runtime *runtime;
  struct evconnlistener *listener;
  viewer viewers[VIEWERS_MAX]; /* events NULL: nobody */
  char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- answers ---- */

static void drop(viewer *viewer) {
  bufferevent_free(viewer->events); /* closes the socket */
  viewer->events = NULL;
}

/* A copy in memory that has no name: the tapes go on while the viewer reads it. */
static bool add_timeline(tnr_recorder *recorder, struct evbuffer *out, const char **reason) {
  char path[32];
  uint64_t bytes = 0;
  int fd = memfd_create("tenor timeline", MFD_CLOEXEC);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  *reason = "it could not be written";
  if (fd == -1)
    return false;
  if (!tnr_recorder_copy(recorder, path, &bytes, reason)) {
    close(fd);
    return false;
  }
  evbuffer_add_printf(out, "timeline %llu\n", (unsigned long long)bytes);
  if (bytes == 0 || evbuffer_add_file(out, fd, 0, (ev_off_t)bytes) != 0)
    close(fd); /* else it belongs to the buffer */
  return true;
}

static void answer(tnr_runtime *runtime, const char *line, struct evbuffer *out) {
  const char *reason = "there is nothing of that name";
  if (strcmp(line, "stats") == 0)
    tnr_live_describe(runtime, out);
  else if (strcmp(line, "timeline") != 0 || !add_timeline(&runtime->recorder, out, &reason))
    evbuffer_add_printf(out, "error %s\n", reason);
}

/* ---- viewers ---- */

/* While much is unread nothing more is asked for. */
static void on_read(struct bufferevent *events, void *user) {
  viewer *viewer = user;
  struct evbuffer *in = bufferevent_get_input(events), *out = bufferevent_get_output(events);
  char *line = NULL;
  while (evbuffer_get_length(out) < UNREAD_MAX &&
         (line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF))) {
    answer(viewer->live->runtime, line, out);
    free(line);
  }
  if (evbuffer_get_length(out) >= UNREAD_MAX)
    bufferevent_disable(events, EV_READ);
  else if (evbuffer_get_length(in) > LINE_BYTES_MAX)
    drop(viewer);
}

/* All has been read. */
static void on_written(struct bufferevent *events, void *user) {
  bufferevent_enable(events, EV_READ);
  on_read(events, user);
}

/* It has gone, or takes nothing. */
static void on_event(struct bufferevent *events, short what, void *user) {
  (void)events;
  (void)what;
  drop(user);
}

static bool is_same_user(evutil_socket_t fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

static viewer *free_place(tnr_live *live) {
  for (int i = 0; i < VIEWERS_MAX; i++)
    if (!live->viewers[i].events)
      return &live->viewers[i];
  return NULL;
}

static void on_connect(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                       int length, void *user) {
  const struct timeval stuck = {STUCK_S, 0};
  tnr_live *live = user;
  viewer *viewer = is_same_user(fd) ? free_place(live) : NULL;
  (void)from;
  (void)length;
  struct bufferevent *events =
      viewer ? bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE)
             : NULL;
  if (!events) {
    evutil_closesocket(fd);
    return;
  }
  *viewer = (struct viewer){live, events};
  bufferevent_setcb(events, on_read, on_written, on_event, viewer);
  bufferevent_setwatermark(events, EV_READ, 0, 4 * LINE_BYTES_MAX);
  (void)bufferevent_priority_set(events, TNR_LEVEL_LOW);
  bufferevent_set_timeouts(events, NULL, &stuck);
  bufferevent_enable(events, EV_READ | EV_WRITE);
}

/* ---- the socket ---- */

size_t tnr_live_folder(char *out, size_t size) {
  const char *folder = getenv("XDG_RUNTIME_DIR");
  int length = folder && folder[0] == '/'
                   ? snprintf(out, size, "%s", folder)
                   : snprintf(out, size, "/tmp/tenor-%u", (unsigned)geteuid());
  return length > 0 ? (size_t)length : 0;
}

/* Nobody else may have made it, or reach into it. */
static tnr_status check_folder(const char *folder, tnr_fault *fault) {
  struct stat info;
  if (mkdir(folder, 0700) != 0 && errno != EEXIST)
    return tnr_fail(fault, TNR_ESYSTEM, "cannot make '%.150s': %s", folder, strerror(errno));
  if (lstat(folder, &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid() ||
      (info.st_mode & 077) != 0)
    return tnr_fail(fault, TNR_ESYSTEM, "'%.150s' is not a folder of this user's alone", folder);
  return TNR_OK;
}

static bool is_listened_to(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool answered =
      fd != -1 &&
      (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
  if (fd != -1)
    close(fd);
  return answered;
}

/* What another process of the same number has left behind is taken over; -1 with errno. */
static int listen_at(const struct sockaddr_un *address) {
  enum { BACKLOG = 8 };
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const struct sockaddr *name = (const struct sockaddr *)address;
  if (fd == -1)
    return -1;
  int bound = bind(fd, name, sizeof *address);
  if (bound != 0 && errno == EADDRINUSE && !is_listened_to(address)) {
    (void)unlink(address->sun_path);
    bound = bind(fd, name, sizeof *address);
  }
  if (bound == 0 && chmod(address->sun_path, 0600) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  int error = errno;
  if (bound == 0)
    (void)unlink(address->sun_path);
  close(fd);
  errno = error;
  return -1;
}

/* The first name of this process that is free. */
static tnr_status open_socket(tnr_live *live, int *fd, tnr_fault *fault) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char folder[PATH_MAX];
  if (tnr_live_folder(folder, sizeof folder) + sizeof "/tenor-4294967295.99.sock" >=
      sizeof address.sun_path)
    return tnr_fail(fault, TNR_ESYSTEM, "'%.150s' is too long for a socket", folder);
  tnr_status status = check_folder(folder, fault);
  *fd = -1;
  errno = EADDRINUSE;
  for (int i = 1; status == TNR_OK && i <= NUMBERS_MAX && *fd == -1 && errno == EADDRINUSE; i++) {
    char number[8] = "";
    if (i > 1)
      snprintf(number, sizeof number, ".%d", i);
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/tenor-%d%s.sock", folder,
             (int)getpid(), number);
    *fd = listen_at(&address);
  }
  if (status == TNR_OK && *fd == -1)
    status = tnr_fail(fault, TNR_ESYSTEM, "cannot listen on '%.120s': %s", address.sun_path,
                      strerror(errno));
  memcpy(live->path, address.sun_path, sizeof live->path);
  return status;
}

/* ---- life ---- */

tnr_status tnr_live_start(tnr_runtime *runtime, tnr_fault *fault) {
  int fd;
  tnr_live *live = calloc(1, sizeof *live);
  if (!live)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory to listen for viewers");
  live->runtime = runtime;
  tnr_status status = open_socket(live, &fd, fault);
  if (status != TNR_OK) {
    free(live);
    return status;
  }
  live->listener = evconnlistener_new(runtime->base, on_connect, live,
                                      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
  runtime->live = live;
  if (live->listener)
    return TNR_OK;
  close(fd);
  tnr_live_finish(runtime);
  return tnr_fail(fault, TNR_ENOMEM, "out of memory to listen for viewers");
}

void tnr_live_finish(tnr_runtime *runtime) {
  tnr_live *live = runtime->live;
  if (!live)
    return;
  runtime->live = NULL;
  (void)unlink(live->path);
  for (int i = 0; i < VIEWERS_MAX; i++)
    if (live->viewers[i].events)
      drop(&live->viewers[i]);
  if (live->listener)
    evconnlistener_free(live->listener);
  free(live);
}

/* libevent writes to sockets as to files. */
void tnr_live_enter(void) {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, NULL);
}

const char *tnr_live_path(const tnr_runtime *runtime) {
  return runtime && runtime->live ? runtime->live->path : NULL;
}
