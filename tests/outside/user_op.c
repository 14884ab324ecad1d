/* A user's own op, complete: moments() gives mean and variance along an axis. It is called exactly
 * like the built-in ones, whose three parts it has: validate, infer, and the program. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenor.h>

/* moments(x, .axis = 1, .unbiased = 1): a tuple of mean and variance of f32 x over .axis, which
 * goes. The variance divides by n, or by n - 1 when .unbiased. */
typedef struct moments_attrs {
  int64_t axis TNR_ZERO;
  int64_t unbiased TNR_ZERO;
} moments_attrs;
#define moments(x, ...) TNR_OP1_TUPLE(&moments_op, x, moments_attrs, __VA_ARGS__)

static int64_t axis_of(const moments_attrs *attrs, const tnr_shape *shape) {
  return attrs->axis < 0 ? attrs->axis + shape->rank : attrs->axis;
}

static tnr_status moments_validate(const tnr_op_call *call, tnr_fault *fault) {
  const moments_attrs *attrs = call->attrs;
  if (call->in_count != 1)
    return tnr_fail(fault, TNR_EINVAL, "takes one input, not %d", call->in_count);
  const tnr_desc *x = &call->in[0];
  if (x->dtype != TNR_F32)
    return tnr_fail(fault, TNR_EDTYPE, "takes f32, not %s", tnr_dtype_name(x->dtype));
  int64_t axis = axis_of(attrs, &x->shape);
  if (axis < 0 || axis >= x->shape.rank)
    return tnr_fail(fault, TNR_EINVAL, "axis %lld is out of range", (long long)attrs->axis);
  if (x->shape.dims[axis] <= (attrs->unbiased ? 1 : 0))
    return tnr_fail(fault, TNR_ESHAPE, "axis %lld is too short", (long long)attrs->axis);
  return TNR_OK;
}

static tnr_status moments_infer(const tnr_op_call *call, tnr_op_outputs *outputs,
                                tnr_fault *fault) {
  (void)fault;
  tnr_shape shape = call->in[0].shape;
  int64_t axis = axis_of(call->attrs, &shape);
  for (int64_t i = axis; i + 1 < shape.rank; i++)
    shape.dims[i] = shape.dims[i + 1];
  shape.dims[--shape.rank] = 0;
  tnr_op_add_output(outputs, TNR_F32, shape); /* mean */
  tnr_op_add_output(outputs, TNR_F32, shape); /* variance */
  return TNR_OK;
}

/* One mean and one variance, of n elements that lie `stride` elements apart. */
static void moments_of(const float *x, int64_t n, int64_t stride, int64_t divisor, float *mean,
                       float *variance) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; i++)
    sum += x[i * stride];
  for (int64_t i = 0; i < n; i++)
    squares += pow(x[i * stride] - sum / (double)n, 2);
  *mean = (float)(sum / (double)n);
  *variance = (float)(squares / (double)divisor);
}

static tnr_status moments_kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  const moments_attrs *attrs = call->attrs;
  const tnr_shape *shape = &call->in[0].shape;
  int64_t axis = axis_of(attrs, shape), n = shape->dims[axis];
  int64_t inner = 1; /* elements behind the axis */
  for (int64_t i = axis + 1; i < shape->rank; i++)
    inner *= shape->dims[i];
  const float *x = call->in_data[0];
  float *mean = call->out_data[0], *variance = call->out_data[1];
  int64_t count = tnr_shape_elements(&call->out[0].shape);
  for (int64_t i = 0; i < count; i++)
    moments_of(x + i / inner * n * inner + i % inner, n, inner, n - (attrs->unbiased ? 1 : 0),
               &mean[i], &variance[i]);
  return TNR_OK;
}

/* On several devices: each takes its piece, unless it is the axis that is split. */
static tnr_status moments_shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                                int out_count, int *out_dims, tnr_fault *fault) {
  (void)out;
  int64_t axis = axis_of(call->attrs, &call->in[0].shape);
  if (in_dims[0] == axis)
    return tnr_fail(fault, TNR_EDEVICE, "the input is split along the axis");
  for (int i = 0; i < out_count; i++)
    out_dims[i] = in_dims[0] > axis ? in_dims[0] - 1 : in_dims[0];
  return TNR_OK;
}

static const tnr_op_def moments_op = {
    .name = "moments",
    .attrs_size = sizeof(moments_attrs),
    .result = TNR_OP_TUPLE,
    .validate = moments_validate,
    .infer = moments_infer,
    .kernel = moments_kernel,
    .shard = moments_shard,
};

/* The program that uses it. */

static void expect(int right, const char *what) {
  if (right)
    return;
  fprintf(stderr, "user_op: wrong: %s; %s\n", what, tnr_error_message(tnr_error()));
  exit(1);
}

/* `tuple` holds the means and variances of two rows: 1 2 3, and 4 6 8. */
static void expect_moments(tnr_tuple *tuple, const char *what) {
  float mean[2], variance[2];
  expect(tnr_tuple_count(tuple) == 2, what);
  expect(tnr_tensor_read(tnr_at(tuple, 0), mean, sizeof(mean)) == TNR_OK, what);
  expect(tnr_tensor_read(tnr_at(tuple, 1), variance, sizeof(variance)) == TNR_OK, what);
  expect(mean[0] == 2 && mean[1] == 6, what);
  expect(variance[0] == 1 && variance[1] == 4, what);
}

static void use_plain_and_async(tnr_runtime *runtime, const float *rows) {
  tnr_device *device = tnr_runtime_device_at(runtime, 0);
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(2, 3), rows);
  tnr_tuple *plain = moments(x, .axis = 1, .unbiased = 1);
  expect_moments(plain, "plain");

  tnr_future_tuple *async = moments(tnr_to_async(x), .axis = -1, .unbiased = 1);
  tnr_future *twice = tnr_add(tnr_at(async, 0), tnr_at(async, 0));
  expect_moments(tnr_get(async), "async");
  float sums[2];
  expect(tnr_tensor_read(tnr_get(twice), sums, sizeof(sums)) == TNR_OK && sums[1] == 12, "chained");
}

static void use_two_devices(tnr_runtime *runtime, const float *rows) {
  tnr_device *devices[] = {tnr_runtime_device_at(runtime, 0), tnr_runtime_device_at(runtime, 1)};
  const tnr_mesh *mesh = tnr_mesh_of(devices, 2);
  tnr_tensor *x = tnr_tensor_create(devices[0], TNR_F32, TNR_SHAPE(2, 3), rows);
  tnr_tensor *pieces = tnr_shard(x, mesh, .dim = 0);
  expect_moments(moments(pieces, .axis = 1, .unbiased = 1), "sharded");
  expect(moments(pieces, .axis = 0) == NULL, "split along the axis");
  expect(tnr_error_code(tnr_error()) == TNR_EDEVICE, "the error of a split along the axis");
}

static void use_wrongly(tnr_runtime *runtime, const float *rows) {
  tnr_device *device = tnr_runtime_device_at(runtime, 0);
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(2, 3), rows);
  expect(moments(x, .axis = 2) == NULL, "an axis out of range");
  expect(tnr_error_code(tnr_error()) == TNR_EINVAL, "its code");
  expect(strcmp(tnr_error_op(tnr_error()), "moments") == 0, "its op");
  expect(strcmp(tnr_error_reason(tnr_error()), "axis 2 is out of range") == 0, "its reason");
}

int main(void) {
  const float rows[] = {1, 2, 3, 4, 6, 8};
  const tnr_device_config two_cpus = {.driver = tnr_cpu_driver(), .count = 2};
  tnr_runtime *runtime =
      tnr_runtime_create(&(tnr_runtime_options){.devices = &two_cpus, .device_configs = 1});
  expect(runtime != NULL, "creating a runtime");
  expect(tnr_scope_open() == TNR_OK, "opening a scope");
  use_plain_and_async(runtime, rows);
  use_two_devices(runtime, rows);
  use_wrongly(runtime, rows);
  expect(tnr_scope_close() == TNR_OK, "closing the scope");
  expect(tnr_runtime_destroy(runtime, TNR_DRAIN) == TNR_OK, "destroying the runtime");
  puts("user_op: plain, async and on two devices: right");
  return 0;
}
