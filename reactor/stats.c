#include <tenor/stats.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tenor/trace.h>

#include "error.h"
#include "runtime.h"

static uint64_t load(const _Atomic uint64_t *counter) {
  return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- as structs ---- */

static tnr_status refuse(const char *call, const char *what) {
  return tnr_error_raise(TNR_EINVAL, "%s: %s", call, what);
}

/* As much as both sides know of, and zeroes in what only the caller does. */
static void hand_out(void *to, size_t size, const void *all, size_t known) {
  memset(to, 0, size);
  memcpy(to, all, size < known ? size : known);
  memcpy(to, &size, sizeof size);
}

static void fill_ops(const tnr_runtime *runtime, tnr_stats *out) {
  out->completed = load(&runtime->completed); /* before submitted, which is never behind it */
  out->failed = load(&runtime->failed);
  out->submitted = load(&runtime->submitted);
  out->in_flight = out->submitted > out->completed ? out->submitted - out->completed : 0;
  out->wakes = load(&runtime->wakes);
  out->handles = tnr_pool_live_blocks((tnr_pool *)&runtime->machine.objects);
}

static void fill_latency(const tnr_latency *latency, tnr_stats *out) {
  out->latency_samples = load(&latency->count);
  out->latency_sum_ns = load(&latency->sum);
  out->latency_max_ns = load(&latency->max);
  out->latency_p50_ns = tnr_latency_quantile(latency, 0.5);
  out->latency_p90_ns = tnr_latency_quantile(latency, 0.9);
  out->latency_p99_ns = tnr_latency_quantile(latency, 0.99);
}

tnr_status tnr_stats_read(const tnr_runtime *runtime, tnr_stats *out) {
  static const char call[] = "stats_read";
  tnr_stats all = {0};
  if (!runtime || !out)
    return refuse(call, runtime ? "the stats are NULL" : "the runtime is NULL");
  if (out->size < sizeof out->size)
    return refuse(call, "the size of the stats is not set");
  fill_ops(runtime, &all);
  fill_latency(&runtime->latency, &all);
  tnr_trace_stats trace = tnr_trace_get_stats(runtime);
  all.trace_recorded = trace.recorded;
  all.trace_lost = trace.lost;
  all.trace_forgotten = trace.forgotten;
  all.devices = (uint64_t)runtime->machine.count;
  hand_out(out, out->size, &all, sizeof all);
  return TNR_OK;
}

/* What is taken off a ring has begun: items of a worker are counted there anyway. */
static uint32_t begun(const tnr_worker *worker) {
  uint32_t sum = 0;
  for (int i = 0; i < TNR_LEVELS; i++)
    sum += atomic_load_explicit(&worker->queues[i].head, memory_order_relaxed);
  return sum;
}

static void fill_queue(const tnr_device *device, tnr_device_stats *out) {
  const tnr_lane *lane = tnr_lane_of(device);
  out->done = load(&device->items_done);
  out->running = begun(&device->worker) != (uint32_t)out->done;
  uint64_t gone = out->done + out->running + load(&lane->left), all = load(&lane->launched);
  out->queued = all > gone ? all - gone : 0;
  out->wakes = load(&lane->wakes);
  out->copies = load(&device->copies);
  out->copied_bytes = load(&device->copied_bytes);
}

static void fill_memory(const tnr_device *device, tnr_device_stats *out) {
  tnr_memory_stats memory = tnr_device_memory(device);
  tnr_program_stats programs = tnr_device_programs(device);
  out->live_bytes = memory.live_bytes;
  out->peak_bytes = memory.peak_bytes;
  out->reserved_bytes = memory.reserved_bytes;
  out->allocations = memory.allocations;
  out->reused = memory.reused;
  out->programs = programs.entries;
  out->program_hits = programs.hits;
  out->program_misses = programs.misses;
  out->program_evictions = programs.evictions;
}

tnr_status tnr_stats_read_device(const tnr_device *device, tnr_device_stats *out) {
  static const char call[] = "stats_read_device";
  tnr_device_stats all = {0};
  if (!device || !out)
    return refuse(call, device ? "the stats are NULL" : "the device is NULL");
  if (out->size < sizeof out->size)
    return refuse(call, "the size of the stats is not set");
  if (!tnr_device_is_host(device))
    fill_queue(device, &all);
  fill_memory(device, &all);
  hand_out(out, out->size, &all, sizeof all);
  return TNR_OK;
}

/* ---- as text ---- */

typedef struct text {
  char *to;
  size_t room, length; /* length: of all that was added, whether there was room or not */
  const char *labels;
} text;

static void add(text *out, const char *format, ...) TNR_PRINTF(2, 3);
static void add(text *out, const char *format, ...) {
  va_list arguments;
  size_t used = out->length < out->room ? out->length : out->room;
  va_start(arguments, format);
  int more =
      vsnprintf(out->room > used ? out->to + used : NULL, out->room - used, format, arguments);
  va_end(arguments);
  out->length += more > 0 ? (size_t)more : 0;
}

typedef struct metric {
  const char *name, *type, *help;
  size_t offset; /* of a uint64_t in its struct */
} metric;

#define METRIC(struct, field, name, type, help)                                                    \
  { name, type, help, offsetof(struct, field) }

static const metric of_runtime[] = {
    METRIC(tnr_stats, submitted, "ops_submitted_total", "counter", "Ops taken up."),
    METRIC(tnr_stats, completed, "ops_completed_total", "counter", "Ops ended, failed included."),
    METRIC(tnr_stats, failed, "ops_failed_total", "counter", "Ops failed, descendants included."),
    METRIC(tnr_stats, in_flight, "ops_in_flight", "gauge", "Ops taken up and not complete."),
    METRIC(tnr_stats, wakes, "dispatcher_wakes_total", "counter", "Wakes of the dispatcher."),
    METRIC(tnr_stats, handles, "handles", "gauge", "Blocks that handles take."),
    METRIC(tnr_stats, trace_recorded, "trace_events_total", "counter", "Events recorded."),
    METRIC(tnr_stats, trace_lost, "trace_lost_total", "counter", "Events dropped unwritten."),
};

static const metric of_device[] = {
    METRIC(tnr_device_stats, queued, "device_ops_queued", "gauge", "Ops on the queue."),
    METRIC(tnr_device_stats, running, "device_ops_running", "gauge", "Ops that run."),
    METRIC(tnr_device_stats, done, "device_ops_done_total", "counter", "Ops done."),
    METRIC(tnr_device_stats, wakes, "device_wakes_total", "counter", "Wakes of the worker."),
    METRIC(tnr_device_stats, copies, "device_copies_total", "counter", "Copies made."),
    METRIC(tnr_device_stats, copied_bytes, "device_copied_bytes_total", "counter", "Bytes copied."),
    METRIC(tnr_device_stats, live_bytes, "device_memory_bytes", "gauge", "Bytes in tensors."),
    METRIC(tnr_device_stats, peak_bytes, "device_memory_peak_bytes", "gauge",
           "The most bytes that were in tensors."),
    METRIC(tnr_device_stats, reserved_bytes, "device_memory_reserved_bytes", "gauge",
           "Bytes held from the system."),
    METRIC(tnr_device_stats, allocations, "device_allocations_total", "counter", "Buffers."),
    METRIC(tnr_device_stats, reused, "device_allocations_reused_total", "counter",
           "Buffers that came from the pool."),
    METRIC(tnr_device_stats, programs, "device_programs", "gauge", "Programs in the cache."),
    METRIC(tnr_device_stats, program_hits, "device_program_hits_total", "counter",
           "Ops whose program was there."),
    METRIC(tnr_device_stats, program_misses, "device_program_misses_total", "counter",
           "Ops whose program had to be made."),
    METRIC(tnr_device_stats, program_evictions, "device_program_evictions_total", "counter",
           "Programs dropped from the cache."),
};

enum {
  RUNTIME_METRICS = sizeof of_runtime / sizeof *of_runtime,
  DEVICE_METRICS = sizeof of_device / sizeof *of_device
};

static void add_head(text *out, const char *name, const char *type, const char *help) {
  add(out, "# HELP tenor_%s %s\n# TYPE tenor_%s %s\n", name, help, name, type);
}

static uint64_t value_of(const metric *metric, const void *stats) {
  return *(const uint64_t *)((const char *)stats + metric->offset);
}

/* Of the runtime: with the caller's labels, if there are any. */
static void add_value(text *out, const char *name, uint64_t value) {
  const char *open = out->labels[0] ? "{" : "", *close = out->labels[0] ? "}" : "";
  add(out, "tenor_%s%s%s%s %" PRIu64 "\n", name, open, out->labels, close, value);
}

static const char *comma(const text *out) {
  return out->labels[0] ? "," : "";
}

static void add_devices(text *out, const tnr_runtime *runtime, const metric *metric) {
  add_head(out, metric->name, metric->type, metric->help);
  for (int i = -1; i < runtime->machine.count; i++) {
    const tnr_device *device = i < 0 ? runtime->machine.host : runtime->machine.devices[i];
    tnr_device_stats stats = {.size = sizeof stats};
    if (tnr_stats_read_device(device, &stats) == TNR_OK)
      add(out, "tenor_%s{%s%sdevice=\"%s\"} %" PRIu64 "\n", metric->name, out->labels, comma(out),
          device->name, value_of(metric, &stats));
  }
}

/* One for each doubling, from 1 µs on. */
static void add_latency(text *out, const tnr_latency *latency) {
  enum { FIRST = 10, LAST = 36 }; /* 2^10 ns to 2^36 ns, about a minute */
  static const char name[] = "op_latency_seconds";
  uint64_t sum = load(&latency->sum), seen = 0;
  int bucket = 0;
  add_head(out, name, "histogram", "From when the dispatcher took ops up to their end; a sample.");
  for (int i = FIRST; i <= LAST; i++) {
    for (; tnr_latency_end(bucket) <= UINT64_C(1) << i; bucket++)
      seen += load(&latency->buckets[bucket]);
    add(out, "tenor_%s_bucket{%s%sle=\"%.9g\"} %" PRIu64 "\n", name, out->labels, comma(out),
        (double)(UINT64_C(1) << i) / 1e9, seen);
  }
  for (; bucket < TNR_LATENCY_BUCKETS; bucket++)
    seen += load(&latency->buckets[bucket]);
  add(out, "tenor_%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, out->labels, comma(out), seen);
  const char *open = out->labels[0] ? "{" : "", *close = out->labels[0] ? "}" : "";
  add(out, "tenor_%s_sum%s%s%s %.9f\n", name, open, out->labels, close, (double)sum / 1e9);
  add(out, "tenor_%s_count%s%s%s %" PRIu64 "\n", name, open, out->labels, close, seen);
}

size_t tnr_stats_prometheus(const tnr_runtime *runtime, const char *labels, char *to, size_t size) {
  text out = {to, to ? size : 0, 0, labels ? labels : ""};
  tnr_stats stats = {.size = sizeof stats};
  if (out.room > 0)
    to[0] = '\0';
  if (!runtime || tnr_stats_read(runtime, &stats) != TNR_OK)
    return 0;
  for (int i = 0; i < RUNTIME_METRICS; i++) {
    add_head(&out, of_runtime[i].name, of_runtime[i].type, of_runtime[i].help);
    add_value(&out, of_runtime[i].name, value_of(&of_runtime[i], &stats));
  }
  add_latency(&out, &runtime->latency);
  for (int i = 0; i < DEVICE_METRICS; i++)
    add_devices(&out, runtime, &of_device[i]);
  return out.length;
}
