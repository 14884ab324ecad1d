/*
 * starpu.c: StarPU, with each of its three ways to say that a task needs another.
 *
 *   StarPU tags      starpu_tag_declare_deps_array() on a tag an op
 *   StarPU data      a variable handle an op's output, read by the ops that need it
 *   StarPU explicit  starpu_task_declare_deps_array() on the tasks themselves
 */
#include "bench.h"

#include <sched.h>
#include <semaphore.h>
#include <starpu.h>
#include <stdlib.h>
#include <string.h>

struct payload {
  struct bench *bench;
  uint32_t op;
  uint64_t start; /* ns, of a latency sample */
  sem_t *done;
};

struct run {
  struct bench *bench;
  bool tagged;
  struct payload *payloads;      /* one an op, like all below */
  struct starpu_task **tasks;    /* explicit */
  char *outputs;                 /* data */
  starpu_data_handle_t *handles; /* data */
};

static void execute(void *buffers[], void *argument) {
  (void)buffers;
  const struct payload *payload = argument;
  bench_execute(payload->bench, payload->op);
}

#define NO_MODEL .cpu_funcs = {execute}, .cpu_funcs_name = {"execute"}
static struct starpu_codelet plain = {NO_MODEL, .nbuffers = 0};
static struct starpu_codelet leaf = {NO_MODEL, .nbuffers = 1, .modes = {STARPU_W}};
static struct starpu_codelet unary = {NO_MODEL, .nbuffers = 2, .modes = {STARPU_W, STARPU_R}};
static struct starpu_codelet binary = {NO_MODEL, .nbuffers = 3,
                                       .modes = {STARPU_W, STARPU_R, STARPU_R}};

static void check(int error, const char *what) {
  if (error)
    bench_fail("%s: %s", what, strerror(-error));
}

static struct run start(struct bench *bench) {
  struct starpu_conf conf;
  setenv("STARPU_SILENT", "1", 1);
  starpu_conf_init(&conf);
  conf.ncpus = bench->devices;
  conf.ncuda = conf.nopencl = 0;
  check(starpu_init(&conf), "starpu_init");
  return (struct run){.bench = bench,
                      .payloads = bench_alloc(bench->ops, sizeof(struct payload)),
                      .tasks = bench_alloc(bench->ops, sizeof(struct starpu_task *))};
}

static void stop(struct run *run) {
  starpu_shutdown();
  free(run->tasks);
  free(run->payloads);
}

static struct starpu_task *create_task(struct run *run, uint32_t op, struct starpu_codelet *cl) {
  struct starpu_task *task = starpu_task_create();
  run->payloads[op] = (struct payload){.bench = run->bench, .op = op};
  task->cl = cl;
  task->cl_arg = &run->payloads[op];
  if (run->bench->devices > 1) {
    task->execute_on_a_specific_worker = 1;
    task->workerid = (unsigned)bench_device(run->bench, op);
  }
  return task;
}

static void submit(struct starpu_task *task) {
  check(starpu_task_submit(task), "starpu_task_submit");
}

/* Tags outlive their tasks, and the next round uses the same ones. */
static void remove_tags(struct run *run) {
  for (uint32_t op = 0; op < run->bench->ops; op++)
    starpu_tag_remove(op);
}

static void run_rounds(struct run *run, void (*submit_all)(struct run *)) {
  while (bench_round(run->bench)) {
    bench_begin(run->bench);
    submit_all(run);
    bench_submitted(run->bench);
    check(starpu_task_wait_for_all(), "starpu_task_wait_for_all");
    bench_end(run->bench);
    if (run->tagged)
      remove_tags(run);
  }
}

/* --- tags ------------------------------------------------------------------------------------- */

static void submit_tagged(struct run *run, uint32_t op) {
  uint32_t inputs[2];
  int count = bench_inputs(run->bench, op, inputs);
  struct starpu_task *task = create_task(run, op, &plain);
  task->use_tag = 1;
  task->tag_id = op;
  if (count > 0) {
    starpu_tag_t needed[2] = {inputs[0], inputs[count - 1]};
    starpu_tag_declare_deps_array(op, (unsigned)count, needed);
  }
  submit(task);
}

static void submit_all_tagged(struct run *run) {
  for (uint32_t op = 0; op < run->bench->ops; op++)
    submit_tagged(run, op);
}

static void run_tags(struct bench *bench) {
  struct run run = start(bench);
  run.tagged = true;
  run_rounds(&run, submit_all_tagged);
  stop(&run);
}

/* --- data ------------------------------------------------------------------------------------- */

static void register_outputs(struct run *run) {
  run->outputs = bench_alloc(run->bench->ops, 1);
  run->handles = bench_alloc(run->bench->ops, sizeof *run->handles);
  for (uint32_t op = 0; op < run->bench->ops; op++)
    starpu_variable_data_register(&run->handles[op], STARPU_MAIN_RAM, (uintptr_t)&run->outputs[op],
                                  1);
}

static void unregister_outputs(struct run *run) {
  for (uint32_t op = 0; op < run->bench->ops; op++)
    starpu_data_unregister(run->handles[op]);
  free(run->handles);
  free(run->outputs);
}

static void submit_all_with_data(struct run *run) {
  static struct starpu_codelet *const by_inputs[] = {&leaf, &unary, &binary};
  for (uint32_t op = 0; op < run->bench->ops; op++) {
    uint32_t inputs[2];
    int count = bench_inputs(run->bench, op, inputs);
    struct starpu_task *task = create_task(run, op, by_inputs[count]);
    task->handles[0] = run->handles[op];
    for (int i = 0; i < count; i++)
      task->handles[1 + i] = run->handles[inputs[i]];
    submit(task);
  }
}

/* Handles are registered beforehand: a program registers its data once and uses it many times. */
static void run_data(struct bench *bench) {
  struct run run = start(bench);
  register_outputs(&run);
  run_rounds(&run, submit_all_with_data);
  unregister_outputs(&run);
  stop(&run);
}

/* --- explicit --------------------------------------------------------------------------------- */

static void declare_inputs(struct run *run, uint32_t op) {
  uint32_t inputs[2];
  int count = bench_inputs(run->bench, op, inputs);
  if (count == 0)
    return;
  struct starpu_task *needed[2] = {run->tasks[inputs[0]], run->tasks[inputs[count - 1]]};
  starpu_task_declare_deps_array(run->tasks[op], (unsigned)count, needed);
}

/* A task may be gone as soon as it has been submitted, so all dependencies are declared before. */
static void submit_all_explicit(struct run *run) {
  for (uint32_t op = 0; op < run->bench->ops; op++) {
    run->tasks[op] = create_task(run, op, &plain);
    declare_inputs(run, op);
  }
  for (uint32_t op = 0; op < run->bench->ops; op++)
    submit(run->tasks[op]);
}

static void run_explicit(struct bench *bench) {
  struct run run = start(bench);
  run_rounds(&run, submit_all_explicit);
  stop(&run);
}

/* --- latency ---------------------------------------------------------------------------------- */

static void note_latency(void *argument) {
  struct payload *payload = argument;
  bench_latency(payload->bench, payload->op, bench_now() - payload->start);
  sem_post(payload->done);
}

static void run_callback_latency(struct bench *bench) {
  struct run run = start(bench);
  sem_t done;
  uint32_t op;
  sem_init(&done, 0, 0);
  while (bench_sample(bench, &op)) {
    uint64_t begin = bench_now();
    struct starpu_task *task = create_task(&run, op, &plain);
    run.payloads[op].start = begin;
    run.payloads[op].done = &done;
    task->callback_func = note_latency;
    task->callback_arg = task->cl_arg;
    submit(task);
    while (sem_wait(&done) != 0)
      ;
  }
  check(starpu_task_wait_for_all(), "starpu_task_wait_for_all");
  sem_destroy(&done);
  stop(&run);
}

static void run_wait_latency(struct bench *bench) {
  struct run run = start(bench);
  uint32_t op;
  while (bench_sample(bench, &op)) {
    uint64_t begin = bench_now();
    struct starpu_task *task = create_task(&run, op, &plain);
    task->detach = 0;
    submit(task);
    check(starpu_task_wait(task), "starpu_task_wait");
    bench_latency(bench, op, bench_now() - begin);
  }
  stop(&run);
}

#define COUNTS BENCH_SUBMIT | BENCH_ALLOCATIONS
/* W5 with a tenth of the ops: the bytes an op do not depend on their number, and they are many. */
#define SUBJECT(name, run)                                                                         \
  {name, "W1", run, COUNTS, 0, NULL}, {name, "W2", run, COUNTS, 0, NULL},                          \
      {name, "W3", run, COUNTS, 0, NULL}, {name, "W4", run, COUNTS, 0, NULL},                      \
      {name, "W4x2", run, COUNTS, 0, NULL}, {                                                      \
    name, "W5", run, COUNTS, 10, NULL                                                              \
  }
#define SAME "the same as StarPU explicit"

static struct bench_case cases[] = {
    SUBJECT("StarPU tags", run_tags),
    SUBJECT("StarPU data", run_data),
    SUBJECT("StarPU explicit", run_explicit),
    {"StarPU tags", "W6", NULL, 0, 0, SAME},
    {"StarPU tags", "W6wait", NULL, 0, 0, SAME},
    {"StarPU data", "W6", NULL, 0, 0, SAME},
    {"StarPU data", "W6wait", NULL, 0, 0, SAME},
    {"StarPU explicit", "W6", run_callback_latency, BENCH_ALLOCATIONS, 0, NULL},
    {"StarPU explicit", "W6wait", run_wait_latency, BENCH_ALLOCATIONS, 0, NULL},
    {0},
};

/* Its idle workers poll, so that on one CPU each hop of W3 takes a whole time slice. */
static void shorten_hops_on_one_cpu(void) {
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0 || CPU_COUNT(&cpus) > 1)
    return;
  for (struct bench_case *one = cases; one->subject; one++)
    if (!strcmp(one->workload, "W3"))
      one->divisor = 100;
}

int main(int argc, char **argv) {
  shorten_hops_on_one_cpu();
  return bench_main(argc, argv, cases);
}
