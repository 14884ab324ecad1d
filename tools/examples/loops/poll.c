/* A mailbox in a loop around poll(2). */
#define _GNU_SOURCE /* ppoll */

#include <poll.h>
#include <time.h>

#include "load.h"

enum { NS_PER_MS = 1000000 };

/* Waits until the mailbox has something, or until the time; true when it has. */
static bool has_mail(tnr_mailbox *mailbox, int64_t until) {
  struct pollfd watched = {.fd = tnr_mailbox_fd(mailbox), .events = POLLIN};
  int64_t left = until - load_now();
  struct timespec limit = {0, left > 0 ? left : 0};
  return ppoll(&watched, 1, &limit, NULL) > 0;
}

int main(int argc, char **argv) {
  load *l = load_start(argc, argv);
  int64_t due = load_now() + LOAD_TICK_MS * NS_PER_MS;
  while (!load_is_over(l)) {
    if (has_mail(load_mailbox(l), due))
      tnr_mailbox_dispatch(load_mailbox(l), .max_ns = LOAD_SLICE_NS);
    if (load_now() >= due) {
      load_tick(l);
      due = load_now() + LOAD_TICK_MS * NS_PER_MS;
    }
  }
  return load_finish(l, "poll");
}
