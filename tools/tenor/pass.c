#include "pass.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "command.h"
#include "device_list.h"

/* Batches in flight on each device: one that runs, others for the device to go on with. */
enum { WINDOW = 4 };

enum { TICK_NS = 100000000 };

int64_t pass_batches(int64_t rows, int64_t batch_rows) {
  return rows / batch_rows + (rows % batch_rows != 0);
}

static int64_t rows_of(const struct pass *pass, int64_t batch) {
  int64_t left = pass->stations[0].work->rows - batch * pass->batch_rows;
  return left < pass->batch_rows ? left : pass->batch_rows;
}

/* ---- blocking ---- */

static tnr_status run_batch(const struct pass *pass, int64_t batch, tnr_fault *fault) {
  struct station *station = &pass->stations[batch % pass->station_count];
  tnr_value results =
      station_submit(station, batch * pass->batch_rows, rows_of(pass, batch), false, fault);
  if (results.kind == TNR_VALUE_NONE)
    return fault->code;
  tnr_status status = gather_take(pass->gather, batch, results, fault);
  tnr_release(results.handle);
  return status;
}

static tnr_status run_blocking(const struct pass *pass, int64_t *held_ns, tnr_fault *fault) {
  tnr_status status = TNR_OK;
  for (int64_t i = 0; status == TNR_OK && i < pass->gather->batches; i++) {
    int64_t start = progress_now();
    status = run_batch(pass, i, fault);
    *held_ns += progress_now() - start;
    progress_show(pass->progress, i * pass->batch_rows + rows_of(pass, i));
  }
  return status;
}

/* ---- async ---- */

struct flight;

/* A batch on its way. */
struct batch {
  struct flight *flight;
  int64_t index;
  int station;
};

struct flight {
  const struct pass *pass; /* immutable after create */
  struct batch *batches;   /* each immutable once it is submitted */
  pthread_mutex_t lock;
  pthread_cond_t landed;          /* a batch has */
  int in_flight[DEVICE_LIST_MAX]; /* guarded by lock; batches on each station */
  int all_in_flight;              /* guarded by lock */
  int64_t rows_done;              /* guarded by lock */
  tnr_fault fault;                /* guarded by lock; the first failure, or its code is TNR_OK */
};

static tnr_status flight_init(struct flight *flight, const struct pass *pass, tnr_fault *fault) {
  *flight = (struct flight){.pass = pass};
  flight->batches = calloc((size_t)pass->gather->batches, sizeof(*flight->batches));
  if (!flight->batches)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %lld batches",
                    (long long)pass->gather->batches);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&flight->landed, &monotonic);
  pthread_condattr_destroy(&monotonic);
  pthread_mutex_init(&flight->lock, NULL);
  return TNR_OK;
}

/* Nothing is in flight any more. */
static void flight_finish(struct flight *flight) {
  pthread_mutex_destroy(&flight->lock);
  pthread_cond_destroy(&flight->landed);
  free(flight->batches);
}

/* With the lock held, which is given up meanwhile: until a batch lands, but not for long, so that
 * the progress goes on. */
static void wait_for_landing(struct flight *flight) {
  int64_t until = progress_now() + TICK_NS;
  const struct timespec limit = {until / 1000000000, until % 1000000000};
  pthread_cond_timedwait(&flight->landed, &flight->lock, &limit);
  int64_t done = flight->rows_done;
  pthread_mutex_unlock(&flight->lock);
  progress_show(flight->pass->progress, done);
  pthread_mutex_lock(&flight->lock);
}

/* With the lock held: the first station from `turn` on that has room, or -1. */
static int find_room(const struct flight *flight, int turn) {
  int count = flight->pass->station_count;
  for (int i = 0; i < count; i++)
    if (flight->in_flight[(turn + i) % count] < WINDOW)
      return (turn + i) % count;
  return -1;
}

/* Waits for a station with room and takes a place there; -1 when the pass has failed. */
static int take_place(struct flight *flight, int turn) {
  pthread_mutex_lock(&flight->lock);
  int station = find_room(flight, turn);
  while (flight->fault.code == TNR_OK && station < 0) {
    wait_for_landing(flight);
    station = find_room(flight, turn);
  }
  if (flight->fault.code != TNR_OK)
    station = -1;
  if (station >= 0) {
    flight->in_flight[station]++;
    flight->all_in_flight++;
  }
  pthread_mutex_unlock(&flight->lock);
  return station;
}

static void land(const struct batch *batch, const tnr_fault *fault) {
  struct flight *flight = batch->flight;
  pthread_mutex_lock(&flight->lock);
  flight->in_flight[batch->station]--;
  flight->all_in_flight--;
  flight->rows_done += rows_of(flight->pass, batch->index);
  if (fault && flight->fault.code == TNR_OK)
    flight->fault = *fault;
  pthread_cond_signal(&flight->landed);
  pthread_mutex_unlock(&flight->lock);
}

/* On the dispatcher: all is complete, so nothing waits. */
static void take_results(tnr_value results, void *user) {
  const struct batch *batch = user;
  tnr_fault fault;
  tnr_status status = gather_take(batch->flight->pass->gather, batch->index, results, &fault);
  land(batch, status == TNR_OK ? NULL : &fault);
}

static void launch(struct flight *flight, int64_t index, int station) {
  const struct pass *pass = flight->pass;
  tnr_fault fault;
  struct batch *batch = &flight->batches[index];
  *batch = (struct batch){flight, index, station};
  tnr_value results = station_submit(&pass->stations[station], index * pass->batch_rows,
                                     rows_of(pass, index), true, &fault);
  tnr_status status = TNR_OK;
  if (results.kind == TNR_VALUE_NONE)
    status = fault.code;
  else if (tnr_on(results, TNR_COMPLETE, take_results, batch) != TNR_OK)
    status = command_take_error(&fault);
  if (status != TNR_OK)
    land(batch, &fault);
  tnr_release(results.handle);
}

static tnr_status await_all(struct flight *flight, tnr_fault *fault) {
  pthread_mutex_lock(&flight->lock);
  while (flight->all_in_flight > 0)
    wait_for_landing(flight);
  *fault = flight->fault;
  pthread_mutex_unlock(&flight->lock);
  return fault->code;
}

static tnr_status run_async(const struct pass *pass, int64_t *held_ns, tnr_fault *fault) {
  struct flight flight;
  tnr_status status = flight_init(&flight, pass, fault);
  if (status != TNR_OK)
    return status;
  for (int64_t i = 0; i < pass->gather->batches; i++) {
    int station = take_place(&flight, (int)(i % pass->station_count));
    if (station < 0)
      break;
    int64_t start = progress_now();
    launch(&flight, i, station);
    *held_ns += progress_now() - start;
  }
  status = await_all(&flight, fault);
  flight_finish(&flight);
  return status;
}

tnr_status pass_run(const struct pass *pass, enum pass_mode mode, struct pass_times *out,
                    tnr_fault *fault) {
  *out = (struct pass_times){0};
  int64_t start = progress_now();
  tnr_status status = mode == PASS_ASYNC ? run_async(pass, &out->held_ns, fault)
                                         : run_blocking(pass, &out->held_ns, fault);
  out->total_ns = progress_now() - start;
  progress_finish(pass->progress);
  return status;
}
