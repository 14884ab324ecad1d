// In C++ the same op names work through overloads: plain and async inputs, values, options by name.
#include <atomic>
#include <chrono>
#include <concepts>
#include <thread>
#include <vector>

#include <dlpack/dlpack.h>

#include "check.h"

namespace {

// None of these calls is made: only their types are looked at.
#define GIVES(type, call) static_assert(std::same_as<type, decltype(call)>)

void result_types_follow_from_the_inputs(void **) {
  [[maybe_unused]] tnr_tensor *t = nullptr;
  [[maybe_unused]] tnr_future *f = nullptr;
  [[maybe_unused]] tnr_value v = {};
  [[maybe_unused]] tnr_tuple *tt = nullptr;
  [[maybe_unused]] tnr_future_tuple *ft = nullptr;
  GIVES(tnr_tensor *, tnr_matmul(t, t));
  GIVES(tnr_future *, tnr_matmul(f, t));
  GIVES(tnr_future *, tnr_matmul(t, f, .transpose_b = true));
  GIVES(tnr_value, tnr_matmul(v, t));
  GIVES(tnr_value, tnr_matmul(f, v));
  GIVES(tnr_tensor *, tnr_relu(t));
  GIVES(tnr_future *, tnr_relu(f));
  GIVES(tnr_value, tnr_relu(v));
  GIVES(tnr_tuple *, tnr_split(t, .dim = 1, .parts = 2));
  GIVES(tnr_future_tuple *, tnr_split(f, .dim = 1, .parts = 2));
  GIVES(tnr_value, tnr_split(v, .dim = 1, .parts = 2));
  GIVES(tnr_tensor *, tnr_concat(tt, .dim = 1));
  GIVES(tnr_future *, tnr_concat(ft, .dim = 1));
  GIVES(tnr_tensor *, tnr_conv2d(t, t, t, .stride = {2, 2}));
  GIVES(tnr_future *, tnr_conv2d(t, t, f, .stride = {2, 2}));
  GIVES(tnr_value, tnr_conv2d(t, f, v, .stride = {2, 2}));
  GIVES(tnr_tensor *, tnr_linear(t, t, t));
  GIVES(tnr_future *, tnr_linear_with_relu(t, f, t));
  GIVES(tnr_tuple *, tnr_linear_with_intermediate(t, t, t));
  GIVES(tnr_future_tuple *, tnr_linear_with_intermediate(f, t, t));
  GIVES(tnr_tensor *, tnr_at(tt, 0));
  GIVES(tnr_future *, tnr_at(ft, 0));
  GIVES(tnr_future *, tnr_to_async(t));
  GIVES(tnr_future_tuple *, tnr_to_async(tt));
  GIVES(tnr_tensor *, tnr_get(f));
  GIVES(tnr_tuple *, tnr_get(ft));
  GIVES(tnr_tuple *, tnr_tuple_of(t, t));
  GIVES(tnr_future_tuple *, tnr_tuple_of(t, f));
  GIVES(tnr_future *, tnr_to_device(f, nullptr));
  GIVES(tnr_tensor *, tnr_shard(t, nullptr, .dim = 0));
  GIVES(tnr_future *, tnr_keep(f));
  [[maybe_unused]] tnr_promise *p = nullptr;
  GIVES(tnr_promise *, tnr_keep(p));
  GIVES(tnr_promise *, tnr_promise_create(nullptr, .device = nullptr));
}

tnr_runtime *runtime;

int open_runtime(void **) {
  const tnr_device_config cpus = {.driver = tnr_cpu_driver(), .count = 2, .config = nullptr};
  tnr_runtime_options options = {};
  options.devices = &cpus;
  options.device_configs = 1;
  runtime = tnr_runtime_create(&options);
  assert_made(runtime);
  assert_ok(tnr_scope_open());
  return 0;
}

int close_runtime(void **) {
  assert_ok(tnr_scope_close());
  assert_nothing_left(runtime);
  return 0;
}

tnr_tensor *numbers() {
  const float data[] = {1, 2, 3, 4, 5, 6};
  tnr_tensor *made =
      tnr_tensor_create(tnr_runtime_device_at(runtime, 0), TNR_F32, TNR_SHAPE(2, 3), data);
  assert_made(made);
  return made;
}

template <size_t n> void expect(tnr_tensor *result, const float (&expected)[n]) {
  float got[n];
  assert_made(result);
  assert_ok(tnr_tensor_read(result, got, sizeof(got)));
  for (size_t i = 0; i < n; i++)
    assert_float_equal(got[i], expected[i], 0);
}

void options_are_named(void **) {
  tnr_tensor *x = numbers();
  expect(tnr_matmul(x, x, .transpose_b = true), {14, 32, 32, 77});
  expect(tnr_transpose(x, .permutation = {1, 0}, .permuted = 2), {1, 4, 2, 5, 3, 6});
  expect(tnr_reshape(tnr_add(x, x), .shape = TNR_SHAPE(3, -1)), {2, 4, 6, 8, 10, 12});
}

void async_calls_have_the_same_names(void **) {
  tnr_tensor *x = numbers();
  tnr_future *product = tnr_matmul(tnr_to_async(x), x, .transpose_b = true);
  tnr_future_tuple *columns = tnr_split(product, .dim = 1, .parts = 2);
  expect(tnr_get(tnr_relu(tnr_at(columns, 1))), {32, 77});
  expect(tnr_get(tnr_concat(columns, .dim = 0)), {14, 32, 32, 77});
}

void values_stand_for_either(void **) {
  tnr_tensor *x = numbers();
  for (tnr_value input : {TNR_VALUE(x), TNR_VALUE(tnr_to_async(x))}) {
    tnr_value sum = tnr_sub(tnr_mul(input, input), x);
    expect(tnr_value_tensor(tnr_get(sum)), {0, 2, 6, 12, 20, 30});
  }
}

void requests_have_terms(void **) {
  tnr_group *group = tnr_group_create(runtime, .name = "request", .timeout_ns = 60000000000);
  assert_made(group);
  assert_ok(tnr_terms_open(.group = group, .priority = TNR_PRIORITY_HIGH));
  tnr_future *sum = tnr_add(tnr_to_async(numbers()), numbers());
  assert_ok(tnr_terms_close());
  assert_ok(tnr_group_wait(group, INT64_MAX));
  expect(tnr_get(sum), {2, 4, 6, 8, 10, 12});
  assert_ok(tnr_cancel(sum));
  assert_ok(tnr_group_cancel(group));
  assert_int_equal(tnr_group_get_stats(group).completed, 1);
  assert_ok(tnr_wait(tnr_group_done(group), TNR_COMPLETE, INT64_MAX));
  tnr_group *kept = tnr_keep(tnr_group_create(runtime, .parent = group));
  assert_made(kept);
  tnr_release(kept);
  int lines = 0;
  auto count = [](const char *, void *user) { ++*static_cast<int *>(user); };
  assert_ok(tnr_runtime_dump(runtime, count, &lines));
  assert_true(lines >= 1);
}

void callbacks_may_be_lambdas(void **) {
  static std::atomic<int> seen;
  tnr_future *sum = tnr_add(tnr_to_async(numbers()), numbers());
  auto note = [](tnr_value future, void *user) {
    static_cast<std::atomic<int> *>(user)->store(tnr_future_error(future) ? -1 : 1);
  };
  assert_ok(tnr_on(sum, TNR_COMPLETE, note, &seen));
  for (int i = 0; seen == 0 && i < 5000; i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  assert_int_equal(seen, 1);
}

struct request {
  tnr_continuation done;
  int calls;
};

void a_mailbox_brings_them_to_a_thread_of_ones_own(void **) {
  tnr_mailbox *box = tnr_mailbox_create(runtime);
  tnr_promise *promise = tnr_promise_create(runtime);
  tnr_future *sum = tnr_add(tnr_promise_future(promise), numbers());
  request r = {};
  auto count = [](tnr_value, void *user) { static_cast<request *>(user)->calls++; };
  tnr_continuation_init(&r.done, count, &r);
  assert_ok(tnr_attach(sum, TNR_COMPLETE, &r.done, .mailbox = box));
  assert_ok(tnr_on(sum, TNR_CREATED, count, &r, .mailbox = box));
  assert_int_equal(tnr_mailbox_dispatch(box), 0);
  assert_ok(tnr_promise_fulfil(promise, numbers()));
  assert_ok(tnr_wait(sum, TNR_COMPLETE, INT64_MAX));
  for (int i = 0; r.calls < 2 && i < 5000; i++) {
    assert_true(tnr_mailbox_dispatch(box, .max_callbacks = 1, .max_ns = 1000000) >= 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  assert_int_equal(r.calls, 2);
  assert_false(tnr_detach(&r.done));
  assert_ok(tnr_mailbox_destroy(box));
}

void memory_goes_in_with_lambdas_and_comes_out_by_dlpack(void **) {
  tnr_device *device = tnr_runtime_device_at(runtime, 0);
  auto *lent = new std::vector<float>{1, 2, 3, 4};
  auto give_back = [](void *user) { delete static_cast<std::vector<float> *>(user); };
  auto free_data = [](void *data) { delete[] static_cast<float *>(data); };
  tnr_tensor *x = tnr_tensor_borrow(device, TNR_F32, TNR_SHAPE(4), lent->data(), give_back, lent);
  tnr_tensor *y = tnr_tensor_adopt(device, TNR_F32, TNR_SHAPE(4), new float[4]{}, free_data);
  DLManagedTensor *out = tnr_to_dlpack(tnr_add(x, y));
  assert_made(out);
  tnr_host_view view{};
  assert_ok(tnr_tensor_view(tnr_from_dlpack(device, out), &view));
  assert_true(static_cast<const float *>(view.data)[3] == 4);
  tnr_host_view_release(&view);
}

void errors_name_the_line_of_the_call(void **) {
  tnr_tensor *x = numbers();
  tnr_tensor *wrong = tnr_matmul(x, x);
  const int line = __LINE__ - 1;
  assert_null(wrong);
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESHAPE);
  assert_string_equal(tnr_error_file(tnr_error()), __FILE__);
  assert_int_equal(tnr_error_line(tnr_error()), line);
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(result_types_follow_from_the_inputs),
      cmocka_unit_test_setup_teardown(options_are_named, open_runtime, close_runtime),
      cmocka_unit_test_setup_teardown(async_calls_have_the_same_names, open_runtime, close_runtime),
      cmocka_unit_test_setup_teardown(values_stand_for_either, open_runtime, close_runtime),
      cmocka_unit_test_setup_teardown(requests_have_terms, open_runtime, close_runtime),
      cmocka_unit_test_setup_teardown(callbacks_may_be_lambdas, open_runtime, close_runtime),
      cmocka_unit_test_setup_teardown(a_mailbox_brings_them_to_a_thread_of_ones_own, open_runtime,
                                      close_runtime),
      cmocka_unit_test_setup_teardown(memory_goes_in_with_lambdas_and_comes_out_by_dlpack,
                                      open_runtime, close_runtime),
      cmocka_unit_test_setup_teardown(errors_name_the_line_of_the_call, open_runtime,
                                      close_runtime),
  };
  return cmocka_run_group_tests_name("C++", tests, nullptr, nullptr);
}
