/* A mailbox in a libuv loop. */
#include <stdio.h>
#include <uv.h>

#include "load.h"

static void on_mail(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  tnr_mailbox_dispatch(poll->data, .max_ns = LOAD_SLICE_NS);
}

/* To be closed, with uv_close, before the mailbox is destroyed. */
static int watch(uv_loop_t *loop, uv_poll_t *poll, tnr_mailbox *mailbox) {
  int error = uv_poll_init(loop, poll, tnr_mailbox_fd(mailbox));
  poll->data = mailbox;
  return error ? error : uv_poll_start(poll, UV_READABLE, on_mail);
}

static void on_tick(uv_timer_t *tick) {
  load_tick(tick->data);
}

int main(int argc, char **argv) {
  uv_loop_t loop;
  uv_poll_t mail;
  uv_timer_t tick;
  load *l = load_start(argc, argv);
  tick.data = l;
  if (uv_loop_init(&loop) || uv_timer_init(&loop, &tick) ||
      uv_timer_start(&tick, on_tick, LOAD_TICK_MS, LOAD_TICK_MS) ||
      watch(&loop, &mail, load_mailbox(l))) {
    fprintf(stderr, "libuv does not work here\n");
    return 1;
  }
  while (!load_is_over(l))
    uv_run(&loop, UV_RUN_ONCE);
  uv_close((uv_handle_t *)&mail, NULL);
  uv_close((uv_handle_t *)&tick, NULL);
  uv_run(&loop, UV_RUN_DEFAULT); /* until they are closed */
  uv_loop_close(&loop);
  return load_finish(l, "libuv");
}
