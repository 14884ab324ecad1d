#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "model.h"

/* A model on every device of a runtime with two. */
enum { DEVICES = 2, OUTPUTS_MAX = 2 };

struct bench {
  tnr_runtime *runtime;
  struct onnx_graph graph;
  struct recipe recipe;
  struct model models[DEVICES];
};

static void assert_ok(tnr_status status, const tnr_fault *fault) {
  if (status != TNR_OK)
    fail_msg("%s", fault->message);
}

static void set_up(struct bench *bench, const char *path) {
  const tnr_device_config devices = {.driver = tnr_cpu_driver(), .count = DEVICES};
  const tnr_runtime_options options = {.devices = &devices, .device_configs = 1};
  tnr_fault fault;
  bench->runtime = tnr_runtime_create(&options);
  assert_non_null(bench->runtime);
  assert_ok(onnx_read(path, &bench->graph, &fault), &fault);
  assert_ok(recipe_init(&bench->graph, &bench->recipe, &fault), &fault);
  for (int i = 0; i < DEVICES; i++)
    assert_ok(model_init(&bench->recipe, tnr_runtime_device_at(bench->runtime, i),
                         &bench->models[i], &fault),
              &fault);
}

/* Nothing that the models made may be alive. */
static void tear_down(struct bench *bench) {
  for (int i = 0; i < DEVICES; i++)
    model_finish(&bench->models[i]);
  recipe_finish(&bench->recipe);
  onnx_finish(&bench->graph);
  for (int i = 0; i < DEVICES; i++)
    tnr_synchronize_device(tnr_runtime_device_at(bench->runtime, i));
  assert_int_equal(tnr_runtime_get_stats(bench->runtime).live_handles, 0);
  assert_int_equal(tnr_runtime_destroy(bench->runtime, TNR_DRAIN), TNR_OK);
}

static void load(const char *path, struct array *out) {
  tnr_fault fault;
  assert_ok(array_load(path, out, &fault), &fault);
}

static tnr_tensor *upload(const struct bench *bench, int device, const char *path) {
  struct array array;
  load(path, &array);
  tnr_tensor *tensor = tnr_tensor_create(tnr_runtime_device_at(bench->runtime, device),
                                         array.desc.dtype, array.desc.shape, array.data);
  assert_non_null(tensor);
  array_finish(&array);
  return tensor;
}

static void assert_close(const struct array *expected, const void *data) {
  for (size_t i = 0; i < expected->size / 4; i++)
    if (expected->desc.dtype == TNR_I32)
      assert_int_equal(((const int32_t *)data)[i], ((const int32_t *)expected->data)[i]);
    else
      assert_true(fabsf(((const float *)data)[i] - ((const float *)expected->data)[i]) < 1e-4F);
}

/* The result is what the file says. */
static void assert_result(tnr_value result, const char *path) {
  struct array expected;
  load(path, &expected);
  tnr_value got = tnr_get(result);
  tnr_tensor *tensor = tnr_value_tensor(got);
  assert_non_null(tensor);
  tnr_shape shape = tnr_tensor_shape(tensor);
  assert_true(tnr_shape_equal(&shape, &expected.desc.shape));
  assert_int_equal(tnr_tensor_dtype(tensor), expected.desc.dtype);
  void *data = malloc(expected.size);
  assert_non_null(data);
  assert_int_equal(tnr_tensor_read(tensor, data, expected.size), TNR_OK);
  assert_close(&expected, data);
  free(data);
  tnr_release(tensor);
  array_finish(&expected);
}

static void apply(const struct bench *bench, int device, tnr_value input, tnr_value *outputs) {
  tnr_fault fault;
  assert_ok(model_apply(&bench->models[device], &input, outputs, &fault), &fault);
}

static void plain_inputs_give_plain_results(void **state) {
  (void)state;
  struct bench bench;
  set_up(&bench, DATA("tiny.onnx"));
  for (int i = 0; i < DEVICES; i++) {
    tnr_value output;
    tnr_tensor *image = upload(&bench, i, DATA("tiny_image.npy"));
    apply(&bench, i, tnr_value_of_tensor(image), &output);
    assert_int_equal(output.kind, TNR_VALUE_TENSOR);
    assert_result(output, DATA("tiny_logits.npy"));
    tnr_release(output.handle);
    tnr_release(image);
  }
  tear_down(&bench);
}

static void futures_give_futures_on_every_device_at_once(void **state) {
  (void)state;
  enum { RUNS = 20 };
  struct bench bench;
  tnr_value outputs[RUNS];
  set_up(&bench, DATA("tiny.onnx"));
  for (int i = 0; i < RUNS; i++) {
    tnr_tensor *image = upload(&bench, i % DEVICES, DATA("tiny_image.npy"));
    tnr_future *future = tnr_to_async(image);
    apply(&bench, i % DEVICES, tnr_value_of_future(future), &outputs[i]);
    assert_int_equal(outputs[i].kind, TNR_VALUE_FUTURE);
    tnr_release(image);
    tnr_release(future);
  }
  for (int i = 0; i < RUNS; i++) {
    assert_result(outputs[i], DATA("tiny_logits.npy"));
    tnr_release(outputs[i].handle);
  }
  tear_down(&bench);
}

static void every_operator_gives_what_numpy_gives(void **state) {
  (void)state;
  struct bench bench;
  set_up(&bench, DATA("operators.onnx"));
  for (int async = 0; async < 2; async++) {
    tnr_value outputs[OUTPUTS_MAX];
    tnr_tensor *x = upload(&bench, 0, DATA("operators_x.npy"));
    tnr_value input = async ? tnr_value_of_future(tnr_to_async(x)) : tnr_value_of_tensor(x);
    apply(&bench, 0, input, outputs);
    assert_result(outputs[0], DATA("operators_probabilities.npy"));
    assert_result(outputs[1], DATA("operators_whole.npy"));
    tnr_release(outputs[0].handle);
    tnr_release(outputs[1].handle);
    if (async)
      tnr_release(input.handle);
    tnr_release(x);
  }
  tear_down(&bench);
}

static void an_input_of_a_wrong_shape_gives_a_sentence(void **state) {
  (void)state;
  struct bench bench;
  tnr_fault fault;
  tnr_value output;
  set_up(&bench, DATA("tiny.onnx"));
  tnr_tensor *x = upload(&bench, 0, DATA("f32_2x3.npy"));
  const tnr_value input = tnr_value_of_tensor(x);
  assert_int_not_equal(model_apply(&bench.models[0], &input, &output, &fault), TNR_OK);
  assert_int_equal(output.kind, TNR_VALUE_NONE);
  assert_non_null(strstr(fault.message, "node 'conv' (Conv): "));
  tnr_release(x);
  tear_down(&bench);
}

static void results_outlive_their_model(void **state) {
  (void)state;
  struct bench bench;
  tnr_value output;
  set_up(&bench, DATA("tiny.onnx"));
  tnr_tensor *image = upload(&bench, 0, DATA("tiny_image.npy"));
  tnr_future *future = tnr_to_async(image);
  apply(&bench, 0, tnr_value_of_future(future), &output);
  tnr_release(future);
  tnr_release(image);
  model_finish(&bench.models[0]);
  assert_result(output, DATA("tiny_logits.npy"));
  tnr_release(output.handle);
  tear_down(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_inputs_give_plain_results),
      cmocka_unit_test(futures_give_futures_on_every_device_at_once),
      cmocka_unit_test(every_operator_gives_what_numpy_gives),
      cmocka_unit_test(an_input_of_a_wrong_shape_gives_a_sentence),
      cmocka_unit_test(results_outlive_their_model),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
