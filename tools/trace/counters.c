#include "counters.h"

#include "rows.h"

/* ---- samples ---- */

static const struct {
  uint32_t id;
  const char *name, *unit;
} sampled[] = {
    {TNR_TRACE_MEMORY, "memory", "bytes"},
    {TNR_TRACE_RESERVED, "reserved", "bytes"},
    {TNR_TRACE_HANDLES, "handles", "blocks"},
};

static void put_samples(const struct trace_recording *recording, uint32_t id, uint32_t of,
                        const struct trace_counter *counter,
                        const struct trace_counter_sink *sink) {
  bool begun = false;
  for (size_t i = 0; i < recording->samples.count; i++) {
    const struct trace_sample *sample = &recording->samples.at[i];
    if (sample->counter != id || sample->of != of)
      continue;
    if (!begun)
      sink->begin(counter, sink->user);
    begun = true;
    sink->point(sample->time, (double)sample->value, sink->user);
  }
}

static void put_cpu(const struct trace_recording *recording, uint32_t lane,
                    const struct trace_counter_sink *sink) {
  const struct trace_counter counter = {"cpu", "%", TRACE_NONE, lane};
  const struct trace_sample *last = NULL;
  bool begun = false;
  for (size_t i = 0; i < recording->samples.count; i++) {
    const struct trace_sample *sample = &recording->samples.at[i];
    if (sample->counter != TNR_TRACE_CPU_TIME || sample->of != lane)
      continue;
    if (last && sample->time > last->time && sample->value >= last->value) {
      if (!begun)
        sink->begin(&counter, sink->user);
      begun = true;
      sink->point(sample->time,
                  100.0 * (double)(sample->value - last->value) /
                      (double)(sample->time - last->time),
                  sink->user);
    }
    last = sample;
  }
}

/* ---- ops ---- */

/* What adds one at some times, and takes it away at others. */
struct level {
  int64_t *up, *down;
  size_t ups, downs;
};

static int compare_times(const void *left, const void *right, void *user) {
  (void)user;
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

/* False: no room. */
static bool put_level(struct level *level, int64_t apart, const struct trace_counter *counter,
                      const struct trace_counter_sink *sink) {
  size_t up = 0, down = 0;
  int64_t next = TRACE_NEVER;
  if (level->ups == 0)
    return true;
  if (!rows_sort(level->up, level->ups, sizeof *level->up, compare_times, NULL) ||
      !rows_sort(level->down, level->downs, sizeof *level->down, compare_times, NULL))
    return false;
  sink->begin(counter, sink->user);
  while (up < level->ups || down < level->downs) {
    bool rises = down == level->downs || (up < level->ups && level->up[up] <= level->down[down]);
    int64_t time = rises ? level->up[up] : level->down[down];
    while (up < level->ups && level->up[up] == time)
      up++;
    while (down < level->downs && level->down[down] == time)
      down++;
    bool last = up == level->ups && down == level->downs;
    if (time < next && !last)
      continue;
    sink->point(time, up > down ? (double)(up - down) : 0, sink->user);
    next = time + apart;
  }
  return true;
}

static void add(int64_t *times, size_t *count, int64_t time) {
  if (time != TRACE_NEVER)
    times[(*count)++] = time;
}

static bool put_in_flight(const struct trace_recording *recording, int64_t apart,
                          struct level *level, const struct trace_counter_sink *sink) {
  const struct trace_counter counter = {"in flight", "ops", TRACE_NONE, TRACE_NONE};
  level->ups = level->downs = 0;
  for (size_t i = 0; i < recording->ops.count; i++) {
    const struct trace_op *op = &recording->ops.at[i];
    if (op->kind != TNR_TRACE_OP || op->submitted == TRACE_NEVER)
      continue;
    add(level->up, &level->ups, op->submitted);
    add(level->down, &level->downs, op->completed);
  }
  return put_level(level, apart, &counter, sink);
}

/* `queued`: from the launch to the beginning; else from there to the end. */
static bool put_device(const struct trace_recording *recording, uint32_t device, bool queued,
                       int64_t apart, struct level *level, const struct trace_counter_sink *sink) {
  const struct trace_counter counter = {queued ? "queued" : "running", "ops", device, TRACE_NONE};
  level->ups = level->downs = 0;
  for (size_t i = 0; i < recording->runs.count; i++) {
    const struct trace_run *run = &recording->runs.at[i];
    int64_t from = queued ? run->launched : run->began;
    if (run->device != device || from == TRACE_NEVER)
      continue;
    add(level->up, &level->ups, from);
    add(level->down, &level->downs, queued ? run->began : run->ended);
  }
  return put_level(level, apart, &counter, sink);
}

/* ---- all of them ---- */

static void put_sampled(const struct trace_recording *recording,
                        const struct trace_counter_sink *sink) {
  for (size_t i = 0; i < sizeof sampled / sizeof *sampled; i++) {
    struct trace_counter counter = {sampled[i].name, sampled[i].unit, TRACE_NONE, TRACE_NONE};
    put_samples(recording, sampled[i].id, TRACE_NONE, &counter, sink);
    for (uint32_t of = 0; of < recording->file.devices; of++) {
      counter.device = of;
      put_samples(recording, sampled[i].id, of, &counter, sink);
    }
  }
  for (uint32_t lane = 0; lane < recording->lanes.count && recording->samples.count > 0; lane++)
    put_cpu(recording, lane, sink);
}

tnr_status trace_counters(const struct trace_recording *recording, int64_t points,
                          const struct trace_counter_sink *sink, tnr_fault *fault) {
  size_t most =
      recording->ops.count > recording->runs.count ? recording->ops.count : recording->runs.count;
  int64_t apart = recording->last > 0 && points > 0 ? recording->last / points : 0;
  struct level level = {.up = spill_resize(NULL, (most + 1) * sizeof *level.up),
                        .down = spill_resize(NULL, (most + 1) * sizeof *level.down)};
  bool done = level.up && level.down;
  if (done) {
    put_sampled(recording, sink);
    done = put_in_flight(recording, apart, &level, sink);
  }
  for (uint32_t device = 0; done && device < recording->file.devices; device++)
    done = put_device(recording, device, true, apart, &level, sink) &&
           put_device(recording, device, false, apart, &level, sink);
  tnr_status status = done ? TNR_OK : spill_fail(fault, "counters");
  spill_free(level.up);
  spill_free(level.down);
  return status;
}
