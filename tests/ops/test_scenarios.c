/* The seed scenarios: what tenor is for, as a specification. Each is first run blocking, tensors in
 * and a tensor out, and then async, futures in and a future out; on one device, and on four with
 * the rows of x split over them. */
#include "op_places.h"

enum { ROWS = 8, INNER = 5, COLUMNS = 6, MOST = ROWS * COLUMNS };

/* x [8, 5], weights [6, 5], bias [6], in small whole numbers. */
typedef struct model {
  tnr_tensor *x, *weights, *bias;
} model;

/* What linear must give, worked out here. */
static float linear_right[MOST], relu_right[MOST];

static int x_at(int row, int k) {
  return (row * 3 + k * 5) % 7 - 3;
}

static int weight_at(int column, int k) {
  return (column * 2 + k) % 5 - 2;
}

static int bias_at(int column) {
  return column - 2;
}

static void work_out_linear(void) {
  for (int i = 0; i < MOST; i++) {
    int sum = bias_at(i % COLUMNS);
    for (int k = 0; k < INNER; k++)
      sum += x_at(i / COLUMNS, k) * weight_at(i % COLUMNS, k);
    linear_right[i] = (float)sum;
    relu_right[i] = (float)(sum > 0 ? sum : 0);
  }
}

static model model_on(tnr_device *device) {
  float x[ROWS * INNER], weights[COLUMNS * INNER], bias[COLUMNS];
  for (int i = 0; i < ROWS * INNER; i++)
    x[i] = (float)x_at(i / INNER, i % INNER);
  for (int i = 0; i < COLUMNS * INNER; i++)
    weights[i] = (float)weight_at(i / INNER, i % INNER);
  for (int i = 0; i < COLUMNS; i++)
    bias[i] = (float)bias_at(i);
  return (model){tnr_tensor_create(device, TNR_F32, TNR_SHAPE(ROWS, INNER), x),
                 tnr_tensor_create(device, TNR_F32, TNR_SHAPE(COLUMNS, INNER), weights),
                 tnr_tensor_create(device, TNR_F32, TNR_SHAPE(COLUMNS), bias)};
}

static model model_on_one(tnr_runtime *runtime) {
  return model_on(tnr_runtime_device(runtime, "cpu:0"));
}

static const tnr_mesh *four_of(tnr_runtime *runtime) {
  tnr_device *devices[4];
  for (int i = 0; i < 4; i++)
    devices[i] = tnr_runtime_device_at(runtime, i);
  return tnr_mesh_of(devices, 4);
}

static model model_on_four(tnr_runtime *runtime) {
  const tnr_mesh *four = four_of(runtime);
  model m = model_on_one(runtime);
  return (model){tnr_shard(m.x, four, .dim = 0), tnr_replicate(m.weights, four),
                 tnr_replicate(m.bias, four)};
}

/* ---- what a result must be ---- */

/* Shape, dtype, and where it lives: wherever `like` lives, with its rows split if those of `like`
 * are. */
static void expect_place(tnr_tensor *result, const tnr_tensor *like, tnr_shape shape) {
  tnr_shape is = tnr_tensor_shape(result);
  assert_true(tnr_shape_equal(&is, &shape));
  assert_int_equal(tnr_tensor_dtype(result), TNR_F32);
  assert_ptr_equal(tnr_tensor_mesh(result), tnr_tensor_mesh(like));
  assert_int_equal(tnr_tensor_shard_dim(result), tnr_tensor_shard_dim(like));
}

static void expect_numbers(tnr_tensor *result, const float *right) {
  float numbers[MOST];
  size_t bytes = tnr_tensor_bytes(result);
  assert_ok(tnr_tensor_read(result, numbers, bytes));
  assert_memory_equal(numbers, right, bytes);
}

static void expect(tnr_tensor *result, const model *m, const float *right) {
  assert_made(result);
  expect_place(result, m->x, TNR_SHAPE(ROWS, COLUMNS));
  expect_numbers(result, right);
}

/* A future's result against that of the blocking run. */
static void expect_same(tnr_future *async, tnr_tensor *blocking) {
  float numbers[MOST];
  tnr_tensor *result = tnr_get(async);
  assert_made(result);
  expect_place(result, blocking, tnr_tensor_shape(blocking));
  assert_ok(tnr_tensor_read(blocking, numbers, tnr_tensor_bytes(blocking)));
  expect_numbers(result, numbers);
}

/* ---- blocking ---- */

static void primitive(const model *m) {
  tnr_tensor *product = tnr_matmul(m->x, m->weights, .transpose_b = true);
  expect(tnr_add(product, m->bias), m, linear_right);
}

static void composite(const model *m) {
  tnr_tensor *output = tnr_linear_with_relu(m->x, m->weights, m->bias);
  expect(output, m, relu_right);
}

static void composite_with_two_results(const model *m) {
  tnr_tuple *results = tnr_linear_with_intermediate(m->x, m->weights, m->bias);
  assert_int_equal(tnr_tuple_count(results), 2);
  expect(tnr_at(results, 0), m, relu_right);
  expect(tnr_at(results, 1), m, linear_right);
}

/* ---- async: the same names ---- */

static void primitive_async(const model *m) {
  tnr_future *product = tnr_matmul(tnr_to_async(m->x), m->weights, .transpose_b = true);
  tnr_future *output = tnr_add(product, m->bias);
  expect_same(output, tnr_add(tnr_matmul(m->x, m->weights, .transpose_b = true), m->bias));
}

static void composite_async(const model *m) {
  tnr_future *output = tnr_linear_with_relu(tnr_to_async(m->x), m->weights, m->bias);
  expect_same(output, tnr_linear_with_relu(m->x, m->weights, m->bias));
}

static void composite_with_two_results_async(const model *m) {
  tnr_future_tuple *results = tnr_linear_with_intermediate(tnr_to_async(m->x), m->weights, m->bias);
  tnr_tuple *blocking = tnr_linear_with_intermediate(m->x, m->weights, m->bias);
  expect_same(tnr_at(results, 0), tnr_at(blocking, 0));
  expect_same(tnr_at(results, 1), tnr_at(blocking, 1));
  assert_int_equal(tnr_tuple_count(tnr_get(results)), 2);
}

static void relu_of_an_element_split_and_sliced_async(const model *m) {
  tnr_future_tuple *results = tnr_linear_with_intermediate(tnr_to_async(m->x), m->weights, m->bias);
  tnr_future *relu = tnr_relu(tnr_at(results, 0));
  tnr_future_tuple *slices = tnr_split(relu, .dim = 1, .parts = 2);
  tnr_future *slice = tnr_at(slices, 1);

  tnr_tuple *blocking = tnr_linear_with_intermediate(m->x, m->weights, m->bias);
  tnr_tuple *halves = tnr_split(tnr_relu(tnr_at(blocking, 0)), .dim = 1, .parts = 2);
  expect_same(slice, tnr_at(halves, 1));
  expect_place(tnr_get(slice), m->x, TNR_SHAPE(ROWS, COLUMNS / 2));
  assert_int_equal(tnr_tuple_count(tnr_get(slices)), 2);
}

/* ---- each on one device and on four ---- */

static void run_on(void (*scenario)(const model *m), model m) {
  assert_made(m.x);
  assert_made(m.weights);
  assert_made(m.bias);
  scenario(&m);
}

#define ON_ONE_AND_ON_FOUR(scenario)                                                               \
  static void scenario##_on_one_device(void **state) {                                             \
    assert_ok(tnr_scope_open());                                                                   \
    run_on(scenario, model_on_one(*state));                                                        \
    assert_ok(tnr_scope_close());                                                                  \
  }                                                                                                \
  static void scenario##_on_four_devices(void **state) {                                           \
    assert_ok(tnr_scope_open());                                                                   \
    run_on(scenario, model_on_four(*state));                                                       \
    assert_ok(tnr_scope_close());                                                                  \
  }

ON_ONE_AND_ON_FOUR(primitive)
ON_ONE_AND_ON_FOUR(composite)
ON_ONE_AND_ON_FOUR(composite_with_two_results)
ON_ONE_AND_ON_FOUR(primitive_async)
ON_ONE_AND_ON_FOUR(composite_async)
ON_ONE_AND_ON_FOUR(composite_with_two_results_async)
ON_ONE_AND_ON_FOUR(relu_of_an_element_split_and_sliced_async)

static int setup(void **state) {
  work_out_linear();
  return op_runtime_setup(state);
}

#define BOTH(scenario)                                                                             \
  cmocka_unit_test(scenario##_on_one_device), cmocka_unit_test(scenario##_on_four_devices)

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(primitive),
      BOTH(composite),
      BOTH(composite_with_two_results),
      BOTH(primitive_async),
      BOTH(composite_async),
      BOTH(composite_with_two_results_async),
      BOTH(relu_of_an_element_split_and_sliced_async),
  };
  return cmocka_run_group_tests(tests, setup, op_runtime_teardown);
}
