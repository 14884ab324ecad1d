/* A user's own composite, complete: a function of values, written once, that serves plain tensors,
 * async inputs, one device and several. */
#include <stdio.h>
#include <stdlib.h>
#include <tenor.h>

/* residual(x, weights, bias, .layers = 2): x + relu(x * weights^T + bias), .layers times over.
 * x [..., n], weights [n, n], bias [n] -> [..., n]. */
typedef struct residual_attrs {
  int64_t layers TNR_ZERO;
} residual_attrs;
#define residual(x, weights, bias, ...)                                                            \
  TNR_COMPOSITE3(&residual_composite, x, weights, bias, residual_attrs, __VA_ARGS__)

static tnr_value residual_body(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  const residual_attrs *options = attrs;
  tnr_value x = in[0], weights = in[1], bias = in[2];
  for (int64_t i = 0; i < options->layers; i++)
    x = tnr_add(x, tnr_linear_with_relu(x, weights, bias));
  return x;
}

static const tnr_composite_def residual_composite = {
    .name = "residual",
    .attrs_size = sizeof(residual_attrs),
    .result = TNR_OP_TENSOR,
    .body = residual_body,
};

/* The program that uses it. */

static void expect(int right, const char *what) {
  if (right)
    return;
  fprintf(stderr, "user_composite: wrong: %s; %s\n", what, tnr_error_message(tnr_error()));
  exit(1);
}

/* The identity as weights and no bias: each layer doubles what is positive. */
static const float X[] = {1, -2, 3, -4}, WEIGHTS[] = {1, 0, 0, 1}, BIAS[] = {0, 0};

static void expect_quadrupled(tnr_tensor *result, const char *what) {
  float y[4];
  expect(tnr_tensor_read(result, y, sizeof(y)) == TNR_OK, what);
  expect(y[0] == 4 && y[1] == -2 && y[2] == 12 && y[3] == -4, what);
}

static void use_plain_and_async(tnr_runtime *runtime) {
  tnr_device *device = tnr_runtime_device_at(runtime, 0);
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(2, 2), X);
  tnr_tensor *weights = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(2, 2), WEIGHTS);
  tnr_tensor *bias = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(2), BIAS);
  tnr_tensor *plain = residual(x, weights, bias, .layers = 2);
  expect_quadrupled(plain, "plain");
  tnr_future *async = residual(tnr_to_async(x), weights, bias, .layers = 2);
  expect_quadrupled(tnr_get(async), "async");
}

static void use_two_devices(tnr_runtime *runtime) {
  tnr_device *devices[] = {tnr_runtime_device_at(runtime, 0), tnr_runtime_device_at(runtime, 1)};
  const tnr_mesh *mesh = tnr_mesh_of(devices, 2);
  tnr_tensor *x = tnr_tensor_create(devices[0], TNR_F32, TNR_SHAPE(2, 2), X);
  tnr_tensor *weights = tnr_tensor_create(devices[0], TNR_F32, TNR_SHAPE(2, 2), WEIGHTS);
  tnr_tensor *bias = tnr_tensor_create(devices[0], TNR_F32, TNR_SHAPE(2), BIAS);
  tnr_tensor *pieces = tnr_shard(x, mesh, .dim = 0);
  expect_quadrupled(
      residual(pieces, tnr_replicate(weights, mesh), tnr_replicate(bias, mesh), .layers = 2),
      "sharded");
}

int main(void) {
  const tnr_device_config two_cpus = {.driver = tnr_cpu_driver(), .count = 2};
  tnr_runtime *runtime =
      tnr_runtime_create(&(tnr_runtime_options){.devices = &two_cpus, .device_configs = 1});
  expect(runtime != NULL, "creating a runtime");
  expect(tnr_scope_open() == TNR_OK, "opening a scope");
  use_plain_and_async(runtime);
  use_two_devices(runtime);
  expect(tnr_scope_close() == TNR_OK, "closing the scope");
  expect(tnr_runtime_destroy(runtime, TNR_DRAIN) == TNR_OK, "destroying the runtime");
  puts("user_composite: plain, async and on two devices: right");
  return 0;
}
