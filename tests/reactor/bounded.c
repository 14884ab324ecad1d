#include "bounded.h"

tnr_runtime *bounded_traced(tnr_limits all, tnr_limits each, bool full_is_error,
                            const tnr_trace_options *trace) {
  const tnr_device_config devices = {.driver = tnr_cpu_driver(), .count = 2, .limits = each};
  tnr_runtime *runtime = tnr_runtime_create(&(tnr_runtime_options){.devices = &devices,
                                                                   .device_configs = 1,
                                                                   .limits = all,
                                                                   .full_is_error = full_is_error,
                                                                   .trace = trace,
                                                                   CHECK_MODE});
  assert_made(runtime);
  rig_step_also(runtime);
  assert_ok(tnr_scope_open());
  return runtime;
}

tnr_runtime *bounded_runtime(tnr_limits all, tnr_limits each, bool full_is_error) {
  return bounded_traced(all, each, full_is_error, NULL);
}

void bounded_end(tnr_runtime *runtime) {
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
}

tnr_device *bounded_device(tnr_runtime *runtime) {
  return tnr_runtime_device_at(runtime, 0);
}

tnr_tensor *bounded_large(tnr_runtime *runtime) {
  static float ones[BOUNDED_LARGE / sizeof(float)];
  for (size_t i = 0; i < BOUNDED_LARGE / sizeof(float); i++)
    ones[i] = 1;
  tnr_tensor *made = tnr_tensor_create(bounded_device(runtime), TNR_F32,
                                       TNR_SHAPE(BOUNDED_LARGE / sizeof(float)), ones);
  assert_made(made);
  assert_ok(tnr_wait(made, TNR_COMPLETE, INT64_MAX));
  return made;
}

tnr_future *bounded_one(tnr_runtime *runtime) {
  return tnr_to_async(rig_tensor(bounded_device(runtime), 1));
}

static tnr_value five(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count, (void)attrs;
  tnr_value value = in[0];
  for (int i = 0; i < 5; i++)
    value = rig_plus_one(value);
  return value;
}

const tnr_composite_def bounded_five = {.name = "five", .body = five};
const tnr_composite_def bounded_late_five = {
    .name = "late_five", .needs_shapes = true, .body = five};
