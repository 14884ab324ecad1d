#include "settings.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

enum { PROGRAM_CACHE_DEFAULT = 1024, DEVICES_MAX = 1024 };
static const int64_t SPIN_NS_DEFAULT = 12000, SPIN_NS_MAX = 100000000; /* 0.1 s */

static const tnr_device_config one_cpu = {.count = 1};

static tnr_status check_limits(tnr_limits limits, tnr_fault *fault) {
  if (limits.max_ops < 0 || limits.max_bytes < 0)
    return tnr_fail(fault, TNR_EINVAL, "a limit of what is in flight is negative");
  return TNR_OK;
}

static tnr_status count_devices(tnr_settings *out, tnr_fault *fault) {
  for (int i = 0; i < out->config_count; i++) {
    const tnr_device_config *config = &out->configs[i];
    if (check_limits(config->limits, fault) != TNR_OK)
      return TNR_EINVAL;
    if (config->count < 1 || config->count > 64)
      return tnr_fail(fault, TNR_EINVAL, "1 to 64 devices of a kind, not %d", config->count);
    tnr_status status = config == &one_cpu ? TNR_OK : tnr_driver_check(config->driver, fault);
    if (status != TNR_OK)
      return status;
    for (int k = 0; k < i; k++)
      if (strcmp(out->configs[k].driver->kind, config->driver->kind) == 0)
        return tnr_fail(fault, TNR_EINVAL, "the kind '%s' is configured twice",
                        config->driver->kind);
    out->device_count += config->count;
  }
  if (out->device_count > DEVICES_MAX)
    return tnr_fail(fault, TNR_EINVAL, "%d devices are too many", out->device_count);
  return TNR_OK;
}

/* What does not go with the mode. */
static tnr_status check_mode(const tnr_runtime_options *options, tnr_fault *fault) {
  if (options->mode < TNR_THREADS || options->mode > TNR_DETERMINISTIC)
    return tnr_fail(fault, TNR_EINVAL, "there is no mode %d", (int)options->mode);
  if (options->mode != TNR_DETERMINISTIC && (options->seed || options->timeline))
    return tnr_fail(fault, TNR_EINVAL, "a seed and a timeline go with TNR_DETERMINISTIC only");
  if (options->mode != TNR_THREADS && options->live)
    return tnr_fail(fault, TNR_EINVAL, "live goes with TNR_THREADS only");
  if (options->mode != TNR_THREADS &&
      (options->threads_per_device > 1 || options->pin || options->worker_waits))
    return tnr_fail(fault, TNR_EINVAL,
                    "threads_per_device, pin and worker_waits go with TNR_THREADS only");
  return TNR_OK;
}

/* What the environment says where the options do not. */
static tnr_status look_for_live(tnr_settings *out, tnr_fault *fault) {
  const char *value = getenv("TENOR_LIVE");
  if (!value || !value[0] || strcmp(value, "0") == 0)
    return TNR_OK;
  if (strcmp(value, "1") != 0)
    return tnr_fail(fault, TNR_EINVAL, "TENOR_LIVE is '%.40s', not 0 or 1", value);
  out->live |= out->mode == TNR_THREADS;
  return TNR_OK;
}

/* Who looks for work does not look at timers, nor whether the runtime is to end. */
static int64_t spin_ns_of(const tnr_runtime_options *options) {
  if (options->spin_ns == 0)
    return SPIN_NS_DEFAULT;
  if (options->spin_ns < 0)
    return -1;
  return options->spin_ns < SPIN_NS_MAX ? options->spin_ns : SPIN_NS_MAX;
}

tnr_status tnr_settings_init(const tnr_runtime_options *options, tnr_settings *out,
                             tnr_fault *fault) {
  static const tnr_runtime_options defaults;
  if (!options)
    options = &defaults;
  if (options->threads_per_device < 0 || options->program_cache < 0 || options->max_threads < 0 ||
      options->op_timeout_ns < 0 || options->device_configs < 0 ||
      (options->device_configs > 0 && !options->devices))
    return tnr_fail(fault, TNR_EINVAL, "an option is negative, or devices are missing");
  *out = (tnr_settings){
      .configs = options->device_configs ? options->devices : &one_cpu,
      .config_count = options->device_configs ? options->device_configs : 1,
      .threads_per_device = options->threads_per_device ? options->threads_per_device : 1,
      .program_cache = options->program_cache ? options->program_cache : PROGRAM_CACHE_DEFAULT,
      .spin_ns = spin_ns_of(options),
      .op_timeout_ns = options->op_timeout_ns,
      .pin = options->pin,
      .worker_waits = options->worker_waits,
      .trace = options->trace,
      .live = options->live,
      .mode = options->mode,
      .seed = options->seed,
      .timeline = {.write = options->timeline, .user = options->timeline_user},
      .limits = options->limits,
      .full_is_error = options->full_is_error,
  };
  tnr_status status = check_mode(options, fault);
  if (status == TNR_OK)
    status = check_limits(out->limits, fault);
  if (status == TNR_OK)
    status = look_for_live(out, fault);
  if (status == TNR_OK)
    status = count_devices(out, fault);
  int64_t threads = (int64_t)out->device_count * out->threads_per_device;
  if (status == TNR_OK && out->mode == TNR_THREADS && options->max_threads &&
      threads > options->max_threads)
    return tnr_fail(
        fault, TNR_EINVAL, "%d devices of %d threads are %lld, but max_threads allows %d",
        out->device_count, out->threads_per_device, (long long)threads, options->max_threads);
  return status;
}

void tnr_settings_place_devices(const tnr_settings *set, struct tnr_device_plan *places) {
  for (int i = 0; i < set->config_count; i++)
    for (int k = 0; k < set->configs[i].count; k++)
      *places++ = (struct tnr_device_plan){
          .driver = set->configs == &one_cpu ? tnr_cpu_driver() : set->configs[i].driver,
          .config = set->configs[i].config,
          .index = k,
      };
}
