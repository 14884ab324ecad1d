/* The program cache: what hits, what misses, and that it is bounded. */
#include "rig.h"

static tnr_program_stats run_and_ask(tnr_device *device, tnr_value x) {
  assert_made(x.handle);
  assert_ok(tnr_wait(x, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_synchronize_device(device));
  return tnr_device_programs(device);
}

static tnr_tensor *zeros(tnr_device *device, tnr_dtype dtype, tnr_shape shape) {
  tnr_tensor *made = tnr_tensor_create(device, dtype, shape, NULL);
  assert_made(made);
  return made;
}

static void a_repeated_shape_is_a_hit(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  tnr_tensor *x = zeros(device, TNR_F32, TNR_SHAPE(2, 3));
  tnr_program_stats first = run_and_ask(device, TNR_VALUE(rig_plus_one(tnr_to_async(x))));
  assert_int_equal(first.misses, 1);
  assert_int_equal(first.entries, 1);
  for (int i = 0; i < 10; i++)
    x = rig_plus_one(x);
  tnr_program_stats then = run_and_ask(device, TNR_VALUE(x));
  assert_int_equal(then.misses, 1);
  assert_int_equal(then.hits, first.hits + 10);
}

static void all_that_matters_is_in_the_key(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  tnr_tensor *x = zeros(device, TNR_F32, TNR_SHAPE(2, 4)),
             *y = zeros(device, TNR_I32, TNR_SHAPE(2, 4));
  tnr_tensor *z = zeros(device, TNR_F32, TNR_SHAPE(4, 2)),
             *w = zeros(device, TNR_F32, TNR_SHAPE(8));
  const tnr_value results[] = {
      TNR_VALUE(tnr_relu(x)),
      TNR_VALUE(tnr_relu(y)),               /* dtype */
      TNR_VALUE(tnr_relu(z)),               /* shape */
      TNR_VALUE(tnr_relu(w)),               /* rank */
      TNR_VALUE(rig_plus_one(x)),           /* op */
      TNR_VALUE(tnr_softmax(x, .axis = 0)), /* attributes */
      TNR_VALUE(tnr_softmax(x, .axis = 1)),
      TNR_VALUE(rig_sum(x, x)),
      TNR_VALUE(tnr_call(&rig_sum_op, TNR_HERE, TNR_INPUTS(x, x, x), 3, NULL)), /* inputs */
  };
  for (int i = 0; i < 9; i++)
    assert_int_equal(run_and_ask(device, results[i]).misses, 9);
  assert_int_equal(tnr_device_programs(device).entries, 9);
  assert_int_equal(run_and_ask(device, TNR_VALUE(tnr_softmax(x, .axis = 1))).misses, 9);
}

/* A whole tensor, replicas of it, and pieces along each dim are different programs. */
static void so_is_how_inputs_are_split(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  tnr_tensor *x = zeros(device, TNR_F32, TNR_SHAPE(4, 4));
  const tnr_value results[] = {
      TNR_VALUE(rig_plus_one(x)),
      TNR_VALUE(rig_plus_one(tnr_replicate(x, rig_cpus(*state, 2)))),
      TNR_VALUE(rig_plus_one(tnr_shard(x, rig_cpus(*state, 2), .dim = 0))),
      TNR_VALUE(rig_plus_one(tnr_shard(x, rig_cpus(*state, 2), .dim = 1))),
      TNR_VALUE(rig_plus_one(tnr_shard(x, rig_cpus(*state, 4), .dim = 1))),
  };
  for (int i = 0; i < 5; i++)
    (void)run_and_ask(device, results[i]);
  assert_int_equal(tnr_device_programs(device).misses, 5);
  assert_int_equal(tnr_device_programs(rig_cpu(*state, 1)).misses, 4);
  assert_int_equal(tnr_device_programs(rig_cpu(*state, 3)).misses, 1);
}

static void the_cache_is_bounded_and_keeps_what_was_used_last(void **state) {
  const tnr_device_config config = {.driver = tnr_cpu_driver(), .count = 1};
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = &config, .device_configs = 1, .program_cache = 3});
  (void)state;
  assert_made(runtime);
  assert_ok(tnr_scope_open());
  tnr_device *device = tnr_runtime_device_at(runtime, 0);
  tnr_tensor *x[5];
  for (int i = 0; i < 5; i++)
    x[i] = zeros(device, TNR_F32, TNR_SHAPE(i + 1));
  const int order[] = {0, 1, 2, 0, 3, 0, 1, 4, 4, 0};
  const uint64_t misses[] = {1, 2, 3, 3, 4, 4, 5, 6, 6, 6};
  for (int i = 0; i < 10; i++) {
    tnr_program_stats stats =
        run_and_ask(device, TNR_VALUE(rig_plus_one(tnr_to_async(x[order[i]]))));
    assert_int_equal(stats.misses, misses[i]);
    assert_in_range(stats.entries, 1, 3);
  }
  assert_int_equal(tnr_device_programs(device).evictions, 3);
  for (int i = 0; i < 1000; i++)
    assert_made(rig_plus_one(x[i % 5]));
  assert_ok(tnr_synchronize_device(device));
  assert_int_equal(tnr_device_programs(device).entries, 3);
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
}

static void what_is_refused_is_not_kept(void **state) {
  tnr_device *device = rig_cpu(*state, 0);
  tnr_tensor *x = zeros(device, TNR_I32, TNR_SHAPE(2));
  for (int i = 0; i < 3; i++) {
    tnr_future *f = rig_plus_one(tnr_to_async(x));
    assert_fails(tnr_wait(f, TNR_COMPLETE, INT64_MAX), TNR_EDTYPE);
  }
  assert_ok(tnr_synchronize_device(device));
  assert_int_equal(tnr_device_programs(device).entries, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(a_repeated_shape_is_a_hit),
      rig_test(all_that_matters_is_in_the_key),
      rig_test(so_is_how_inputs_are_split),
      rig_bare_test(the_cache_is_bounded_and_keeps_what_was_used_last),
      rig_test(what_is_refused_is_not_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
