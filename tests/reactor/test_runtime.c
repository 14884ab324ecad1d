/* Making runtimes, asking them, several side by side, the default one, and synchronizing. */
#include <stdlib.h>

#include "rig.h"

enum { MS = 1000000 };

static tnr_runtime *create(const tnr_device_config *devices, int configs,
                           tnr_runtime_options options) {
  options.devices = devices;
  options.device_configs = configs;
  return tnr_runtime_create(&options);
}

static void refused(tnr_runtime_options options, tnr_status status, const char *reason) {
  assert_null(tnr_runtime_create(&options));
  assert_string_equal(tnr_error_reason(tnr_error()), reason);
  assert_int_equal(tnr_error_code(tnr_error()), status);
}

/* ---- options ---- */

static void all_defaults_are_one_cpu(void **state) {
  (void)state;
  tnr_runtime *runtime = tnr_runtime_create(NULL);
  assert_made(runtime);
  assert_int_equal(tnr_runtime_device_count(runtime), 1);
  assert_string_equal(tnr_device_name(tnr_runtime_device_at(runtime, 0)), "cpu:0");
  assert_nothing_left(runtime);
  runtime = tnr_runtime_create(&(tnr_runtime_options){0});
  assert_made(runtime);
  assert_nothing_left(runtime);
}

static void devices_are_named_and_ordered_as_configured(void **state) {
  (void)state;
  const tnr_device_config devices[] = {{.driver = tnr_null_driver(), .count = 2},
                                       {.driver = tnr_cpu_driver(), .count = 1}};
  tnr_runtime *runtime = create(devices, 2, (tnr_runtime_options){0});
  const char *names[] = {"null:0", "null:1", "cpu:0"};
  assert_int_equal(tnr_runtime_device_count(runtime), 3);
  for (int i = 0; i < 3; i++) {
    tnr_device *device = tnr_runtime_device_at(runtime, i);
    assert_string_equal(tnr_device_name(device), names[i]);
    assert_ptr_equal(tnr_runtime_device(runtime, names[i]), device);
  }
  assert_string_equal(tnr_device_name(tnr_runtime_device(runtime, "host")), "host");
  assert_null(tnr_runtime_device_at(runtime, 3));
  assert_null(tnr_runtime_device_at(runtime, -1));
  assert_null(tnr_runtime_device(runtime, "cpu:1"));
  assert_string_equal(tnr_error_reason(tnr_error()), "there is no device 'cpu:1'");
  assert_null(tnr_runtime_device(runtime, NULL));
  assert_nothing_left(runtime);
}

static void options_that_make_no_sense_are_refused(void **state) {
  (void)state;
  const tnr_device_config none = {.driver = tnr_null_driver()};
  const tnr_device_config many = {.driver = tnr_null_driver(), .count = 65};
  const tnr_device_config driverless = {.count = 1};
  const tnr_device_config twice[] = {{.driver = tnr_null_driver(), .count = 1},
                                     {.driver = tnr_null_driver(), .count = 1}};
  const tnr_device_config three = {.driver = tnr_null_driver(), .count = 3};
  const tnr_sim_config backwards = {.launch_ns = -1};
  const tnr_device_config sims[] = {{.driver = tnr_null_driver(), .count = 2},
                                    {.driver = tnr_sim_driver(), .count = 1, .config = &backwards}};
  refused((tnr_runtime_options){.devices = &none, .device_configs = 1}, TNR_EINVAL,
          "1 to 64 devices of a kind, not 0");
  refused((tnr_runtime_options){.devices = &many, .device_configs = 1}, TNR_EINVAL,
          "1 to 64 devices of a kind, not 65");
  refused((tnr_runtime_options){.devices = &driverless, .device_configs = 1}, TNR_EINVAL,
          "a device driver has no kind");
  refused((tnr_runtime_options){.devices = twice, .device_configs = 2}, TNR_EINVAL,
          "the kind 'null' is configured twice");
  refused((tnr_runtime_options){.device_configs = 1}, TNR_EINVAL,
          "an option is negative, or devices are missing");
  refused((tnr_runtime_options){.program_cache = -1}, TNR_EINVAL,
          "an option is negative, or devices are missing");
  refused(
      (tnr_runtime_options){
          .devices = &three, .device_configs = 1, .threads_per_device = 2, .max_threads = 5},
      TNR_EINVAL, "3 devices of 2 threads are 6, but max_threads allows 5");
  refused((tnr_runtime_options){.devices = sims, .device_configs = 2}, TNR_EINVAL,
          "the cost model of sim:0 has a negative time or rate");
}

static void drivers_that_lack_something_are_refused(void **state) {
  (void)state;
  const tnr_driver nameless = {.program_create = tnr_kernel_program}, idle = {.kind = "idle"},
                   colon = {.kind = "a:b", .program_create = tnr_kernel_program},
                   host = {.kind = "host", .program_create = tnr_kernel_program};
  const tnr_driver *const drivers[] = {&nameless, &idle, &colon, &host};
  for (int i = 0; i < 4; i++) {
    const tnr_device_config device = {.driver = drivers[i], .count = 1};
    assert_null(create(&device, 1, (tnr_runtime_options){0}));
    assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  }
}

static void every_way_to_idle_works(void **state) {
  (void)state;
  const int64_t spins[] = {-1, 0, 1, 5 * MS, INT64_MIN, INT64_MAX};
  const tnr_device_config device = {.driver = tnr_cpu_driver(), .count = 2};
  for (int i = 0; i < 6; i++) {
    tnr_runtime *runtime =
        create(&device, 1, (tnr_runtime_options){.spin_ns = spins[i], .pin = i % 2 == 1});
    assert_made(runtime);
    assert_ok(tnr_scope_open());
    tnr_future *f = tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 0));
    for (int k = 0; k < 20; k++) {
      f = rig_plus_one(tnr_to_device(f, rig_cpu(runtime, k % 2)));
      if (k % 7 == 0)
        assert_number(f, (float)k + 1);
    }
    assert_number(f, 20);
    assert_ok(tnr_scope_close());
    assert_nothing_left(runtime);
  }
}

/* ---- asking ---- */

static void counters_count(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_runtime_stats before = tnr_runtime_get_stats(*state);
  for (int i = 0; i < 10; i++)
    assert_made(rig_plus_one(tnr_to_async(x)));
  tnr_future *failed = rig_fail(tnr_to_async(x)), *child = rig_plus_one(failed);
  assert_fails(tnr_wait(child, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  tnr_runtime_stats after = tnr_runtime_get_stats(*state);
  assert_int_equal(after.submitted - before.submitted, 12);
  assert_int_equal(after.completed - before.completed, 12);
  assert_int_equal(after.failed - before.failed, 2);
  assert_true(after.live_handles > before.live_handles);
}

static void meshes_are_checked_and_equal_lists_are_one(void **state) {
  tnr_device *a = rig_cpu(*state, 0), *b = rig_cpu(*state, 1);
  const tnr_mesh *ab = tnr_mesh_of((tnr_device *[]){a, b}, 2);
  assert_ptr_equal(tnr_mesh_of((tnr_device *[]){a, b}, 2), ab);
  assert_ptr_not_equal(tnr_mesh_of((tnr_device *[]){b, a}, 2), ab);
  assert_ptr_equal(tnr_mesh_device(ab, 1), b);
  assert_null(tnr_mesh_device(ab, 2));
  assert_null(tnr_mesh_of((tnr_device *[]){a, a}, 2));
  assert_string_equal(tnr_error_reason(tnr_error()), "device cpu:0 is in the mesh twice");
  assert_null(tnr_mesh_of((tnr_device *[]){a, NULL}, 2));
  assert_null(tnr_mesh_of((tnr_device *[]){a, tnr_runtime_device(*state, "host")}, 2));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EDEVICE);
  assert_null(tnr_mesh_of(NULL, 0));
}

/* ---- several runtimes ---- */

static void two_runtimes_live_side_by_side(void **state) {
  tnr_runtime *other = rig_runtime();
  tnr_tensor *here = rig_tensor(rig_cpu(*state, 0), 1), *there = rig_tensor(rig_cpu(other, 0), 2);
  tnr_future *f = tnr_to_async(here), *g = tnr_to_async(there);
  for (int i = 0; i < 100; i++) {
    f = rig_plus_one(f);
    g = rig_plus_one(g);
  }
  assert_number(f, 101);
  assert_number(g, 102);
  assert_null(rig_sum(here, there));
  assert_string_equal(tnr_error_reason(tnr_error()),
                      "input 1 belongs to another runtime than those before it");
  assert_null(tnr_to_device(here, rig_cpu(other, 0)));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EDEVICE);
  assert_null(tnr_any((tnr_future *[]){f, g}, 2, TNR_HERE));
  assert_null(tnr_tuple_of(f, g));
  assert_null(tnr_mesh_of((tnr_device *[]){rig_cpu(*state, 0), rig_cpu(other, 1)}, 2));
  assert_ok(tnr_runtime_destroy(other, TNR_DRAIN));
  assert_number(rig_plus_one(f), 102);
}

/* The dispatcher of one may wait for the other. */
typedef struct across {
  tnr_future *future;
  tnr_status status;
  atomic_int done;
} across;

static void wait_across(tnr_value value, void *user) {
  across *a = user;
  (void)value;
  a->status = tnr_wait(a->future, TNR_COMPLETE, INT64_MAX);
  atomic_store(&a->done, 1);
}

static void a_callback_may_wait_for_another_runtime(void **state) {
  tnr_runtime *other = rig_runtime();
  assert_ok(tnr_scope_open());
  across a = {.future = rig_hold(tnr_to_async(rig_tensor(rig_cpu(other, 0), 1)))};
  assert_ok(tnr_on(rig_tensor(rig_cpu(*state, 0), 1), TNR_CREATED, wait_across, &a));
  rig_sleep_ms(5);
  assert_int_equal(a.done, 0);
  rig_open_gate();
  rig_await(&a.done, 1);
  assert_int_equal(a.status, TNR_OK);
  assert_ok(tnr_scope_close());
  assert_nothing_left(other);
}

static void live_and_die(void *user, int index) {
  (void)user;
  const tnr_device_config device = {.driver = tnr_null_driver(), .count = 1 + index % 3};
  for (int i = 0; i < CHECK_MANY(40) + 2; i++) {
    tnr_runtime *runtime = create(&device, 1, (tnr_runtime_options){CHECK_MODE});
    if (!runtime || tnr_scope_open() != TNR_OK)
      abort();
    tnr_future *f = tnr_to_async(
        tnr_tensor_create(tnr_runtime_device_at(runtime, 0), TNR_F32, TNR_SHAPE(1), NULL));
    for (int k = 0; k < i; k++)
      f = rig_plus_one(f);
    if (i % 2)
      tnr_scope_close();
    if (tnr_runtime_destroy(runtime, i % 3 ? TNR_DRAIN : TNR_ABORT) != TNR_OK)
      abort();
    if (i % 2 == 0)
      tnr_scope_close();
  }
}

static void many_runtimes_come_and_go_on_many_threads(void **state) {
  (void)state;
  rig_threads(8, live_and_die, NULL);
}

/* ---- the default runtime ---- */

static void the_default_runtime_is_made_on_first_use(void **state) {
  (void)state;
  const float data[] = {1, 2};
  tnr_tensor *x = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(2), data);
  assert_made(x);
  assert_ptr_equal(tnr_mesh_device(tnr_tensor_mesh(x), 0),
                   tnr_runtime_device_at(tnr_default_runtime(), 0));
  tnr_release(x);
  assert_int_equal(check_handles_left(tnr_default_runtime()), 0);
  assert_ok(tnr_default_runtime_destroy(TNR_DRAIN));
  assert_ok(tnr_default_runtime_destroy(TNR_DRAIN));
  assert_made(tnr_default_runtime());
  assert_ok(tnr_default_runtime_destroy(TNR_ABORT));
}

typedef struct last_words {
  atomic_int done;
  tnr_status destroyed, created;
  tnr_runtime *seen;
} last_words;

static void use_the_default_runtime(tnr_value value, void *user) {
  last_words *words = user;
  (void)value;
  while (!atomic_load(&words->done))
    rig_sleep_ms(1); /* until the main thread is about to destroy */
  rig_sleep_ms(20);
  words->destroyed = tnr_default_runtime_destroy(TNR_DRAIN);
  words->seen = tnr_default_runtime();
  tnr_tensor *x = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(2), NULL);
  words->created = x ? TNR_OK : tnr_error_code(tnr_error());
  tnr_release(x);
}

/* Its last callbacks may ask for it and must not block it. */
static void the_default_runtime_can_be_used_while_it_drains(void **state) {
  (void)state;
  last_words words = {.destroyed = TNR_OK};
  tnr_runtime *runtime = tnr_default_runtime();
  tnr_tensor *x = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(2), NULL);
  assert_ok(tnr_on(x, TNR_COMPLETE, use_the_default_runtime, &words));
  tnr_release(x);
  atomic_store(&words.done, 1);
  assert_ok(tnr_default_runtime_destroy(TNR_DRAIN));
  assert_int_equal(words.destroyed, TNR_EDEADLK);
  assert_int_equal(words.created, TNR_ECLOSED);
  assert_ptr_equal(words.seen, runtime);
}

static void make_default(void *user, int index) {
  tnr_runtime **seen = user;
  seen[index] = tnr_default_runtime();
}

static void many_threads_get_one_default_runtime(void **state) {
  (void)state;
  tnr_runtime *seen[16];
  rig_threads(16, make_default, seen);
  for (int i = 0; i < 16; i++)
    assert_ptr_equal(seen[i], seen[0]);
  assert_ok(tnr_default_runtime_destroy(TNR_DRAIN));
}

/* ---- synchronizing ---- */

static void synchronizing_waits_for_all_that_was_submitted(void **state) {
  tnr_future *f = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0));
  for (int i = 0; i < 1000; i++)
    f = rig_plus_one(f);
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_true(tnr_passed(f, TNR_COMPLETE));
}

typedef struct sync_check {
  tnr_device *device;
  tnr_future *future;
  atomic_int before, after;
  bool complete;
} sync_check;

static void *synchronize(void *argument) {
  sync_check *check = argument;
  atomic_store(&check->before, 1);
  if (tnr_synchronize_device(check->device) != TNR_OK)
    abort();
  check->complete = tnr_passed(check->future, TNR_COMPLETE);
  atomic_store(&check->after, 1);
  return NULL;
}

/* Synchronizes a device while `future` cannot go on until the gate opens. */
static void check_sync(tnr_device *device, tnr_future *future) {
  check_needs_threads();
  sync_check check = {.device = device, .future = future};
  pthread_t thread;
  assert_made(future);
  assert_int_equal(pthread_create(&thread, NULL, synchronize, &check), 0);
  rig_await(&check.before, 1);
  rig_sleep_ms(10);
  bool early = check.after;
  rig_open_gate();
  pthread_join(thread, NULL);
  assert_false(early);
  assert_true(check.complete);
}

static void it_covers_ops_that_wait_for_other_devices(void **state) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0)));
  tnr_future *there = rig_plus_one(tnr_to_device(held, rig_cpu(*state, 1)));
  check_sync(rig_cpu(*state, 1), there);
}

static void it_covers_copies_to_the_device(void **state) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0)));
  check_sync(rig_sim(*state, 1), tnr_to_device(held, rig_sim(*state, 1)));
}

static void it_covers_copies_from_the_device_to_the_host(void **state) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_sim(*state, 0), 0)));
  check_sync(rig_sim(*state, 0), tnr_to_device(held, tnr_runtime_device(*state, "host")));
}

static void the_hosts_turn_covers_copies_by_any_device(void **state) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_sim(*state, 0), 0)));
  tnr_device *host = tnr_runtime_device(*state, "host");
  check_sync(host, tnr_to_device(held, host));
}

static void it_covers_every_device_of_a_mesh(void **state) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0)));
  check_sync(rig_cpu(*state, 3), rig_plus_one(tnr_shard(held, rig_cpus(*state, 4))));
}

/* Whose device is not known when they are submitted. */
static void it_covers_ops_on_any_of_several_futures(void **state) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0)));
  tnr_future *any = tnr_any(&held, 1, TNR_HERE);
  check_sync(rig_cpu(*state, 0), rig_plus_one(any));
}

static tnr_value shaped_body(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_plus_one(rig_plus_one(in[0]));
}

static void it_covers_composites_that_wait_for_shapes(void **state) {
  static const tnr_composite_def shaped = {
      .name = "shaped", .needs_shapes = true, .body = shaped_body};
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0)));
  tnr_future *moved = tnr_to_device(held, rig_cpu(*state, 1));
  check_sync(rig_cpu(*state, 1), TNR_COMPOSITE1(&shaped, moved, tnr_no_attrs, ));
}

static void what_comes_later_is_not_waited_for(void **state) {
  tnr_future *f = rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0)));
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 1), 0)));
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_true(tnr_passed(f, TNR_COMPLETE));
  assert_false(tnr_passed(held, TNR_COMPLETE));
  assert_fails(tnr_synchronize_device(NULL), TNR_EINVAL);
}

static void failures_do_not_fail_it(void **state) {
  tnr_future *f = rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0)));
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_true(tnr_passed(f, TNR_COMPLETE));
}

static void synchronize_often(void *user, int index) {
  tnr_device *device = rig_cpu(user, index % 4);
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(1), NULL);
  for (int i = 0; i < CHECK_MANY(400); i++) {
    tnr_future *f = tnr_to_async(x), *g = rig_plus_one(f);
    if (!g || tnr_synchronize_device(device) != TNR_OK || !tnr_passed(g, TNR_COMPLETE))
      abort();
    tnr_release(g);
    tnr_release(f);
  }
  tnr_release(x);
}

static void many_threads_synchronize(void **state) {
  rig_threads(16, synchronize_often, *state);
}

static void *open_gate_later(void *unused) {
  rig_sleep_ms(20);
  rig_open_gate();
  return unused;
}

static void it_covers_copies_that_leave_the_device(void **state) {
  pthread_t thread;
  for (int round = 0; round < 5; round++) {
    rig_close_gate();
    tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
    tnr_future *copy = tnr_to_device(held, rig_sim(*state, 0));
    assert_made(copy);
    assert_int_equal(pthread_create(&thread, NULL, open_gate_later, NULL), 0);
    assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
    assert_true(tnr_passed(copy, TNR_COMPLETE));
    pthread_join(thread, NULL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(all_defaults_are_one_cpu),
      rig_bare_test(devices_are_named_and_ordered_as_configured),
      rig_bare_test(options_that_make_no_sense_are_refused),
      rig_bare_test(drivers_that_lack_something_are_refused),
      rig_bare_test(every_way_to_idle_works),
      rig_test(counters_count),
      rig_test(meshes_are_checked_and_equal_lists_are_one),
      rig_test(two_runtimes_live_side_by_side),
      rig_test(a_callback_may_wait_for_another_runtime),
      rig_bare_test(many_runtimes_come_and_go_on_many_threads),
      rig_bare_test(the_default_runtime_is_made_on_first_use),
      rig_bare_test(the_default_runtime_can_be_used_while_it_drains),
      rig_bare_test(many_threads_get_one_default_runtime),
      rig_test(synchronizing_waits_for_all_that_was_submitted),
      rig_test(it_covers_ops_that_wait_for_other_devices),
      rig_test(it_covers_copies_to_the_device),
      rig_test(it_covers_copies_from_the_device_to_the_host),
      rig_test(the_hosts_turn_covers_copies_by_any_device),
      rig_test(it_covers_every_device_of_a_mesh),
      rig_test(it_covers_ops_on_any_of_several_futures),
      rig_test(it_covers_composites_that_wait_for_shapes),
      rig_test(what_comes_later_is_not_waited_for),
      rig_test(it_covers_copies_that_leave_the_device),
      rig_test(failures_do_not_fail_it),
      rig_test(many_threads_synchronize),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
