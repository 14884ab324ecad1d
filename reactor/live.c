#define _GNU_SOURCE /* struct ucred */

#include "live.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../devices/parker.h"
#include "dispatcher.h"
#include "live_copy.h"
#include "runtime.h"

enum {
  VIEWERS_MAX = 8,
  LINE_BYTES_MAX = 64,
  UNREAD_MAX = 64 << 10, /* bytes; while a viewer leaves so many unread, it gets no more answers */
  STUCK_S = 2,           /* for how long it may take nothing of what is there */
  SHARE = 100,           /* of the dispatcher's time, one part in so many is for answers */
  PAUSE_MAX_NS = 50000000,
  NUMBERS_MAX = 99
};

/* Owned by its tnr_live. */
typedef struct viewer {
  tnr_live *live;
  struct bufferevent *events; /* NULL: nobody */
  bool wants_copy;            /* it has asked for the timeline: until it has that, nothing else */
} viewer;

struct tnr_live {
  tnr_runtime *runtime;
  struct evconnlistener *listener;
  struct event *later; /* a timer: to go on with answers */
  int64_t next_ns;     /* by tnr_now_ns: before this, there are none */
  int next_viewer;     /* who is looked at first */
  tnr_live_copy copy;
  viewer *copies_for; /* NULL: nobody, or it has gone */
  viewer viewers[VIEWERS_MAX];
  char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- answers ---- */

static void drop(viewer *viewer) {
  bufferevent_free(viewer->events); /* closes the socket */
  if (viewer->live->copies_for == viewer)
    viewer->live->copies_for = NULL;
  *viewer = (struct viewer){.live = viewer->live};
}

static void answer(viewer *viewer, const char *line) {
  struct evbuffer *out = bufferevent_get_output(viewer->events);
  viewer->wants_copy = strcmp(line, "timeline") == 0;
  if (strcmp(line, "stats") == 0)
    tnr_live_describe(viewer->live->runtime, out);
  else if (!viewer->wants_copy)
    evbuffer_add_printf(out, "error there is nothing of that name\n");
}

/* While a viewer leaves much unread, it is asked for nothing more. False: there is nothing to
 * answer now. */
static bool answer_next(viewer *viewer) {
  struct evbuffer *in = bufferevent_get_input(viewer->events);
  if (viewer->wants_copy)
    return false;
  if (evbuffer_get_length(bufferevent_get_output(viewer->events)) >= UNREAD_MAX) {
    bufferevent_disable(viewer->events, EV_READ);
    return false;
  }
  char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF);
  if (line)
    answer(viewer, line);
  else if (evbuffer_get_length(in) > LINE_BYTES_MAX)
    drop(viewer);
  free(line);
  return line != NULL;
}

static void go_on_in(tnr_live *live, int64_t ns) {
  const struct timeval pause = {ns / 1000000000, ns % 1000000000 / 1000 + 1};
  (void)evtimer_add(live->later, &pause);
}

/* The tapes go on while the copy is made, and while the viewer reads it. */
static void serve_copies(tnr_live *live) {
  viewer *first = NULL;
  for (int i = 0; i < VIEWERS_MAX && !first; i++)
    first = live->viewers[i].wants_copy ? &live->viewers[i] : NULL;
  int64_t pause = first ? tnr_live_copy_pause(&live->copy) : INT64_MAX;
  if (pause == INT64_MAX)
    return; /* nobody wants one, or it is being made */
  if (pause > 0) {
    go_on_in(live, pause);
    return;
  }
  live->copies_for = first;
  tnr_live_copy_begin(&live->copy);
}

/* One answer; and then not for a while, which is the longer the longer it took. */
static void serve(tnr_live *live) {
  int64_t begin = tnr_now_ns();
  if (begin < live->next_ns) {
    go_on_in(live, live->next_ns - begin);
    return;
  }
  bool answered = false;
  for (int i = 0; i < VIEWERS_MAX && !answered; i++) {
    viewer *viewer = &live->viewers[live->next_viewer];
    live->next_viewer = (live->next_viewer + 1) % VIEWERS_MAX;
    answered = viewer->events && answer_next(viewer);
  }
  serve_copies(live);
  if (!answered)
    return;
  int64_t pause = (SHARE - 1) * (tnr_now_ns() - begin); /* in which it may not have run itself */
  pause = pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS;
  live->next_ns = begin + pause;
  go_on_in(live, pause);
}

static void on_later(evutil_socket_t fd, short what, void *live) {
  (void)fd;
  (void)what;
  serve(live);
}

static void on_copy(void *user, const tnr_live_file *file) {
  tnr_live *live = user;
  viewer *viewer = live->copies_for;
  struct evbuffer *out = viewer ? bufferevent_get_output(viewer->events) : NULL;
  live->copies_for = NULL;
  if (viewer)
    viewer->wants_copy = false;
  if (viewer && file->fd == -1)
    evbuffer_add_printf(out, "error %s\n", file->reason);
  else if (viewer)
    evbuffer_add_printf(out, "timeline %llu\n", (unsigned long long)file->bytes);
  bool taken = viewer && file->fd != -1 && file->bytes > 0 &&
               evbuffer_add_file(out, file->fd, 0, (ev_off_t)file->bytes) == 0;
  if (file->fd != -1 && !taken)
    close(file->fd); /* else it belongs to the buffer */
  serve(live);
}

/* ---- viewers ---- */

static void on_read(struct bufferevent *events, void *user) {
  (void)events;
  serve(((viewer *)user)->live);
}

/* All has been read. */
static void on_written(struct bufferevent *events, void *user) {
  bufferevent_enable(events, EV_READ);
  serve(((viewer *)user)->live);
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
  *viewer = (struct viewer){.live = live, .events = events};
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

static tnr_status no_memory(tnr_fault *fault) {
  return tnr_fail(fault, TNR_ENOMEM, "out of memory to listen for viewers");
}

static tnr_status listen_on(tnr_live *live, tnr_fault *fault) {
  int fd;
  tnr_status status = open_socket(live, &fd, fault);
  if (status != TNR_OK)
    return status;
  live->listener = evconnlistener_new(live->runtime->base, on_connect, live,
                                      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
  if (live->listener)
    return TNR_OK;
  (void)unlink(live->path);
  close(fd);
  return no_memory(fault);
}

tnr_status tnr_live_start(tnr_runtime *runtime, tnr_fault *fault) {
  tnr_live *live = calloc(1, sizeof *live);
  if (!live)
    return no_memory(fault);
  live->runtime = runtime;
  runtime->live = live;
  live->later = evtimer_new(runtime->base, on_later, live);
  tnr_status status = live->later ? tnr_live_copy_init(&live->copy, runtime, on_copy, live, fault)
                                  : no_memory(fault);
  if (status == TNR_OK)
    status = listen_on(live, fault);
  if (status != TNR_OK)
    tnr_live_finish(runtime);
  return status;
}

void tnr_live_finish(tnr_runtime *runtime) {
  tnr_live *live = runtime->live;
  if (!live)
    return;
  runtime->live = NULL;
  for (int i = 0; i < VIEWERS_MAX; i++)
    if (live->viewers[i].events)
      drop(&live->viewers[i]);
  if (live->listener) {
    (void)unlink(live->path);
    evconnlistener_free(live->listener);
  }
  tnr_live_copy_finish(&live->copy);
  if (live->later)
    event_free(live->later);
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
