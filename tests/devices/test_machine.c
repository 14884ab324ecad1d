/* Devices and meshes of one machine: names, memory, what opens and closes, and which lists of
 * devices are a mesh. No thread runs. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "devices/storage.h"

enum { DEVICES = 3 };

/* A driver that notes what is opened. On the main thread only. */
typedef struct log {
  int opened, closed, refuse_at;
  tnr_device_info last;
  char last_name[TNR_DEVICE_NAME_MAX];
} log_t;

static tnr_status note_open(const tnr_device_info *info, void **state, tnr_fault *fault) {
  log_t *log = (log_t *)info->config;
  if (info->index == log->refuse_at)
    return tnr_fail(fault, TNR_EUNSUPPORTED, "%s is not there", info->name);
  log->last = *info;
  strcpy(log->last_name, info->name);
  log->opened++;
  *state = log;
  return TNR_OK;
}

static void note_close(void *state) {
  ((log_t *)state)->closed++;
}

static const tnr_driver noting = {
    .kind = "noting", .open = note_open, .close = note_close, .program_create = tnr_kernel_program};

static tnr_status make_with(tnr_machine *machine, log_t *log, bool virtual_time, tnr_fault *fault) {
  struct tnr_device_plan places[DEVICES];
  for (int i = 0; i < DEVICES; i++)
    places[i] = (struct tnr_device_plan){.driver = &noting, .config = log, .index = i};
  const tnr_machine_plan plan = {.runtime = machine,
                                 .device_count = DEVICES,
                                 .devices = places,
                                 .threads_per_device = 2,
                                 .pin = true,
                                 .virtual_time = virtual_time};
  return tnr_machine_init(machine, &plan, fault);
}

static tnr_status make(tnr_machine *machine, log_t *log, tnr_fault *fault) {
  return make_with(machine, log, false, fault);
}

typedef struct rig {
  tnr_machine machine, other;
  log_t log, other_log;
} rig;

static int setup(void **state) {
  static rig r;
  tnr_fault fault;
  memset(&r, 0, sizeof r);
  r.log.refuse_at = r.other_log.refuse_at = -1;
  assert_int_equal(make(&r.machine, &r.log, &fault), TNR_OK);
  assert_int_equal(make(&r.other, &r.other_log, &fault), TNR_OK);
  *state = &r;
  return 0;
}

static int teardown(void **state) {
  rig *r = *state;
  tnr_machine_finish(&r->machine);
  tnr_machine_finish(&r->other);
  assert_int_equal(r->log.closed, DEVICES);
  assert_int_equal(r->other_log.closed, DEVICES);
  return 0;
}

/* ---- devices ---- */

static void devices_are_named_by_kind_and_index(void **state) {
  rig *r = *state;
  assert_string_equal(tnr_device_name(r->machine.devices[0]), "noting:0");
  assert_string_equal(tnr_device_name(r->machine.devices[2]), "noting:2");
  assert_string_equal(tnr_device_name(r->machine.host), "host");
  assert_string_equal(tnr_device_name(NULL), "no device");
  assert_true(tnr_device_is_host(r->machine.host));
  assert_false(tnr_device_is_host(r->machine.devices[0]));
}

static void each_device_is_told_what_the_user_asked_for(void **state) {
  rig *r = *state;
  assert_int_equal(r->log.opened, DEVICES);
  assert_string_equal(r->log.last_name, "noting:2");
  assert_int_equal(r->log.last.index, 2);
  assert_int_equal(r->log.last.threads, 2);
  assert_true(r->log.last.pin);
  assert_ptr_equal(r->log.last.config, &r->log);
}

static void a_device_that_does_not_open_closes_the_others(void **state) {
  (void)state;
  for (int i = 0; i < DEVICES; i++) {
    log_t log = {.refuse_at = i};
    tnr_machine machine;
    tnr_fault fault;
    assert_int_equal(make(&machine, &log, &fault), TNR_EUNSUPPORTED);
    assert_memory_equal(fault.message, "noting:", 7);
    assert_int_equal(log.opened, i);
    assert_int_equal(log.closed, i);
  }
}

static void each_device_has_memory_of_its_own(void **state) {
  rig *r = *state;
  void *block = tnr_pool_alloc(&r->machine.devices[1]->pool, 1000);
  assert_true(tnr_device_memory(r->machine.devices[1]).live_bytes >= 1000);
  assert_int_equal(tnr_device_memory(r->machine.devices[0]).live_bytes, 0);
  assert_int_equal(tnr_device_memory(r->machine.host).live_bytes, 0);
  tnr_pool_free(&r->machine.devices[1]->pool, block, 1000);
}

/* ---- time ---- */

static void real_time_passes_by_itself(void **state) {
  rig *r = *state;
  int64_t before = tnr_now_ns(), now = tnr_machine_now(&r->machine);
  assert_true(before <= now && now <= tnr_now_ns());
  assert_null(r->log.last.clock);
}

static void virtual_time_stands_still_but_for_a_device_that_sleeps(void **state) {
  (void)state;
  log_t log = {.refuse_at = -1};
  tnr_machine machine;
  tnr_fault fault;
  assert_int_equal(make_with(&machine, &log, true, &fault), TNR_OK);
  tnr_clock *clock = log.last.clock, *other = &machine.devices[0]->clock;
  assert_ptr_equal(clock, &machine.devices[DEVICES - 1]->clock);
  assert_int_equal(tnr_machine_now(&machine), 0);
  clock->sleep_until(clock, 500);
  assert_int_equal(clock->now(clock), 500);
  assert_int_equal(machine.devices[DEVICES - 1]->worker.asleep_until, 500);
  assert_int_equal(other->now(other), 0);
  assert_int_equal(tnr_machine_now(&machine), 0);
  clock->sleep_until(clock, 400); /* that time has passed */
  assert_int_equal(clock->now(clock), 500);
  atomic_store(&machine.now, 700);
  assert_int_equal(clock->now(clock), 700);
  assert_int_equal(other->now(other), 700);
  tnr_machine_finish(&machine);
}

/* ---- meshes ---- */

static void equal_lists_are_the_same_mesh(void **state) {
  rig *r = *state;
  tnr_device **d = r->machine.devices;
  const tnr_mesh *ab, *again, *ba, *abc;
  assert_int_equal(tnr_machine_mesh((tnr_device *[]){d[0], d[1]}, 2, &ab, NULL), TNR_OK);
  assert_int_equal(tnr_machine_mesh((tnr_device *[]){d[1], d[0]}, 2, &ba, NULL), TNR_OK);
  assert_int_equal(tnr_machine_mesh(d, 3, &abc, NULL), TNR_OK);
  assert_int_equal(tnr_machine_mesh((tnr_device *[]){d[0], d[1]}, 2, &again, NULL), TNR_OK);
  assert_ptr_equal(ab, again);
  assert_ptr_not_equal(ab, ba);
  assert_ptr_not_equal(ab, abc);
  assert_int_equal(tnr_mesh_count(abc), 3);
  assert_ptr_equal(tnr_mesh_device(ba, 0), d[1]);
  assert_ptr_equal(tnr_mesh_machine(ab), &r->machine);
}

static void one_device_alone_is_a_mesh_too_and_so_is_the_host(void **state) {
  rig *r = *state;
  const tnr_mesh *mesh;
  assert_int_equal(tnr_machine_mesh(&r->machine.devices[1], 1, &mesh, NULL), TNR_OK);
  assert_ptr_equal(mesh, r->machine.devices[1]->self);
  assert_int_equal(tnr_machine_mesh(&r->machine.host, 1, &mesh, NULL), TNR_OK);
  assert_ptr_equal(tnr_mesh_device(mesh, 0), r->machine.host);
}

static void outside_of_a_mesh_is_no_device(void **state) {
  rig *r = *state;
  assert_null(tnr_mesh_device(r->machine.devices[0]->self, 1));
  assert_null(tnr_mesh_device(r->machine.devices[0]->self, -1));
  assert_null(tnr_mesh_device(NULL, 0));
  assert_int_equal(tnr_mesh_count(NULL), 0);
}

static void expect_refused(tnr_device *const *devices, int count, tnr_status code,
                           const char *sentence) {
  const tnr_mesh *mesh;
  tnr_fault fault;
  assert_int_equal(tnr_machine_mesh(devices, count, &mesh, &fault), code);
  assert_string_equal(fault.message, sentence);
}

static void what_is_no_mesh_is_refused_with_a_sentence(void **state) {
  rig *r = *state;
  tnr_device **d = r->machine.devices, *many[TNR_MESH_MAX + 1] = {NULL};
  expect_refused(d, 0, TNR_EINVAL, "a mesh has 1 to 64 devices, not 0");
  expect_refused(many, TNR_MESH_MAX + 1, TNR_EINVAL, "a mesh has 1 to 64 devices, not 65");
  expect_refused(many, 1, TNR_EINVAL, "device 0 of the mesh is NULL");
  expect_refused((tnr_device *[]){d[0], NULL}, 2, TNR_EINVAL, "device 1 of the mesh is NULL");
  expect_refused((tnr_device *[]){d[0], d[1], d[0]}, 3, TNR_EINVAL,
                 "device noting:0 is in the mesh twice");
  expect_refused((tnr_device *[]){d[0], r->machine.host}, 2, TNR_EDEVICE,
                 "the host cannot be one of several devices of a mesh");
  expect_refused((tnr_device *[]){d[0], r->other.devices[1]}, 2, TNR_EDEVICE,
                 "devices noting:0 and noting:1 belong to different runtimes");
}

int main(void) {
#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      fresh(devices_are_named_by_kind_and_index),
      fresh(each_device_is_told_what_the_user_asked_for),
      fresh(a_device_that_does_not_open_closes_the_others),
      fresh(each_device_has_memory_of_its_own),
      fresh(real_time_passes_by_itself),
      fresh(virtual_time_stands_still_but_for_a_device_that_sleeps),
      fresh(equal_lists_are_the_same_mesh),
      fresh(one_device_alone_is_a_mesh_too_and_so_is_the_host),
      fresh(outside_of_a_mesh_is_no_device),
      fresh(what_is_no_mesh_is_refused_with_a_sentence),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
