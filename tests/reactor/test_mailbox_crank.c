/* Mailboxes of runtimes without threads: an event loop that watches the descriptor is all they
 * need. */
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "post.h"
#include "threadless.h"

enum { MS = 1000000 };

static void a_loop_on_the_descriptor_does_it_all(void **state) {
  int threads = threadless_count_threads();
  tnr_mailbox *box = post_box(*state);
  assert_false(post_is_readable(box));
  for (int i = 0; i < 30; i++) {
    tnr_future *f = rig_plus_one(rig_plus_one(threadless_one(*state, i % 3)));
    assert_true(post_is_readable(box)); /* an op waits to be run */
    post_log(box, f, i);
    assert_int_equal(rig_log_count(), i);
    post_run(box, 1);
    assert_true(pthread_equal(rig_log_at(i).thread, pthread_self()));
    assert_true(rig_log_at(i).complete);
    assert_number(f, 3);
  }
  assert_true(CHECK_SANITIZED || threadless_count_threads() == threads);
  post_close(box);
}

static void what_a_wait_has_done_is_not_there_to_do(void **state) {
  tnr_mailbox *box = post_box(*state);
  for (int i = 0; i < 30; i++) {
    tnr_future *f = rig_plus_one(rig_plus_one(threadless_one(*state, i % 3)));
    assert_true(post_is_readable(box));
    assert_number(f, 3);
    while (tnr_runtime_step(*state)) { /* what is left to tidy up */
    }
    assert_false(post_is_readable(box));
  }
  post_close(box);
}

static void kernels_and_callbacks_on_the_dispatcher_run_in_dispatch(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_future *f = rig_plus_one(threadless_one(*state, 0));
  assert_ok(tnr_on(f, TNR_COMPLETE, rig_log, NULL));
  assert_int_equal(tnr_mailbox_dispatch(box), 0); /* none of them is for the mailbox */
  assert_int_equal(rig_log_count(), 1);
  assert_true(tnr_passed(f, TNR_COMPLETE));
  post_close(box);
}

static void edges_tell_of_what_a_dispatch_leaves_behind(void **state) {
  tnr_mailbox *box = post_box(*state);
  int edge = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  assert_int_equal(epoll_ctl(edge, EPOLL_CTL_ADD, tnr_mailbox_fd(box), &event), 0);
  for (int i = 0; i < 100; i++)
    post_log(box, rig_plus_one(threadless_one(*state, i % 3)), i);
  for (int ran = 0; ran < 100;) {
    assert_int_equal(epoll_wait(edge, &event, 1, 60000), 1);
    int more = tnr_mailbox_dispatch(box, .max_callbacks = 7, .max_ns = 1);
    assert_in_range(more, 0, 7);
    ran += more;
  }
  (void)tnr_mailbox_dispatch(box);
  close(edge);
  post_close(box);
}

/* ---- what other threads bring ---- */

static void promise_on_thread(void *user, int index) {
  tnr_promise **promises = user;
  rig_sleep_ms(index);
  if (tnr_promise_fail(promises[index], TNR_EKERNEL, "no") != TNR_OK)
    abort();
}

typedef struct fulfilling {
  tnr_promise *promises[4];
  pthread_t thread;
} fulfilling;

static void *fulfil_all(void *user) {
  for (int i = 0; i < 4; i++)
    promise_on_thread(((fulfilling *)user)->promises, i);
  return NULL;
}

static void begin(fulfilling *all, tnr_runtime *runtime, tnr_mailbox *box) {
  for (int i = 0; i < 4; i++) {
    all->promises[i] = tnr_promise_create(runtime);
    assert_made(all->promises[i]);
    post_log(box, tnr_promise_future(all->promises[i]), i);
  }
  assert_int_equal(pthread_create(&all->thread, NULL, fulfil_all, all), 0);
}

static void promises_of_other_threads_make_it_readable(void **state) {
  for (int round = 0; round < CHECK_MANY(100) + 1; round++) {
    fulfilling all;
    tnr_mailbox *box = post_box(*state);
    begin(&all, *state, box);
    for (int ran = 0; ran < 4;) {
      post_await(box);
      ran += tnr_mailbox_dispatch(box);
    }
    pthread_join(all.thread, NULL);
    post_close(box);
  }
}

/* ---- the end ---- */

static void destroying_it_does_what_is_left(void **state) {
  tnr_mailbox *box = post_box(*state);
  for (int i = 0; i < 10; i++)
    post_log(box, rig_plus_one(threadless_one(*state, i % 3)), i);
  assert_ok(tnr_mailbox_destroy(box));
  assert_int_equal(rig_log_count(), 10);
}

static void destroying_it_waits_for_promises_of_other_threads(void **state) {
  for (int round = 0; round < CHECK_MANY(100) + 1; round++) {
    fulfilling all;
    tnr_mailbox *box = post_box(*state);
    begin(&all, *state, box);
    assert_ok(tnr_mailbox_destroy(box));
    assert_int_equal(rig_log_count(), 4 * (round + 1));
    pthread_join(all.thread, NULL);
  }
}

typedef struct detaching {
  tnr_continuation by[2];
} detaching;

static void *detach_late(void *user) {
  detaching *all = user;
  for (int i = 0; i < 2; i++) {
    rig_sleep_ms(1);
    if (!tnr_detach(&all->by[i]))
      abort();
  }
  return NULL;
}

/* The thread that destroys it sleeps for what only a detach brings. */
static void destroying_it_ends_when_the_last_is_detached(void **state) {
  for (int round = 0; round < CHECK_MANY(100) + 1; round++) {
    detaching all;
    pthread_t thread;
    tnr_mailbox *box = post_box(*state);
    tnr_promise *promise = tnr_promise_create(*state);
    for (int i = 0; i < 2; i++) {
      tnr_continuation_init(&all.by[i], rig_log, NULL);
      assert_ok(tnr_attach(tnr_promise_future(promise), TNR_COMPLETE, &all.by[i], .mailbox = box));
    }
    assert_int_equal(pthread_create(&thread, NULL, detach_late, &all), 0);
    assert_ok(tnr_mailbox_destroy(box));
    pthread_join(thread, NULL);
  }
  assert_int_equal(rig_log_count(), 0);
}

static void it_outlives_its_runtime(void **state) {
  tnr_runtime *runtime = threadless_runtime(TNR_ONE_THREAD);
  tnr_mailbox *box = post_box(runtime);
  (void)state;
  assert_ok(tnr_scope_open());
  post_log(box, rig_plus_one(threadless_one(runtime, 0)), 1);
  assert_ok(tnr_scope_close());
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_int_equal(rig_log_count(), 0);
  post_run(box, 1);
  post_close(box);
}

static void in_virtual_time_no_time_passes(void **state) {
  static const tnr_sim_config slow = {.launch_ns = 3600 * 1000 * (int64_t)MS};
  const tnr_device_config sim = {.driver = tnr_sim_driver(), .count = 1, .config = &slow};
  tnr_runtime *runtime = tnr_runtime_create(&(tnr_runtime_options){
      .devices = &sim, .device_configs = 1, .mode = TNR_DETERMINISTIC, .seed = 5});
  assert_made(runtime);
  (void)state;
  assert_ok(tnr_scope_open());
  tnr_mailbox *box = post_box(runtime);
  post_log(box, rig_plus_one(rig_plus_one(threadless_one(runtime, 0))), 1);
  post_run(box, 1);
  assert_true(tnr_runtime_now(runtime) >= 2 * slow.launch_ns);
  post_close(box);
  assert_ok(tnr_scope_close());
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      threadless_test(a_loop_on_the_descriptor_does_it_all),
      threadless_test(what_a_wait_has_done_is_not_there_to_do),
      threadless_test(kernels_and_callbacks_on_the_dispatcher_run_in_dispatch),
      threadless_test(edges_tell_of_what_a_dispatch_leaves_behind),
      threadless_test(promises_of_other_threads_make_it_readable),
      threadless_test(destroying_it_does_what_is_left),
      threadless_test(destroying_it_waits_for_promises_of_other_threads),
      threadless_test(destroying_it_ends_when_the_last_is_detached),
      threadless_test(it_outlives_its_runtime),
      threadless_test(in_virtual_time_no_time_passes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
