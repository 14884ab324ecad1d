#include <event2/buffer.h>
#include <inttypes.h>
#include <unistd.h>

#include <tenor/stats.h>

#include "live.h"
#include "runtime.h"

typedef struct field {
  const char *name;
  size_t offset; /* of a uint64_t in its struct */
} field;

#define FIELD(struct, name)                                                                        \
  { #name, offsetof(struct, name) }

static const field of_runtime[] = {
    FIELD(tnr_stats, submitted),       FIELD(tnr_stats, completed),
    FIELD(tnr_stats, failed),          FIELD(tnr_stats, in_flight),
    FIELD(tnr_stats, wakes),           FIELD(tnr_stats, handles),
    FIELD(tnr_stats, latency_samples), FIELD(tnr_stats, latency_sum_ns),
    FIELD(tnr_stats, latency_p50_ns),  FIELD(tnr_stats, latency_p90_ns),
    FIELD(tnr_stats, latency_p99_ns),  FIELD(tnr_stats, latency_max_ns),
    FIELD(tnr_stats, trace_recorded),  FIELD(tnr_stats, trace_lost),
    FIELD(tnr_stats, trace_forgotten), FIELD(tnr_stats, devices),
};

static const field of_device[] = {
    FIELD(tnr_device_stats, queued),
    FIELD(tnr_device_stats, running),
    FIELD(tnr_device_stats, done),
    FIELD(tnr_device_stats, wakes),
    FIELD(tnr_device_stats, copies),
    FIELD(tnr_device_stats, copied_bytes),
    FIELD(tnr_device_stats, live_bytes),
    FIELD(tnr_device_stats, peak_bytes),
    FIELD(tnr_device_stats, reserved_bytes),
    FIELD(tnr_device_stats, allocations),
    FIELD(tnr_device_stats, reused),
    FIELD(tnr_device_stats, programs),
    FIELD(tnr_device_stats, program_hits),
    FIELD(tnr_device_stats, program_misses),
    FIELD(tnr_device_stats, program_evictions),
};

enum {
  RUNTIME_FIELDS = sizeof of_runtime / sizeof *of_runtime,
  DEVICE_FIELDS = sizeof of_device / sizeof *of_device
};

static uint64_t value_of(const field *field, const void *stats) {
  return *(const uint64_t *)((const char *)stats + field->offset);
}

static void say_device(const tnr_device *device, struct evbuffer *out) {
  tnr_device_stats stats = {.size = sizeof stats};
  if (tnr_stats_read_device(device, &stats) != TNR_OK)
    return;
  evbuffer_add_printf(out, "device %s", device->name);
  for (int i = 0; i < DEVICE_FIELDS; i++)
    evbuffer_add_printf(out, " %s %" PRIu64, of_device[i].name, value_of(&of_device[i], &stats));
  evbuffer_add_printf(out, "\n");
}

/* "latency END COUNT": so many took less than END ns, and not less than the END before. */
static void say_latencies(const tnr_latency *latency, struct evbuffer *out) {
  for (int i = 0; i < TNR_LATENCY_BUCKETS; i++) {
    uint64_t count = atomic_load_explicit(&latency->buckets[i], memory_order_relaxed);
    if (count > 0)
      evbuffer_add_printf(out, "latency %" PRIu64 " %" PRIu64 "\n", tnr_latency_end(i), count);
  }
}

/* ---- the oldest op ---- */

typedef struct oldest {
  tnr_op *op; /* NULL: none */
  bool begun;
  const tnr_device *device;
} oldest;

static void consider(oldest *found, tnr_op *op, bool begun, const tnr_device *device) {
  if (!found->op || tnr_op_since(op) < tnr_op_since(found->op))
    *found = (oldest){op, begun, device};
}

/* Queues are in order: it is at the beginning of one. Looking at more would take time. */
static void look_at_queue(oldest *found, const tnr_lane *lane, int level) {
  const tnr_lane_queue *queue = &lane->queues[level];
  const tnr_ring *ring = &lane->device->worker.queues[level];
  uint32_t first = ring->pushed - queue->in_hand;
  if (queue->in_hand > 0)
    consider(found, tnr_op_item_op((tnr_op_item)ring->slots[first % TNR_RING_SIZE]),
             tnr_ring_has_left(ring, first), lane->device);
  else if (queue->first)
    consider(found, queue->first->op, false, lane->device);
}

/* "oldest NS STATE DEVICE LINE NAME FILE": its age, "running" or "queued", and the call. */
static void say_oldest(const tnr_runtime *runtime, struct evbuffer *out) {
  oldest found = {0};
  for (int i = 0; i < runtime->machine.count; i++)
    for (int level = 0; level < TNR_LEVELS; level++)
      look_at_queue(&found, &runtime->lanes[i], level);
  if (!found.op)
    return;
  int64_t age = tnr_machine_now(&runtime->machine) - tnr_op_since(found.op);
  evbuffer_add_printf(out, "oldest %" PRId64 " %s %s %d %s %s\n", age > 0 ? age : 0,
                      found.begun ? "running" : "queued", found.device->name, found.op->line,
                      found.op->def->name, found.op->file ? found.op->file : "-");
}

void tnr_live_describe(const tnr_runtime *runtime, struct evbuffer *out) {
  tnr_stats stats = {.size = sizeof stats};
  if (tnr_stats_read(runtime, &stats) != TNR_OK)
    return;
  evbuffer_add_printf(out, "pid %d\nversion %s\nnow_ns %" PRId64 "\nrecording %d\n", (int)getpid(),
                      TENOR_VERSION, tnr_machine_now(&runtime->machine),
                      tnr_recorder_is_on(&runtime->recorder));
  for (int i = 0; i < RUNTIME_FIELDS; i++)
    evbuffer_add_printf(out, "%s %" PRIu64 "\n", of_runtime[i].name,
                        value_of(&of_runtime[i], &stats));
  say_device(runtime->machine.host, out);
  for (int i = 0; i < runtime->machine.count; i++)
    say_device(runtime->machine.devices[i], out);
  say_latencies(&runtime->latency, out);
  say_oldest(runtime, out);
  evbuffer_add_printf(out, ".\n");
}
