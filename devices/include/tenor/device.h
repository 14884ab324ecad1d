/* Devices and meshes as users see them. Both belong to their runtime: they are not released, and
 * are valid until the runtime and everything made with it is gone. */
#ifndef TENOR_DEVICE_H
#define TENOR_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenor/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One place where tensors can live: the host, or a device with its worker and in-order queue. */
typedef struct tnr_device tnr_device;

/* An ordered list of different devices of one runtime. Equal lists are the same mesh. */
typedef struct tnr_mesh tnr_mesh;

TNR_API const char *tnr_device_name(const tnr_device *device); /* "cpu:0", "host" */

/* The mesh of these devices in this order. NULL with tnr_error() when count is not 1 to 64, a
 * device is listed twice, devices belong to different runtimes, or the host is one of several. */
TNR_API const tnr_mesh *tnr_mesh_of(tnr_device *const *devices, int count) TNR_MUST_USE;

TNR_API int tnr_mesh_count(const tnr_mesh *mesh);
TNR_API tnr_device *tnr_mesh_device(const tnr_mesh *mesh, int index); /* NULL out of range */

/* A device's memory. Any thread; counts of one moment may be off by what other threads do in it. */
typedef struct tnr_memory_stats {
  uint64_t live_bytes;     /* in tensors now */
  uint64_t peak_bytes;     /* the most that live_bytes has been, but for tensors under 64 KiB that
                            * came out of threads' own reserves: these may be missed */
  uint64_t reserved_bytes; /* held from the system, free for the next tensor or in use */
  uint64_t allocations;    /* buffers handed out so far */
  uint64_t reused;         /* of these, how many came from the pool and not from the system */
} tnr_memory_stats;
TNR_API tnr_memory_stats tnr_device_memory(const tnr_device *device);

/* A device's program cache. Any thread. */
typedef struct tnr_program_stats {
  uint64_t hits, misses, evictions;
  uint64_t entries; /* programs held now; never more than the runtime's program_cache option */
} tnr_program_stats;
TNR_API tnr_program_stats tnr_device_programs(const tnr_device *device);

#ifdef __cplusplus
}
#endif
#endif
