/* Mailboxes: callbacks on the thread that dispatches, and the descriptor that tells of them. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

#include "post.h"

enum { MS = 1000000 };

/* ---- what is delivered, and where ---- */

static void callbacks_run_on_the_thread_that_dispatches(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_future *f = rig_soon(*state);
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1), .mailbox = box));
  post_log(box, f, 2);
  assert_ok(tnr_wait(f, TNR_COMPLETE, INT64_MAX));
  rig_sleep_ms(5);
  assert_int_equal(rig_log_count(), 0); /* nobody has dispatched */
  post_run(box, 2);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(rig_log_at(i).what, i + 1);
    assert_ptr_equal(rig_log_at(i).future.handle, f);
    assert_true(pthread_equal(rig_log_at(i).thread, pthread_self()));
  }
  assert_true(rig_log_at(1).complete);
  post_close(box);
}

static void failures_are_delivered_like_results(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_future *f = rig_plus_one(rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1))));
  post_log(box, f, 1);
  post_run(box, 1);
  assert_int_equal(rig_log_at(0).code, TNR_EKERNEL);
  post_close(box);
}

static void a_callback_at_created_comes_while_the_kernel_still_runs(void **state) {
  check_needs_threads();
  tnr_mailbox *box = post_box(*state);
  tnr_future *f = rig_held(*state);
  post_log(box, f, 2);
  assert_ok(tnr_on(f, TNR_CREATED, rig_log, RIG_WHAT(1), .mailbox = box));
  post_run(box, 1);
  assert_int_equal(rig_log_at(0).what, 1);
  assert_true(rig_log_at(0).created);
  assert_false(rig_log_at(0).complete);
  rig_open_gate();
  post_run(box, 1);
  assert_int_equal(rig_log_at(1).what, 2);
  post_close(box);
}

static void what_has_passed_already_waits_at_once(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_tuple *both = tnr_tuple_of(x, x);
  assert_ok(tnr_on(x, TNR_COMPLETE, rig_log, RIG_WHAT(1), .mailbox = box));
  assert_true(post_is_readable(box)); /* no other thread has a part in it */
  assert_ok(tnr_on(both, TNR_CREATED, rig_log, RIG_WHAT(2), .mailbox = box));
  assert_int_equal(rig_log_count(), 0);
  assert_int_equal(tnr_mailbox_dispatch(box), 2);
  assert_int_equal(rig_log_at(1).what, 2);
  post_close(box);
}

/* Also where the later ones find the moment passed, and go in from this thread. */
static void callbacks_of_one_future_come_in_the_order_of_registration(void **state) {
  enum { ROUNDS = CHECK_MANY(2000), EACH = 20 };
  tnr_mailbox *box = post_box(*state);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int round = 0; round < ROUNDS; round++) {
    tnr_future *f = rig_plus_one(tnr_to_async(x));
    tnr_moment moment = round % 2 ? TNR_CREATED : TNR_COMPLETE;
    for (int i = 0; i < EACH; i++)
      assert_ok(tnr_on(f, moment, rig_log, RIG_WHAT(round * EACH + i), .mailbox = box));
    post_run(box, EACH);
  }
  for (int i = 0; i < ROUNDS * EACH; i++)
    assert_int_equal(rig_log_at(i).what, i);
  post_close(box);
}

/* ---- the descriptor ---- */

static void the_descriptor_is_readable_exactly_while_something_waits(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int round = 0; round < 100; round++) {
    assert_false(post_is_readable(box));
    for (int i = 0; i < 3; i++)
      assert_ok(tnr_on(x, TNR_CREATED, rig_log, NULL, .mailbox = box));
    for (int i = 0; i < 3; i++) {
      assert_true(post_is_readable(box));
      assert_int_equal(tnr_mailbox_dispatch(box, .max_callbacks = 1), 1);
    }
  }
  post_close(box);
}

static void many_callbacks_are_one_write(void **state) {
  check_needs_threads();
  tnr_mailbox *box = post_box(*state);
  tnr_future *f = rig_held(*state);
  for (int i = 0; i < 1000; i++)
    post_log(box, i % 2 ? f : rig_plus_one(f), i);
  assert_int_equal(post_writes(box), 0);
  rig_open_gate();
  for (int i = 0; i < 500; i++)
    post_log(box, f, i);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  post_await(box);
  assert_int_equal(post_writes(box), 1);
  post_run(box, 1500);
  assert_int_equal(post_writes(box), 0);
  post_close(box);
}

/* All at once: two ways of epoll, and select. */
static void every_way_of_watching_tells(void **state) {
  tnr_mailbox *box = post_box(*state);
  int fd = tnr_mailbox_fd(box), level = epoll_create1(0), edge = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  assert_int_equal(epoll_ctl(level, EPOLL_CTL_ADD, fd, &event), 0);
  event.events = EPOLLIN | EPOLLET;
  assert_int_equal(epoll_ctl(edge, EPOLL_CTL_ADD, fd, &event), 0);
  for (int round = 0; round < 200; round++) {
    assert_int_equal(epoll_wait(level, &event, 1, 0), 0);
    assert_int_equal(epoll_wait(edge, &event, 1, 0), 0);
    post_log(box, round % 3 ? rig_soon(*state) : rig_fail(rig_soon(*state)), round);
    assert_int_equal(epoll_wait(edge, &event, 1, 60000), 1);
    assert_int_equal(epoll_wait(edge, &event, 1, 0), 0); /* told once */
    assert_int_equal(epoll_wait(level, &event, 1, 60000), 1);
    assert_int_equal(epoll_wait(level, &event, 1, 0), 1);
    fd_set watched;
    FD_ZERO(&watched);
    FD_SET(fd, &watched);
    assert_int_equal(select(fd + 1, &watched, NULL, NULL, NULL), 1);
    assert_int_equal(tnr_mailbox_dispatch(box), 1);
  }
  close(level);
  close(edge);
  post_close(box);
}

static void what_a_bounded_dispatch_leaves_is_a_new_edge(void **state) {
  enum { CALLBACKS = 500 };
  tnr_mailbox *box = post_box(*state);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  int edge = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  assert_int_equal(epoll_ctl(edge, EPOLL_CTL_ADD, tnr_mailbox_fd(box), &event), 0);
  for (int i = 0; i < CALLBACKS; i++)
    assert_ok(tnr_on(rig_plus_one(x), TNR_COMPLETE, rig_log, NULL, .mailbox = box));
  for (int ran = 0; ran < CALLBACKS;) {
    assert_int_equal(epoll_wait(edge, &event, 1, 60000), 1);
    int more = tnr_mailbox_dispatch(box, .max_callbacks = 7);
    assert_in_range(more, 1, 7);
    ran += more;
  }
  assert_int_equal(epoll_wait(edge, &event, 1, 0), 0);
  close(edge);
  post_close(box);
}

static double cpu_seconds(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void an_idle_program_uses_no_cpu(void **state) {
  check_needs_threads();
  tnr_mailbox *box = post_box(*state);
  post_log(box, rig_held(*state), 1);
  rig_await_held(1);
  rig_sleep_ms(20); /* until all have looked for work for long enough */
  double before = cpu_seconds();
  rig_sleep_ms(200);
  assert_true(cpu_seconds() - before < 0.05);
  rig_open_gate();
  post_run(box, 1);
  before = cpu_seconds();
  for (int i = 0; i < 100; i++)
    assert_ok(tnr_on(rig_soon(*state), TNR_COMPLETE, rig_log, NULL, .mailbox = box));
  rig_sleep_ms(20);
  before = cpu_seconds();
  rig_sleep_ms(200); /* full, and nobody dispatches */
  assert_true(cpu_seconds() - before < 0.05);
  post_run(box, 100);
  post_close(box);
}

/* ---- limits ---- */

static void nap(tnr_value future, void *user) {
  (void)future;
  (void)user;
  rig_sleep_ms(3);
}

static void a_dispatch_can_be_limited_in_number_and_time(void **state) {
  if (check_mode() == TNR_DETERMINISTIC)
    skip(); /* a nap takes no virtual time */
  tnr_mailbox *box = post_box(*state);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int i = 0; i < 12; i++)
    assert_ok(tnr_on(x, TNR_CREATED, nap, NULL, .mailbox = box));
  assert_int_equal(tnr_mailbox_dispatch(box, .max_callbacks = 2), 2);
  assert_int_equal(tnr_mailbox_dispatch(box, .max_ns = 1), 1);
  assert_int_equal(tnr_mailbox_dispatch(box, .max_ns = 3 * MS + 1, .max_callbacks = 1), 1);
  assert_in_range(tnr_mailbox_dispatch(box, .max_ns = 4 * MS), 1, 2);
  assert_in_range(tnr_mailbox_dispatch(box, .max_ns = 60000 * (int64_t)MS), 6, 7);
  post_close(box);
}

typedef struct refill {
  tnr_mailbox *box;
  int calls, most;
  tnr_status status;
} refill;

static void register_again(tnr_value future, void *user) {
  refill *r = user;
  if (++r->calls < r->most && r->status == TNR_OK)
    r->status = tnr_on(future, TNR_COMPLETE, register_again, r, .mailbox = r->box);
}

static void a_dispatch_ends_though_its_callbacks_register_more(void **state) {
  refill r = {.box = post_box(*state), .most = 100};
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_ok(tnr_on(x, TNR_COMPLETE, register_again, &r, .mailbox = r.box));
  for (int i = 1; i <= 100; i++) {
    assert_true(post_is_readable(r.box));
    assert_int_equal(tnr_mailbox_dispatch(r.box), 1);
    assert_int_equal(r.calls, i);
  }
  assert_ok(r.status);
  post_close(r.box);
}

/* ---- inside a callback ---- */

typedef struct inside {
  tnr_mailbox *box;
  tnr_future *owned;
  int depth, deepest, ran;
  tnr_status status;
} inside;

static void dispatch_inside(tnr_value future, void *user) {
  (void)future;
  inside *in = user;
  in->ran++;
  if (++in->depth > in->deepest)
    in->deepest = in->depth;
  (void)tnr_mailbox_dispatch(in->box, .max_callbacks = 3);
  in->depth--;
}

static void a_callback_may_dispatch_its_own_mailbox(void **state) {
  inside in = {.box = post_box(*state)};
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int i = 0; i < 20; i++)
    assert_ok(tnr_on(x, TNR_CREATED, dispatch_inside, &in, .mailbox = in.box));
  assert_int_equal(tnr_mailbox_dispatch(in.box, .max_callbacks = 1), 1);
  assert_int_equal(in.ran, 20);
  assert_int_equal(in.deepest, 20);
  post_close(in.box);
}

static void release_inside(tnr_value future, void *user) {
  inside *in = user;
  in->status = future.handle == in->owned ? TNR_OK : TNR_EINVAL;
  tnr_release(in->owned);
  in->ran += tnr_passed(future, TNR_COMPLETE); /* it is kept until the callback returns */
}

static void a_future_may_be_released_in_its_callback(void **state) {
  inside in = {.box = post_box(*state)};
  assert_ok(tnr_scope_open());
  in.owned = tnr_retain(rig_soon(*state));
  assert_ok(tnr_on(in.owned, TNR_COMPLETE, release_inside, &in, .mailbox = in.box));
  assert_ok(tnr_scope_close());
  post_run(in.box, 1);
  assert_ok(in.status);
  assert_int_equal(in.ran, 1);
  post_close(in.box);
}

static void block_inside(tnr_value future, void *user) {
  (void)future;
  inside *in = user;
  rig_open_gate();
  in->status = tnr_wait(in->owned, TNR_COMPLETE, INT64_MAX);
}

static void a_callback_may_wait_for_what_others_bring_about(void **state) {
  check_needs_threads();
  inside in = {.box = post_box(*state), .owned = rig_held(*state), .status = TNR_EINVAL};
  assert_ok(tnr_on(in.owned, TNR_CREATED, block_inside, &in, .mailbox = in.box));
  post_run(in.box, 1);
  assert_ok(in.status);
  post_close(in.box);
}

/* ---- errors ---- */

static void errors_are_plain(void **state) {
  tnr_runtime *other = rig_runtime();
  tnr_mailbox *box = post_box(other);
  assert_fails(tnr_on(rig_soon(*state), TNR_COMPLETE, rig_log, NULL, .mailbox = box), TNR_EINVAL);
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "the mailbox belongs to another runtime than the future");
  assert_ok(tnr_runtime_destroy(other, TNR_DRAIN));
  post_close(box);
  tnr_error_clear();
  assert_int_equal(tnr_mailbox_dispatch((tnr_mailbox *)NULL), -1);
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_int_equal(tnr_mailbox_fd(NULL), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(callbacks_run_on_the_thread_that_dispatches),
      rig_test(failures_are_delivered_like_results),
      rig_test(a_callback_at_created_comes_while_the_kernel_still_runs),
      rig_test(what_has_passed_already_waits_at_once),
      rig_test(callbacks_of_one_future_come_in_the_order_of_registration),
      rig_test(the_descriptor_is_readable_exactly_while_something_waits),
      rig_test(many_callbacks_are_one_write),
      rig_test(every_way_of_watching_tells),
      rig_test(what_a_bounded_dispatch_leaves_is_a_new_edge),
      rig_test(an_idle_program_uses_no_cpu),
      rig_test(a_dispatch_can_be_limited_in_number_and_time),
      rig_test(a_dispatch_ends_though_its_callbacks_register_more),
      rig_test(a_callback_may_dispatch_its_own_mailbox),
      rig_test(a_future_may_be_released_in_its_callback),
      rig_test(a_callback_may_wait_for_what_others_bring_about),
      rig_test(errors_are_plain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
