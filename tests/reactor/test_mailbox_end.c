/* Mailboxes with several threads, and at their end and that of their runtime. */
#include <stdlib.h>

#include "post.h"

/* ---- several threads ---- */

typedef struct crowd {
  tnr_runtime *runtime;
  tnr_mailbox *box;
  tnr_tensor *x;
  atomic_int called, registered, refused, stop;
} crowd;

static void count(tnr_value future, void *user) {
  (void)future;
  atomic_fetch_add(&((crowd *)user)->called, 1);
}

static void register_or_dispatch(void *user, int index) {
  crowd *c = user;
  for (int i = 0; index < 2 && i < CHECK_MANY(20000); i++) {
    tnr_tensor *y = i % 4 == 0 ? rig_plus_one(c->x) : tnr_retain(c->x);
    tnr_status status = y ? tnr_on(y, i % 3 ? TNR_COMPLETE : TNR_CREATED, count, c,
                                   .mailbox = i % 5 ? c->box : NULL)
                          : TNR_ENOMEM;
    atomic_fetch_add(status == TNR_OK ? &c->registered : &c->refused, 1);
    tnr_release(y);
  }
  if (index < 2)
    atomic_fetch_add(&c->stop, 1);
  while (atomic_load(&c->stop) < 2)
    (void)tnr_mailbox_dispatch(c->box, .max_callbacks = index);
}

static void several_threads_may_dispatch_at_once(void **state) {
  crowd c = {.runtime = *state, .box = post_box(*state), .x = rig_tensor(rig_cpu(*state, 0), 1)};
  rig_threads(5, register_or_dispatch, &c);
  assert_int_equal(c.refused, 0);
  assert_ok(tnr_mailbox_destroy(c.box));
  rig_await(&c.called, c.registered);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(c.called, c.registered);
}

/* ---- the end ---- */

typedef struct inside {
  tnr_mailbox *box;
  tnr_runtime *runtime;
  tnr_future *owned;
  tnr_status status; /* written before `ran` */
  atomic_int ran;
} inside;

static void destroy_inside(tnr_value future, void *user) {
  (void)future;
  inside *in = user;
  in->status = tnr_mailbox_destroy(in->box);
  in->ran++;
}

static void a_mailbox_is_not_destroyed_in_its_own_callback(void **state) {
  inside in = {.box = post_box(*state)};
  assert_ok(tnr_on(rig_soon(*state), TNR_COMPLETE, destroy_inside, &in, .mailbox = in.box));
  post_run(in.box, 1);
  assert_int_equal(in.status, TNR_EDEADLK);
  post_log(in.box, rig_soon(*state), 1); /* it is as it was */
  post_run(in.box, 1);
  post_close(in.box);
}

static void block_inside(tnr_value future, void *user) {
  (void)future;
  inside *in = user;
  rig_open_gate();
  in->status = tnr_wait(in->owned, TNR_COMPLETE, INT64_MAX);
}

static void destroying_delivers_what_waits_and_what_is_to_come(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_future *held = rig_held(*state);
  for (int i = 0; i < 10; i++)
    post_log(box, i % 2 ? held : rig_soon(*state), i);
  assert_ok(tnr_on(held, TNR_CREATED, block_inside, &(inside){.owned = rig_soon(*state)},
                   .mailbox = box)); /* opens the gate */
  assert_ok(tnr_mailbox_destroy(box));
  assert_int_equal(rig_log_count(), 10);
  for (int i = 0; i < 10; i++)
    assert_true(pthread_equal(rig_log_at(i).thread, pthread_self()));
}

static void register_at_the_end(tnr_value future, void *user) {
  inside *in = user;
  in->status = tnr_on(future, TNR_COMPLETE, rig_log, NULL, .mailbox = in->box);
}

static void a_mailbox_that_is_being_destroyed_takes_nothing_more(void **state) {
  inside in = {.box = post_box(*state)};
  assert_ok(tnr_on(rig_soon(*state), TNR_COMPLETE, register_at_the_end, &in, .mailbox = in.box));
  assert_ok(tnr_mailbox_destroy(in.box));
  assert_int_equal(in.status, TNR_ECLOSED);
  assert_int_equal(rig_log_count(), 0);
  assert_ok(tnr_mailbox_destroy(NULL));
}

static void *dispatch_slowly(void *user) {
  crowd *c = user;
  while (!atomic_load(&c->stop))
    (void)tnr_mailbox_dispatch(c->box, .max_callbacks = 1);
  return NULL;
}

static void stop_and_nap(tnr_value future, void *user) {
  crowd *c = user;
  atomic_store(&c->stop, 1);
  rig_sleep_ms(20);
  count(future, user);
}

static void destroying_waits_for_the_callbacks_of_other_threads(void **state) {
  crowd c = {.box = post_box(*state)};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, dispatch_slowly, &c), 0);
  assert_ok(tnr_on(rig_soon(*state), TNR_COMPLETE, stop_and_nap, &c, .mailbox = c.box));
  rig_await(&c.stop, 1);
  assert_ok(tnr_mailbox_destroy(c.box));
  assert_int_equal(c.called, 1);
  pthread_join(thread, NULL);
}

static void destroying_does_not_block_the_dispatcher(void **state) {
  inside in = {.box = post_box(*state)};
  post_log(in.box, rig_held(*state), 1);
  assert_ok(tnr_on(rig_tensor(rig_cpu(*state, 1), 1), TNR_CREATED, destroy_inside, &in));
  rig_await(&in.ran, 1);
  assert_int_equal(in.status, TNR_EDEADLK);
  rig_open_gate();
  post_run(in.box, 1);
  post_close(in.box);
}

/* Without limits, with them, and in the callback of another. */
static void a_mailbox_outlives_its_runtime(void **state) {
  (void)state;
  for (int how = 0; how < 2; how++) {
    tnr_runtime *runtime = rig_runtime();
    tnr_mailbox *box = post_box(runtime);
    int before = rig_log_count();
    assert_ok(tnr_scope_open());
    tnr_future *f = rig_plus_one(rig_held(runtime));
    for (int i = 0; i < 10; i++)
      post_log(box, i % 2 ? f : rig_plus_one(f), i);
    assert_ok(tnr_scope_close());
    rig_open_gate();
    assert_ok(tnr_runtime_destroy(runtime, (tnr_shutdown)how));
    assert_true(post_is_readable(box));
    post_run(box, 10);
    assert_int_equal(rig_log_count(), before + 10);
    for (int i = before; i < before + 10; i++)
      assert_true(rig_log_at(i).code == TNR_OK || (how && rig_log_at(i).code == TNR_ECANCELED));
    post_close(box);
    rig_close_gate();
  }
}

static void end_runtime_inside(tnr_value future, void *user) {
  (void)future;
  inside *in = user;
  in->status = tnr_runtime_destroy(in->runtime, TNR_DRAIN);
  in->ran = tnr_on(future, TNR_COMPLETE, rig_log, NULL, .mailbox = in->box) == TNR_ECLOSED;
}

static void a_runtime_may_be_destroyed_in_a_mailboxs_callback(void **state) {
  (void)state;
  inside in = {.runtime = rig_runtime()};
  in.box = post_box(in.runtime);
  assert_ok(tnr_scope_open());
  tnr_future *f = rig_soon(in.runtime);
  assert_ok(tnr_on(f, TNR_CREATED, end_runtime_inside, &in, .mailbox = in.box));
  post_log(in.box, f, 1);
  assert_ok(tnr_scope_close());
  post_run(in.box, 2);
  assert_ok(in.status);
  assert_int_equal(in.ran, 1);
  assert_int_equal(rig_log_count(), 1);
  post_close(in.box);
}

static void a_closed_runtime_gives_no_mailbox(void **state) {
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  tnr_tensor *x = rig_tensor(rig_cpu(runtime, 0), 1);
  tnr_mailbox *box = post_box(runtime);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_null(tnr_mailbox_create(runtime));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ECLOSED);
  assert_fails(tnr_on(x, TNR_CREATED, rig_log, NULL, .mailbox = box), TNR_ECLOSED);
  tnr_release(x);
  post_close(box);
}

/* ---- all at once ---- */

static void register_dispatch_and_shut_down(void *user, int index) {
  crowd *c = user;
  if (index == 0) { /* submits until it is closed */
    for (tnr_tensor *y; (y = rig_plus_one(c->x)); tnr_release(y)) {
      tnr_status status =
          tnr_on(y, c->registered % 2 ? TNR_COMPLETE : TNR_CREATED, count, c, .mailbox = c->box);
      atomic_fetch_add(status == TNR_OK ? &c->registered : &c->refused, 1);
    }
    atomic_store(&c->stop, 1);
  } else if (index == 1) {
    for (int i = 0; i < 50 && !atomic_load(&c->stop); i++)
      (void)tnr_mailbox_dispatch(c->box, .max_callbacks = i % 4);
  } else {
    while (atomic_load(&c->registered) < 5)
      sched_yield();
    if (tnr_runtime_destroy(c->runtime, index == 2 ? TNR_DRAIN : TNR_ABORT) != TNR_OK)
      abort();
  }
}

static void register_dispatch_and_abort(void *user, int index) {
  register_dispatch_and_shut_down(user, index == 2 ? 3 : index);
}

static void delivery_dispatch_and_shutdown_may_race(void **state) {
  (void)state;
  const tnr_device_config device = {.driver = tnr_cpu_driver(), .count = 1};
  for (int round = 0; round < CHECK_MANY(500); round++) {
    crowd c = {.runtime = tnr_runtime_create(
                   &(tnr_runtime_options){.devices = &device, .device_configs = 1})};
    c.box = post_box(c.runtime);
    c.x = rig_tensor(rig_cpu(c.runtime, 0), 1);
    rig_threads(3, round % 2 ? register_dispatch_and_shut_down : register_dispatch_and_abort, &c);
    tnr_release(c.x);
    assert_ok(tnr_mailbox_destroy(c.box));
    assert_int_equal(c.called, c.registered);
    assert_in_range(c.refused, 0, 1);
  }
}

static void register_dispatch_and_destroy(void *user, int index) {
  crowd *c = user;
  for (int i = 0; index == 0 && i < 20; i++) {
    tnr_tensor *y = rig_plus_one(c->x);
    if (!y || tnr_on(y, i % 2 ? TNR_COMPLETE : TNR_CREATED, count, c, .mailbox = c->box) != TNR_OK)
      abort();
    tnr_release(y);
    if (i == 19)
      atomic_store(&c->stop, 1); /* from here on nothing new comes */
  }
  while (index == 1 && !atomic_load(&c->stop))
    (void)tnr_mailbox_dispatch(c->box, .max_callbacks = 2);
  if (index != 1)
    return;
  if (tnr_mailbox_destroy(c->box) != TNR_OK)
    abort();
  atomic_store(&c->refused, 20 - atomic_load(&c->called)); /* all have run by then */
}

static void delivery_and_destroying_a_mailbox_may_race(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int round = 0; round < CHECK_MANY(10000); round++) {
    crowd c = {.x = x, .box = post_box(*state)};
    rig_threads(2, register_dispatch_and_destroy, &c);
    assert_int_equal(c.called, 20);
    assert_int_equal(c.refused, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_mailbox_is_not_destroyed_in_its_own_callback),
      rig_test(several_threads_may_dispatch_at_once),
      rig_test(destroying_delivers_what_waits_and_what_is_to_come),
      rig_test(a_mailbox_that_is_being_destroyed_takes_nothing_more),
      rig_test(destroying_waits_for_the_callbacks_of_other_threads),
      rig_test(destroying_does_not_block_the_dispatcher),
      rig_bare_test(a_mailbox_outlives_its_runtime),
      rig_bare_test(a_runtime_may_be_destroyed_in_a_mailboxs_callback),
      rig_bare_test(delivery_dispatch_and_shutdown_may_race),
      rig_test(delivery_and_destroying_a_mailbox_may_race),
      rig_bare_test(a_closed_runtime_gives_no_mailbox),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
