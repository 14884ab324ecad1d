#define _GNU_SOURCE /* pthread_setattr_default_np */

#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- runtimes ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opens = PTHREAD_COND_INITIALIZER;
static bool gate_open;                /* guarded by lock */
static atomic_int held;               /* kernels that have come to the gate */
static rig_entry *entries;            /* guarded by lock */
static int entries_room;              /* guarded by lock */
static atomic_int entered;            /* entries in the log */
static tnr_runtime *of_test, *newest; /* main thread only: what may have to be stepped */

tnr_runtime *rig_runtime(void) {
  static const tnr_sim_config at_once = {0};
  const tnr_device_config devices[] = {
      {.driver = tnr_cpu_driver(), .count = 4},
      {.driver = tnr_sim_driver(), .count = 2, .config = &at_once},
  };
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = devices, .device_configs = 2, CHECK_MODE});
  assert_made(runtime);
  newest = runtime;
  return runtime;
}

int rig_bare_setup(void **state) {
  *state = of_test = newest = NULL;
  tnr_error_clear();
  rig_close_gate();
  atomic_store(&held, 0);
  atomic_store(&entered, 0);
  return 0;
}

int rig_bare_teardown(void **state) {
  (void)state;
  rig_open_gate();
  rig_limit_stacks(0);
  free(entries);
  entries = NULL;
  entries_room = 0;
  return 0;
}

int rig_setup(void **state) {
  rig_bare_setup(state);
  *state = of_test = rig_runtime();
  assert_ok(tnr_scope_open());
  return 0;
}

int rig_teardown(void **state) {
  rig_open_gate();
  while (tnr_scope_close() == TNR_OK) {
  }
  assert_nothing_left(*state);
  return rig_bare_teardown(state);
}

static tnr_device *numbered(tnr_runtime *runtime, const char *kind, int index) {
  char name[32];
  snprintf(name, sizeof name, "%s:%d", kind, index);
  tnr_device *device = tnr_runtime_device(runtime, name);
  assert_made(device);
  return device;
}

tnr_device *rig_cpu(tnr_runtime *runtime, int index) {
  return numbered(runtime, "cpu", index);
}

tnr_device *rig_sim(tnr_runtime *runtime, int index) {
  return numbered(runtime, "sim", index);
}

const tnr_mesh *rig_cpus(tnr_runtime *runtime, int count) {
  tnr_device *devices[4];
  assert_in_range(count, 1, 4);
  for (int i = 0; i < count; i++)
    devices[i] = rig_cpu(runtime, i);
  const tnr_mesh *mesh = tnr_mesh_of(devices, count);
  assert_made(mesh);
  return mesh;
}

/* ---- numbers ---- */

tnr_tensor *rig_tensor(tnr_device *device, float number) {
  float data[RIG_ELEMENTS];
  for (int i = 0; i < RIG_ELEMENTS; i++)
    data[i] = number;
  tnr_tensor *made = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(RIG_ELEMENTS), data);
  assert_made(made);
  return made;
}

void rig_check_number(tnr_value x, float number, const char *file, int line) {
  check_status(tnr_scope_open(), TNR_OK, "tnr_scope_open", file, line);
  tnr_value got = tnr_get(x);
  float data[64];
  tnr_tensor *tensor = tnr_value_tensor(got);
  check_handle(tensor, "the result", file, line);
  size_t bytes = tnr_tensor_bytes(tensor);
  assert_in_range(bytes, 0, sizeof data);
  check_status(tnr_tensor_read(tensor, data, bytes), TNR_OK, "tnr_tensor_read", file, line);
  for (size_t i = 0; i < bytes / sizeof *data; i++)
    if (data[i] != number) {
      print_error("element %zu is %g, not %g\n", i, (double)data[i], (double)number);
      _fail(file, line);
    }
  check_status(tnr_scope_close(), TNR_OK, "tnr_scope_close", file, line);
}

/* ---- ops ---- */

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  for (int i = 0; i < call->in_count; i++)
    if (call->in[i].dtype != TNR_F32)
      return tnr_fail(fault, TNR_EDTYPE, "takes f32, not %s", tnr_dtype_name(call->in[i].dtype));
  for (int i = 1; i < call->in_count; i++)
    if (!tnr_shape_equal(&call->in[i].shape, &call->in[0].shape))
      return tnr_fail(fault, TNR_ESHAPE, "input %d has another shape than input 0", i);
  return TNR_OK;
}

tnr_status rig_any_input(const tnr_op_call *call, tnr_fault *fault) {
  (void)call;
  (void)fault;
  return TNR_OK;
}

tnr_status rig_like_input(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  tnr_op_add_output(outputs, TNR_F32, call->in[0].shape);
  return TNR_OK;
}

static tnr_status two_like_input(const tnr_op_call *call, tnr_op_outputs *outputs,
                                 tnr_fault *fault) {
  (void)rig_like_input(call, outputs, fault);
  return rig_like_input(call, outputs, fault);
}

static tnr_status shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                        int out_count, int *out_dims, tnr_fault *fault) {
  (void)out;
  for (int i = 1; i < call->in_count; i++)
    if (in_dims[i] != in_dims[0])
      return tnr_fail(fault, TNR_EDEVICE, "inputs 0 and %d are split along different dims", i);
  for (int i = 0; i < out_count; i++)
    out_dims[i] = in_dims[0];
  return TNR_OK;
}

/* Output i: the sum of all inputs, and i + `more`. */
static tnr_status add_up(const tnr_kernel_call *call, float more) {
  int64_t count = tnr_shape_elements(&call->out[0].shape);
  for (int o = 0; o < call->out_count; o++)
    for (int64_t e = 0; e < count; e++) {
      float sum = (float)o + more;
      for (int i = 0; i < call->in_count; i++)
        sum += ((const float *)call->in_data[i])[e];
      ((float *)call->out_data[o])[e] = sum;
    }
  return TNR_OK;
}

static tnr_status plus_one(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  return add_up(call, 1);
}

static tnr_status sum(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  return add_up(call, 0);
}

static tnr_status refuse(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)call;
  return tnr_fail(fault, TNR_EKERNEL, "no");
}

static tnr_status wait_at_gate(tnr_fault *fault) {
  atomic_fetch_add(&held, 1);
  pthread_mutex_lock(&lock);
  bool open = gate_open;
  while (!gate_open && check_mode() == TNR_THREADS)
    pthread_cond_wait(&gate_opens, &lock);
  pthread_mutex_unlock(&lock);
  return open || check_mode() == TNR_THREADS
             ? TNR_OK
             : tnr_fail(fault, TNR_EKERNEL, "the gate is closed, and this thread is to open it");
}

static tnr_status refuse_late(const tnr_kernel_call *call, tnr_fault *fault) {
  tnr_status status = wait_at_gate(fault);
  return status == TNR_OK ? refuse(call, fault) : status;
}

static tnr_status hold(const tnr_kernel_call *call, tnr_fault *fault) {
  tnr_status status = wait_at_gate(fault);
  return status == TNR_OK ? add_up(call, 0) : status;
}

void (*rig_worker_function)(void);

static tnr_status on_worker(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  rig_worker_function();
  return add_up(call, 0);
}

/* So many that the runtime does not take the op for a quick one. */
static double long_work(const tnr_op_call *call, const tnr_desc *out, int out_count) {
  (void)call;
  (void)out;
  (void)out_count;
  return 1e9;
}

#define RIG_OP(what)                                                                               \
  .name = "rig_" what, .validate = validate, .infer = rig_like_input, .shard = shard

const tnr_op_def rig_plus_one_op = {RIG_OP("plus_one"), .kernel = plus_one};
const tnr_op_def rig_sum_op = {RIG_OP("sum"), .kernel = sum};
const tnr_op_def rig_fail_op = {RIG_OP("fail"), .kernel = refuse};
const tnr_op_def rig_fail_late_op = {RIG_OP("fail_late"), .kernel = refuse_late,
                                     .flops = long_work};
const tnr_op_def rig_hold_op = {RIG_OP("hold"), .kernel = hold, .flops = long_work};
const tnr_op_def rig_on_worker_op = {RIG_OP("on_worker"), .kernel = on_worker, .flops = long_work};
const tnr_op_def rig_two_op = {
    .name = "rig_two",
    .result = TNR_OP_TUPLE,
    .validate = validate,
    .infer = two_like_input,
    .kernel = plus_one,
    .shard = shard,
};

static tnr_value plus_two(const tnr_value *in, int in_count, const void *attrs) {
  (void)in_count;
  (void)attrs;
  return rig_plus_one(rig_plus_one(in[0]));
}

const tnr_composite_def rig_deferred_def = {
    .name = "rig_deferred", .needs_shapes = true, .body = plus_two};

tnr_future *rig_soon(tnr_runtime *runtime) {
  return rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
}

tnr_future *rig_held(tnr_runtime *runtime) {
  return rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1)));
}

/* ---- the gate ---- */

void rig_open_gate(void) {
  pthread_mutex_lock(&lock);
  gate_open = true;
  pthread_cond_broadcast(&gate_opens);
  pthread_mutex_unlock(&lock);
}

void rig_close_gate(void) {
  pthread_mutex_lock(&lock);
  gate_open = false;
  pthread_mutex_unlock(&lock);
}

void rig_await_held(int count) {
  assert_int_equal(check_mode(), TNR_THREADS);
  rig_await(&held, count);
}

/* ---- the log ---- */

static bool log_has_room(int count) {
  if (count < entries_room)
    return true;
  int room = entries_room ? 2 * entries_room : 64;
  rig_entry *grown = realloc(entries, (size_t)room * sizeof *grown);
  if (!grown)
    return false;
  entries = grown;
  entries_room = room;
  return true;
}

void rig_log(tnr_value future, void *user) {
  const tnr_error *error = tnr_future_error(future);
  rig_entry entry = {
      .what = (int)(intptr_t)user,
      .future = future,
      .error = error,
      .code = tnr_error_code(error),
      .created = tnr_passed(future, TNR_CREATED),
      .complete = tnr_passed(future, TNR_COMPLETE),
      .thread = pthread_self(),
  };
  pthread_mutex_lock(&lock);
  int count = atomic_load(&entered);
  if (log_has_room(count)) {
    entries[count] = entry;
    atomic_store(&entered, count + 1);
  }
  pthread_mutex_unlock(&lock);
}

void rig_await_log(int count) {
  rig_await(&entered, count);
}

int rig_log_count(void) {
  return atomic_load(&entered);
}

rig_entry rig_log_at(int index) {
  pthread_mutex_lock(&lock);
  bool there = index < atomic_load(&entered);
  rig_entry entry = there ? entries[index] : (rig_entry){.what = -1};
  pthread_mutex_unlock(&lock);
  assert_true(there);
  return entry;
}

/* ---- waiting ---- */

void rig_sleep_ms(int ms) {
  nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

int64_t rig_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void rig_step_also(tnr_runtime *runtime) {
  newest = runtime;
}

void rig_await_turn(tnr_runtime *runtime) {
  assert_number(rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(runtime, 3), 1))), 2);
}

bool rig_step(void) {
  bool stepped = tnr_runtime_step(newest);
  return tnr_runtime_step(of_test) || stepped;
}

void rig_check_await(atomic_int *counter, int count, const char *name, const char *file, int line) {
  const int64_t limit = rig_now_ns() + 60000000000;
  while (atomic_load(counter) < count) {
    if (rig_now_ns() > limit) {
      print_error("%s is %d after a minute, not %d\n", name, atomic_load(counter), count);
      _fail(file, line);
    }
    if (!rig_step())
      rig_sleep_ms(1);
  }
}

void rig_limit_stacks(int kib) {
  static size_t before;
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  if (!before) {
    pthread_getattr_default_np(&attr);
    pthread_attr_getstacksize(&attr, &before);
  }
  size_t bytes = (size_t)kib * 1024 * (CHECK_SANITIZED ? 8 : 1);
  pthread_attr_setstacksize(&attr, kib ? bytes : before);
  pthread_setattr_default_np(&attr);
  pthread_attr_destroy(&attr);
}

typedef struct thread_duty {
  void (*function)(void *user, int index);
  void *user;
  int index;
} thread_duty;

static void *thread_main(void *argument) {
  thread_duty *duty = argument;
  duty->function(duty->user, duty->index);
  return NULL;
}

void rig_threads(int count, void (*function)(void *user, int index), void *user) {
  enum { MOST = 64 };
  pthread_t threads[MOST];
  thread_duty duties[MOST];
  assert_in_range(count, 1, MOST);
  for (int i = 0; i < count; i++) {
    duties[i] = (thread_duty){function, user, i};
    assert_int_equal(pthread_create(&threads[i], NULL, thread_main, &duties[i]), 0);
  }
  for (int i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
}

/* ---- a device that stands still ---- */

atomic_int rig_runs;

static void count_run(void) {
  atomic_fetch_add(&rig_runs, 1);
}

tnr_future *rig_block(tnr_runtime *runtime, int index) {
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(runtime, index), 1)));
  atomic_store(&rig_runs, 0);
  rig_worker_function = count_run;
  assert_made(held);
  rig_await_held(1);
  return held;
}

/* ---- data in memory ---- */

tnr_device *rig_place(tnr_runtime *runtime, int index) {
  return index == 0   ? tnr_runtime_device(runtime, "host")
         : index == 1 ? rig_cpu(runtime, 1)
                      : rig_sim(runtime, 0);
}

const int32_t rig_counting[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

void rig_assert_reads(tnr_tensor *x, const void *expected, size_t bytes) {
  unsigned char data[256];
  assert_made(x);
  memset(data, 0xa5, sizeof data);
  assert_int_equal(tnr_tensor_bytes(x), bytes);
  assert_ok(tnr_tensor_read(x, data, bytes));
  assert_memory_equal(data, expected, bytes);
  assert_int_equal(data[bytes], 0xa5);
}
