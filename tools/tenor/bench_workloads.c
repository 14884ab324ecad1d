#include "bench_workloads.h"

#include "bench.h"
#include "bench_meter.h"
#include "watch.h"

#include <math.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

enum {
  REST_US = 200,        /* before each op whose latency is taken */
  SETTLE_US = 50000,    /* for what other threads still do with ops that were submitted */
  COUNTED_TRIES = 1000, /* at REST_US each */
  WARM_UPS = 3,         /* how far a caller gets ahead differs from one to the next, and so does the
                         * memory that is taken for it */
};

static void rest(long us) {
  struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
  nanosleep(&time, NULL);
}

static tnr_future *checked(tnr_future *future) {
  if (future == NULL)
    bench_die_of_error("an op was refused");
  return future;
}

/* --- graphs ----------------------------------------------------------------------------------- */

static tnr_future *async_input(tnr_tensor *tensor) {
  return checked(tnr_to_async(tensor));
}

/* Each result is given back as soon as the op that uses it is submitted. */
static tnr_future *relu_of(tnr_future *x) {
  tnr_future *y = checked(tnr_relu(x));
  tnr_release(x);
  return y;
}

static tnr_future *submit_chain(tnr_tensor *const *inputs, long ops, long *out) {
  tnr_future *x = async_input(inputs[0]);
  for (long i = 0; i < ops; i++)
    x = relu_of(x);
  *out = ops;
  return x;
}

static tnr_future *submit_independent(tnr_tensor *const *inputs, long ops, long *out) {
  tnr_future *x = async_input(inputs[0]);
  for (long i = 0; i < ops; i++)
    tnr_release(checked(tnr_relu(x)));
  tnr_release(x);
  *out = ops;
  return NULL;
}

static tnr_device *device_of(tnr_tensor *tensor) {
  return tnr_mesh_device(tnr_tensor_mesh(tensor), 0);
}

static tnr_future *moved(tnr_future *x, tnr_device *device) {
  tnr_future *y = checked(tnr_to_device(x, device));
  tnr_release(x);
  return y;
}

/* The tensor goes to and fro: every op is a copy to the device that the op before it left. */
static tnr_future *submit_hops(tnr_tensor *const *inputs, long ops, long *out) {
  tnr_device *const devices[2] = {device_of(inputs[0]), device_of(inputs[1])};
  tnr_future *x = async_input(inputs[0]);
  for (long i = 0; i < ops; i++)
    x = moved(x, devices[(i + 1) % 2]);
  *out = ops;
  return x;
}

static tnr_future *sum_of(tnr_future *a, tnr_future *b) {
  tnr_future *sum = checked(tnr_add(a, b));
  tnr_release(a);
  tnr_release(b);
  return sum;
}

static long power_of_two_up_to(long limit) {
  long power = 2;
  while (power * 2 <= limit)
    power *= 2;
  return power;
}

/* Leaves are ops too. Level by level; one half on each device when there are two. */
static tnr_future *submit_tree(tnr_tensor *const *inputs, long ops, long *out) {
  long width = power_of_two_up_to((ops + 1) / 2);
  tnr_future **level = malloc((size_t)width * sizeof *level);
  if (level == NULL)
    bench_die("out of memory");
  *out = 2 * width - 1;
  tnr_future *x[2] = {async_input(inputs[0]), async_input(inputs[1])};
  for (long i = 0; i < width; i++)
    level[i] = checked(tnr_relu(x[i >= width / 2]));
  for (; width > 2; width /= 2)
    for (long i = 0; i < width / 2; i++)
      level[i] = sum_of(level[2 * i], level[2 * i + 1]);
  if (device_of(inputs[1]) != device_of(inputs[0])) {
    level[1] = moved(level[1], device_of(inputs[0]));
    ++*out;
  }
  tnr_future *root = sum_of(level[0], level[1]);
  tnr_release(x[0]);
  tnr_release(x[1]);
  free(level);
  return root;
}

static tnr_future *submit_gated_chain(tnr_tensor *const *inputs, long ops, long *out) {
  tnr_future *x = async_input(inputs[0]);
  tnr_future *blocked = checked(TNR_ONE(tnr_call(&gate_op, TNR_HERE, TNR_INPUTS(x), 1, NULL), x));
  tnr_release(x);
  for (long i = 1; i < ops; i++)
    blocked = relu_of(blocked);
  *out = ops;
  return blocked;
}

/* --- latency ---------------------------------------------------------------------------------- */

struct arrival {
  sem_t seen;
  uint64_t when; /* dispatcher only, before `seen` is posted */
};

static void arrive(tnr_value future, void *user) {
  (void)future;
  struct arrival *arrival = user;
  arrival->when = meter_now();
  sem_post(&arrival->seen);
}

static uint64_t sample_callback(tnr_tensor *input) {
  struct arrival arrival;
  sem_init(&arrival.seen, 0, 0);
  tnr_future *x = async_input(input);
  uint64_t begin = meter_now();
  tnr_future *y = checked(tnr_relu(x));
  if (tnr_on(y, TNR_COMPLETE, arrive, &arrival) != TNR_OK)
    bench_die_of_error("the callback was refused");
  while (sem_wait(&arrival.seen) != 0) {
  }
  tnr_release(y);
  tnr_release(x);
  sem_destroy(&arrival.seen);
  return arrival.when - begin;
}

static uint64_t sample_get(tnr_tensor *input) {
  tnr_future *x = async_input(input);
  uint64_t begin = meter_now();
  tnr_future *y = checked(tnr_relu(x));
  tnr_tensor *tensor = tnr_get(y);
  uint64_t end = meter_now();
  if (tensor == NULL)
    bench_die_of_error("an op failed");
  tnr_release(tensor);
  tnr_release(y);
  tnr_release(x);
  return end - begin;
}

const struct workload workloads[] = {
    {"W1", "a chain of dependent ops on one device", 100000, 1, PLAIN, submit_chain, NULL},
    {"W2", "independent ops on one device", 100000, 1, PLAIN, submit_independent, NULL},
    {"W3", "a chain that alternates between two devices: each op copies to the other", 10000, 2,
     PLAIN, submit_hops, NULL},
    {"W3wait", "the same, where a worker itself waits for the other device's op", 10000, 2,
     WORKER_WAITS, submit_hops, NULL},
    {"W4", "a binary reduction tree on one device, leaves included", 131071, 1, PLAIN, submit_tree,
     NULL},
    {"W4x2", "the same, half of it on each of two devices", 131071, 2, PLAIN, submit_tree, NULL},
    {"W5", "memory of a chain behind a blocked first op", 1000000, 1, GATED, submit_gated_chain,
     NULL},
    {"W6", "one op from idle, submit to callback", 10000, 1, PLAIN, NULL, sample_callback},
    {"W6wait", "one op from idle, submit to the return of tnr_get", 10000, 1, PLAIN, NULL,
     sample_get},
    {0},
};

/* --- measuring -------------------------------------------------------------------------------- */

struct stage {
  tnr_runtime *runtime;
  tnr_tensor *inputs[2]; /* the same twice on one device */
  struct gate *gate;
};

static tnr_tensor *input_on(tnr_device *device) {
  const float data[4] = {-1, 0, 1, 2};
  tnr_tensor *tensor = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(4), data);
  if (tensor == NULL)
    bench_die_of_error("cannot make a tensor");
  return tensor;
}

static struct stage stage_create(const struct run *run) {
  int devices = run->workload->devices;
  struct stage stage = {.gate = run->workload->setting == GATED ? gate_create() : NULL};
  const tnr_device_config config = {
      .driver = stage.gate != NULL ? gate_driver() : tnr_null_driver(),
      .count = devices,
      .config = stage.gate,
  };
  const tnr_runtime_options options = {.devices = &config,
                                       .device_configs = 1,
                                       .spin_ns = run->spin_ns,
                                       .worker_waits = run->workload->setting == WORKER_WAITS};
  stage.runtime = tnr_runtime_create(&options);
  if (stage.runtime == NULL)
    bench_die_of_error("cannot make a runtime");
  watch_begin(stage.runtime);
  for (int i = 0; i < 2; i++)
    stage.inputs[i] = input_on(tnr_runtime_device_at(stage.runtime, i % devices));
  return stage;
}

static void stage_destroy(struct stage *stage) {
  tnr_release(stage->inputs[0]);
  tnr_release(stage->inputs[1]);
  watch_end();
  if (tnr_runtime_destroy(stage->runtime, TNR_DRAIN) != TNR_OK)
    bench_die_of_error("cannot close the runtime");
  gate_destroy(stage->gate);
}

/* The counters may be a moment behind what a waiting thread has been told. */
static void check_count(const struct stage *stage, uint64_t before, long ops) {
  tnr_runtime_stats stats = tnr_runtime_get_stats(stage->runtime);
  for (int i = 0; i < COUNTED_TRIES && stats.completed < before + (uint64_t)ops; i++) {
    rest(REST_US);
    stats = tnr_runtime_get_stats(stage->runtime);
  }
  if (stats.failed != 0)
    bench_die("%llu ops failed", (unsigned long long)stats.failed);
  if (stats.completed != before + (uint64_t)ops || stats.submitted != stats.completed)
    bench_die("%llu ops ran instead of %ld", (unsigned long long)(stats.completed - before), ops);
}

static void wait_for(const struct stage *stage, tnr_future *last) {
  tnr_status status = last != NULL ? tnr_wait(last, TNR_COMPLETE, INT64_MAX)
                                   : tnr_synchronize_device(device_of(stage->inputs[0]));
  if (status != TNR_OK)
    bench_die_of_error("an op failed");
  tnr_release(last);
}

static double per_op(uint64_t from, uint64_t to, long ops) {
  /* The resident set may shrink by a page or two. */
  return to > from ? (double)(to - from) / (double)ops : 0;
}

static void fill_counts(const struct reading *begin, const struct reading *end, uint64_t wakes,
                        long ops, double *values) {
  values[CPU] = per_op(begin->process_cpu, end->process_cpu, ops);
  values[CONTEXT_SWITCHES] = per_op(begin->switches, end->switches, ops);
  values[WAKES] = (double)wakes / (double)ops;
  values[ALLOCATIONS] =
      allocations_count() ? per_op(begin->allocations, end->allocations, ops) : NAN;
}

static void run_round(const struct stage *stage, const struct run *run, double *values) {
  tnr_runtime_stats stats = tnr_runtime_get_stats(stage->runtime);
  long ops;
  struct reading begin = meter_read();
  tnr_future *last = run->workload->submit(stage->inputs, run->ops, &ops);
  struct reading submitted = meter_read();
  wait_for(stage, last);
  struct reading end = meter_read();
  uint64_t wakes = tnr_runtime_get_stats(stage->runtime).wakes - stats.wakes;
  check_count(stage, stats.completed, ops);
  values[OPS] = (double)ops;
  values[END_TO_END] = per_op(begin.wall, end.wall, ops);
  values[SUBMIT] = per_op(begin.thread_cpu, submitted.thread_cpu, ops);
  fill_counts(&begin, &end, wakes, ops, values);
  values[PEAK_BYTES] = (double)meter_peak_bytes();
}

static void run_gated(const struct stage *stage, const struct run *run, double *values) {
  long ops;
  uint64_t before = meter_resident_bytes();
  tnr_future *last = run->workload->submit(stage->inputs, run->ops, &ops);
  rest(SETTLE_US);
  uint64_t queued = meter_resident_bytes();
  if (before == 0 || tnr_runtime_get_stats(stage->runtime).completed != 0)
    bench_die("the first op did not hold the others up");
  gate_open(stage->gate);
  wait_for(stage, last);
  check_count(stage, 0, ops);
  values[OPS] = (double)ops;
  values[BYTES_IN_FLIGHT] = per_op(before, queued, ops);
}

static int compare_ns(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

static void run_samples(const struct stage *stage, const struct run *run, double *values) {
  uint64_t *samples = calloc((size_t)run->ops, sizeof *samples);
  if (samples == NULL)
    bench_die("out of memory");
  struct reading begin = meter_read();
  for (long i = 0; i < run->ops; i++) {
    rest(REST_US);
    samples[i] = run->workload->sample(stage->inputs[0]);
  }
  struct reading end = meter_read();
  fill_counts(&begin, &end, tnr_runtime_get_stats(stage->runtime).wakes, run->ops, values);
  check_count(stage, 0, run->ops);
  values[OPS] = (double)run->ops;
  qsort(samples, (size_t)run->ops, sizeof *samples, compare_ns);
  values[P50] = (double)samples[run->ops / 2];
  values[P99] = (double)samples[run->ops * 99 / 100];
  free(samples);
}

void workload_measure(const void *argument, double values[VALUES]) {
  const struct run *run = argument;
  allocations_count();
  struct stage stage = stage_create(run);
  if (run->workload->sample != NULL) {
    run_samples(&stage, run, values);
  } else if (run->workload->setting == GATED) {
    run_gated(&stage, run, values);
  } else {
    for (int i = 0; i < WARM_UPS; i++)
      run_round(&stage, run, values);
    meter_name_round(true);
    run_round(&stage, run, values);
    meter_name_round(false);
  }
  stage_destroy(&stage);
}
