/*
 * blocking.c: the scheme in which every step waits on a promise.
 *
 * One dispatcher thread, one worker a device, queues of a mutex and a condition variable. The
 * dispatcher hands a worker an op's creation, waits for its promise, hands it the execution,
 * waits for that promise, and only then turns to the next op. The user chains ops by waiting for
 * the promise of each input before submitting.
 */
#include "bench.h"

#include <pthread.h>
#include <stdlib.h>

struct promise {
  pthread_mutex_t mutex;
  pthread_cond_t fulfilled;
  bool done; /* guarded by mutex */
};

enum stage { CREATE, EXECUTE, STOP };

struct task {
  struct task *next; /* guarded by the queue's mutex */
  enum stage stage;
  uint32_t op;
  struct promise *promise; /* fulfilled once the task has run */
};

struct queue {
  pthread_mutex_t mutex;
  pthread_cond_t filled;
  struct task *first, **last; /* guarded by mutex */
};

struct worker {
  struct scheme *scheme;
  pthread_t thread;
  struct queue queue; /* dispatcher → worker */
};

struct scheme {
  struct bench *bench;
  pthread_t thread;
  struct queue queue; /* user → dispatcher */
  struct worker workers[2];
  struct promise *promises; /* one an op */
  void **outputs;           /* one an op; the worker that creates it only */
};

static void promise_init(struct promise *promise) {
  pthread_mutex_init(&promise->mutex, NULL);
  pthread_cond_init(&promise->fulfilled, NULL);
  promise->done = false;
}

static void promise_finish(struct promise *promise) {
  pthread_cond_destroy(&promise->fulfilled);
  pthread_mutex_destroy(&promise->mutex);
}

static void promise_fulfil(struct promise *promise) {
  pthread_mutex_lock(&promise->mutex);
  promise->done = true;
  pthread_cond_broadcast(&promise->fulfilled);
  pthread_mutex_unlock(&promise->mutex);
}

static void promise_wait(struct promise *promise) {
  pthread_mutex_lock(&promise->mutex);
  while (!promise->done)
    pthread_cond_wait(&promise->fulfilled, &promise->mutex);
  pthread_mutex_unlock(&promise->mutex);
}

static void queue_init(struct queue *queue) {
  pthread_mutex_init(&queue->mutex, NULL);
  pthread_cond_init(&queue->filled, NULL);
  queue->first = NULL;
  queue->last = &queue->first;
}

static void queue_finish(struct queue *queue) {
  pthread_cond_destroy(&queue->filled);
  pthread_mutex_destroy(&queue->mutex);
}

static void queue_push(struct queue *queue, enum stage stage, uint32_t op,
                       struct promise *promise) {
  struct task *task = bench_alloc(1, sizeof *task);
  *task = (struct task){.stage = stage, .op = op, .promise = promise};
  pthread_mutex_lock(&queue->mutex);
  *queue->last = task;
  queue->last = &task->next;
  pthread_cond_signal(&queue->filled);
  pthread_mutex_unlock(&queue->mutex);
}

static struct task queue_pop(struct queue *queue) {
  pthread_mutex_lock(&queue->mutex);
  while (!queue->first)
    pthread_cond_wait(&queue->filled, &queue->mutex);
  struct task *task = queue->first;
  queue->first = task->next;
  if (!queue->first)
    queue->last = &queue->first;
  pthread_mutex_unlock(&queue->mutex);
  struct task popped = *task;
  free(task);
  return popped;
}

static void worker_run(struct worker *worker, struct task task) {
  struct scheme *scheme = worker->scheme;
  if (task.stage == CREATE) {
    scheme->outputs[task.op] = bench_alloc(1, 64);
  } else {
    bench_execute(scheme->bench, task.op);
    free(scheme->outputs[task.op]);
  }
  promise_fulfil(task.promise);
}

static void *worker_main(void *argument) {
  struct worker *worker = argument;
  for (;;) {
    struct task task = queue_pop(&worker->queue);
    if (task.stage == STOP)
      return NULL;
    worker_run(worker, task);
  }
}

static void run_stage(struct worker *worker, enum stage stage, uint32_t op) {
  struct promise promise;
  promise_init(&promise);
  queue_push(&worker->queue, stage, op, &promise);
  promise_wait(&promise);
  promise_finish(&promise);
}

static void *dispatcher_main(void *argument) {
  struct scheme *scheme = argument;
  for (;;) {
    struct task task = queue_pop(&scheme->queue);
    if (task.stage == STOP)
      return NULL;
    struct worker *worker = &scheme->workers[bench_device(scheme->bench, task.op)];
    run_stage(worker, CREATE, task.op);
    run_stage(worker, EXECUTE, task.op);
    promise_fulfil(task.promise);
  }
}

static void start_thread(pthread_t *out, void *(*main)(void *), void *argument) {
  if (pthread_create(out, NULL, main, argument) != 0)
    bench_fail("cannot start a thread");
}

static void start(struct scheme *scheme, struct bench *bench) {
  scheme->bench = bench;
  scheme->promises = bench_alloc(bench->ops, sizeof *scheme->promises);
  scheme->outputs = bench_alloc(bench->ops, sizeof *scheme->outputs);
  queue_init(&scheme->queue);
  for (int i = 0; i < bench->devices; i++) {
    scheme->workers[i].scheme = scheme;
    queue_init(&scheme->workers[i].queue);
    start_thread(&scheme->workers[i].thread, worker_main, &scheme->workers[i]);
  }
  start_thread(&scheme->thread, dispatcher_main, scheme);
}

static void stop(struct scheme *scheme) {
  queue_push(&scheme->queue, STOP, 0, NULL);
  pthread_join(scheme->thread, NULL);
  queue_finish(&scheme->queue);
  for (int i = 0; i < scheme->bench->devices; i++) {
    queue_push(&scheme->workers[i].queue, STOP, 0, NULL);
    pthread_join(scheme->workers[i].thread, NULL);
    queue_finish(&scheme->workers[i].queue);
  }
  free(scheme->outputs);
  free(scheme->promises);
}

static void submit(struct scheme *scheme, uint32_t op) {
  uint32_t inputs[2];
  int count = bench_inputs(scheme->bench, op, inputs);
  for (int i = 0; i < count; i++)
    promise_wait(&scheme->promises[inputs[i]]);
  promise_init(&scheme->promises[op]);
  queue_push(&scheme->queue, CREATE, op, &scheme->promises[op]);
}

static void run_graph(struct bench *bench) {
  struct scheme scheme;
  start(&scheme, bench);
  while (bench_round(bench)) {
    bench_begin(bench);
    for (uint32_t op = 0; op < bench->ops; op++)
      submit(&scheme, op);
    bench_submitted(bench);
    for (uint32_t op = 0; op < bench->ops; op++)
      promise_wait(&scheme.promises[op]);
    bench_end(bench);
    for (uint32_t op = 0; op < bench->ops; op++)
      promise_finish(&scheme.promises[op]);
  }
  stop(&scheme);
}

static void run_latency(struct bench *bench) {
  struct scheme scheme;
  uint32_t op;
  start(&scheme, bench);
  while (bench_sample(bench, &op)) {
    uint64_t begin = bench_now();
    submit(&scheme, op);
    promise_wait(&scheme.promises[op]);
    bench_latency(bench, op, bench_now() - begin);
    promise_finish(&scheme.promises[op]);
  }
  stop(&scheme);
}

#define COUNTS BENCH_SUBMIT | BENCH_ALLOCATIONS

/* A tenth of the ops: the cost of an op does not depend on their number, and it is high. */
static const struct bench_case cases[] = {
    {"blocking", "W1", run_graph, COUNTS, 10, NULL},
    {"blocking", "W2", run_graph, COUNTS, 10, NULL},
    {"blocking", "W3", run_graph, COUNTS, 4, NULL},
    {"blocking", "W4", run_graph, COUNTS, 10, NULL},
    {"blocking", "W4x2", run_graph, COUNTS, 10, NULL},
    {"blocking", "W5", NULL, 0, 0, "the user waits for an input before submitting the next op"},
    {"blocking", "W6", NULL, 0, 0, "it has no callbacks"},
    {"blocking", "W6wait", run_latency, BENCH_ALLOCATIONS, 0, NULL},
    {0},
};

int main(int argc, char **argv) {
  return bench_main(argc, argv, cases);
}
