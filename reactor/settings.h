/* A runtime's options, checked and with everything filled in. */
#ifndef TENOR_REACTOR_SETTINGS_H
#define TENOR_REACTOR_SETTINGS_H

#include "runtime.h"

/* All pointers are borrowed from the options. */
typedef struct tnr_settings {
  const tnr_device_config *configs; /* [config_count] */
  int config_count, device_count;
  int threads_per_device, program_cache;
  int64_t spin_ns, op_timeout_ns; /* ns */
  bool pin, worker_waits, live;
  const tnr_trace_options *trace;
  tnr_mode mode;
  uint64_t seed;
  tnr_timeline timeline;
  tnr_limits limits;
  bool full_is_error;
} tnr_settings;

/* `options` NULL: all defaults. TNR_EINVAL: one is wrong, or they do not go together, or the
 * environment says something wrong. */
tnr_status tnr_settings_init(const tnr_runtime_options *options, tnr_settings *out,
                             tnr_fault *fault) TNR_MUST_USE;

/* What each device is to be made from. `places`: [device_count]. */
void tnr_settings_place_devices(const tnr_settings *set, struct tnr_device_plan *places);

#endif
