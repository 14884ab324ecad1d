/* The uses of an op that is not complete, by which the dispatcher tells that no other thread can
 * see it; and that who sees it is told. */
#include "../../reactor/op.h"
#include "cancelled.h"

static tnr_future *watched;
static atomic_int uses, told;

/* On the dispatcher, before the op that it is attached to has given its inputs back. */
static void note_uses(tnr_value future, void *user) {
  (void)future;
  (void)user;
  atomic_store(&uses, watched->uses);
}

static void count(tnr_value future, void *user) {
  (void)future;
  (void)user;
  atomic_fetch_add(&told, 1);
}

/* How many there are besides that of an op which is made to ask. */
static int uses_now(void) {
  tnr_future *asks = rig_plus_one(watched);
  assert_made(asks);
  assert_ok(tnr_on(asks, TNR_COMPLETE, note_uses, NULL));
  atomic_store(&uses, -1);
  assert_ok(tnr_cancel(asks));
  while (atomic_load(&uses) == -1)
    rig_sleep_ms(1);
  return atomic_load(&uses) - 1;
}

/* What was cancelled leaves the queue soon, not at once. */
static bool come_to_be(int expected) {
  enum { TRIES = 10000 };
  for (int i = 0; i < TRIES; i++) {
    if (uses_now() == expected)
      return true;
    rig_sleep_ms(1);
  }
  return false;
}

/* Behind so much that the worker has none of it in its hands, and it can leave the queue. */
static void each_input_counts_until_it_is_given_back(void **state) {
  check_needs_threads();
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  watched = rig_block(*state, 0);
  for (int i = 0; i < TNR_WORKER_DEPTH; i++)
    assert_made(rig_plus_one(x));
  assert_true(come_to_be(0));
  tnr_future *one = have_made(rig_plus_one(watched)), *twice = have_made(rig_sum(watched, watched));
  assert_true(come_to_be(3));
  assert_ok(tnr_cancel(one));
  assert_true(come_to_be(2));
  assert_ok(tnr_cancel(twice));
  assert_true(come_to_be(0));
  rig_open_gate();
  assert_number(watched, 1);
}

/* Attached at any moment between submit and complete, with and without an op that uses it. */
static void who_attaches_in_time_is_told(void **state) {
  const int rounds = CHECK_MANY(20000);
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  atomic_store(&told, 0);
  for (int i = 0; i < rounds; i++) {
    tnr_future *f = tnr_keep(rig_plus_one(x)), *user = i % 2 ? tnr_keep(rig_plus_one(f)) : NULL;
    for (volatile int wait = 0; wait < i % 256; wait++) {
    }
    assert_ok(tnr_on(f, TNR_COMPLETE, count, NULL));
    tnr_release(f);
    tnr_release(user);
  }
  rig_await(&told, rounds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(each_input_counts_until_it_is_given_back),
      rig_test(who_attaches_in_time_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
