#include "runtime.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dispatcher.h"
#include "error.h"
#include "record.h"
#include "settings.h"
#include "thread.h"
#include "trace.h"
#include "wait.h"

const char *tnr_version(void) {
  return TENOR_VERSION;
}

/* ---- making ---- */

static tnr_status make_machine(tnr_runtime *runtime, const tnr_settings *set, tnr_fault *fault) {
  struct tnr_device_plan *places = calloc((size_t)set->device_count, sizeof *places);
  if (!places)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for %d devices", set->device_count);
  tnr_settings_place_devices(set, places);
  tnr_machine_plan plan = {
      .runtime = runtime,
      .device_count = set->device_count,
      .devices = places,
      .threads_per_device = set->threads_per_device,
      .pin = set->pin,
      .virtual_time = set->mode == TNR_DETERMINISTIC,
  };
  tnr_status status = tnr_machine_init(&runtime->machine, &plan, fault);
  free(places);
  return status;
}

static tnr_status make_bounds(tnr_runtime *runtime, const tnr_settings *set, tnr_fault *fault) {
  tnr_status status = tnr_bounds_init(runtime, set->limits, set->full_is_error, fault);
  int device = 0;
  for (int i = 0; i < set->config_count && status == TNR_OK; i++)
    for (int k = 0; k < set->configs[i].count; k++)
      tnr_bounds_limit_device(runtime, device++, set->configs[i].limits);
  return status;
}

static void retire_epoch(tnr_lane *lane) {
  if (lane->newest && lane->newest->retired)
    lane->newest->retired(lane->newest);
}

static void finish_lanes(tnr_runtime *runtime) {
  if (!runtime->lanes)
    return;
  for (int i = 0; i < runtime->machine.count; i++) {
    tnr_lane *lane = &runtime->lanes[i];
    tnr_plan_cache_finish(&lane->plans);
    retire_epoch(lane);
  }
  retire_epoch(&runtime->nowhere);
  free(runtime->lanes);
  runtime->lanes = NULL;
}

static tnr_status make_lanes(tnr_runtime *runtime, int program_cache, tnr_fault *fault) {
  size_t bytes = (size_t)runtime->machine.count * sizeof *runtime->lanes;
  runtime->lanes = aligned_alloc(_Alignof(tnr_lane), bytes);
  if (!runtime->lanes)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for %d queues", runtime->machine.count);
  memset(runtime->lanes, 0, bytes);
  tnr_lane_init(&runtime->nowhere, NULL);
  for (int i = 0; i < runtime->machine.count; i++) {
    tnr_lane *lane = &runtime->lanes[i];
    tnr_lane_init(lane, runtime->machine.devices[i]);
    if (tnr_plan_cache_init(&lane->plans, lane->device, program_cache) != TNR_OK)
      return tnr_fail(fault, TNR_ENOMEM, "out of memory for a program cache of %d", program_cache);
  }
  return TNR_OK;
}

/* ---- workers ---- */

static tnr_lane *lane_of_worker(tnr_runtime *runtime, const tnr_worker *worker) {
  return &runtime->lanes[worker->slot.index - 1];
}

static void worker_starts(void *user, tnr_worker *worker) {
  tnr_runtime *runtime = user;
  const tnr_device *device = lane_of_worker(runtime, worker)->device;
  tnr_thread_here()->worker_of = runtime;
  if (device->driver->worker_start)
    device->driver->worker_start(device->state);
}

static void worker_runs(void *user, tnr_worker *worker, void *item) {
  tnr_op_run(lane_of_worker(user, worker), (tnr_op_item)item);
}

static void worker_finishes(void *user, tnr_worker *worker) {
  tnr_runtime *runtime = user;
  tnr_device *device = runtime->machine.devices[worker->slot.index - 1];
  tnr_plan_cache_finish(&runtime->lanes[device->index].plans);
  if (device->driver->worker_stop)
    device->driver->worker_stop(device->state);
}

static void stop_workers(tnr_runtime *runtime, int count) {
  for (int i = 0; i < count; i++)
    if (runtime->mode == TNR_THREADS)
      tnr_worker_stop(&runtime->machine.devices[i]->worker);
    else
      tnr_turn_dismiss_worker(runtime, i);
}

static tnr_status start_workers(tnr_runtime *runtime, tnr_fault *fault) {
  tnr_worker_duty duty = {worker_starts, worker_runs, worker_finishes, tnr_dispatcher_wake,
                          runtime};
  for (int i = 0; i < runtime->machine.count; i++) {
    tnr_thread_slot slot = {runtime, i + 1};
    tnr_device *device = runtime->machine.devices[i];
    tnr_worker_init(&device->worker, &duty, slot, device->name, runtime->lookout.spin_ns);
    if (runtime->mode != TNR_THREADS || tnr_worker_start(&device->worker) == TNR_OK)
      continue;
    stop_workers(runtime, i);
    return tnr_fail(fault, TNR_ESYSTEM, "no thread for the worker of %s", device->name);
  }
  return TNR_OK;
}

/* ---- life ---- */

static void end_dispatcher(tnr_runtime *runtime) {
  tnr_dispatcher_close(runtime);
  if (runtime->mode == TNR_THREADS)
    tnr_dispatcher_join(runtime);
  else
    tnr_crank_run_out(runtime);
}

static tnr_status start(tnr_runtime *runtime, const tnr_settings *set, tnr_fault *fault) {
  runtime->mode = set->mode;
  int64_t spin_ns = set->mode == TNR_THREADS ? set->spin_ns : -1;
  tnr_lookout_init(&runtime->lookout, spin_ns);
  tnr_lookout_init(&runtime->waiters, 2 * spin_ns); /* what an op from idle takes */
  runtime->worker_waits = set->worker_waits;
  runtime->serves_viewers = set->live;
  runtime->op_timeout_ns = set->op_timeout_ns;
  runtime->inbox.eager = set->mode != TNR_THREADS;
  runtime->timeline = set->timeline;
  pthread_mutex_init(&runtime->timeline.lock, NULL);
  tnr_trace_prepare(runtime);
  tnr_status status = make_machine(runtime, set, fault);
  if (status != TNR_OK)
    goto no_machine;
  if ((status = make_bounds(runtime, set, fault)) != TNR_OK)
    goto no_bounds;
  if ((status = make_lanes(runtime, set->program_cache, fault)) != TNR_OK)
    goto no_lanes;
  if (set->mode != TNR_THREADS && (status = tnr_crank_init(runtime, set->seed, fault)) != TNR_OK)
    goto no_lanes;
  if ((status = start_workers(runtime, fault)) != TNR_OK)
    goto no_workers;
  if ((status = tnr_dispatcher_start(runtime, fault)) != TNR_OK)
    goto no_dispatcher;
  if ((status = tnr_trace_begin(runtime, set->trace, fault)) != TNR_OK)
    goto no_trace;
  return TNR_OK;
no_trace:
  end_dispatcher(runtime);
  tnr_dispatcher_finish(runtime);
  tnr_dispatcher_close_fd(runtime);
no_dispatcher:
  stop_workers(runtime, runtime->machine.count);
no_workers:
  if (set->mode != TNR_THREADS)
    tnr_crank_finish(runtime);
no_lanes:
  finish_lanes(runtime);
  tnr_bounds_finish(runtime);
no_bounds:
  tnr_machine_finish(&runtime->machine);
no_machine:
  pthread_mutex_destroy(&runtime->timeline.lock);
  return status;
}

tnr_runtime *tnr_runtime_create(const tnr_runtime_options *options) {
  tnr_fault fault = {TNR_ENOMEM, "out of memory for a runtime"};
  tnr_settings set = {0};
  tnr_runtime *runtime = aligned_alloc(_Alignof(tnr_runtime), sizeof *runtime);
  if (runtime) {
    memset(runtime, 0, sizeof *runtime);
    runtime->wake_fd = -1;
    tnr_recorder_init(&runtime->recorder, runtime);
    tnr_mailbox_init(&runtime->mail, runtime, TNR_MAILBOX_OF_DISPATCHER);
    if (tnr_settings_init(options, &set, &fault) == TNR_OK &&
        start(runtime, &set, &fault) == TNR_OK)
      return runtime;
    tnr_recorder_finish(&runtime->recorder);
    tnr_mailbox_finish(&runtime->mail);
    free(runtime);
  }
  tnr_error_set(tnr_error_new(&(tnr_error_context){.op = "runtime_create"}, &fault));
  return NULL;
}

/* The last handle is gone. */
static void runtime_free(void *user) {
  tnr_runtime *runtime = user;
  tnr_dispatcher_close_fd(runtime);
  finish_lanes(runtime);
  tnr_flights_finish(&runtime->flights);
  if (runtime->mode != TNR_THREADS)
    tnr_crank_finish(runtime);
  tnr_bounds_finish(runtime);
  tnr_machine_finish(&runtime->machine);
  tnr_recorder_finish(&runtime->recorder);
  pthread_mutex_destroy(&runtime->timeline.lock);
  if (runtime->aborted)
    tnr_object_release(tnr_error_object(runtime->aborted));
  tnr_mailbox_finish(&runtime->mail);
  free(runtime);
}

static void set_abort(tnr_runtime *runtime) {
  runtime->aborted = tnr_error_plain(
      TNR_ECANCELED, "the runtime was destroyed with TNR_ABORT before the op started");
  /* release: pairs with the acquire in tnr_op_run; `aborted` is then visible */
  atomic_store_explicit(&runtime->abort, true, memory_order_release);
}

tnr_status tnr_runtime_destroy(tnr_runtime *runtime, tnr_shutdown how) {
  if (!runtime)
    return TNR_OK;
  tnr_status status = tnr_wait_refused(runtime, "waiting for the runtime's end");
  if (status != TNR_OK)
    return status;
  if (how == TNR_ABORT)
    set_abort(runtime);
  tnr_bounds_close(runtime);
  end_dispatcher(runtime);
  while (atomic_load(&runtime->dumps) > 0)
    sched_yield();
  stop_workers(runtime, runtime->machine.count);
  tnr_dispatcher_finish(runtime);
  status = tnr_trace_end(runtime);
  tnr_pool_close(&runtime->machine.objects, runtime_free, runtime);
  return status;
}

/* ---- the default runtime ---- */

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t default_ended = PTHREAD_COND_INITIALIZER;
static tnr_runtime *default_runtime; /* guarded by default_lock */
static bool default_ends;            /* guarded by default_lock: a thread is destroying it */

/* With the lock held: until no other thread is destroying it. Its own threads do not wait, since
 * the one that destroys it waits for them. */
static void await_default(void) {
  while (default_ends && tnr_thread_service(default_runtime) == TNR_SERVES_NOT)
    pthread_cond_wait(&default_ended, &default_lock);
}

tnr_runtime *tnr_default_runtime(void) {
  pthread_mutex_lock(&default_lock);
  await_default();
  if (!default_runtime)
    default_runtime = tnr_runtime_create(NULL);
  tnr_runtime *runtime = default_runtime;
  pthread_mutex_unlock(&default_lock);
  return runtime;
}

/* The one to destroy; NULL when there is none, or it must not be: then *status is not TNR_OK. */
static tnr_runtime *claim_default(tnr_status *status) {
  pthread_mutex_lock(&default_lock);
  await_default();
  tnr_runtime *runtime = default_runtime;
  *status = runtime ? tnr_wait_refused(runtime, "waiting for the runtime's end") : TNR_OK;
  if (*status != TNR_OK)
    runtime = NULL;
  default_ends |= runtime != NULL;
  pthread_mutex_unlock(&default_lock);
  return runtime;
}

tnr_status tnr_default_runtime_destroy(tnr_shutdown how) {
  tnr_status status;
  tnr_runtime *runtime = claim_default(&status);
  if (!runtime)
    return status;
  status = tnr_runtime_destroy(runtime, how);
  pthread_mutex_lock(&default_lock);
  default_runtime = NULL;
  default_ends = false;
  pthread_cond_broadcast(&default_ended);
  pthread_mutex_unlock(&default_lock);
  return status;
}

/* ---- asking ---- */

int tnr_runtime_device_count(const tnr_runtime *runtime) {
  return runtime ? runtime->machine.count : 0;
}

tnr_device *tnr_runtime_device_at(const tnr_runtime *runtime, int index) {
  return runtime && index >= 0 && index < runtime->machine.count ? runtime->machine.devices[index]
                                                                 : NULL;
}

tnr_device *tnr_runtime_device(tnr_runtime *runtime, const char *name) {
  if (!runtime || !name) {
    if (!tnr_error())
      tnr_error_raise(TNR_EINVAL, "runtime_device: %s is NULL", name ? "the runtime" : "the name");
    return NULL;
  }
  if (strcmp(name, runtime->machine.host->name) == 0)
    return runtime->machine.host;
  for (int i = 0; i < runtime->machine.count; i++)
    if (strcmp(name, runtime->machine.devices[i]->name) == 0)
      return runtime->machine.devices[i];
  tnr_error_raise(TNR_EINVAL, "there is no device '%s'", name);
  return NULL;
}

const tnr_mesh *tnr_mesh_of(tnr_device *const *devices, int count) {
  tnr_fault fault;
  const tnr_mesh *mesh = NULL;
  if (tnr_machine_mesh(devices, count, &mesh, &fault) == TNR_OK)
    return mesh;
  tnr_error_set(tnr_error_new(&(tnr_error_context){.op = "mesh_of"}, &fault));
  return NULL;
}

int64_t tnr_runtime_now(const tnr_runtime *runtime) {
  return runtime ? tnr_machine_now(&runtime->machine) : 0;
}

bool tnr_runtime_step(tnr_runtime *runtime) {
  return runtime && runtime->mode != TNR_THREADS && tnr_crank_step(runtime);
}

tnr_runtime_stats tnr_runtime_get_stats(const tnr_runtime *runtime) {
  if (!runtime)
    return (tnr_runtime_stats){0};
  return (tnr_runtime_stats){
      .submitted = atomic_load_explicit(&runtime->submitted, memory_order_relaxed),
      .completed = atomic_load_explicit(&runtime->completed, memory_order_relaxed),
      .failed = atomic_load_explicit(&runtime->failed, memory_order_relaxed),
      .wakes = atomic_load_explicit(&runtime->wakes, memory_order_relaxed),
      .live_handles = tnr_pool_live_blocks((tnr_pool *)&runtime->machine.objects),
  };
}

/* ---- synchronizing ---- */

typedef struct sync_request {
  tnr_epoch epoch; /* dispatcher only */
  tnr_message message;
  tnr_lane *lane; /* immutable after create */
  tnr_wait *wait; /* until reached */
} sync_request;

static void sync_reached(tnr_epoch *epoch) {
  tnr_wait_end(((sync_request *)epoch)->wait);
}

static void sync_retired(tnr_epoch *epoch) {
  free(epoch);
}

static void sync_arrives(tnr_message *message) {
  sync_request *request = (sync_request *)((char *)message - offsetof(sync_request, message));
  tnr_lane_begin_epoch(request->lane, &request->epoch);
}

static tnr_wait *no_sync_memory(void) {
  tnr_error_raise(TNR_ENOMEM, "out of memory to synchronize a device");
  return NULL;
}

/* To be ended by sync_end; NULL with tnr_error(). */
static tnr_wait *sync_begin(tnr_runtime *runtime, tnr_lane *lane) {
  sync_request *request = calloc(1, sizeof *request);
  if (!request)
    return no_sync_memory();
  request->epoch.reached = sync_reached;
  request->epoch.retired = sync_retired;
  request->message.handle = sync_arrives;
  request->lane = lane;
  tnr_wait *wait = request->wait = tnr_wait_new();
  if (!wait) {
    free(request);
    return no_sync_memory();
  }
  tnr_status status = tnr_dispatcher_put_message(runtime, &request->message);
  if (status == TNR_OK)
    return wait;
  free(request);
  tnr_wait_release(wait); /* the dispatcher's */
  tnr_wait_release(wait);
  tnr_error_raise(status, "%s", tnr_dispatcher_refusal(status));
  return NULL;
}

static tnr_status sync_end(tnr_runtime *runtime, tnr_wait *wait) {
  if (!wait)
    return tnr_error_code(tnr_error());
  (void)tnr_wait_sleep(runtime, wait, INT64_MAX);
  tnr_wait_release(wait);
  return TNR_OK;
}

static tnr_status sync_lane(tnr_runtime *runtime, tnr_lane *lane) {
  uint64_t since = tnr_record_now(runtime);
  tnr_wait *nowhere = sync_begin(runtime, &runtime->nowhere);
  tnr_wait *here = nowhere ? sync_begin(runtime, lane) : NULL;
  tnr_status status = sync_end(runtime, nowhere);
  if (status == TNR_OK)
    status = sync_end(runtime, here);
  tnr_record_synchronized(runtime, since);
  return status;
}

tnr_status tnr_synchronize_device(tnr_device *device) {
  if (!device)
    return tnr_error_raise(TNR_EINVAL, "synchronize_device: the device is NULL");
  tnr_runtime *runtime = device->machine->runtime;
  tnr_status status = tnr_wait_refused(runtime, "waiting for all that a device has to do");
  if (status != TNR_OK || !tnr_device_is_host(device))
    return status == TNR_OK ? sync_lane(runtime, tnr_lane_of(device)) : status;
  for (int i = 0; status == TNR_OK && i < runtime->machine.count; i++)
    status = sync_lane(runtime, &runtime->lanes[i]); /* any of them may copy to the host */
  return status;
}
