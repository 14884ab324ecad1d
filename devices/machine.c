#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_MAX = 20 }; /* bytes; what is left of a name is for ':' and an index */

static const tnr_driver host_driver = {.kind = "host", .host_memory = true};

tnr_status tnr_driver_check(const tnr_driver *driver, tnr_fault *fault) {
  if (!driver || !driver->kind || !driver->kind[0])
    return tnr_fail(fault, TNR_EINVAL, "a device driver has no kind");
  if (strlen(driver->kind) > KIND_MAX || strchr(driver->kind, ':'))
    return tnr_fail(fault, TNR_EINVAL, "'%s' is no name for a kind of device: too long, or a colon",
                    driver->kind);
  if (strcmp(driver->kind, "host") == 0)
    return tnr_fail(fault, TNR_EINVAL, "'host' is not a kind of device");
  if (!driver->program_create)
    return tnr_fail(fault, TNR_EINVAL, "the driver '%s' has no program_create", driver->kind);
  return TNR_OK;
}

/* ---- time ---- */

int64_t tnr_machine_now(const tnr_machine *machine) {
  return machine->virtual_time ? atomic_load_explicit(&machine->now, memory_order_relaxed)
                               : tnr_now_ns();
}

static tnr_device *device_of(tnr_clock *clock) {
  return (tnr_device *)((char *)clock - offsetof(tnr_device, clock));
}

static int64_t device_now(tnr_clock *clock) {
  const tnr_device *device = device_of(clock);
  int64_t now = tnr_machine_now(device->machine), later = device->worker.asleep_until;
  return later > now ? later : now;
}

static void device_sleep_until(tnr_clock *clock, int64_t ns) {
  if (ns > device_now(clock))
    device_of(clock)->worker.asleep_until = ns;
}

/* ---- devices ---- */

static tnr_status device_open(tnr_device *device, const tnr_machine_plan *plan,
                              const struct tnr_device_plan *place, tnr_fault *fault) {
  if (!device->driver->open)
    return TNR_OK;
  tnr_device_info info = {
      .name = device->name,
      .index = place->index,
      .threads = plan->threads_per_device,
      .pin = plan->pin,
      .config = place->config,
      .clock = plan->virtual_time ? &device->clock : NULL,
  };
  return device->driver->open(&info, &device->state, fault);
}

static void device_name(tnr_device *device, const struct tnr_device_plan *place) {
  if (place)
    snprintf(device->name, sizeof device->name, "%.*s:%d", KIND_MAX, place->driver->kind,
             place->index);
  else
    snprintf(device->name, sizeof device->name, "host");
}

/* `place` is NULL for the host. */
static tnr_status device_create(tnr_machine *machine, const tnr_machine_plan *plan,
                                const struct tnr_device_plan *place, int index, tnr_device **out,
                                tnr_fault *fault) {
  tnr_status status = tnr_fail(fault, TNR_ENOMEM, "out of memory for a device");
  tnr_device *device = aligned_alloc(_Alignof(tnr_device), sizeof *device);
  if (!device)
    return status;
  memset(device, 0, sizeof *device);
  device->machine = machine;
  device->driver = place ? place->driver : &host_driver;
  device->index = index;
  device->clock = (tnr_clock){device_now, device_sleep_until};
  device_name(device, place);
  device->self = malloc(sizeof(tnr_mesh) + sizeof(tnr_device *));
  if (!device->self)
    goto no_mesh;
  *device->self = (tnr_mesh){.count = 1};
  device->self->devices[0] = device;
  if (tnr_pool_init(&device->pool, machine->runtime, plan->device_count + 1) != TNR_OK)
    goto no_pool;
  if (place && (status = device_open(device, plan, place, fault)) != TNR_OK)
    goto not_open;
  *out = device;
  return TNR_OK;
not_open:
  tnr_pool_finish(&device->pool);
no_pool:
  free(device->self);
no_mesh:
  free(device);
  return status;
}

static void device_destroy(tnr_device *device) {
  if (device->driver->close)
    device->driver->close(device->state);
  tnr_pool_finish(&device->pool);
  free(device->self);
  free(device);
}

const char *tnr_device_name(const tnr_device *device) {
  return device ? device->name : "no device";
}

tnr_memory_stats tnr_device_memory(const tnr_device *device) {
  if (!device)
    return (tnr_memory_stats){0};
  return tnr_pool_stats(&((tnr_device *)device)->pool);
}

tnr_program_stats tnr_device_programs(const tnr_device *device) {
  if (!device)
    return (tnr_program_stats){0};
  return (tnr_program_stats){
      .hits = atomic_load_explicit(&device->program_hits, memory_order_relaxed),
      .misses = atomic_load_explicit(&device->program_misses, memory_order_relaxed),
      .evictions = atomic_load_explicit(&device->program_evictions, memory_order_relaxed),
      .entries = atomic_load_explicit(&device->program_entries, memory_order_relaxed),
  };
}

/* ---- the machine ---- */

static tnr_status open_all(tnr_machine *machine, const tnr_machine_plan *plan, tnr_fault *fault) {
  tnr_status status = device_create(machine, plan, NULL, -1, &machine->host, fault);
  for (int i = 0; status == TNR_OK && i < plan->device_count; i++) {
    status = device_create(machine, plan, &plan->devices[i], i, &machine->devices[i], fault);
    if (status == TNR_OK)
      machine->count++;
  }
  return status;
}

tnr_status tnr_machine_init(tnr_machine *machine, const tnr_machine_plan *plan, tnr_fault *fault) {
  *machine = (tnr_machine){.runtime = plan->runtime, .virtual_time = plan->virtual_time};
  if (tnr_pool_init(&machine->objects, plan->runtime, plan->device_count + 1) != TNR_OK)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for the pool of handles");
  pthread_mutex_init(&machine->lock, NULL);
  machine->devices = calloc((size_t)plan->device_count, sizeof *machine->devices);
  tnr_status status = TNR_ENOMEM;
  if (machine->devices)
    status = open_all(machine, plan, fault);
  else
    tnr_fail(fault, TNR_ENOMEM, "out of memory for %d devices", plan->device_count);
  if (status != TNR_OK)
    tnr_machine_finish(machine);
  return status;
}

void tnr_machine_finish(tnr_machine *machine) {
  for (tnr_mesh *mesh = machine->meshes, *next; mesh; mesh = next) {
    next = mesh->next;
    free(mesh);
  }
  for (int i = 0; i < machine->count; i++)
    device_destroy(machine->devices[i]);
  if (machine->host)
    device_destroy(machine->host);
  free(machine->devices);
  pthread_mutex_destroy(&machine->lock);
  tnr_pool_finish(&machine->objects);
}

/* ---- meshes ---- */

static tnr_status mesh_check(tnr_device *const *devices, int count, tnr_fault *fault) {
  if (count < 1 || count > TNR_MESH_MAX)
    return tnr_fail(fault, TNR_EINVAL, "a mesh has 1 to %d devices, not %d", TNR_MESH_MAX, count);
  for (int i = 0; i < count; i++) {
    if (!devices[i])
      return tnr_fail(fault, TNR_EINVAL, "device %d of the mesh is NULL", i);
    if (devices[i]->machine != devices[0]->machine)
      return tnr_fail(fault, TNR_EDEVICE, "devices %s and %s belong to different runtimes",
                      devices[0]->name, devices[i]->name);
    if (count > 1 && tnr_device_is_host(devices[i]))
      return tnr_fail(fault, TNR_EDEVICE, "the host cannot be one of several devices of a mesh");
    for (int j = 0; j < i; j++)
      if (devices[i] == devices[j])
        return tnr_fail(fault, TNR_EINVAL, "device %s is in the mesh twice", devices[i]->name);
  }
  return TNR_OK;
}

/* With the lock held. */
static tnr_mesh *mesh_find(tnr_machine *machine, tnr_device *const *devices, int count) {
  size_t bytes = (size_t)count * sizeof *devices;
  for (tnr_mesh *mesh = machine->meshes; mesh; mesh = mesh->next)
    if (mesh->count == count && memcmp(mesh->devices, devices, bytes) == 0)
      return mesh;
  return NULL;
}

/* With the lock held. */
static tnr_mesh *mesh_add(tnr_machine *machine, tnr_device *const *devices, int count) {
  size_t bytes = (size_t)count * sizeof *devices;
  tnr_mesh *mesh = malloc(sizeof *mesh + bytes);
  if (!mesh)
    return NULL;
  *mesh = (tnr_mesh){.count = count, .next = machine->meshes};
  memcpy(mesh->devices, devices, bytes);
  machine->meshes = mesh;
  return mesh;
}

tnr_status tnr_machine_mesh(tnr_device *const *devices, int count, const tnr_mesh **out,
                            tnr_fault *fault) {
  tnr_status status = mesh_check(devices, count, fault);
  if (status != TNR_OK)
    return status;
  if (count == 1) {
    *out = devices[0]->self;
    return TNR_OK;
  }
  tnr_machine *machine = devices[0]->machine;
  pthread_mutex_lock(&machine->lock);
  tnr_mesh *mesh = mesh_find(machine, devices, count);
  if (!mesh)
    mesh = mesh_add(machine, devices, count);
  pthread_mutex_unlock(&machine->lock);
  *out = mesh;
  return mesh ? TNR_OK : tnr_fail(fault, TNR_ENOMEM, "out of memory for a mesh of %d", count);
}

int tnr_mesh_count(const tnr_mesh *mesh) {
  return mesh ? mesh->count : 0;
}

tnr_device *tnr_mesh_device(const tnr_mesh *mesh, int index) {
  return mesh && index >= 0 && index < mesh->count ? mesh->devices[index] : NULL;
}
