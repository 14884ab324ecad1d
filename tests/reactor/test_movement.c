/* Copies between devices as ops: to_device, gather, shard, replicate, and round trips of them. */
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static tnr_tensor *numbers(tnr_device *device, tnr_shape shape, float *out) {
  for (int64_t i = 0; i < tnr_shape_elements(&shape); i++)
    out[i] = (float)i;
  tnr_tensor *made = tnr_tensor_create(device, TNR_F32, shape, out);
  assert_made(made);
  return made;
}

static void assert_same(tnr_value x, const float *expected, size_t count) {
  float data[256];
  tnr_tensor *tensor = tnr_value_tensor(tnr_get(x));
  assert_made(tensor);
  assert_ok(tnr_tensor_read(tensor, data, count * sizeof *data));
  assert_memory_equal(data, expected, count * sizeof *data);
}

static void round_trips_over_shards_along_each_dim(void **state) {
  const tnr_shape shape = TNR_SHAPE(4, 8, 4);
  float data[128];
  for (int from = 0; from < 3; from++) {
    tnr_device *source = from == 0   ? tnr_runtime_device(*state, "host")
                         : from == 1 ? rig_cpu(*state, 3)
                                     : rig_sim(*state, 1);
    tnr_tensor *x = numbers(source, shape, data);
    for (int dim = -3; dim < 3; dim++)
      for (int devices = 2; devices <= 4; devices += 2) {
        tnr_tensor *pieces = tnr_shard(x, rig_cpus(*state, devices), .dim = dim);
        assert_made(pieces);
        assert_int_equal(tnr_tensor_shard_dim(pieces), dim < 0 ? dim + 3 : dim);
        assert_same(TNR_VALUE(pieces), data, 128);
        assert_same(TNR_VALUE(tnr_gather(pieces)), data, 128);
        assert_same(TNR_VALUE(tnr_to_device(pieces, rig_sim(*state, 0))), data, 128);
        assert_same(TNR_VALUE(tnr_to_device(pieces, tnr_runtime_device(*state, "host"))), data,
                    128);
      }
  }
}

static void round_trips_over_replicas(void **state) {
  float data[32];
  tnr_tensor *x = numbers(rig_cpu(*state, 1), TNR_SHAPE(8, 4), data);
  tnr_tensor *copies = tnr_replicate(x, rig_cpus(*state, 4));
  assert_int_equal(tnr_tensor_shard_dim(copies), -1);
  assert_int_equal(tnr_mesh_count(tnr_tensor_mesh(copies)), 4);
  assert_same(TNR_VALUE(copies), data, 32);
  tnr_tensor *back = tnr_gather(copies);
  assert_ptr_equal(tnr_mesh_device(tnr_tensor_mesh(back), 0), rig_cpu(*state, 0));
  assert_same(TNR_VALUE(back), data, 32);
}

/* A mesh of devices with memory of their own, and of both kinds. */
static void meshes_may_mix_kinds_of_devices(void **state) {
  float data[32];
  tnr_device *devices[] = {rig_sim(*state, 1), rig_cpu(*state, 2), rig_sim(*state, 0),
                           rig_cpu(*state, 0)};
  const tnr_mesh *mesh = tnr_mesh_of(devices, 4);
  tnr_tensor *pieces =
      tnr_shard(numbers(rig_sim(*state, 0), TNR_SHAPE(2, 16), data), mesh, .dim = 1);
  assert_same(TNR_VALUE(pieces), data, 32);
  tnr_tensor *sum = rig_sum(pieces, pieces);
  for (int i = 0; i < 32; i++)
    data[i] *= 2;
  assert_same(TNR_VALUE(sum), data, 32);
  assert_same(TNR_VALUE(tnr_gather(sum)), data, 32);
}

static void what_is_there_already_is_not_copied(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  assert_ptr_equal(tnr_to_device(x, rig_cpu(*state, 0)), x);
  assert_ptr_equal(tnr_gather(x), x);
  tnr_future *f = rig_plus_one(tnr_to_async(x));
  assert_ptr_equal(tnr_to_device(f, rig_cpu(*state, 0)), f);
  tnr_tensor *host = rig_tensor(tnr_runtime_device(*state, "host"), 1);
  assert_ptr_equal(tnr_to_device(host, tnr_runtime_device(*state, "host")), host);
}

static void an_async_chain_over_all_devices(void **state) {
  tnr_future *f = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 0));
  for (int i = 0; i < 200; i++) {
    tnr_device *to = i % 3 == 2 ? rig_sim(*state, i % 2) : rig_cpu(*state, i % 4);
    f = rig_plus_one(tnr_to_device(f, to));
    if (i % 5 == 0)
      f = tnr_gather(rig_plus_one(tnr_shard(f, rig_cpus(*state, 4))));
    if (i % 7 == 0)
      f = tnr_gather(tnr_replicate(f, rig_cpus(*state, 2)));
    if (i % 11 == 0)
      f = tnr_to_device(tnr_to_device(f, tnr_runtime_device(*state, "host")), rig_cpu(*state, 1));
  }
  assert_number(f, 240);
}

/* Where they live is not known when these are called. */
static void futures_whose_place_is_not_known_yet_can_be_moved(void **state) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 2), 4)));
  tnr_future *any = tnr_any(&held, 1, TNR_HERE);
  tnr_future *moved[] = {
      tnr_gather(any),
      tnr_to_device(any, rig_sim(*state, 0)),
      tnr_to_device(any, tnr_runtime_device(*state, "host")),
      tnr_to_device(any, rig_cpu(*state, 2)),
      tnr_gather(rig_plus_one(tnr_shard(any, rig_cpus(*state, 2)))),
      rig_plus_one(tnr_replicate(any, rig_cpus(*state, 4))),
  };
  rig_open_gate();
  for (int i = 0; i < 6; i++)
    assert_number(moved[i], i < 4 ? 4 : 5);
}

static void a_failed_input_fails_the_copy_with_its_error(void **state) {
  tnr_future *failed = rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 2), 4)));
  tnr_future *copies[] = {tnr_to_device(failed, rig_sim(*state, 0)),
                          tnr_to_device(failed, tnr_runtime_device(*state, "host")),
                          tnr_shard(failed, rig_cpus(*state, 4)),
                          rig_plus_one(tnr_replicate(failed, rig_cpus(*state, 4)))};
  for (int i = 0; i < 4; i++) {
    assert_fails(tnr_wait(copies[i], TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
    assert_ptr_equal(tnr_future_error(copies[i]), tnr_future_error(failed));
  }
}

static void tuples_are_not_moved(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 0), 1);
  tnr_value tuples[] = {TNR_VALUE(tnr_tuple_of(x)), TNR_VALUE(tnr_tuple_of(x, x)),
                        TNR_VALUE(rig_two(tnr_to_async(x))),
                        TNR_VALUE(tnr_tuple_of(rig_plus_one(tnr_to_async(x))))};
  for (int i = 0; i < 4; i++) {
    assert_null(tnr_to_device(tuples[i], rig_cpu(*state, 0)).handle);
    assert_string_equal(tnr_error_reason(tnr_error()), "the input is a tuple; move its elements");
    assert_null(tnr_to_device(tuples[i], rig_cpu(*state, 1)).handle);
  }
}

static void pieces_that_are_empty_are_pieces(void **state) {
  tnr_tensor *x = tnr_tensor_create(rig_cpu(*state, 0), TNR_F32, TNR_SHAPE(0, 4), NULL);
  tnr_tensor *pieces = tnr_shard(x, rig_cpus(*state, 4));
  assert_ok(tnr_tensor_read(tnr_gather(rig_plus_one(pieces)), NULL, 0));
  pieces = tnr_shard(x, rig_cpus(*state, 4), .dim = 1);
  assert_ok(tnr_tensor_read(rig_plus_one(pieces), NULL, 0));
}

static void a_mesh_of_one_is_that_device(void **state) {
  tnr_tensor *x = rig_tensor(rig_cpu(*state, 1), 1);
  tnr_tensor *y = tnr_shard(x, rig_cpus(*state, 1));
  assert_int_equal(tnr_tensor_shard_dim(y), -1);
  assert_number(y, 1);
  assert_number(rig_sum(y, rig_tensor(rig_cpu(*state, 0), 2)), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(round_trips_over_shards_along_each_dim),
      rig_test(round_trips_over_replicas),
      rig_test(meshes_may_mix_kinds_of_devices),
      rig_test(what_is_there_already_is_not_copied),
      rig_test(an_async_chain_over_all_devices),
      rig_test(futures_whose_place_is_not_known_yet_can_be_moved),
      rig_test(a_failed_input_fails_the_copy_with_its_error),
      rig_test(tuples_are_not_moved),
      rig_test(pieces_that_are_empty_are_pieces),
      rig_test(a_mesh_of_one_is_that_device),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
