/* All the places of one runtime where tensors can live: the host, its devices and its meshes, and
 * the memory that handles are made in. */
#ifndef TENOR_MACHINE_H
#define TENOR_MACHINE_H

#include <pthread.h>

#include <tenor/device.h>
#include <tenor/driver.h>

#include "pool.h"
#include "worker.h"

enum { TNR_DEVICE_NAME_MAX = 32, TNR_MESH_MAX = 64 };

typedef struct tnr_machine tnr_machine;

struct tnr_mesh {
  int count;             /* immutable after create */
  struct tnr_mesh *next; /* guarded by the machine's lock */
  tnr_device *devices[]; /* [count]; immutable after create */
};

struct tnr_device {
  tnr_machine *machine;     /* immutable after create */
  const tnr_driver *driver; /* immutable after create */
  void *state;              /* the driver's */
  tnr_mesh *self;           /* the mesh of this device alone; immutable after create */
  int index;                /* among the machine's devices, -1: host; immutable after create */
  char name[TNR_DEVICE_NAME_MAX]; /* immutable after create */
  tnr_pool pool;                  /* data of tensors; any thread */
  tnr_worker worker;              /* unused for the host */
  tnr_clock clock;                /* immutable after create; for its driver, in virtual time */

  /* atomic, relaxed: written by the worker alone, read by whoever asks */
  _Alignas(64) _Atomic uint64_t program_hits, program_misses, program_evictions, program_entries;
  _Atomic uint64_t items_done, copies, copied_bytes; /* likewise; counted by the reactor */
};

struct tnr_machine {
  void *runtime;        /* the reactor's; immutable after create */
  int count;            /* immutable after create */
  tnr_device **devices; /* [count]; immutable after create */
  tnr_device *host;     /* immutable after create */
  tnr_pool objects;     /* tensors, tuples, futures; any thread */
  bool virtual_time;    /* immutable after create */
  _Atomic int64_t now;  /* atomic, relaxed: the virtual time in ns; moved by whoever does all the
                         * work, read by whoever asks */
  pthread_mutex_t lock;
  tnr_mesh *meshes; /* guarded by lock */
};

/* What one machine is made of. */
typedef struct tnr_machine_plan {
  void *runtime;
  int device_count;
  struct tnr_device_plan {
    const tnr_driver *driver;
    const void *config;
    int index; /* among its kind */
  } * devices;
  int threads_per_device;
  bool pin;
  bool virtual_time; /* workers have no threads, and no time passes but what is set */
} tnr_machine_plan;

/* Opens all devices; no thread is started. On failure nothing is left behind. */
tnr_status tnr_machine_init(tnr_machine *machine, const tnr_machine_plan *plan, tnr_fault *fault);

/* Closes all devices. No worker runs, no tensor lives. */
void tnr_machine_finish(tnr_machine *machine);

/* As tnr_mesh_of, with the error as a fault. */
tnr_status tnr_machine_mesh(tnr_device *const *devices, int count, const tnr_mesh **out,
                            tnr_fault *fault);

/* The time that the machine goes by, in ns: CLOCK_MONOTONIC, or the virtual one. Any thread. */
int64_t tnr_machine_now(const tnr_machine *machine);

/* Checks the slots of a driver's vtable. */
tnr_status tnr_driver_check(const tnr_driver *driver, tnr_fault *fault);

static inline tnr_device *tnr_mesh_first(const tnr_mesh *mesh) {
  return mesh->devices[0];
}

static inline tnr_machine *tnr_mesh_machine(const tnr_mesh *mesh) {
  return mesh->devices[0]->machine;
}

static inline bool tnr_device_is_host(const tnr_device *device) {
  return device->index < 0;
}

#endif
