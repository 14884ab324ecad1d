/* Every public call that can block, on the threads that it might wait for: it is refused, and the
 * error says what would have waited for what. And what need not wait, which works there too. */
#include <dlpack/dlpack.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

enum { MS = 1000000 };

typedef struct subject {
  tnr_runtime *runtime;
  tnr_future *pending;     /* neither created nor complete */
  tnr_future_tuple *tuple; /* likewise */
  tnr_future *element;     /* likewise */
  tnr_tensor *incomplete;  /* created */
  tnr_tuple *tensors;      /* likewise */
  tnr_tensor *complete;    /* in host memory */
  tnr_tensor *far;         /* complete, in memory of a device */
} subject;

/* On the runtime's devices 0 and 1, and the first sim. What waits for a held op on another device
 * is not created before that is complete. */
static subject subject_of(tnr_runtime *runtime) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
  subject s = {.runtime = runtime,
               .pending = tnr_to_device(held, rig_cpu(runtime, 1)),
               .incomplete = tnr_get(held),
               .complete = rig_tensor(rig_cpu(runtime, 1), 1),
               .far = rig_tensor(rig_sim(runtime, 0), 1)};
  s.tuple = rig_two(s.pending);
  s.element = tnr_at(s.tuple, 1);
  s.tensors = tnr_tuple_of(s.complete, s.incomplete);
  assert_ok(tnr_wait(s.far, TNR_COMPLETE, INT64_MAX));
  return s;
}

/* ---- the calls ---- */

/* Nobody opens a scope where the call succeeds. */
static tnr_status status_of(void *handle) {
  tnr_release(handle);
  return handle ? TNR_OK : tnr_error_code(tnr_error());
}

static tnr_status get_future(subject *s) {
  return status_of(tnr_get(s->pending));
}

static tnr_status get_tuple(subject *s) {
  return status_of(tnr_get(s->tuple));
}

static tnr_status get_value(subject *s) {
  return status_of(tnr_get(TNR_VALUE(s->pending)).handle);
}

static tnr_status get_element(subject *s) {
  return status_of(tnr_get(s->element));
}

static tnr_status get_for(subject *s) {
  return status_of(tnr_get_for(s->pending, MS));
}

static tnr_status wait_created(subject *s) {
  return tnr_wait(s->pending, TNR_CREATED, INT64_MAX);
}

static tnr_status wait_future(subject *s) {
  return tnr_wait(s->pending, TNR_COMPLETE, INT64_MAX);
}

static tnr_status wait_tensor(subject *s) {
  return tnr_wait(s->incomplete, TNR_COMPLETE, MS);
}

static tnr_status wait_tuple(subject *s) {
  return tnr_wait(s->tensors, TNR_COMPLETE, INT64_MAX);
}

static tnr_status read_incomplete(subject *s) {
  float data[RIG_ELEMENTS];
  return tnr_tensor_read(s->incomplete, data, sizeof data);
}

static tnr_status read_for(subject *s) {
  float data[RIG_ELEMENTS];
  return tnr_tensor_read_for(s->incomplete, data, sizeof data, MS);
}

static tnr_status read_far(subject *s) {
  float data[RIG_ELEMENTS];
  return tnr_tensor_read(s->far, data, sizeof data);
}

static tnr_status read_far_for(subject *s) {
  float data[RIG_ELEMENTS];
  return tnr_tensor_read_for(s->far, data, sizeof data, MS);
}

static tnr_status view_of(tnr_status status, tnr_host_view *view) {
  tnr_host_view_release(view);
  return status;
}

static tnr_status view_incomplete(subject *s) {
  tnr_host_view view;
  return view_of(tnr_tensor_view(s->incomplete, &view), &view);
}

static tnr_status view_for(subject *s) {
  tnr_host_view view;
  return view_of(tnr_tensor_view_for(s->incomplete, &view, MS), &view);
}

static tnr_status out_by_dlpack(tnr_tensor *tensor) {
  struct DLManagedTensor *out = tnr_to_dlpack(tensor);
  if (!out)
    return tnr_error_code(tnr_error());
  out->deleter(out);
  return TNR_OK;
}

static tnr_status dlpack_incomplete(subject *s) {
  return out_by_dlpack(s->incomplete);
}

static tnr_status synchronize(subject *s) {
  return tnr_synchronize_device(rig_cpu(s->runtime, 1));
}

static tnr_status synchronize_host(subject *s) {
  return tnr_synchronize_device(tnr_runtime_device(s->runtime, "host"));
}

static tnr_status destroy_draining(subject *s) {
  return tnr_runtime_destroy(s->runtime, TNR_DRAIN);
}

static tnr_status destroy_aborting(subject *s) {
  return tnr_runtime_destroy(s->runtime, TNR_ABORT);
}

typedef struct blocking_call {
  const char *name;
  tnr_status (*call)(subject *s);
  const char *what; /* would have waited; how the error begins */
} blocking_call;

static const blocking_call calls[] = {
    {"tnr_get of a future", get_future, "waiting for to_device ("},
    {"tnr_get of a future tuple", get_tuple, "waiting for rig_two ("},
    {"tnr_get of a value", get_value, "waiting for to_device ("},
    {"tnr_get of an element", get_element, "waiting for rig_two ("},
    {"tnr_get_for", get_for, "waiting for to_device ("},
    {"tnr_wait for created", wait_created, "waiting for to_device ("},
    {"tnr_wait for a future", wait_future, "waiting for to_device ("},
    {"tnr_wait for a tensor", wait_tensor, "waiting for a tensor to be complete "},
    {"tnr_wait for a tuple", wait_tuple, "waiting for a tuple to be complete "},
    {"tnr_tensor_read", read_incomplete, "waiting for a tensor to be complete "},
    {"tnr_tensor_read_for", read_for, "waiting for a tensor to be complete "},
    {"tnr_tensor_read of a far tensor", read_far, "waiting for a copy to the host "},
    {"tnr_tensor_read_for of a far tensor", read_far_for, "waiting for a copy to the host "},
    {"tnr_tensor_view", view_incomplete, "waiting for a tensor to be complete "},
    {"tnr_tensor_view_for", view_for, "waiting for a tensor to be complete "},
    {"tnr_to_dlpack", dlpack_incomplete, "waiting for a tensor to be complete "},
    {"tnr_synchronize_device", synchronize, "waiting for all that a device has to do "},
    {"tnr_synchronize_device of the host", synchronize_host,
     "waiting for all that a device has to do "},
    {"tnr_runtime_destroy, draining", destroy_draining, "waiting for the runtime's end "},
    {"tnr_runtime_destroy, aborting", destroy_aborting, "waiting for the runtime's end "},
};
enum { CALLS = sizeof calls / sizeof *calls };

/* ---- on the threads that must not block ---- */

typedef struct attempts {
  subject on;
  tnr_status got[CALLS];
  char said[CALLS][TNR_FAULT_MESSAGE_MAX];
  atomic_int done;
} attempts;

static void try_all(attempts *record) {
  for (int i = 0; i < CALLS; i++) {
    tnr_error_clear();
    record->got[i] = calls[i].call(&record->on);
    strncpy(record->said[i], tnr_error_reason(tnr_error()), TNR_FAULT_MESSAGE_MAX - 1);
  }
  tnr_error_clear();
  atomic_store(&record->done, 1);
}

static void assert_all_refused(attempts *record, const char *blocked) {
  rig_await(&record->done, 1);
  for (int i = 0; i < CALLS; i++) {
    const char *said = record->said[i], *what = calls[i].what;
    size_t length = strlen(said), tail = strlen(blocked);
    if (record->got[i] != TNR_EDEADLK || strncmp(said, what, strlen(what)) != 0 || length < tail ||
        strcmp(said + length - tail, blocked) != 0)
      fail_msg("%s gave %s: %s", calls[i].name, tnr_status_name(record->got[i]), said);
  }
}

static void try_in_callback(tnr_value future, void *user) {
  (void)future;
  try_all(user);
}

static void no_call_blocks_the_dispatcher(void **state) {
  static attempts record;
  record = (attempts){.on = subject_of(*state)};
  assert_ok(tnr_on(rig_tensor(rig_cpu(*state, 2), 0), TNR_CREATED, try_in_callback, &record));
  assert_all_refused(&record, " would block the dispatcher, which it waits for");
  rig_open_gate();
  assert_number(record.on.pending, 1);
}

static attempts of_worker;

static void try_on_worker(void) {
  try_all(&of_worker);
}

static void no_call_blocks_a_worker(void **state) {
  of_worker = (attempts){.on = subject_of(*state)};
  rig_worker_function = try_on_worker;
  tnr_future *f = rig_on_worker(tnr_to_async(rig_tensor(rig_cpu(*state, 2), 0)));
  assert_all_refused(&of_worker, " would block a device's worker, which it may wait for");
  assert_number(f, 0);
}

/* On the dispatcher, when the shapes are known. */
static attempts *of_body;

static tnr_value try_in_body(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  try_all(of_body);
  return rig_plus_one(in[0]);
}

static void no_call_blocks_a_composites_body(void **state) {
  static const tnr_composite_def shaped = {
      .name = "shaped", .needs_shapes = true, .body = try_in_body};
  static attempts record;
  record = (attempts){.on = subject_of(*state)};
  of_body = &record;
  tnr_future *late = tnr_to_device(rig_plus_one(tnr_to_async(record.on.far)), rig_cpu(*state, 3));
  tnr_future *f = TNR_COMPOSITE1(&shaped, late, tnr_no_attrs, );
  assert_made(f);
  assert_all_refused(&record, " would block the dispatcher, which it waits for");
  assert_number(f, 3);
}

static void destroy_default(tnr_value future, void *user) {
  attempts *record = user;
  (void)future;
  record->got[0] = tnr_default_runtime_destroy(TNR_DRAIN);
  strncpy(record->said[0], tnr_error_reason(tnr_error()), TNR_FAULT_MESSAGE_MAX - 1);
  atomic_store(&record->done, 1);
}

static void the_default_runtime_does_not_end_in_its_own_callback(void **state) {
  static attempts record;
  (void)state;
  tnr_tensor *x = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(1), NULL);
  assert_ok(tnr_on(x, TNR_COMPLETE, destroy_default, &record));
  rig_await(&record.done, 1);
  tnr_release(x);
  assert_int_equal(record.got[0], TNR_EDEADLK);
  assert_string_equal(
      record.said[0],
      "waiting for the runtime's end would block the dispatcher, which it waits for");
  assert_ok(tnr_default_runtime_destroy(TNR_DRAIN));
}

/* ---- what need not wait ---- */

static void keep_memory(void *user) {
  (void)user;
}

static const float ones[RIG_ELEMENTS] = {1, 1, 1, 1};

static tnr_status create_near(subject *s) {
  return status_of(tnr_tensor_create(rig_cpu(s->runtime, 0), TNR_F32, TNR_SHAPE(2), ones));
}

static tnr_status create_far(subject *s) {
  return status_of(tnr_tensor_create(rig_sim(s->runtime, 0), TNR_F32, TNR_SHAPE(2), ones));
}

static tnr_status borrow_far(subject *s) {
  return status_of(
      tnr_tensor_borrow(rig_sim(s->runtime, 0), TNR_F32, TNR_SHAPE(2), ones, keep_memory, NULL));
}

static tnr_status adopt(subject *s) {
  return status_of(
      tnr_tensor_adopt(rig_sim(s->runtime, 0), TNR_U8, TNR_SHAPE(2), calloc(1, 2), free));
}

static tnr_status call_op(subject *s) {
  return status_of(rig_plus_one(s->incomplete));
}

static tnr_status copy_async(subject *s) {
  return status_of(tnr_to_device(s->pending, rig_sim(s->runtime, 0)));
}

static tnr_status read_complete(subject *s) {
  float data[RIG_ELEMENTS];
  return tnr_tensor_read(s->complete, data, sizeof data);
}

static tnr_status view_complete(subject *s) {
  tnr_host_view view;
  return view_of(tnr_tensor_view(s->complete, &view), &view);
}

static tnr_status dlpack_complete(subject *s) {
  return out_by_dlpack(s->complete);
}

static tnr_status dlpack_in(subject *s) {
  return status_of(tnr_from_dlpack(rig_cpu(s->runtime, 0), tnr_to_dlpack(s->complete)));
}

static tnr_status get_created(subject *s) {
  return status_of(tnr_get(s->incomplete));
}

static tnr_status wait_complete(subject *s) {
  return tnr_wait(s->complete, TNR_COMPLETE, INT64_MAX);
}

static tnr_status ask_get(subject *s) {
  return status_of(tnr_get_for(s->pending, 0)) == TNR_ETIMEDOUT ? TNR_OK : TNR_EINVAL;
}

static tnr_status ask_wait(subject *s) {
  return tnr_wait(s->pending, TNR_COMPLETE, 0) == TNR_ETIMEDOUT ? TNR_OK : TNR_EINVAL;
}

static tnr_status ask_view(subject *s) {
  tnr_host_view view;
  return tnr_tensor_view_for(s->incomplete, &view, 0) == TNR_ETIMEDOUT ? TNR_OK : TNR_EINVAL;
}

static const blocking_call free_calls[] = {
    {"tnr_tensor_create", create_near, ""},
    {"tnr_tensor_create on a far device", create_far, ""},
    {"tnr_tensor_borrow", borrow_far, ""},
    {"tnr_tensor_adopt", adopt, ""},
    {"an op", call_op, ""},
    {"tnr_to_device", copy_async, ""},
    {"tnr_tensor_read of what is complete", read_complete, ""},
    {"tnr_tensor_view of what is complete", view_complete, ""},
    {"tnr_to_dlpack of what is complete", dlpack_complete, ""},
    {"tnr_from_dlpack", dlpack_in, ""},
    {"tnr_get of what is created", get_created, ""},
    {"tnr_wait for what is complete", wait_complete, ""},
    {"tnr_get_for 0", ask_get, ""},
    {"tnr_wait for 0", ask_wait, ""},
    {"tnr_tensor_view_for 0", ask_view, ""},
};
enum { FREE_CALLS = sizeof free_calls / sizeof *free_calls };

static void try_free_calls(tnr_value future, void *user) {
  attempts *record = user;
  (void)future;
  for (int i = 0; i < FREE_CALLS; i++) {
    tnr_error_clear();
    record->got[i] = free_calls[i].call(&record->on);
    strncpy(record->said[i], tnr_error_reason(tnr_error()), TNR_FAULT_MESSAGE_MAX - 1);
  }
  atomic_store(&record->done, 1);
}

static void what_need_not_wait_works_on_the_dispatcher(void **state) {
  static attempts record;
  _Static_assert((int)FREE_CALLS <= (int)CALLS, "a place for each");
  record = (attempts){.on = subject_of(*state)};
  assert_ok(tnr_on(rig_tensor(rig_cpu(*state, 2), 0), TNR_CREATED, try_free_calls, &record));
  rig_await(&record.done, 1);
  for (int i = 0; i < FREE_CALLS; i++)
    if (record.got[i] != TNR_OK)
      fail_msg("%s gave %s: %s", free_calls[i].name, tnr_status_name(record.got[i]),
               record.said[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(no_call_blocks_the_dispatcher),
      rig_test(no_call_blocks_a_worker),
      rig_test(no_call_blocks_a_composites_body),
      rig_bare_test(the_default_runtime_does_not_end_in_its_own_callback),
      rig_test(what_need_not_wait_works_on_the_dispatcher),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
