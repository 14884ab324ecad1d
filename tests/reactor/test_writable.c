/* Limits for who does not want to wait: TNR_EAGAIN, and being told of room. */
#include <stdlib.h>

#include "bounded.h"
#include "post.h"

/* Until it is refused; nothing is taken away meanwhile. */
static int fill(tnr_future *from) {
  int made = 0;
  for (;; made++) {
    tnr_future *f = rig_plus_one(from);
    if (!f)
      break;
  }
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
  assert_string_equal(tnr_error_op(tnr_error()), "rig_plus_one");
  tnr_error_clear();
  return made;
}

static void count(void *user) {
  atomic_fetch_add((atomic_int *)user, 1);
}

static tnr_future *what_waits(tnr_runtime *runtime) {
  return check_mode() == TNR_THREADS ? rig_hold(bounded_one(runtime))
                                     : rig_plus_one(bounded_one(runtime));
}

static void who_does_not_want_to_wait_is_told_of_room(void **state) {
  (void)state;
  atomic_int told = 0, told_here = 0;
  tnr_runtime *runtime = bounded_runtime((tnr_limits){0}, (tnr_limits){.max_ops = 10}, true);
  tnr_mailbox *box = post_box(runtime);
  tnr_future *f = what_waits(runtime);
  assert_int_equal(fill(f), 9);
  assert_null(rig_plus_one(rig_tensor(bounded_device(runtime), 1)));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
  assert_null(TNR_COMPOSITE1(&bounded_five, f, tnr_no_attrs, ));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
  assert_ok(tnr_on_writable(runtime, count, &told, .mailbox = box));
  assert_ok(tnr_on_writable(runtime, count, &told_here));
  rig_sleep_ms(5);
  assert_int_equal(told + told_here, 0);
  rig_open_gate();
  post_run(box, 1);
  assert_int_equal(told, 1);
  rig_await(&told_here, 1);
  assert_made(rig_plus_one(f));
  assert_ok(tnr_synchronize_device(bounded_device(runtime)));
  assert_ok(tnr_on_writable(runtime, count, &told, .mailbox = box)); /* at once */
  post_run(box, 1);
  assert_int_equal(told, 2);
  assert_int_equal(told_here, 1);
  post_close(box);
  bounded_end(runtime);
}

/* Not of just any room. */
static void who_needs_many_bytes_is_told_when_there_are_as_many(void **state) {
  check_needs_threads();
  (void)state;
  atomic_int told = 0;
  tnr_runtime *runtime =
      bounded_runtime((tnr_limits){.max_bytes = 3 * BOUNDED_LARGE / 2}, (tnr_limits){0}, true);
  tnr_mailbox *box = post_box(runtime);
  tnr_tensor *x = bounded_large(runtime), *small = rig_tensor(bounded_device(runtime), 1);
  tnr_tensor *held = rig_hold(x);
  assert_made(held);
  assert_null(rig_plus_one(x));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
  assert_made(rig_plus_one(small)); /* for that there is room */
  assert_ok(tnr_on_writable(runtime, count, &told, .mailbox = box));
  rig_sleep_ms(5);
  assert_false(post_is_readable(box));
  rig_open_gate();
  post_run(box, 1);
  assert_made(rig_plus_one(x));
  post_close(box);
  bounded_end(runtime);
}

/* An event loop with back-pressure: everything gets in, and each is told as often as it asks. */
static void a_loop_that_waits_for_room_gets_everything_in(void **state) {
  enum { OPS = CHECK_MANY(2000) };
  (void)state;
  atomic_int told = 0;
  int asked = 0;
  tnr_runtime *runtime = bounded_runtime((tnr_limits){.max_ops = 4}, (tnr_limits){0}, true);
  tnr_mailbox *box = post_box(runtime);
  tnr_future *f = bounded_one(runtime);
  for (int made = 0; made < OPS;) {
    tnr_future *next = rig_plus_one(f);
    if (next) {
      made++;
      continue;
    }
    assert_int_equal(tnr_error_code(tnr_error()), TNR_EAGAIN);
    assert_ok(tnr_on_writable(runtime, count, &told, .mailbox = box));
    asked++;
    while (told < asked) {
      post_await(box);
      (void)tnr_mailbox_dispatch(box);
    }
  }
  assert_int_equal(told, asked);
  assert_true(asked > 0);
  assert_in_range(tnr_runtime_in_flight(runtime).peak_ops, 1, 4);
  assert_ok(tnr_synchronize_device(bounded_device(runtime)));
  post_close(box);
  bounded_end(runtime);
}

static void what_cannot_be_told_is_refused(void **state) {
  (void)state;
  atomic_int told = 0;
  tnr_runtime *runtime = bounded_runtime((tnr_limits){.max_ops = 4}, (tnr_limits){0}, true);
  tnr_runtime *other = rig_runtime();
  tnr_mailbox *foreign = post_box(other);
  assert_fails(tnr_on_writable(runtime, NULL, NULL), TNR_EINVAL);
  assert_fails(tnr_on_writable(runtime, count, &told, .mailbox = foreign), TNR_EINVAL);
  assert_ok(tnr_runtime_destroy(other, TNR_DRAIN));
  assert_fails(tnr_on_writable(other, count, &told, .mailbox = foreign), TNR_ECLOSED);
  post_close(foreign);
  bounded_end(runtime);
  assert_int_equal(told, 0);
}

/* ---- the end ---- */

typedef struct race {
  tnr_runtime *runtime;
  tnr_mailbox *box;
  tnr_future *from;
  atomic_int asked, told, told_there;
} race;

/* Until the runtime is closed. */
static void submit_until_closed(void *user, int index) {
  race *r = user;
  for (;;) {
    tnr_future *f = rig_plus_one(r->from);
    tnr_release(f);
    if (f)
      continue;
    if (tnr_error_code(tnr_error()) != TNR_EAGAIN)
      return;
    bool here = index % 2;
    if (tnr_on_writable_with(r->runtime, count, here ? &r->told : &r->told_there,
                             &(tnr_on_options){.mailbox = here ? r->box : NULL}) == TNR_OK)
      atomic_fetch_add(&r->asked, 1);
  }
}

static void *end_soon(void *user) {
  rig_sleep_ms(1);
  if (tnr_runtime_destroy(((race *)user)->runtime, TNR_ABORT) != TNR_OK)
    abort();
  return NULL;
}

static void race_the_end(bool full_is_error) {
  pthread_t thread;
  race r = {.runtime = bounded_runtime((tnr_limits){.max_ops = 3}, (tnr_limits){0}, full_is_error)};
  r.box = post_box(r.runtime);
  r.from = bounded_one(r.runtime);
  assert_int_equal(pthread_create(&thread, NULL, end_soon, &r), 0);
  rig_threads(3, submit_until_closed, &r);
  pthread_join(thread, NULL);
  (void)tnr_mailbox_dispatch(r.box);
  assert_int_equal(r.told + r.told_there, r.asked);
  post_close(r.box);
  assert_ok(tnr_scope_close());
}

static void who_waits_when_it_ends_comes_back(void **state) {
  (void)state;
  for (int i = 0; i < CHECK_MANY(200) + 2; i++)
    race_the_end(i % 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(who_does_not_want_to_wait_is_told_of_room),
      rig_bare_test(who_needs_many_bytes_is_told_when_there_are_as_many),
      rig_bare_test(a_loop_that_waits_for_room_gets_everything_in),
      rig_bare_test(what_cannot_be_told_is_refused),
      rig_bare_test(who_waits_when_it_ends_comes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
