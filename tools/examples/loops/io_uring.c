/* A mailbox in a loop around io_uring. A poll request tells once, of what is there when it is
 * submitted or what comes; so each dispatch is followed by a new one. */
#include <liburing.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

enum { MAIL = 1, TICK };

static struct __kernel_timespec period = {0, LOAD_TICK_MS * 1000000};

static void request(struct io_uring *ring, load *l, int what) {
  struct io_uring_sqe *sqe = io_uring_get_sqe(ring); /* two at most are under way */
  if (what == MAIL)
    io_uring_prep_poll_add(sqe, tnr_mailbox_fd(load_mailbox(l)), POLL_IN);
  else
    io_uring_prep_timeout(sqe, &period, 0, 0);
  io_uring_sqe_set_data64(sqe, (__u64)what);
}

static void handle(struct io_uring *ring, load *l, int what) {
  if (what == MAIL)
    tnr_mailbox_dispatch(load_mailbox(l), .max_ns = LOAD_SLICE_NS);
  else
    load_tick(l);
  request(ring, l, what);
}

int main(int argc, char **argv) {
  struct io_uring ring;
  struct io_uring_cqe *cqe;
  int error = io_uring_queue_init(8, &ring, 0);
  if (error < 0) { /* many containers forbid it */
    fprintf(stderr, "there is no io_uring here: %s\n", strerror(-error));
    return LOAD_SKIPPED;
  }
  load *l = load_start(argc, argv);
  request(&ring, l, MAIL);
  request(&ring, l, TICK);
  while (!load_is_over(l)) {
    io_uring_submit_and_wait(&ring, 1);
    while (io_uring_peek_cqe(&ring, &cqe) == 0) {
      int what = (int)io_uring_cqe_get_data64(cqe);
      io_uring_cqe_seen(&ring, cqe);
      handle(&ring, l, what);
    }
  }
  io_uring_queue_exit(&ring);
  return load_finish(l, "io_uring");
}
