/* Continuations: callbacks in the caller's own structs, attached, delivered, and taken back. */
#include <stdlib.h>

#include "post.h"

/* A request of some program's. */
typedef struct request {
  int number;
  tnr_continuation done;
  tnr_mailbox *box;
  struct request *other;
  tnr_status status;
  bool detached, attached;
  atomic_int calls;
} request;

static void note(tnr_value future, void *user) {
  request *r = user;
  rig_log(future, RIG_WHAT(r->number));
  atomic_fetch_add(&r->calls, 1);
}

static void init(request *r, tnr_callback *fn, int number) {
  *r = (request){.number = number};
  tnr_continuation_init(&r->done, fn, r);
}

/* ---- attaching ---- */

static void it_is_called_at_its_moment(void **state) {
  check_needs_threads();
  request created, complete;
  init(&created, note, 1);
  init(&complete, note, 2);
  tnr_future *f = rig_held(*state);
  assert_ok(tnr_attach(f, TNR_COMPLETE, &complete.done));
  assert_ok(tnr_attach(f, TNR_CREATED, &created.done));
  rig_await_log(1);
  assert_int_equal(rig_log_at(0).what, 1);
  assert_false(rig_log_at(0).complete);
  rig_open_gate();
  rig_await_log(2);
  assert_int_equal(rig_log_at(1).what, 2);
  assert_true(rig_log_at(1).complete);
  assert_ptr_equal(rig_log_at(1).future.handle, f);
  assert_false(pthread_equal(rig_log_at(1).thread, pthread_self()));
}

static void attaching_takes_no_memory(void **state) {
  check_needs_threads();
  enum { MANY = 1000 };
  request *requests = calloc(MANY, sizeof *requests);
  tnr_mailbox *box = post_box(*state);
  tnr_future *f = rig_held(*state);
  rig_await_held(1);
  uint64_t before = tnr_runtime_get_stats(*state).live_handles;
  for (int i = 0; i < MANY; i++) {
    init(&requests[i], note, i);
    assert_ok(tnr_attach(f, TNR_COMPLETE, &requests[i].done, .mailbox = i % 2 ? box : NULL));
  }
  assert_int_equal(tnr_runtime_get_stats(*state).live_handles, before);
  rig_open_gate();
  rig_await_log(MANY / 2);
  post_run(box, MANY / 2);
  post_close(box);
  free(requests);
}

static void every_kind_of_handle_takes_one(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_future_tuple *two = rig_two(rig_held(*state));
  tnr_tensor *plain = rig_hold(rig_tensor(rig_cpu(*state, 1), 1));
  request of_tuple, of_element, of_tensor, of_none;
  init(&of_tuple, note, 1);
  init(&of_element, note, 2);
  init(&of_tensor, note, 3);
  init(&of_none, note, 4);
  assert_ok(tnr_attach(two, TNR_COMPLETE, &of_tuple.done, .mailbox = box));
  assert_ok(tnr_attach(tnr_at(two, 1), TNR_COMPLETE, &of_element.done, .mailbox = box));
  assert_ok(tnr_attach(plain, TNR_COMPLETE, &of_tensor.done, .mailbox = box));
  assert_fails(tnr_attach((tnr_future *)NULL, TNR_COMPLETE, &of_none.done), TNR_EINVAL);
  rig_open_gate();
  post_run(box, 3);
  post_close(box);
  assert_int_equal(of_none.calls, 0);
}

static void what_cannot_be_attached_is_refused(void **state) {
  tnr_future *f = rig_held(*state);
  request twice;
  init(&twice, note, 1);
  tnr_continuation none;
  tnr_continuation_init(&none, NULL, NULL);
  assert_ok(tnr_attach(f, TNR_COMPLETE, &twice.done));
  assert_fails(tnr_attach(f, TNR_COMPLETE, &twice.done), TNR_EINVAL);
  assert_string_equal(tnr_error_reason(tnr_error()), "the continuation is attached already");
  assert_fails(tnr_attach(f, TNR_COMPLETE, &none), TNR_EINVAL);
  assert_fails(tnr_attach(f, TNR_COMPLETE, (tnr_continuation *)NULL), TNR_EINVAL);
  rig_open_gate();
  rig_await_log(1);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_int_equal(twice.calls, 1);
}

/* The one in the callback is the same again. */
static void attach_again(tnr_value future, void *user) {
  request *r = user;
  if (atomic_fetch_add(&r->calls, 1) < 9)
    r->status = tnr_attach(future, TNR_COMPLETE, &r->done, .mailbox = r->box);
}

static void it_may_be_attached_again_in_its_callback(void **state) {
  tnr_mailbox *box = post_box(*state);
  for (int in_box = 0; in_box < 2; in_box++) {
    request r;
    init(&r, attach_again, 0);
    r.box = in_box ? box : NULL;
    assert_ok(tnr_attach(rig_soon(*state), TNR_COMPLETE, &r.done, .mailbox = r.box));
    if (in_box)
      post_run(box, 10);
    rig_await(&r.calls, 10);
    assert_ok(r.status);
  }
  post_close(box);
}

static void free_it(tnr_value future, void *user) {
  note(future, user);
  free(user);
}

static void it_may_be_freed_in_its_callback(void **state) {
  tnr_mailbox *box = post_box(*state);
  for (int i = 0; i < 4; i++) {
    request *r = malloc(sizeof *r);
    init(r, free_it, i);
    assert_ok(tnr_attach(rig_soon(*state), i < 2 ? TNR_CREATED : TNR_COMPLETE, &r->done,
                         .mailbox = i % 2 ? box : NULL));
  }
  post_run(box, 2);
  rig_await_log(4);
  post_close(box);
}

/* Whatever has passed when they are attached, and whoever finds it out. */
static void they_come_in_the_order_of_attaching(void **state) {
  enum { FUTURES = CHECK_MANY(8000), EACH = 6 };
  request *requests = calloc(FUTURES * EACH, sizeof *requests);
  int *next = calloc(FUTURES, sizeof *next);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  for (int f = 0; f < FUTURES; f++) {
    tnr_future *future = rig_plus_one(tnr_to_async(x));
    if (f % 9 == 0)
      assert_ok(tnr_wait(future, f % 2 ? TNR_CREATED : TNR_COMPLETE, INT64_MAX));
    for (int i = 0; i < EACH; i++) {
      request *r = &requests[f * EACH + i];
      init(r, note, f * EACH + i);
      assert_ok(tnr_attach(future, i < EACH / 2 ? TNR_CREATED : TNR_COMPLETE, &r->done));
    }
  }
  rig_await_log(FUTURES * EACH);
  for (int i = 0; i < FUTURES * EACH; i++) {
    int what = rig_log_at(i).what;
    assert_int_equal(what % EACH, next[what / EACH]++);
  }
  free(next);
  free(requests);
}

/* ---- detaching ---- */

static void what_is_detached_is_never_called(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_future *f = rig_held(*state);
  request r[6];
  for (int i = 0; i < 6; i++) {
    init(&r[i], note, i);
    assert_ok(tnr_attach(f, TNR_COMPLETE, &r[i].done, .mailbox = i % 2 ? box : NULL));
  }
  for (int i = 1; i < 5; i++)
    assert_true(tnr_detach(&r[i].done));
  for (int i = 1; i < 5; i++)
    assert_false(tnr_detach(&r[i].done));
  assert_ok(tnr_attach(f, TNR_COMPLETE, &r[3].done, .mailbox = box)); /* it is ours again */
  rig_open_gate();
  post_run(box, 2);
  rig_await_log(3);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  for (int i = 0; i < 6; i++)
    assert_int_equal(r[i].calls, i == 0 || i == 3 || i == 5);
  post_close(box);
}

static void what_is_not_attached_cannot_be_detached(void **state) {
  request r;
  init(&r, note, 1);
  assert_false(tnr_detach(&r.done));
  assert_false(tnr_detach(NULL));
  assert_ok(tnr_attach(rig_soon(*state), TNR_COMPLETE, &r.done));
  rig_await(&r.calls, 1);
  assert_false(tnr_detach(&r.done));
}

static void it_can_be_taken_back_out_of_a_mailbox(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  request r[5];
  for (int i = 0; i < 5; i++) {
    init(&r[i], note, i);
    assert_ok(tnr_attach(x, TNR_CREATED, &r[i].done, .mailbox = box));
  }
  assert_true(tnr_detach(&r[0].done)); /* the first, the last, and one between */
  assert_true(tnr_detach(&r[4].done));
  assert_true(tnr_detach(&r[2].done));
  assert_ok(tnr_attach(x, TNR_CREATED, &r[4].done, .mailbox = box));
  assert_int_equal(tnr_mailbox_dispatch(box), 3);
  const int left[] = {1, 3, 4};
  for (int i = 0; i < 3; i++)
    assert_int_equal(rig_log_at(i).what, left[i]);
  assert_ok(tnr_attach(x, TNR_CREATED, &r[0].done, .mailbox = box));
  assert_true(post_is_readable(box));
  assert_true(tnr_detach(&r[0].done));
  assert_false(post_is_readable(box));
  post_close(box);
}

static void detach_other(tnr_value future, void *user) {
  request *r = user;
  r->detached = r->other && tnr_detach(&r->other->done);
  note(future, user);
}

/* On the thread that calls them: also what is about to come at the same time. */
static void one_callback_may_detach_another(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_future *f = rig_held(*state);
  request r[4];
  for (int i = 0; i < 4; i++) {
    init(&r[i], detach_other, i);
    r[i].other = i < 2 ? &r[i + 2] : NULL;
    assert_ok(tnr_attach(f, TNR_COMPLETE, &r[i].done, .mailbox = i % 2 ? box : NULL));
  }
  rig_open_gate();
  post_run(box, 1);
  rig_await_log(2);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  for (int i = 0; i < 4; i++) {
    assert_int_equal(r[i].calls, i < 2);
    assert_int_equal(r[i].detached, i < 2);
  }
  post_close(box);
}

static void a_mailbox_does_not_wait_for_what_is_detached(void **state) {
  tnr_mailbox *box = post_box(*state);
  tnr_future *f = rig_held(*state);
  request r;
  init(&r, note, 1);
  assert_ok(tnr_attach(f, TNR_COMPLETE, &r.done, .mailbox = box));
  assert_true(tnr_detach(&r.done));
  assert_ok(tnr_mailbox_destroy(box));
}

static void *detach_soon(void *user) {
  request *r = user;
  rig_sleep_ms(20);
  r->detached = tnr_detach(&r->done);
  return NULL;
}

static void a_mailbox_that_waits_hears_of_what_is_detached(void **state) {
  check_needs_threads();
  tnr_mailbox *box = post_box(*state);
  request r;
  pthread_t thread;
  init(&r, note, 1);
  assert_ok(tnr_attach(rig_held(*state), TNR_COMPLETE, &r.done, .mailbox = box));
  assert_int_equal(pthread_create(&thread, NULL, detach_soon, &r), 0);
  assert_ok(tnr_mailbox_destroy(box));
  pthread_join(thread, NULL);
  assert_true(r.detached);
}

/* ---- races ---- */

enum { BATCH = 32 };

typedef struct race {
  tnr_runtime *runtime;
  tnr_tensor *x;
  tnr_mailbox *box;
  request requests[BATCH];
  atomic_int attached, refused, done;
} race;

static void attach_batch(race *now) {
  for (int i = 0; i < BATCH; i++) {
    tnr_tensor *y = i % 3 == 0 ? tnr_retain(now->x) : rig_plus_one(now->x);
    request *r = &now->requests[i];
    r->attached = y && tnr_attach(y, i % 4 < 2 ? TNR_COMPLETE : TNR_CREATED, &r->done,
                                  .mailbox = i % 2 ? now->box : NULL) == TNR_OK;
    atomic_fetch_add(&now->refused, !r->attached);
    tnr_release(y);
    atomic_store(&now->attached, i + 1);
  }
}

/* One attaches, one detaches what it gets hold of, one dispatches; and the dispatcher delivers. */
static void attach_detach_and_dispatch(void *user, int index) {
  race *now = user;
  if (index == 0) {
    attach_batch(now);
  } else if (index == 1) {
    for (int i = 0; i < BATCH; i++) {
      while (atomic_load(&now->attached) <= i)
        sched_yield();
      if (i % 5 < 3)
        now->requests[i].detached = tnr_detach(&now->requests[i].done);
    }
    atomic_store(&now->done, 1);
  } else {
    while (!atomic_load(&now->done))
      (void)tnr_mailbox_dispatch(now->box, .max_callbacks = 3);
  }
}

static void count_call(tnr_value future, void *user) {
  (void)future;
  atomic_fetch_add(&((request *)user)->calls, 1);
}

static void race_init(race *now) {
  *now = (race){.runtime = now->runtime, .x = now->x, .box = now->box};
  for (int i = 0; i < BATCH; i++)
    init(&now->requests[i], count_call, i);
}

static void each_is_called_or_detached(const race *now) {
  for (int i = 0; i < BATCH; i++)
    assert_int_equal(now->requests[i].calls + now->requests[i].detached, now->requests[i].attached);
}

static void detaching_and_delivery_may_race(void **state) {
  race now = {.runtime = *state, .x = rig_tensor(rig_cpu(*state, 0), 1), .box = post_box(*state)};
  for (int round = 0; round < CHECK_MANY(1000); round++) {
    race_init(&now);
    rig_threads(3, attach_detach_and_dispatch, &now);
    assert_int_equal(now.refused, 0);
    for (int i = 0; i < BATCH; i += 2) /* the dispatcher's own may still come */
      if (!now.requests[i].detached)
        rig_await(&now.requests[i].calls, 1);
    assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
    while (post_is_readable(now.box))
      assert_true(tnr_mailbox_dispatch(now.box) > 0);
    each_is_called_or_detached(&now);
  }
  post_close(now.box);
}

static void attach_detach_and_end(void *user, int index) {
  race *now = user;
  if (index < 3) {
    attach_detach_and_dispatch(user, index);
    return;
  }
  while (atomic_load(&now->attached) < BATCH / 4)
    sched_yield();
  if (tnr_runtime_destroy(now->runtime, index == 3 ? TNR_DRAIN : TNR_ABORT) != TNR_OK)
    abort();
}

static void attach_detach_and_abort(void *user, int index) {
  attach_detach_and_end(user, index == 3 ? 4 : index);
}

static void detaching_delivery_and_shutdown_may_race(void **state) {
  (void)state;
  const tnr_device_config device = {.driver = tnr_cpu_driver(), .count = 1};
  for (int round = 0; round < CHECK_MANY(600); round++) {
    race now = {.runtime = tnr_runtime_create(
                    &(tnr_runtime_options){.devices = &device, .device_configs = 1})};
    now.x = rig_tensor(rig_cpu(now.runtime, 0), 1);
    now.box = post_box(now.runtime);
    race_init(&now);
    rig_threads(4, round % 2 ? attach_detach_and_end : attach_detach_and_abort, &now);
    tnr_release(now.x);
    assert_ok(tnr_mailbox_destroy(now.box));
    each_is_called_or_detached(&now);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(it_is_called_at_its_moment),
      rig_test(attaching_takes_no_memory),
      rig_test(every_kind_of_handle_takes_one),
      rig_test(what_cannot_be_attached_is_refused),
      rig_test(it_may_be_attached_again_in_its_callback),
      rig_test(it_may_be_freed_in_its_callback),
      rig_test(they_come_in_the_order_of_attaching),
      rig_test(what_is_detached_is_never_called),
      rig_test(what_is_not_attached_cannot_be_detached),
      rig_test(it_can_be_taken_back_out_of_a_mailbox),
      rig_test(one_callback_may_detach_another),
      rig_test(a_mailbox_does_not_wait_for_what_is_detached),
      rig_test(a_mailbox_that_waits_hears_of_what_is_detached),
      rig_test(detaching_and_delivery_may_race),
      rig_bare_test(detaching_delivery_and_shutdown_may_race),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
