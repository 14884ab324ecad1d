/* Four simulated devices whose every op takes 20 ms: what runs beside what. The bounds tell 20 ms
 * from 80 ms and no more; a machine that is busy with something else gets several tries. */
#include "check.h"

enum { MS = 1000000, OP = 20 * MS, DEVICES = 4, TRIES = 5 }; /* ns */

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 * MS + time.tv_nsec;
}

typedef struct rig {
  tnr_runtime *runtime;
  tnr_tensor *x[DEVICES]; /* one a device */
  tnr_tensor *pieces;     /* split over all of them */
} rig;

static tnr_device *device_at(const rig *r, int index) {
  return tnr_runtime_device_at(r->runtime, index);
}

static void synchronize(const rig *r) {
  for (int i = 0; i < DEVICES; i++)
    assert_ok(tnr_synchronize_device(device_at(r, i)));
}

static int setup(void **state) {
  static const tnr_sim_config slow = {.launch_ns = OP};
  static rig r;
  const float numbers[8] = {-1, 2, -3, 4, -5, 6, -7, 8};
  const tnr_device_config devices = {.driver = tnr_sim_driver(), .count = DEVICES, .config = &slow};
  assert_made(r.runtime = tnr_runtime_create(
                  &(tnr_runtime_options){.devices = &devices, .device_configs = 1}));
  tnr_device *mesh[DEVICES];
  for (int i = 0; i < DEVICES; i++) {
    mesh[i] = device_at(&r, i);
    assert_made(r.x[i] = tnr_tensor_create(mesh[i], TNR_F32, TNR_SHAPE(8), numbers));
  }
  assert_made(r.pieces = tnr_shard(r.x[0], tnr_mesh_of(mesh, DEVICES), .dim = 0));
  synchronize(&r);
  *state = &r;
  return 0;
}

static int teardown(void **state) {
  rig *r = *state;
  for (int i = 0; i < DEVICES; i++)
    tnr_release(r->x[i]);
  tnr_release(r->pieces);
  assert_nothing_left(r->runtime);
  return 0;
}

/* The least of several measurements, and no sooner than that is below `enough`. */
static int64_t least(const rig *r, int64_t (*measure)(const rig *r), int64_t enough) {
  int64_t best = INT64_MAX;
  for (int i = 0; i < TRIES && best > enough; i++) {
    int64_t time = measure(r);
    synchronize(r);
    best = time < best ? time : best;
  }
  return best;
}

static int64_t time_sharded_op(const rig *r) {
  int64_t start = now();
  tnr_future *done = tnr_relu(tnr_to_async(r->pieces));
  assert_ok(tnr_wait(done, TNR_COMPLETE, INT64_MAX));
  return now() - start;
}

static void a_four_way_sharded_op_takes_as_long_as_one_piece(void **state) {
  assert_ok(tnr_scope_open());
  assert_in_range(least(*state, time_sharded_op, OP + OP / 2), OP - MS, 2 * OP);
  float numbers[8];
  tnr_tensor *result = tnr_relu(((rig *)*state)->pieces);
  assert_ok(tnr_tensor_read(result, numbers, sizeof numbers));
  for (int i = 0; i < 8; i++)
    assert_true(numbers[i] == (i % 2 ? (float)(i + 1) : 0));
  assert_ok(tnr_scope_close());
}

/* Of one op among several: each device runs the others meanwhile. */
static int64_t time_submitting(const rig *r) {
  enum { OPS = 8 };
  tnr_future *x = tnr_to_async(r->pieces);
  int64_t start = now();
  for (int i = 0; i < OPS; i++)
    x = tnr_relu(x);
  int64_t time = (now() - start) / OPS;
  assert_made(x);
  assert_false(tnr_passed(x, TNR_COMPLETE));
  return time;
}

static void submitting_takes_microseconds(void **state) {
  assert_ok(tnr_scope_open());
  assert_in_range(least(*state, time_submitting, 100000), 0, CHECK_SANITIZED ? MS / 2 : MS / 10);
  assert_ok(tnr_scope_close());
}

static tnr_future *chain(tnr_tensor *x, int ops) {
  tnr_future *end = tnr_to_async(x);
  for (int i = 0; i < ops; i++)
    end = tnr_relu(end);
  assert_made(end);
  return end;
}

enum { CHAIN = 4 };

static int64_t time_two_chains(const rig *r) {
  int64_t start = now();
  tnr_future *one = chain(r->x[0], CHAIN), *other = chain(r->x[1], CHAIN);
  assert_ok(tnr_wait(one, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_wait(other, TNR_COMPLETE, INT64_MAX));
  return now() - start;
}

static void independent_chains_on_two_devices_overlap(void **state) {
  assert_ok(tnr_scope_open());
  int64_t time = least(*state, time_two_chains, CHAIN * OP * 5 / 4);
  assert_in_range(time, CHAIN * OP - MS, CHAIN * OP * 3 / 2);
  assert_ok(tnr_scope_close());
}

static int64_t time_one_queue(const rig *r) {
  int64_t start = now();
  tnr_future *one = chain(r->x[0], 2), *other = chain(r->x[0], 2);
  assert_ok(tnr_wait(one, TNR_COMPLETE, INT64_MAX));
  assert_ok(tnr_wait(other, TNR_COMPLETE, INT64_MAX));
  return now() - start;
}

static void what_is_on_one_queue_does_not_overlap(void **state) {
  assert_ok(tnr_scope_open());
  assert_true(time_one_queue(*state) >= 4 * OP - MS);
  assert_ok(tnr_scope_close());
}

static int64_t time_plain_call(const rig *r) {
  int64_t start = now();
  tnr_tensor *result = tnr_relu(r->pieces);
  int64_t time = now() - start;
  assert_made(result);
  assert_false(tnr_passed(result, TNR_COMPLETE));
  return time;
}

static void a_plain_call_returns_when_created_not_when_complete(void **state) {
  assert_ok(tnr_scope_open());
  assert_in_range(least(*state, time_plain_call, MS), 0, OP / 2);
  assert_ok(tnr_scope_close());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_four_way_sharded_op_takes_as_long_as_one_piece),
      cmocka_unit_test(submitting_takes_microseconds),
      cmocka_unit_test(independent_chains_on_two_devices_overlap),
      cmocka_unit_test(what_is_on_one_queue_does_not_overlap),
      cmocka_unit_test(a_plain_call_returns_when_created_not_when_complete),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
