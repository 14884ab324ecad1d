#include "op_places.h"

#include <stdio.h>

enum { DEVICES_OF_A_KIND = 4 };

static const op_place places[] = {
    {"cpu:0", "cpu", 1, false, false},
    {"cpu:0, async", "cpu", 1, false, true},
    {"sim:0", "sim", 1, false, false},
    {"sim:0, async", "sim", 1, false, true},
    {"four cpus, replicated", "cpu", 4, false, false},
    {"four cpus, replicated, async", "cpu", 4, false, true},
    {"four cpus, sharded", "cpu", 4, true, false},
    {"four cpus, sharded, async", "cpu", 4, true, true},
    {"four sims, sharded", "sim", 4, true, false},
    {"four sims, sharded, async", "sim", 4, true, true},
};

const op_place *op_place_at(int index) {
  return index < (int)(sizeof places / sizeof places[0]) ? &places[index] : NULL;
}

int op_runtime_setup(void **state) {
  static const tnr_sim_config instant = {.launch_ns = 0};
  const tnr_device_config devices[] = {
      {.driver = tnr_cpu_driver(), .count = DEVICES_OF_A_KIND},
      {.driver = tnr_sim_driver(), .count = DEVICES_OF_A_KIND, .config = &instant}};
  *state = tnr_runtime_create(
      &(tnr_runtime_options){.devices = devices, .device_configs = 2, CHECK_MODE});
  assert_made(*state);
  return 0;
}

int op_runtime_teardown(void **state) {
  assert_nothing_left(*state);
  return 0;
}

static tnr_device *device_of(tnr_runtime *runtime, const op_place *place, int index) {
  char name[32];
  snprintf(name, sizeof name, "%s:%d", place->kind, index);
  tnr_device *device = tnr_runtime_device(runtime, name);
  assert_made(device);
  return device;
}

static const tnr_mesh *mesh_of(tnr_runtime *runtime, const op_place *place) {
  tnr_device *devices[DEVICES_OF_A_KIND];
  for (int i = 0; i < place->devices; i++)
    devices[i] = device_of(runtime, place, i);
  const tnr_mesh *mesh = tnr_mesh_of(devices, place->devices);
  assert_made(mesh);
  return mesh;
}

tnr_value op_put(tnr_runtime *runtime, const op_place *place, const op_array *array, int split) {
  tnr_tensor *tensor = tnr_tensor_create(device_of(runtime, place, 0), array->desc.dtype,
                                         array->desc.shape, array->data);
  assert_made(tensor);
  if (place->devices > 1) {
    const tnr_mesh *mesh = mesh_of(runtime, place);
    tensor = place->sharded && split >= 0 ? tnr_shard(tensor, mesh, .dim = split)
                                          : tnr_replicate(tensor, mesh);
    assert_made(tensor);
  }
  if (!place->async)
    return tnr_value_of_tensor(tensor);
  tnr_future *future = tnr_to_async(tensor);
  assert_made(future);
  return tnr_value_of_future(future);
}

op_array op_take(tnr_value value, int index) {
  tnr_value created = tnr_get(value);
  assert_made(created.handle);
  tnr_tensor *tensor = created.kind == TNR_VALUE_TUPLE ? tnr_at(tnr_value_tuple(created), index)
                                                       : tnr_value_tensor(created);
  assert_made(tensor);
  op_array array = op_array_new(tnr_tensor_dtype(tensor), tnr_tensor_shape(tensor));
  assert_ok(tnr_tensor_read(tensor, array.data, tnr_tensor_bytes(tensor)));
  return array;
}

double op_tolerance(tnr_dtype dtype) {
  if (dtype == TNR_F32)
    return 1e-5;
  return dtype == TNR_BF16 || dtype == TNR_F16 ? 1e-2 : 0;
}
