/* Memory of what nobody can read any more goes back while the dispatcher is busy, and memory of
 * what somebody can read does not. */
#include <stdatomic.h>

#include "rig.h"

enum { COUNT = 64, LARGE = 1 << 20, LINKS = 40 };

static tnr_tensor *zeros(tnr_device *device, int64_t count) {
  tnr_tensor *made = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(count), NULL);
  assert_made(made);
  return made;
}

static void plus_one(tnr_future **x) {
  tnr_future *next = rig_plus_one(*x);
  assert_made(next);
  tnr_keep(next);
  tnr_release(*x);
  *x = next;
}

/* ---- while the dispatcher is busy ---- */

static atomic_int at_end; /* atomic */

static void reach_end(void) {
  at_end = 1;
}

static void stay_until_the_end(tnr_value future, void *user) {
  (void)future;
  (void)user;
  for (int i = 0; i < 20000 && !at_end; i++)
    rig_sleep_ms(1);
}

static void await_submitted(tnr_runtime *runtime, uint64_t count) {
  for (int i = 0; i < 20000 && tnr_runtime_get_stats(runtime).submitted < count; i++)
    rig_sleep_ms(1);
  assert_int_equal(tnr_runtime_get_stats(runtime).submitted, count);
}

/* All of it is on the worker's queue before the dispatcher goes to sleep in a callback. */
static void a_chain_takes_the_memory_of_a_few_links(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  at_end = 0;
  rig_worker_function = reach_end;
  tnr_future *x = tnr_keep(rig_hold(tnr_to_async(zeros(device, LARGE))));
  assert_ok(tnr_on(x, TNR_COMPLETE, stay_until_the_end, NULL));
  for (int i = 0; i < LINKS; i++)
    plus_one(&x);
  tnr_future *end = rig_on_worker(x);
  tnr_release(x);
  await_submitted(*state, LINKS + 2);
  rig_open_gate();
  assert_ok(tnr_wait(end, TNR_COMPLETE, INT64_MAX));
  assert_int_equal(at_end, 1);
  assert_in_range(tnr_device_memory(device).peak_bytes, LARGE * sizeof(float),
                  8 * LARGE * sizeof(float));
}

/* ---- what somebody can read ---- */

static void what_is_held_stays(void **state) {
  tnr_future *x = tnr_keep(tnr_to_async(zeros(rig_cpu(*state, 0), COUNT)));
  tnr_future *held[LINKS];
  for (int i = 0; i < LINKS; i++) {
    plus_one(&x);
    plus_one(&x);
    held[i] = tnr_retain(x);
  }
  tnr_release(x);
  for (int i = 0; i < LINKS; i++) {
    assert_number(held[i], (float)(2 * i + 2));
    tnr_release(held[i]);
  }
}

/* Of a tuple, of which one element is held; of a reshaped tensor, whose memory is another's. */
static void what_is_held_in_part_stays(void **state) {
  tnr_future *x = tnr_to_async(zeros(rig_cpu(*state, 0), COUNT));
  tnr_future_tuple *two = rig_two(x);
  tnr_future *second = tnr_at(two, 1), *row = tnr_reshape(second, .shape = TNR_SHAPE(1, COUNT));
  tnr_future *sum = rig_plus_one(row);
  assert_made(sum);
  tnr_keep(second);
  tnr_keep(sum);
  assert_number(sum, 3);
  assert_number(second, 2);
  tnr_release(second);
  tnr_release(sum);
}

/* All references to it are the op's. */
static void an_input_may_come_twice(void **state) {
  tnr_future *x = tnr_to_async(zeros(rig_cpu(*state, 0), COUNT));
  for (int i = 0; i < LINKS; i++) {
    tnr_future *one = tnr_keep(rig_plus_one(x)), *sum = rig_sum(one, one);
    tnr_release(one);
    assert_number(sum, 2);
  }
}

static tnr_future *fresh(tnr_future *x) {
  return tnr_keep(rig_plus_one(x));
}

/* One thread lets go, or reads, while the worker looks at who holds it. */
static void who_reads_in_time_gets_it(void **state) {
  tnr_future *x = tnr_to_async(zeros(rig_cpu(*state, 0), COUNT));
  for (int i = 0; i < CHECK_MANY(2000); i++) {
    tnr_future *one = fresh(x), *two = fresh(one);
    if (i % 3 == 0)
      assert_number(one, 1);
    tnr_tensor *got = i % 3 == 1 ? tnr_keep(tnr_get(one)) : NULL;
    tnr_release(one);
    if (got)
      assert_number(got, 1);
    tnr_release(got);
    assert_number(two, 2);
    tnr_release(two);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_chain_takes_the_memory_of_a_few_links),
      rig_test(what_is_held_stays),
      rig_test(what_is_held_in_part_stays),
      rig_test(an_input_may_come_twice),
      rig_test(who_reads_in_time_gets_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
