#include "bounds.h"

#include <stdlib.h>

#include "dispatcher.h"
#include "error.h"
#include "record.h"
#include "wait.h"
#include "writable.h"

/* What an op holds, in its extra: the bytes on each device of its mesh, and below them these. */
enum {
  COUNTED = 1,         /* as an op in flight, */
  COUNTED_ON_MESH = 2, /* and on the devices of its mesh, which was known then */
  SURE = 4,            /* among the shares' `sure` */
  BYTES_FROM = 8
};

/* ---- room: with the lock held ---- */

static bool share_fits(const tnr_share *share, int64_t ops, int64_t bytes) {
  const tnr_in_flight *now = &share->now;
  const tnr_limits *most = &share->most;
  return (!most->max_ops || now->ops + ops <= most->max_ops) &&
         (!most->max_bytes || (bytes ? bytes <= most->max_bytes - now->bytes
                                     : now->bytes < most->max_bytes || now->bytes == 0));
}

/* NULL for the host's, which has none. */
static tnr_share *share_of(tnr_bounds *bounds, const tnr_mesh *mesh, int i) {
  const tnr_device *device = mesh->devices[i];
  return tnr_device_is_host(device) ? NULL : &bounds->shares[device->index];
}

static int devices_in(const tnr_want *want) {
  return want->mesh ? want->mesh->count : 0;
}

static int64_t bytes_in_all(const tnr_want *want) {
  return want->bytes * (want->mesh ? want->mesh->count : 1);
}

bool tnr_bounds_fits(tnr_bounds *bounds, const tnr_want *want) {
  bool room = share_fits(&bounds->all, want->ops, bytes_in_all(want));
  for (int i = 0; room && i < devices_in(want); i++) {
    const tnr_share *share = share_of(bounds, want->mesh, i);
    room = !share || share_fits(share, want->ops, want->bytes);
  }
  return room;
}

/* There is no room, and will be though nothing else gets on. */
static bool share_is_sure_to_fit(const tnr_share *share, const tnr_want *want, int64_t bytes) {
  return share->sure > 0 || share_fits(share, want->ops, bytes);
}

static bool will_fit(tnr_bounds *bounds, const tnr_want *want) {
  bool sure = !tnr_bounds_fits(bounds, want) &&
              share_is_sure_to_fit(&bounds->all, want, bytes_in_all(want));
  for (int i = 0; sure && i < devices_in(want); i++) {
    const tnr_share *share = share_of(bounds, want->mesh, i);
    sure = !share || share_is_sure_to_fit(share, want, want->bytes);
  }
  return sure;
}

static void add_to(tnr_share *share, int64_t ops, int64_t bytes, int sure) {
  tnr_in_flight *now = &share->now;
  share->sure += sure;
  now->ops += ops;
  now->bytes += bytes;
  if (now->ops > now->peak_ops)
    now->peak_ops = now->ops;
  if (now->bytes > now->peak_bytes)
    now->peak_bytes = now->bytes;
}

static void add(tnr_bounds *bounds, const tnr_want *want, int sure) {
  add_to(&bounds->all, want->ops, bytes_in_all(want), sure);
  for (int i = 0; i < devices_in(want); i++) {
    tnr_share *share = share_of(bounds, want->mesh, i);
    if (share)
      add_to(share, want->ops, want->bytes, sure);
  }
}

/* ---- waiting ---- */

static void sleep_for_room(tnr_bounds *bounds) {
  bounds->sleepers++;
  pthread_cond_wait(&bounds->room, &bounds->lock);
  bounds->sleepers--;
}

typedef struct hope {
  tnr_bounds *bounds;
  const tnr_want *want;
} hope;

static bool has_room(const void *what) {
  const hope *h = what;
  pthread_mutex_lock(&h->bounds->lock);
  bool over = h->bounds->closed || tnr_bounds_fits(h->bounds, h->want);
  pthread_mutex_unlock(&h->bounds->lock);
  return over;
}

/* With the lock held, which is let go of meanwhile. False: the runtime has ended. */
static bool work_for_room(tnr_runtime *runtime, const tnr_want *want) {
  const hope h = {&runtime->bounds, want};
  pthread_mutex_unlock(&runtime->bounds.lock);
  tnr_status status = tnr_crank_wait(runtime, has_room, &h, INT64_MAX);
  pthread_mutex_lock(&runtime->bounds.lock);
  return status != TNR_ECLOSED; /* another thread may have taken the room */
}

/* `op` NULL: a composite's call. */
static void add_when_it_fits(tnr_runtime *runtime, tnr_op *op, const tnr_want *want) {
  tnr_bounds *bounds = &runtime->bounds;
  uint64_t since = 0;
  pthread_mutex_lock(&bounds->lock);
  while (!bounds->closed && !tnr_bounds_fits(bounds, want)) {
    since = since ? since : tnr_record_now(runtime);
    if (runtime->mode == TNR_THREADS)
      sleep_for_room(bounds);
    else if (!work_for_room(runtime, want))
      break;
  }
  add(bounds, want, 0);
  pthread_mutex_unlock(&bounds->lock);
  tnr_record_held_call(runtime, op, want->mesh, since);
}

/* When not, `room` says how often there had been some again. */
static bool add_if_it_fits(tnr_bounds *bounds, const tnr_want *want, uint64_t *rooms) {
  pthread_mutex_lock(&bounds->lock);
  bool room = bounds->closed || tnr_bounds_fits(bounds, want);
  if (room)
    add(bounds, want, 0);
  else
    bounds->refused = *want;
  *rooms = bounds->rooms;
  pthread_mutex_unlock(&bounds->lock);
  return room;
}

static void add_anyway(tnr_bounds *bounds, const tnr_want *want) {
  pthread_mutex_lock(&bounds->lock);
  add(bounds, want, 0);
  pthread_mutex_unlock(&bounds->lock);
}

static void take_off(tnr_runtime *runtime, const tnr_want *want, bool was_sure) {
  tnr_bounds *bounds = &runtime->bounds;
  const tnr_want less = {want->mesh, -want->ops, -want->bytes};
  pthread_mutex_lock(&bounds->lock);
  add(bounds, &less, -was_sure);
  const tnr_want refused = bounds->refused;
  bool room = refused.ops > 0 && tnr_bounds_fits(bounds, &refused);
  if (room) {
    bounds->refused.ops = 0;
    bounds->rooms++;
  }
  tnr_bounds_tell_of_room(bounds);
  pthread_mutex_unlock(&bounds->lock);
  if (room)
    tnr_record_room(runtime, refused.mesh);
}

/* Whether it is for this thread to wait where it is. */
static bool passes(const tnr_runtime *runtime) {
  const tnr_thread *thread = tnr_thread_here();
  return thread->frame || tnr_thread_service(runtime) != TNR_SERVES_NOT ||
         (thread->mailboxes && !runtime->bounds.refuses);
}

/* Who tries again and again without any room is recorded once. */
static tnr_status refuse(tnr_runtime *runtime, const tnr_want *want, uint64_t rooms,
                         tnr_fault *fault) {
  tnr_thread *thread = tnr_thread_here();
  bool again = thread->refused_by == runtime && thread->refused.mesh == want->mesh &&
               thread->refused_at == rooms;
  if (!again)
    tnr_record_refusal(runtime, want->mesh);
  thread->refused_by = runtime;
  thread->refused_at = rooms;
  thread->refused = (tnr_want){want->mesh, 1, want->bytes};
  return tnr_fail(fault, TNR_EAGAIN, "as much is in flight as the runtime's limits allow");
}

/* Adds what a call wants. */
static tnr_status enter(tnr_runtime *runtime, tnr_op *op, const tnr_want *want, tnr_fault *fault) {
  tnr_bounds *bounds = &runtime->bounds;
  uint64_t rooms;
  if (passes(runtime))
    add_anyway(bounds, want);
  else if (!bounds->refuses)
    add_when_it_fits(runtime, op, want);
  else if (!add_if_it_fits(bounds, want, &rooms))
    return refuse(runtime, want, rooms, fault);
  return TNR_OK;
}

/* ---- an op ---- */

static uint64_t *held_by(const tnr_op *op) {
  return &tnr_op_extra_of(op)->held;
}

static tnr_want want_of(const tnr_op *op) {
  return (tnr_want){.mesh = tnr_future_get_mesh(&op->future), .ops = 1};
}

static void note_counted(tnr_op *op, const tnr_want *want) {
  *held_by(op) |= COUNTED | (want->mesh ? COUNTED_ON_MESH : 0);
}

tnr_status tnr_bounds_admit(tnr_op *op) {
  tnr_fault fault;
  const tnr_want want = want_of(op);
  tnr_status status = enter(op->future.runtime, op, &want, &fault);
  if (status != TNR_OK)
    return tnr_error_raise_at(op->def->name, tnr_op_site(op), status, "%s", fault.message);
  note_counted(op, &want);
  return TNR_OK;
}

void tnr_bounds_count(tnr_op *op) {
  const tnr_want want = want_of(op);
  if (*held_by(op) & COUNTED)
    return;
  add_anyway(&op->future.runtime->bounds, &want);
  note_counted(op, &want);
}

static tnr_status too_large(const char *whose, int64_t bytes, int64_t most, tnr_fault *fault) {
  return tnr_fail(fault, TNR_EINVAL,
                  "the outputs take %lld bytes, but %s may have %lld bytes in flight",
                  (long long)bytes, whose, (long long)most);
}

static tnr_status check_size(tnr_bounds *bounds, const tnr_want *want, tnr_fault *fault) {
  int64_t most = bounds->all.most.max_bytes;
  if (most && bytes_in_all(want) > most)
    return too_large("the runtime", bytes_in_all(want), most, fault);
  for (int i = 0; i < want->mesh->count; i++) {
    const tnr_share *share = share_of(bounds, want->mesh, i);
    if (share && share->most.max_bytes && want->bytes > share->most.max_bytes)
      return too_large(want->mesh->devices[i]->name, want->bytes, share->most.max_bytes, fault);
  }
  return TNR_OK;
}

/* With the lock held. The worker's own signals may have been held back. */
static void await_on_worker(tnr_op *op, const tnr_want *want) {
  tnr_runtime *runtime = op->future.runtime;
  tnr_bounds *bounds = &runtime->bounds;
  if (!will_fit(bounds, want))
    return;
  uint64_t since = tnr_record_now(runtime);
  pthread_mutex_unlock(&bounds->lock);
  tnr_worker_flush(&runtime->machine.devices[tnr_this_thread.index - 1]->worker);
  pthread_mutex_lock(&bounds->lock);
  while (will_fit(bounds, want))
    sleep_for_room(bounds);
  tnr_record_held_worker(op, since);
}

/* What has several parts may need this very worker for one of them: it is neither waited for nor
 * waits. */
static void add_on_worker(tnr_op *op, const tnr_want *want) {
  tnr_runtime *runtime = op->future.runtime;
  tnr_bounds *bounds = &runtime->bounds;
  bool alone = want->mesh->count == 1;
  pthread_mutex_lock(&bounds->lock);
  if (alone && runtime->mode == TNR_THREADS)
    await_on_worker(op, want);
  add(bounds, want, alone);
  pthread_mutex_unlock(&bounds->lock);
  *held_by(op) |= alone ? SURE : 0;
}

tnr_status tnr_bounds_hold(tnr_op *op, const tnr_mesh *mesh, size_t bytes, tnr_fault *fault) {
  tnr_runtime *runtime = op->future.runtime;
  const tnr_want want = {.mesh = mesh, .bytes = (int64_t)bytes};
  if (bytes == 0)
    return TNR_OK;
  tnr_status status = check_size(&runtime->bounds, &want, fault);
  if (status != TNR_OK)
    return status;
  if (tnr_thread_service(runtime) == TNR_SERVES_AS_WORKER)
    add_on_worker(op, &want);
  else
    status = enter(runtime, op, &want, fault);
  if (status == TNR_OK)
    *held_by(op) += (uint64_t)bytes * BYTES_FROM;
  return status;
}

static void give_back(tnr_runtime *runtime, const tnr_mesh *mesh, uint64_t held) {
  const tnr_want bytes = {.mesh = mesh, .bytes = (int64_t)(held / BYTES_FROM)};
  const tnr_want op = {.mesh = held & COUNTED_ON_MESH ? mesh : NULL, .ops = 1};
  if (bytes.bytes > 0)
    take_off(runtime, &bytes, (held & SURE) != 0);
  if (held & COUNTED)
    take_off(runtime, &op, false);
}

void tnr_bounds_drop(tnr_op *op, const tnr_mesh *mesh) {
  const uint64_t counted = COUNTED | COUNTED_ON_MESH;
  give_back(op->future.runtime, mesh, *held_by(op) & ~counted);
  *held_by(op) &= counted;
}

void tnr_bounds_leave(tnr_op *op) {
  give_back(op->future.runtime, tnr_future_get_mesh(&op->future), *held_by(op));
  *held_by(op) = 0;
}

void tnr_bounds_release(tnr_op *op) {
  tnr_runtime *runtime = op->future.runtime;
  const tnr_mesh *mesh = tnr_future_get_mesh(&op->future);
  uint64_t held = *held_by(op);
  tnr_object_release(&op->future.object);
  give_back(runtime, mesh, held);
}

/* ---- other things ---- */

tnr_status tnr_bounds_await(tnr_runtime *runtime, const tnr_mesh *mesh, const char *name,
                            tnr_site site) {
  tnr_fault fault;
  const tnr_want want = {.mesh = mesh, .ops = 1};
  if (passes(runtime))
    return TNR_OK;
  if (enter(runtime, NULL, &want, &fault) != TNR_OK)
    return tnr_error_raise_at(name, site, fault.code, "%s", fault.message);
  take_off(runtime, &want, false);
  return TNR_OK;
}

static const tnr_want any_op = {.ops = 1};

void tnr_bounds_count_one(tnr_runtime *runtime) {
  add_anyway(&runtime->bounds, &any_op);
}

void tnr_bounds_leave_one(tnr_runtime *runtime) {
  take_off(runtime, &any_op, false);
}

bool tnr_bounds_hold_back(tnr_runtime *runtime, int device) {
  tnr_bounds *bounds = &runtime->bounds;
  const tnr_want any = {.mesh = runtime->machine.devices[device]->self};
  pthread_mutex_lock(&bounds->lock);
  bool full = will_fit(bounds, &any);
  pthread_mutex_unlock(&bounds->lock);
  return full;
}

/* ---- asking ---- */

static tnr_in_flight read_share(const tnr_runtime *runtime, const tnr_share *share) {
  pthread_mutex_t *lock = (pthread_mutex_t *)&runtime->bounds.lock;
  pthread_mutex_lock(lock);
  tnr_in_flight now = share->now;
  pthread_mutex_unlock(lock);
  return now;
}

tnr_in_flight tnr_runtime_in_flight(const tnr_runtime *runtime) {
  return runtime && runtime->bounds.on ? read_share(runtime, &runtime->bounds.all)
                                       : (tnr_in_flight){0};
}

tnr_in_flight tnr_device_in_flight(const tnr_device *device) {
  if (!device || tnr_device_is_host(device))
    return (tnr_in_flight){0};
  const tnr_runtime *runtime = device->machine->runtime;
  return runtime->bounds.on ? read_share(runtime, &runtime->bounds.shares[device->index])
                            : (tnr_in_flight){0};
}

/* ---- life ---- */

static bool is_limit(tnr_limits limits) {
  return limits.max_ops > 0 || limits.max_bytes > 0;
}

tnr_status tnr_bounds_init(tnr_runtime *runtime, tnr_limits all, bool refuses, tnr_fault *fault) {
  tnr_bounds *bounds = &runtime->bounds;
  int count = runtime->machine.count;
  *bounds = (tnr_bounds){.on = is_limit(all), .refuses = refuses, .all = {.most = all}};
  bounds->shares = calloc((size_t)count, sizeof *bounds->shares);
  if (!bounds->shares)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for the limits of %d devices", count);
  pthread_mutex_init(&bounds->lock, NULL);
  pthread_cond_init(&bounds->room, NULL);
  return TNR_OK;
}

void tnr_bounds_limit_device(tnr_runtime *runtime, int device, tnr_limits limits) {
  runtime->bounds.shares[device].most = limits;
  runtime->bounds.on |= is_limit(limits);
}

void tnr_bounds_finish(tnr_runtime *runtime) {
  tnr_bounds *bounds = &runtime->bounds;
  pthread_cond_destroy(&bounds->room);
  pthread_mutex_destroy(&bounds->lock);
  free(bounds->shares);
}

void tnr_bounds_close(tnr_runtime *runtime) {
  tnr_bounds *bounds = &runtime->bounds;
  pthread_mutex_lock(&bounds->lock);
  bounds->closed = true;
  tnr_bounds_tell_of_room(bounds);
  while (bounds->posting > 0)
    sleep_for_room(bounds);
  pthread_mutex_unlock(&bounds->lock);
}
