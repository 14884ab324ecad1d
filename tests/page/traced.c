/* A program to be recorded: composites in composites on two devices, a copy between them, a wait, a
 * callback, and an op that fails. */
#include <stdio.h>

#include <tenor.h>

static tnr_value block(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return tnr_attention(tnr_linear_with_relu(in[0], in[1], in[2]), in[0], in[0]);
}

static tnr_value model(const tnr_value *in, int in_count, const void *attrs) {
  static const tnr_composite_def def = {.name = "block", .body = block};
  tnr_value first = tnr_call_composite(&def, TNR_HERE, in, in_count, attrs);
  const tnr_value second[] = {first, in[1], in[2]};
  return tnr_call_composite(&def, TNR_HERE, second, in_count, attrs);
}

static void on_complete(tnr_value future, void *seen) {
  ++*(int *)seen;
  tnr_release(future.handle);
}

static tnr_tensor *filled(tnr_device *device, tnr_shape shape) {
  static const float zeros[64 * 64];
  return tnr_tensor_create(device, TNR_F32, shape, zeros);
}

static bool run(tnr_runtime *runtime, int *seen) {
  static const tnr_composite_def def = {.name = "model", .body = model};
  tnr_device *first = tnr_runtime_device_at(runtime, 0),
             *second = tnr_runtime_device_at(runtime, 1);
  tnr_future *x = tnr_to_async(filled(first, TNR_SHAPE(64, 64)));
  tnr_tensor *weights = filled(first, TNR_SHAPE(64, 64)), *bias = filled(first, TNR_SHAPE(64));
  const tnr_value in[] = {TNR_VALUE(x), TNR_VALUE(weights), TNR_VALUE(bias)};
  bool fine = true;
  for (int i = 0; i < 3; i++) {
    tnr_value y = tnr_call_composite(&def, TNR_HERE, in, 3, NULL);
    tnr_value moved = tnr_relu(tnr_to_device(y, second));
    fine &= tnr_on(moved, TNR_COMPLETE, on_complete, seen) == TNR_OK;
    fine &= tnr_wait(moved, TNR_COMPLETE, INT64_MAX) == TNR_OK;
  }
  return fine && tnr_wait(tnr_matmul(x, bias), TNR_COMPLETE, INT64_MAX) != TNR_OK;
}

int main(void) {
  const tnr_device_config cpus = {.driver = tnr_cpu_driver(), .count = 2};
  tnr_runtime *runtime =
      tnr_runtime_create(&(tnr_runtime_options){.devices = &cpus, .device_configs = 1});
  int seen = 0;
  if (!runtime || tnr_scope_open() != TNR_OK)
    return 1;
  bool fine = run(runtime, &seen);
  tnr_scope_close();
  fine &= tnr_runtime_destroy(runtime, TNR_DRAIN) == TNR_OK;
  printf("%d callbacks\n", seen);
  return fine && seen == 3 ? 0 : 1;
}
