/* A mailbox in the program's own libevent base. */
#include <event2/event.h>
#include <stdio.h>

#include "load.h"

static void on_mail(evutil_socket_t fd, short what, void *user) {
  (void)fd;
  (void)what;
  tnr_mailbox_dispatch(user, .max_ns = LOAD_SLICE_NS);
}

/* To be freed, with event_free, before the mailbox is destroyed. */
static struct event *watch(struct event_base *base, tnr_mailbox *mailbox) {
  struct event *event =
      event_new(base, tnr_mailbox_fd(mailbox), EV_READ | EV_PERSIST, on_mail, mailbox);
  if (event && event_add(event, NULL) != 0) {
    event_free(event);
    return NULL;
  }
  return event;
}

/* Without this flag libevent reads a clock that moves in steps of up to 4 ms. */
static struct event_base *precise_base(void) {
  struct event_config *config = event_config_new();
  if (!config || event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) != 0)
    return NULL;
  struct event_base *base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

static void on_tick(evutil_socket_t fd, short what, void *user) {
  (void)fd;
  (void)what;
  load_tick(user);
}

int main(int argc, char **argv) {
  const struct timeval period = {0, LOAD_TICK_MS * 1000};
  load *l = load_start(argc, argv);
  struct event_base *base = precise_base();
  struct event *mail = base ? watch(base, load_mailbox(l)) : NULL;
  struct event *tick = base ? event_new(base, -1, EV_PERSIST, on_tick, l) : NULL;
  if (!mail || !tick || event_add(tick, &period) != 0) {
    fprintf(stderr, "libevent does not work here\n");
    return 1;
  }
  while (!load_is_over(l))
    event_base_loop(base, EVLOOP_ONCE);
  event_free(tick);
  event_free(mail);
  event_base_free(base);
  return load_finish(l, "libevent");
}
