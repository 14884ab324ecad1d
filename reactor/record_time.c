#include <time.h>

#include "record.h"
#include "recording.h"

enum { SAMPLE_NS = 10000000 }; /* between looks at the counters */

/* ---- the dispatcher's time ---- */

void tnr_recording_batch(tnr_runtime *runtime) {
  tnr_tape *tape = tnr_dispatcher_tape(&runtime->recorder);
  if (tape) {
    tnr_tape_look_after(tape, &runtime->recorder.ticker);
    tape->unlooked = 0;
  }
}

static void put_counter(tnr_tape *tape, tnr_trace_counter_id id, uint32_t device, uint64_t value) {
  enum { WORDS = sizeof(tnr_trace_counter) / 8 };
  tnr_tape_make_room(tape, sizeof(tnr_trace_counter));
  tnr_trace_counter *record = tnr_tape_begin(tape, TNR_TRACE_COUNTER, 0, WORDS);
  record->counter = id;
  record->device = device;
  record->value = value;
  tnr_tape_end(tape, WORDS);
}

static void sample_memory(tnr_tape *tape, const tnr_device *device) {
  uint32_t index = tnr_recorded_device(device);
  tnr_memory_stats stats = tnr_device_memory(device);
  put_counter(tape, TNR_TRACE_MEMORY, index, stats.live_bytes);
  put_counter(tape, TNR_TRACE_RESERVED, index, stats.reserved_bytes);
}

/* The clock of any thread of the process, by its number: clock_getcpuclockid wants processes, and
 * pthread_getcpuclockid threads that still live. */
static bool cpu_time_of(uint32_t tid, uint64_t *ns) {
  enum { PER_THREAD = 4, SCHEDULED = 2 };
  struct timespec time;
  clockid_t id = (clockid_t)(~tid << 3 | PER_THREAD | SCHEDULED);
  if (!tid || clock_gettime(id, &time) != 0)
    return false;
  *ns = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
  return true;
}

static void sample(tnr_runtime *runtime, tnr_tape *tape) {
  tnr_recorder *recorder = &runtime->recorder;
  uint64_t ns;
  for (int i = 0; i < runtime->machine.count; i++)
    sample_memory(tape, runtime->machine.devices[i]);
  sample_memory(tape, runtime->machine.host);
  put_counter(tape, TNR_TRACE_HANDLES, TNR_TRACE_NO_DEVICE,
              tnr_pool_live_blocks(&runtime->machine.objects));
  for (int i = 0; i < recorder->tape_count && !recorder->ticker.made; i++) {
    uint32_t tid = atomic_load_explicit(&recorder->tapes[i].owner, memory_order_relaxed);
    if (cpu_time_of(tid, &ns))
      put_counter(tape, TNR_TRACE_CPU_TIME, (uint32_t)i, ns);
  }
}

void tnr_recording_turn(tnr_runtime *runtime) {
  tnr_recorder *recorder = &runtime->recorder;
  tnr_tape *tape = tnr_tape_here(recorder);
  if (!tape || tape->now < tape->next_sample)
    return;
  tnr_tape_look(tape, &recorder->ticker);
  tape->next_sample = tape->now + tnr_ticker_from_ns(&recorder->ticker, SAMPLE_NS);
  sample(runtime, tape);
}

/* ---- what takes time ---- */

/* Never 0. */
uint64_t tnr_recording_now(tnr_runtime *runtime) {
  tnr_tape *tape = tnr_tape_here(&runtime->recorder);
  if (!tape)
    return 0;
  tnr_tape_look(tape, &runtime->recorder.ticker);
  return tape->now ? tape->now : 1;
}

void tnr_recording_wait(tnr_runtime *runtime, uint32_t number, tnr_trace_why why, uint64_t since) {
  tnr_put_span(&runtime->recorder, TNR_TRACE_WAIT, number, why, since);
}

void tnr_recording_rest(tnr_runtime *runtime, tnr_trace_why why, uint64_t since) {
  tnr_put_span(&runtime->recorder, TNR_TRACE_REST, 0, why, since);
}

void tnr_recording_wake(tnr_runtime *runtime, const tnr_device *device) {
  tnr_tape *tape = tnr_tape_here(&runtime->recorder);
  if (!tape)
    return;
  tnr_tape_look(tape, &runtime->recorder.ticker);
  tnr_put_short(tape, TNR_TRACE_WAKE, 0, device ? (unsigned)device->index : TNR_TRACE_NO_DEVICE, 0);
}
