#include "post.h"

#include <poll.h>
#include <stdio.h>

#include "reactor/mailbox.h"

tnr_mailbox *post_box(tnr_runtime *runtime) {
  tnr_mailbox *box = tnr_mailbox_create(runtime);
  assert_made(box);
  assert_true(tnr_mailbox_fd(box) >= 0);
  return box;
}

void post_close(tnr_mailbox *box) {
  assert_false(post_is_readable(box));
  assert_int_equal(tnr_mailbox_dispatch(box), 0);
  assert_ok(tnr_mailbox_destroy(box));
}

static bool poll_for(tnr_mailbox *box, int ms) {
  struct pollfd watched = {.fd = tnr_mailbox_fd(box), .events = POLLIN};
  int count = poll(&watched, 1, ms);
  assert_true(count >= 0);
  assert_int_equal(watched.revents & ~POLLIN, 0);
  return count > 0;
}

bool post_is_readable(tnr_mailbox *box) {
  return poll_for(box, 0);
}

void post_await(tnr_mailbox *box) {
  assert_true(poll_for(box, 60000));
}

void post_log(tnr_mailbox *box, tnr_future *f, int what) {
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, RIG_WHAT(what), .mailbox = box));
}

void post_run(tnr_mailbox *box, int callbacks) {
  for (int ran = 0; ran < callbacks;) {
    post_await(box);
    int more = tnr_mailbox_dispatch(box);
    assert_true(more > 0);
    ran += more;
    assert_true(ran <= callbacks);
  }
  assert_false(post_is_readable(box));
}

int post_writes(tnr_mailbox *box) {
  char path[64], line[128];
  unsigned writes = 0;
  bool found = false;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", box->fd);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  while (!found && fgets(line, sizeof line, file))
    found = sscanf(line, "eventfd-count: %x", &writes) == 1;
  fclose(file);
  assert_true(found);
  return (int)writes;
}
