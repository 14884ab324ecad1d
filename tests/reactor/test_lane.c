/* Epochs of a device's lane, by themselves, and a lane that has more than a worker can hold. */
#include "reactor/lane.h"

#include "rig.h"

typedef struct counted {
  tnr_epoch epoch;
  int reached, retired;
} counted;

static void reached(tnr_epoch *epoch) {
  ((counted *)epoch)->reached++;
}

static void retired(tnr_epoch *epoch) {
  ((counted *)epoch)->retired++;
}

static void begin(tnr_lane *lane, counted *made) {
  *made = (counted){.epoch = {.reached = reached, .retired = retired}};
  tnr_lane_begin_epoch(lane, &made->epoch);
}

static void an_epoch_is_reached_when_all_before_it_is_complete(void **state) {
  static tnr_lane lane;
  counted first, second;
  (void)state;
  tnr_lane_init(&lane, NULL);
  tnr_epoch *oldest = lane.newest;
  oldest->open = 2;
  begin(&lane, &first);
  first.epoch.open = 1;
  begin(&lane, &second);
  first.epoch.open = 0; /* complete, but what came before is not */
  tnr_lane_settle_epochs(&lane);
  assert_int_equal(first.reached + second.reached, 0);
  oldest->open = 1;
  tnr_lane_settle_epochs(&lane);
  assert_int_equal(first.reached, 0);
  oldest->open = 0;
  tnr_lane_settle_epochs(&lane);
  assert_int_equal(first.reached, 1);
  assert_int_equal(second.reached, 1);
  assert_int_equal(first.retired, 1);
  assert_int_equal(second.retired, 0); /* the lane still counts in it */
}

static void an_epoch_of_an_idle_lane_is_reached_at_once(void **state) {
  static tnr_lane lane;
  counted epochs[3];
  (void)state;
  tnr_lane_init(&lane, NULL);
  for (int i = 0; i < 3; i++) {
    begin(&lane, &epochs[i]);
    assert_int_equal(epochs[i].reached, 1);
    assert_int_equal(epochs[i].retired, 0);
    if (i > 0)
      assert_int_equal(epochs[i - 1].retired, 1);
  }
}

static void more_ops_than_a_worker_holds_run_in_order(void **state) {
  enum { OPS = 5 * TNR_WORKER_DEPTH };
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 0);
  tnr_future *held = rig_hold(tnr_to_async(x)), *chain = held;
  for (int i = 0; i < OPS; i++) {
    chain = rig_plus_one(chain);
    assert_ok(tnr_on(chain, TNR_COMPLETE, rig_log, RIG_WHAT(i)));
  }
  rig_open_gate();
  assert_number(chain, OPS);
  rig_await_log(OPS);
  for (int i = 0; i < OPS; i++)
    assert_int_equal(rig_log_at(i).what, i);
}

/* While one device is full and stands still, the others go on. */
static void a_full_lane_holds_up_no_other(void **state) {
  check_needs_threads();
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 0);
  tnr_future *held = rig_hold(tnr_to_async(x));
  for (int i = 0; i < 3 * TNR_WORKER_DEPTH; i++)
    assert_made(rig_plus_one(held));
  tnr_future *other = tnr_to_async(rig_tensor(rig_cpu(*state, 1), 0));
  for (int i = 0; i < 100; i++)
    other = rig_plus_one(other);
  assert_number(other, 100);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 1)));
  assert_false(tnr_passed(held, TNR_COMPLETE));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(an_epoch_is_reached_when_all_before_it_is_complete),
      rig_bare_test(an_epoch_of_an_idle_lane_is_reached_at_once),
      rig_test(more_ops_than_a_worker_holds_run_in_order),
      rig_test(a_full_lane_holds_up_no_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
