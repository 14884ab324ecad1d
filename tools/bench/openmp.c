/*
 * openmp.c: GNU OpenMP tasks with depend clauses.
 *
 * The team has one thread more than there are devices: the one that creates the tasks. It helps
 * to run them at the taskwait, and whenever more than 64 a thread are waiting.
 */
#include "bench.h"

#include <omp.h>
#include <semaphore.h>
#include <stdlib.h>

/* A depend clause names storage; one byte stands for each op's output. */
static void create_task(struct bench *bench, uint32_t op, char *outputs) {
  uint32_t inputs[2];
  int count = bench_inputs(bench, op, inputs);
  char *out = &outputs[op];
  (void)out;
  if (count == 0) {
#pragma omp task depend(out : out[0])
    bench_execute(bench, op);
    return;
  }
  char *first = &outputs[inputs[0]], *second = &outputs[inputs[count - 1]];
  (void)first, (void)second;
  if (count == 1) {
#pragma omp task depend(in : first[0]) depend(out : out[0])
    bench_execute(bench, op);
  } else {
#pragma omp task depend(in : first[0], second[0]) depend(out : out[0])
    bench_execute(bench, op);
  }
}

static void run_rounds(struct bench *bench, char *outputs) {
  while (bench_round(bench)) {
    bench_begin(bench);
    for (uint32_t op = 0; op < bench->ops; op++)
      create_task(bench, op, outputs);
    bench_submitted(bench);
#pragma omp taskwait
    bench_end(bench);
  }
}

static void run_graph(struct bench *bench) {
  char *outputs = bench_alloc(bench->ops, 1);
#pragma omp parallel num_threads(bench->devices + 1)
#pragma omp single
  run_rounds(bench, outputs);
  free(outputs);
}

static void take_samples(struct bench *bench, sem_t *done) {
  uint32_t op;
  char output = 0;
  (void)output;
  while (bench_sample(bench, &op)) {
    uint64_t start = bench_now();
#pragma omp task depend(out : output) firstprivate(op)
    bench_execute(bench, op);
#pragma omp task depend(in : output) firstprivate(op, start)
    {
      bench_latency(bench, op, bench_now() - start);
      sem_post(done);
    }
    /* A taskwait would run the op on this thread; waiting elsewhere leaves it to the other one. */
    while (sem_wait(done) != 0)
      ;
  }
}

static void run_latency(struct bench *bench) {
  sem_t done;
  sem_init(&done, 0, 0);
#pragma omp parallel num_threads(2)
#pragma omp single
  take_samples(bench, &done);
  sem_destroy(&done);
}

#define COUNTS BENCH_SUBMIT | BENCH_ALLOCATIONS

static const struct bench_case cases[] = {
    {"OpenMP depend", "W1", run_graph, COUNTS, 0, NULL},
    {"OpenMP depend", "W2", run_graph, COUNTS, 0, NULL},
    {"OpenMP depend", "W3", NULL, 0, 0, "a task cannot be placed on a thread"},
    {"OpenMP depend", "W4", run_graph, COUNTS, 0, NULL},
    {"OpenMP depend", "W4x2", run_graph, COUNTS, 0, NULL},
    {"OpenMP depend", "W5", NULL, 0, 0, "GNU OpenMP lets only 64 tasks a thread wait"},
    {"OpenMP depend", "W6", run_latency, BENCH_ALLOCATIONS, 0, NULL},
    {"OpenMP depend", "W6wait", NULL, 0, 0, "taskwait runs the op on the waiting thread"},
    {0},
};

int main(int argc, char **argv) {
  return bench_main(argc, argv, cases);
}
