/*
 * libuv.c: uv_queue_work() as a program without a runtime of its own would use it.
 *
 *   libuv chained  an op is queued by the loop, once the ops that it needs have come back to it
 *   libuv fifo     all ops are queued at once on one worker, so that queue order is the dependency
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct request {
  uv_work_t work;
  struct run *run;
  uint32_t op;
  uint32_t missing; /* inputs; loop thread only */
};

struct run {
  struct bench *bench;
  uv_loop_t *loop;
  struct request *requests; /* one an op */
  uint64_t start;           /* ns, of the sample under way */
};

static void execute(uv_work_t *work) {
  struct request *request = work->data;
  bench_execute(request->run->bench, request->op);
}

static void queue(struct run *run, uint32_t op, uv_after_work_cb done) {
  struct request *request = &run->requests[op];
  request->run = run;
  request->op = op;
  request->work.data = request;
  int error = uv_queue_work(run->loop, &request->work, execute, done);
  if (error)
    bench_fail("uv_queue_work: %s", uv_strerror(error));
}

static void ignore_done(uv_work_t *work, int status) {
  (void)work, (void)status;
}

static void queue_dependent(uv_work_t *work, int status) {
  (void)status;
  struct request *request = work->data;
  struct run *run = request->run;
  uint32_t next;
  if (bench_dependent(run->bench, request->op, &next) && --run->requests[next].missing == 0)
    queue(run, next, queue_dependent);
}

static void note_latency(uv_work_t *work, int status) {
  (void)status;
  struct request *request = work->data;
  bench_latency(request->run->bench, request->op, bench_now() - request->run->start);
}

static void run_loop(struct run *run) {
  uv_run(run->loop, UV_RUN_DEFAULT);
}

/* The pool reads its size from the environment when the first work is queued. */
static struct run start(struct bench *bench) {
  char workers[12];
  snprintf(workers, sizeof workers, "%d", bench->devices);
  setenv("UV_THREADPOOL_SIZE", workers, 1);
  return (struct run){.bench = bench,
                      .loop = uv_default_loop(),
                      .requests = bench_alloc(bench->ops, sizeof(struct request))};
}

static void stop(struct run *run) {
  uv_loop_close(run->loop);
  free(run->requests);
}

static void queue_those_without_inputs(struct run *run) {
  uint32_t inputs[2];
  for (uint32_t op = 0; op < run->bench->ops; op++)
    run->requests[op].missing = (uint32_t)bench_inputs(run->bench, op, inputs);
  for (uint32_t op = 0; op < run->bench->ops && run->requests[op].missing == 0; op++)
    queue(run, op, queue_dependent);
}

static void run_chained(struct bench *bench) {
  struct run run = start(bench);
  while (bench_round(bench)) {
    bench_begin(bench);
    queue_those_without_inputs(&run);
    bench_submitted(bench);
    run_loop(&run);
    bench_end(bench);
  }
  stop(&run);
}

static void run_fifo(struct bench *bench) {
  struct run run = start(bench);
  while (bench_round(bench)) {
    bench_begin(bench);
    for (uint32_t op = 0; op < bench->ops; op++)
      queue(&run, op, ignore_done);
    bench_submitted(bench);
    run_loop(&run);
    bench_end(bench);
  }
  stop(&run);
}

static void run_latency(struct bench *bench) {
  struct run run = start(bench);
  uint32_t op;
  while (bench_sample(bench, &op)) {
    run.start = bench_now();
    queue(&run, op, note_latency);
    run_loop(&run);
  }
  stop(&run);
}

#define CHAINED BENCH_WAKES | BENCH_ALLOCATIONS
#define FIFO    BENCH_SUBMIT | BENCH_WAKES | BENCH_ALLOCATIONS
static const char no_placement[] = "the pool's workers are not told apart";
static const char loop_is_wait[] = "running the loop is the only wait there is, see W6";

static const struct bench_case cases[] = {
    {"libuv chained", "W1", run_chained, CHAINED, 0, NULL},
    {"libuv chained", "W2", NULL, 0, 0, "nothing to chain, see libuv fifo"},
    {"libuv chained", "W3", NULL, 0, 0, no_placement},
    {"libuv chained", "W4", run_chained, CHAINED, 0, NULL},
    {"libuv chained", "W4x2", run_chained, CHAINED, 0, NULL},
    {"libuv chained", "W5", NULL, 0, 0, "an op is queued only once its inputs are there"},
    {"libuv chained", "W6", run_latency, CHAINED, 0, NULL},
    {"libuv chained", "W6wait", NULL, 0, 0, loop_is_wait},
    {"libuv fifo", "W1", run_fifo, FIFO, 0, NULL},
    {"libuv fifo", "W2", run_fifo, FIFO, 0, NULL},
    {"libuv fifo", "W3", NULL, 0, 0, no_placement},
    {"libuv fifo", "W4", run_fifo, FIFO, 0, NULL},
    {"libuv fifo", "W4x2", NULL, 0, 0, "with two workers queue order is not a dependency"},
    {"libuv fifo", "W5", run_fifo, FIFO, 0, NULL},
    {"libuv fifo", "W6", NULL, 0, 0, "the same as libuv chained"},
    {"libuv fifo", "W6wait", NULL, 0, 0, loop_is_wait},
    {0},
};

int main(int argc, char **argv) {
  return bench_main(argc, argv, cases);
}
