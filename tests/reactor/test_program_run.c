/* Results that a device leaves in a layout of its own: to whoever looks they are in rows. */
#include "check.h"

#include <dlpack/dlpack.h>
#include <pthread.h>
#include <string.h>

#include "devices/mirror.h"
#include "devices/storage.h"

enum { COUNT = 1000, BYTES = COUNT * sizeof(float), READERS = 4, ROUNDS = 100 };

static float right[COUNT]; /* immutable after set_up */

static int set_up(void **state) {
  (void)state;
  for (int i = 0; i < COUNT; i++)
    right[i] = (float)(i + 1);
  return 0;
}

static tnr_runtime *runtime_new(void) {
  const tnr_device_config devices = {.driver = mirror_driver(), .count = 2};
  tnr_runtime *runtime =
      tnr_runtime_create(&(tnr_runtime_options){.devices = &devices, .device_configs = 1});
  assert_made(runtime);
  return runtime;
}

/* In the mirror's layout: a program's first run leaves its result so. */
static tnr_tensor *mirrored(tnr_device *device) {
  tnr_tensor *x = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(COUNT), right);
  tnr_tensor *y = tnr_relu(x);
  tnr_release(x);
  assert_made(y);
  assert_ok(tnr_wait(y, TNR_COMPLETE, INT64_MAX));
  assert_non_null(tnr_storage_layout(y->parts[0]));
  assert_memory_not_equal(y->parts[0]->memory, right, BYTES);
  return y;
}

static void *read_it(void *tensor) {
  float read[COUNT];
  return (void *)(uintptr_t)(tnr_tensor_read(tensor, read, BYTES) == TNR_OK &&
                             memcmp(read, right, BYTES) == 0);
}

static void several_threads_may_read_what_a_worker_uses(void **state) {
  (void)state;
  tnr_runtime *runtime = runtime_new();
  for (int round = 0; round < ROUNDS; round++) {
    pthread_t readers[READERS];
    tnr_device *device = tnr_runtime_device_at(runtime, 0);
    tnr_tensor *x = round == 0 ? mirrored(device) : NULL;
    if (!x) {
      tnr_tensor *from = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(COUNT), right);
      x = tnr_relu(from);
      tnr_release(from);
    }
    for (int i = 0; i < READERS; i++)
      assert_int_equal(pthread_create(&readers[i], NULL, read_it, x), 0);
    tnr_tensor *y = tnr_add(x, x);
    tnr_release(y);
    for (int i = 0; i < READERS; i++) {
      void *fine;
      pthread_join(readers[i], &fine);
      assert_non_null(fine);
    }
    tnr_release(x);
  }
  assert_nothing_left(runtime);
}

static void a_view_shows_rows(void **state) {
  (void)state;
  tnr_host_view view;
  tnr_runtime *runtime = runtime_new();
  tnr_tensor *x = mirrored(tnr_runtime_device_at(runtime, 0));
  assert_ok(tnr_tensor_view(x, &view));
  tnr_release(x);
  assert_memory_equal(view.data, right, BYTES);
  tnr_host_view_release(&view);
  assert_nothing_left(runtime);
}

static void what_is_lent_to_others_is_rows(void **state) {
  (void)state;
  tnr_runtime *runtime = runtime_new();
  tnr_tensor *x = mirrored(tnr_runtime_device_at(runtime, 0));
  struct DLManagedTensor *lent = tnr_to_dlpack(x);
  assert_made(lent);
  tnr_release(x);
  assert_memory_equal(lent->dl_tensor.data, right, BYTES);
  lent->deleter(lent);
  assert_nothing_left(runtime);
}

static void on_complete(tnr_value future, void *user) {
  tnr_value y = tnr_get(future);
  *(void **)user = read_it(tnr_value_tensor(y));
  tnr_release(y.handle);
}

static void callbacks_may_read_it(void **state) {
  (void)state;
  void *fine = NULL;
  tnr_runtime *runtime = runtime_new();
  tnr_tensor *x = mirrored(tnr_runtime_device_at(runtime, 0));
  assert_ok(tnr_on(x, TNR_COMPLETE, on_complete, &fine));
  tnr_release(x);
  assert_nothing_left(runtime);
  assert_non_null(fine);
}

static void it_can_be_read_after_its_runtime_has_ended(void **state) {
  (void)state;
  tnr_runtime *runtime = runtime_new();
  tnr_tensor *x = mirrored(tnr_runtime_device_at(runtime, 0));
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_non_null(read_it(x));
  tnr_release(x);
}

static void it_moves_between_devices_in_rows(void **state) {
  (void)state;
  tnr_runtime *runtime = runtime_new();
  tnr_device *devices[2];
  for (int i = 0; i < 2; i++)
    devices[i] = tnr_runtime_device_at(runtime, i);
  tnr_tensor *x = mirrored(devices[0]);
  tnr_tensor *there = tnr_to_device(x, devices[1]);
  tnr_tensor *spread = tnr_shard(x, tnr_mesh_of(devices, 2), .dim = 0);
  tnr_tensor *clamped = tnr_relu(spread), *together = tnr_gather(clamped);
  assert_non_null(read_it(there));
  assert_non_null(read_it(spread));
  assert_non_null(read_it(clamped));
  assert_non_null(read_it(together));
  tnr_tensor *all[] = {x, there, spread, clamped, together};
  for (int i = 0; i < 5; i++)
    tnr_release(all[i]);
  assert_nothing_left(runtime);
}

/* Its rows are made once, and go with it. */
static void rows_are_kept_with_the_tensor(void **state) {
  (void)state;
  tnr_runtime *runtime = runtime_new();
  tnr_device *device = tnr_runtime_device_at(runtime, 0);
  tnr_tensor *x = mirrored(device);
  uint64_t before = tnr_device_memory(device).allocations;
  for (int i = 0; i < 3; i++)
    assert_non_null(read_it(x));
  assert_int_equal(tnr_device_memory(device).allocations, before + 1);
  tnr_release(x);
  assert_ok(tnr_synchronize_device(device));
  assert_int_equal(tnr_device_memory(device).live_bytes, 0);
  assert_nothing_left(runtime);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(several_threads_may_read_what_a_worker_uses),
      cmocka_unit_test(a_view_shows_rows),
      cmocka_unit_test(what_is_lent_to_others_is_rows),
      cmocka_unit_test(callbacks_may_read_it),
      cmocka_unit_test(it_can_be_read_after_its_runtime_has_ended),
      cmocka_unit_test(it_moves_between_devices_in_rows),
      cmocka_unit_test(rows_are_kept_with_the_tensor),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
