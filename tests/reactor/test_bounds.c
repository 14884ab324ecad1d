/* Limits on what is in flight: who waits, and how much memory there is meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounded.h"
#include "post.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

/* The most memory that the process has had, in bytes. */
static int64_t peak_of_process(void) {
  char line[128];
  long kib = 0;
  FILE *file = fopen("/proc/self/status", "r");
  assert_non_null(file);
  while (fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %ld kB", &kib) != 1) {
  }
  fclose(file);
  assert_true(kib > 0);
  return kib * (int64_t)KIB;
}

/* ---- a producer that never stops ---- */

static void produce(tnr_runtime *runtime, bool async, int ops) {
  tnr_tensor *x = bounded_large(runtime);
  tnr_future *f = tnr_to_async(x);
  for (int i = 0; i < ops; i++) {
    assert_ok(tnr_scope_open());
    if (async)
      assert_made(rig_plus_one(f));
    else
      assert_made(rig_plus_one(x));
    assert_ok(tnr_scope_close());
  }
}

static void assert_under(tnr_runtime *runtime, tnr_limits limits) {
  tnr_in_flight now = tnr_device_in_flight(bounded_device(runtime));
  assert_true(now.peak_bytes > 0);
  if (limits.max_bytes) {
    assert_true(now.peak_bytes <= limits.max_bytes);
    /* besides: the input */
    assert_true(tnr_device_memory(bounded_device(runtime)).peak_bytes <=
                (uint64_t)limits.max_bytes + BOUNDED_LARGE);
  }
  if (limits.max_ops)
    assert_true(now.peak_ops <= limits.max_ops);
}

static void produce_within(tnr_limits all, tnr_limits each, bool async) {
  enum { OPS = CHECK_MANY(1000) };
  int64_t before = peak_of_process();
  tnr_runtime *runtime = bounded_runtime(all, each, false);
  produce(runtime, async, OPS);
  assert_ok(tnr_synchronize_device(bounded_device(runtime)));
  assert_under(runtime, all);
  assert_under(runtime, each);
  assert_int_equal(tnr_runtime_in_flight(runtime).ops, 0);
  assert_int_equal(tnr_runtime_in_flight(runtime).bytes, 0);
  bounded_end(runtime);
  if (!CHECK_SANITIZED) /* of the 250 MiB that were produced */
    assert_true(peak_of_process() - before < 32 * MIB);
}

static void a_producer_that_never_stops_stays_under_its_limits(void **state) {
  const tnr_limits none = {0}, bytes = {.max_bytes = 8 * BOUNDED_LARGE},
                   ops = {.max_ops = 8}, /* of plain calls: that many outputs */
      both = {.max_ops = 6, .max_bytes = 4 * BOUNDED_LARGE};
  (void)state;
  for (int async = 0; async < 2; async++) {
    produce_within(bytes, none, async);
    produce_within(none, bytes, async);
    produce_within(none, ops, async);
    produce_within(both, none, async);
  }
}

static void without_limits_nothing_is_counted(void **state) {
  (void)state;
  tnr_runtime *runtime = bounded_runtime((tnr_limits){0}, (tnr_limits){0}, false);
  assert_number(rig_plus_one(bounded_one(runtime)), 2);
  assert_int_equal(tnr_runtime_in_flight(runtime).peak_ops, 0);
  assert_int_equal(tnr_device_in_flight(bounded_device(runtime)).peak_bytes, 0);
  assert_int_equal(tnr_runtime_in_flight(NULL).ops, 0);
  assert_int_equal(tnr_device_in_flight(NULL).ops, 0);
  bounded_end(runtime);
}

typedef struct producing {
  tnr_runtime *runtime;
  tnr_future *from;
  atomic_int submitted;
} producing;

static void produce_on_thread(void *user, int index) {
  producing *all = user;
  (void)index;
  for (int i = 0; i < CHECK_MANY(1000); i++) {
    tnr_future *f = rig_plus_one(all->from);
    if (!f)
      abort();
    tnr_release(f);
    atomic_fetch_add(&all->submitted, 1);
  }
}

static void many_producers_share_a_limit(void **state) {
  (void)state;
  tnr_runtime *runtime = bounded_runtime((tnr_limits){.max_ops = 7}, (tnr_limits){0}, false);
  producing all = {.runtime = runtime, .from = bounded_one(runtime)};
  rig_threads(4, produce_on_thread, &all);
  assert_ok(tnr_synchronize_device(bounded_device(runtime)));
  assert_in_range(tnr_runtime_in_flight(runtime).peak_ops, 1, 7);
  bounded_end(runtime);
}

static void *produce_alone(void *user) {
  produce_on_thread(user, 0);
  return NULL;
}

/* Nothing gets on, and so nobody submits more than the limit. */
static void a_call_waits_for_room(void **state) {
  check_needs_threads();
  (void)state;
  pthread_t thread;
  tnr_runtime *runtime = bounded_runtime((tnr_limits){0}, (tnr_limits){.max_ops = 5}, false);
  producing all = {.runtime = runtime, .from = rig_hold(bounded_one(runtime))};
  assert_int_equal(pthread_create(&thread, NULL, produce_alone, &all), 0);
  rig_await(&all.submitted, 4);
  rig_sleep_ms(20);
  assert_int_equal(all.submitted, 4);
  assert_int_equal(tnr_device_in_flight(bounded_device(runtime)).ops, 5);
  rig_open_gate();
  pthread_join(thread, NULL);
  assert_int_equal(all.submitted, CHECK_MANY(1000));
  bounded_end(runtime);
}

/* ---- what is more than the limit ---- */

static void a_working_set_of_four_times_the_limit_finishes(void **state) {
  enum { COUNT = 16 };
  (void)state;
  for (int async = 0; async < 2; async++) {
    tnr_runtime *runtime = bounded_runtime(
        (tnr_limits){0}, (tnr_limits){.max_bytes = COUNT / 4 * BOUNDED_LARGE}, false);
    tnr_tensor *x = bounded_large(runtime);
    tnr_value made[COUNT];
    for (int i = 0; i < COUNT; i++)
      made[i] = async ? TNR_VALUE(rig_plus_one(tnr_to_async(x))) : TNR_VALUE(rig_plus_one(x));
    tnr_value sum = made[0];
    for (int i = 1; i < COUNT; i++)
      sum = rig_sum(sum, made[i]);
    tnr_tensor *result = tnr_value_tensor(tnr_get(sum));
    float *numbers = malloc(BOUNDED_LARGE);
    assert_ok(tnr_tensor_read(result, numbers, BOUNDED_LARGE));
    assert_true(numbers[0] == 2 * COUNT && numbers[BOUNDED_LARGE / sizeof(float) - 1] == 2 * COUNT);
    free(numbers);
    assert_true(tnr_device_memory(bounded_device(runtime)).peak_bytes >= COUNT * BOUNDED_LARGE);
    assert_in_range(tnr_device_in_flight(bounded_device(runtime)).peak_bytes, BOUNDED_LARGE,
                    COUNT / 4 * BOUNDED_LARGE);
    bounded_end(runtime);
  }
}

static void an_op_larger_than_the_limit_is_an_error(void **state) {
  (void)state;
  tnr_runtime *runtime =
      bounded_runtime((tnr_limits){0}, (tnr_limits){.max_bytes = BOUNDED_LARGE - 1}, false);
  tnr_tensor *x = bounded_large(runtime);
  tnr_tensor *plain = rig_plus_one(x);
  assert_null(plain);
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "the outputs take 262144 bytes, but cpu:0 may have 262143 bytes in flight");
  assert_non_null(strstr(tnr_error_message(tnr_error()), "f32 [65536]"));
  tnr_future *async = rig_plus_one(tnr_to_async(x));
  assert_fails(tnr_wait(async, TNR_COMPLETE, INT64_MAX), TNR_EINVAL);
  assert_fails(tnr_wait(rig_plus_one(async), TNR_COMPLETE, INT64_MAX), TNR_EINVAL);
  assert_number(rig_plus_one(bounded_one(runtime)), 2);
  bounded_end(runtime);
  runtime = bounded_runtime((tnr_limits){.max_bytes = 17}, (tnr_limits){0}, true);
  assert_number(rig_plus_one(bounded_one(runtime)), 2);
  assert_null(rig_two(rig_tensor(bounded_device(runtime), 1))); /* two outputs */
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  bounded_end(runtime);
}

static void limits_below_nothing_are_refused(void **state) {
  (void)state;
  const tnr_device_config wrong = {
      .driver = tnr_cpu_driver(), .count = 1, .limits = {.max_ops = -1}};
  assert_null(tnr_runtime_create(&(tnr_runtime_options){.limits = {.max_bytes = -1}}));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_null(tnr_runtime_create(&(tnr_runtime_options){.devices = &wrong, .device_configs = 1}));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
}

/* ---- who does not wait ---- */

static void submit_many(tnr_value future, void *user) {
  atomic_int *failed = user;
  if (tnr_scope_open() != TNR_OK)
    abort();
  for (int i = 0; i < 20; i++)
    atomic_fetch_add(failed, rig_plus_one(future).kind == TNR_VALUE_NONE);
  tnr_scope_close();
}

static void callbacks_submit_beyond_the_limit(void **state) {
  atomic_int failed = 0;
  (void)state;
  tnr_runtime *runtime = bounded_runtime((tnr_limits){.max_ops = 2}, (tnr_limits){0}, false);
  tnr_mailbox *box = post_box(runtime);
  tnr_future *f = rig_plus_one(bounded_one(runtime));
  assert_ok(tnr_on(f, TNR_COMPLETE, submit_many, &failed));
  assert_ok(tnr_on(f, TNR_COMPLETE, submit_many, &failed, .mailbox = box));
  post_await(box);
  assert_int_equal(tnr_mailbox_dispatch(box), 1);
  assert_ok(tnr_synchronize_device(bounded_device(runtime)));
  assert_int_equal(failed, 0);
  assert_true(tnr_runtime_in_flight(runtime).peak_ops > 2);
  assert_ok(tnr_mailbox_destroy(box));
  bounded_end(runtime);
}

static void bodies_of_composites_run_through(void **state) {
  (void)state;
  tnr_runtime *runtime = bounded_runtime((tnr_limits){0}, (tnr_limits){.max_ops = 1}, false);
  tnr_future *f = bounded_one(runtime);
  for (int i = 0; i < 20; i++)
    f = i % 2 ? TNR_COMPOSITE1(&bounded_five, f, tnr_no_attrs, )
              : TNR_COMPOSITE1(&bounded_late_five, f, tnr_no_attrs, );
  assert_number(f, 101);
  assert_number(
      TNR_COMPOSITE1(&bounded_five, rig_tensor(bounded_device(runtime), 1), tnr_no_attrs, ), 6);
  bounded_end(runtime);
}

static void several_devices_at_once_get_through(void **state) {
  (void)state;
  tnr_runtime *runtime =
      bounded_runtime((tnr_limits){.max_ops = 3}, (tnr_limits){.max_bytes = 16}, false);
  tnr_device *both[] = {bounded_device(runtime), tnr_runtime_device_at(runtime, 1)};
  const tnr_mesh *mesh = tnr_mesh_of(both, 2);
  for (int i = 0; i < CHECK_MANY(400) + 1; i++) {
    assert_ok(tnr_scope_open());
    tnr_future *a = tnr_shard(bounded_one(runtime), mesh),
               *b = rig_plus_one(tnr_replicate(bounded_one(runtime), mesh));
    tnr_future *c = rig_plus_one(tnr_to_device(rig_plus_one(bounded_one(runtime)), both[1]));
    assert_number(tnr_gather(rig_plus_one(a)), 2);
    assert_number(tnr_gather(b), 2);
    assert_number(c, 3);
    assert_ok(tnr_scope_close());
  }
  bounded_end(runtime);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(without_limits_nothing_is_counted),
      rig_bare_test(a_producer_that_never_stops_stays_under_its_limits),
      rig_bare_test(many_producers_share_a_limit),
      rig_bare_test(a_call_waits_for_room),
      rig_bare_test(a_working_set_of_four_times_the_limit_finishes),
      rig_bare_test(an_op_larger_than_the_limit_is_an_error),
      rig_bare_test(limits_below_nothing_are_refused),
      rig_bare_test(callbacks_submit_beyond_the_limit),
      rig_bare_test(bodies_of_composites_run_through),
      rig_bare_test(several_devices_at_once_get_through),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
