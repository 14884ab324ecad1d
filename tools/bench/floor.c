/*
 * floor.c: the practical floor: the least that a libevent dispatcher, a worker a device and
 * eventfd can do while every op still runs a completion event of its own.
 *
 *   submit   (caller → dispatcher)  64 ops a notice
 *   resolve  (dispatcher)           assign and add the op's event; find out what it waits for
 *   launch   (dispatcher → worker)  an op behind its inputs on the same worker need not wait
 *   execute  (worker → dispatcher)  a notice when the ring has been drained, or every 64 ops
 *   complete (dispatcher)           the op's event runs; what waited for it is launched
 *
 * What a library needs beyond this is left out: tensors, errors, counted handles, many
 * submitters. Ops live in one slab that every round uses again, so an op is never given back
 * while somebody may still name it as an input.
 */
#include "bench.h"
#include "floor_bell.h"
#include "floor_ring.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
  OPS_A_NOTICE = 64,   /* before the other side is told */
  OPS_A_STEP = 256,    /* that the dispatcher takes from a ring before it looks elsewhere */
  SPINS = 30,          /* fruitless looks before a thread sleeps, yielding the CPU between */
  SPINS_PACKED = 2,    /* the same where all threads share one CPU and waiting helps nobody */
  SPINS_IN_PLACE = 10, /* looks without yielding, before all others, where there are more CPUs */
  SPINS_FOR_INPUT = 20 /* the same in a worker whose input is being computed right now */
};

struct op;

/* On its input's list until the input completes. */
struct edge {
  struct op *op; /* the input, and once resolved the op that waits for it */
  struct edge *next;
};

struct op {
  struct event completion;         /* dispatcher only */
  struct op *next;                 /* dispatcher only; in the launch list */
  struct edge inputs[2];           /* caller until submitted, then dispatcher */
  struct edge *dependents;         /* dispatcher only */
  void (*execute)(struct op *op);  /* immutable after submit */
  void (*callback)(struct op *op); /* immutable after submit; on the dispatcher; may be NULL */
  struct reactor *reactor;         /* immutable after submit */
  uint32_t number;                 /* immutable after submit */
  uint8_t input_count;             /* immutable after submit */
  uint8_t device;                  /* immutable after submit */
  uint8_t missing;                 /* dispatcher only; inputs to wait for */
  bool launched, complete;         /* dispatcher only */
  atomic_bool executed;            /* worker → workers that wait for it */
};

struct worker {
  struct reactor *reactor;
  pthread_t thread;
  struct bell bell;
  struct ring launched;     /* dispatcher → worker */
  struct ring executed;     /* worker → dispatcher */
  unsigned unannounced;     /* worker only; ops in `executed` that are not published */
  struct op *first, **last; /* dispatcher only; launched, but the ring was full */
};

struct reactor {
  struct bench *bench;
  struct event_base *base; /* dispatcher only */
  struct event wake;       /* dispatcher only */
  unsigned active;         /* dispatcher only; completion events that the base has yet to run */
  pthread_t dispatcher;
  struct bell bell;      /* the dispatcher's */
  struct ring submitted; /* caller → dispatcher */
  struct worker workers[2];
  struct op *slab;                /* one op an op of the workload */
  sem_t done;                     /* posted by the callback of the op that the caller waits for */
  uint64_t start;                 /* ns, of a latency sample */
  unsigned spins, spins_in_place; /* immutable after start */
  atomic_bool stopping;
};

/* --- waiting ---------------------------------------------------------------------------------- */

/* A function of its own, so that a profile can tell looking from working. */
__attribute__((noinline)) static void relax(unsigned spins, unsigned spins_in_place) {
  if (spins < spins_in_place)
    __builtin_ia32_pause();
  else
    sched_yield();
}

/* --- worker ----------------------------------------------------------------------------------- */

static void announce_executed(struct worker *worker) {
  worker->unannounced = 0;
  ring_publish(&worker->executed);
  bell_ring(&worker->reactor->bell);
}

static void worker_sleep(struct worker *worker) {
  uint64_t wakes;
  bell_doze(&worker->bell);
  if (ring_is_empty(&worker->launched) && !atomic_load(&worker->reactor->stopping) &&
      read(worker->bell.fd, &wakes, sizeof wakes) != sizeof wakes)
    bench_fail("cannot read an eventfd");
  bell_rouse(&worker->bell);
}

static struct op *next_launched(struct worker *worker) {
  for (unsigned spins = 0; !atomic_load_explicit(&worker->reactor->stopping, memory_order_relaxed);
       spins++) {
    struct op *op = ring_take(&worker->launched);
    if (op)
      return op;
    if (worker->unannounced)
      announce_executed(worker);
    if (spins < worker->reactor->spins)
      relax(spins, worker->reactor->spins_in_place);
    else
      worker_sleep(worker);
  }
  return NULL;
}

/* Announces nothing at first: the dispatcher would only take a CPU from the other worker. */
static void wait_for_input(struct worker *worker, struct op *input) {
  unsigned in_place = worker->reactor->spins_in_place ? SPINS_FOR_INPUT : 0;
  for (unsigned spins = 0; !atomic_load_explicit(&input->executed, memory_order_acquire); spins++) {
    relax(spins, in_place);
    if (spins > in_place && worker->unannounced)
      announce_executed(worker);
  }
}

static void execute(struct worker *worker, struct op *op) {
  if (worker->reactor->bench->worker_waits)
    for (int i = 0; i < op->input_count; i++)
      wait_for_input(worker, op->inputs[i].op);
  op->execute(op);
  /* Pairs with the acquire in wait_for_input(): what the op computed can be read. */
  atomic_store_explicit(&op->executed, true, memory_order_release);
  while (!ring_put(&worker->executed, op)) {
    announce_executed(worker);
    sched_yield();
  }
  if (++worker->unannounced == OPS_A_NOTICE)
    announce_executed(worker);
}

static void *worker_main(void *argument) {
  struct worker *worker = argument;
  struct op *op;
  while ((op = next_launched(worker)))
    execute(worker, op);
  return NULL;
}

/* --- dispatcher ------------------------------------------------------------------------------- */

static void launch(struct op *op) {
  struct worker *worker = &op->reactor->workers[op->device];
  op->launched = true;
  op->next = NULL;
  *worker->last = op;
  worker->last = &op->next;
}

/* Queue order is the dependency between ops of one worker. */
static bool needs_no_wait(const struct op *op, const struct op *input) {
  bool ordered = op->device == input->device || op->reactor->bench->worker_waits;
  return input->complete || (input->launched && ordered);
}

static void wait_for(struct op *op, struct edge *edge) {
  struct op *input = edge->op;
  edge->op = op;
  edge->next = input->dependents;
  input->dependents = edge;
  op->missing++;
}

static void complete(evutil_socket_t fd, short events, void *argument) {
  (void)fd, (void)events;
  struct op *op = argument;
  op->reactor->active--;
  op->complete = true;
  for (struct edge *edge = op->dependents; edge; edge = edge->next)
    if (--edge->op->missing == 0)
      launch(edge->op);
  if (op->callback)
    op->callback(op);
}

static void resolve(struct op *op) {
  event_assign(&op->completion, op->reactor->base, -1, 0, complete, op);
  event_add(&op->completion, NULL);
  for (int i = 0; i < op->input_count; i++)
    if (!needs_no_wait(op, op->inputs[i].op))
      wait_for(op, &op->inputs[i]);
  if (op->missing == 0)
    launch(op);
}

static unsigned resolve_submitted(struct reactor *reactor) {
  unsigned count = 0;
  struct op *op;
  while (count < OPS_A_STEP && (op = ring_take(&reactor->submitted))) {
    resolve(op);
    count++;
  }
  return count;
}

static unsigned activate_executed(struct reactor *reactor, struct worker *worker) {
  unsigned count = 0;
  struct op *op;
  while (count < OPS_A_STEP && (op = ring_take(&worker->executed))) {
    event_active(&op->completion, 0, 0);
    count++;
  }
  reactor->active += count;
  return count;
}

static unsigned push_launched(struct worker *worker) {
  unsigned count = 0;
  while (worker->first && ring_put(&worker->launched, worker->first)) {
    worker->first = worker->first->next;
    count++;
  }
  if (!worker->first)
    worker->last = &worker->first;
  if (count) {
    ring_publish(&worker->launched);
    bell_ring(&worker->bell);
  }
  return count;
}

static bool dispatch(struct reactor *reactor) {
  unsigned count = resolve_submitted(reactor);
  for (int i = 0; i < reactor->bench->devices; i++)
    count += activate_executed(reactor, &reactor->workers[i]);
  if (reactor->active)
    event_base_loop(reactor->base, EVLOOP_NONBLOCK);
  for (int i = 0; i < reactor->bench->devices; i++)
    count += push_launched(&reactor->workers[i]);
  return count > 0;
}

static bool nothing_arrived(struct reactor *reactor) {
  for (int i = 0; i < reactor->bench->devices; i++)
    if (!ring_is_empty(&reactor->workers[i].executed))
      return false;
  return ring_is_empty(&reactor->submitted) && !atomic_load(&reactor->stopping);
}

static void dispatcher_sleep(struct reactor *reactor) {
  bell_doze(&reactor->bell);
  if (nothing_arrived(reactor))
    event_base_loop(reactor->base, EVLOOP_ONCE);
  bell_rouse(&reactor->bell);
}

static void take_wake(evutil_socket_t fd, short events, void *argument) {
  (void)events, (void)argument;
  uint64_t wakes;
  if (read(fd, &wakes, sizeof wakes) != sizeof wakes)
    bench_fail("cannot read an eventfd");
}

static void *dispatcher_main(void *argument) {
  struct reactor *reactor = argument;
  unsigned spins = 0;
  while (!atomic_load_explicit(&reactor->stopping, memory_order_relaxed)) {
    if (dispatch(reactor))
      spins = 0;
    else if (spins++ < reactor->spins)
      relax(spins, reactor->spins_in_place);
    else
      dispatcher_sleep(reactor);
  }
  return NULL;
}

/* --- starting and stopping -------------------------------------------------------------------- */

static void start_thread(pthread_t *out, const char *name, void *(*main)(void *), void *argument) {
  if (pthread_create(out, NULL, main, argument) != 0)
    bench_fail("cannot start a thread");
  pthread_setname_np(*out, name);
}

static void create_base(struct reactor *reactor) {
  struct event_config *config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  reactor->base = event_base_new_with_config(config);
  event_config_free(config);
  if (!reactor->base)
    bench_fail("cannot create an event base");
  event_assign(&reactor->wake, reactor->base, reactor->bell.fd, EV_READ | EV_PERSIST, take_wake,
               NULL);
  event_add(&reactor->wake, NULL);
}

static void *aligned_zeroes(size_t alignment, size_t size) {
  void *memory =
      mmap(NULL, size + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    bench_fail("out of memory for %zu bytes", size);
  return (void *)(((uintptr_t)memory + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

/* Huge pages: the first touch of a small one costs more than ten ops do. */
static struct op *create_slab(uint32_t ops) {
  size_t size = ops * sizeof(struct op);
  struct op *slab = aligned_zeroes(2 << 20, size);
  madvise(slab, size, MADV_HUGEPAGE);
  return slab;
}

static void start_worker(struct reactor *reactor, struct worker *worker) {
  char name[16];
  snprintf(name, sizeof name, "worker:%d", (int)(worker - reactor->workers));
  worker->reactor = reactor;
  worker->last = &worker->first;
  bell_init(&worker->bell, 0);
  start_thread(&worker->thread, name, worker_main, worker);
}

static void choose_spins(struct reactor *reactor) {
  cpu_set_t cpus;
  bool packed = sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1;
  reactor->spins_in_place = packed ? 0 : SPINS_IN_PLACE;
  reactor->spins = packed ? SPINS_PACKED : SPINS_IN_PLACE + SPINS;
}

static struct reactor *start(struct bench *bench) {
  struct reactor *reactor = aligned_zeroes(64, sizeof *reactor);
  reactor->bench = bench;
  choose_spins(reactor);
  reactor->slab = create_slab(bench->ops);
  sem_init(&reactor->done, 0, 0);
  bell_init(&reactor->bell, EFD_NONBLOCK);
  create_base(reactor);
  for (int i = 0; i < bench->devices; i++)
    start_worker(reactor, &reactor->workers[i]);
  start_thread(&reactor->dispatcher, "dispatcher", dispatcher_main, reactor);
  return reactor;
}

/* The process ends with the run, and memory with it; only threads and files are given back. */
static void stop(struct reactor *reactor) {
  atomic_store(&reactor->stopping, true);
  bell_ring(&reactor->bell);
  pthread_join(reactor->dispatcher, NULL);
  event_base_free(reactor->base);
  close(reactor->bell.fd);
  for (int i = 0; i < reactor->bench->devices; i++) {
    bell_ring(&reactor->workers[i].bell);
    pthread_join(reactor->workers[i].thread, NULL);
    close(reactor->workers[i].bell.fd);
  }
}

/* --- the caller ------------------------------------------------------------------------------- */

static void flush(struct reactor *reactor) {
  ring_publish(&reactor->submitted);
  bell_ring(&reactor->bell);
}

static void put_submitted(struct reactor *reactor, struct op *op) {
  while (!ring_put(&reactor->submitted, op)) {
    flush(reactor);
    sched_yield();
  }
  if (reactor->submitted.written % OPS_A_NOTICE == 0)
    flush(reactor);
}

static void run_op(struct op *op) {
  bench_execute(op->reactor->bench, op->number);
}

static void submit(struct reactor *reactor, uint32_t number, void (*callback)(struct op *)) {
  struct op *op = &reactor->slab[number];
  uint32_t inputs[2];
  op->reactor = reactor;
  op->number = number;
  op->execute = run_op;
  op->callback = callback;
  op->device = (uint8_t)bench_device(reactor->bench, number);
  op->input_count = (uint8_t)bench_inputs(reactor->bench, number, inputs);
  op->missing = 0;
  op->launched = op->complete = false;
  op->dependents = NULL;
  atomic_store_explicit(&op->executed, false, memory_order_relaxed);
  for (int i = 0; i < op->input_count; i++)
    op->inputs[i].op = &reactor->slab[inputs[i]];
  put_submitted(reactor, op);
}

static void wait_done(struct reactor *reactor) {
  while (sem_wait(&reactor->done) != 0)
    ;
}

static void post_done(struct op *op) {
  sem_post(&op->reactor->done);
}

static void note_latency(struct op *op) {
  struct reactor *reactor = op->reactor;
  bench_latency(reactor->bench, op->number, bench_now() - reactor->start);
  post_done(op);
}

/* Workers are in order and a tree ends in its root, so the last op is the last to complete. */
static void run_graph(struct bench *bench) {
  struct reactor *reactor = start(bench);
  while (bench_round(bench)) {
    bench_begin(bench);
    for (uint32_t op = 0; op < bench->ops; op++)
      submit(reactor, op, op + 1 == bench->ops ? post_done : NULL);
    flush(reactor);
    bench_submitted(bench);
    wait_done(reactor);
    bench_end(bench);
  }
  stop(reactor);
}

static void run_callback_latency(struct bench *bench) {
  struct reactor *reactor = start(bench);
  uint32_t op;
  while (bench_sample(bench, &op)) {
    reactor->start = bench_now();
    submit(reactor, op, note_latency);
    flush(reactor);
    wait_done(reactor);
  }
  stop(reactor);
}

static void run_wait_latency(struct bench *bench) {
  struct reactor *reactor = start(bench);
  uint32_t op;
  while (bench_sample(bench, &op)) {
    uint64_t begin = bench_now();
    submit(reactor, op, post_done);
    flush(reactor);
    wait_done(reactor);
    bench_latency(bench, op, bench_now() - begin);
  }
  stop(reactor);
}

#define LATENCY BENCH_WAKES | BENCH_ALLOCATIONS
#define COUNTS  BENCH_SUBMIT | BENCH_WAKES | BENCH_ALLOCATIONS

static const struct bench_case cases[] = {
    {"floor", "W1", run_graph, COUNTS, 0, NULL},
    {"floor", "W2", run_graph, COUNTS, 0, NULL},
    {"floor", "W3", run_graph, COUNTS, 0, NULL},
    {"floor", "W3wait", run_graph, COUNTS, 0, NULL},
    {"floor", "W4", run_graph, COUNTS, 0, NULL},
    {"floor", "W4x2", run_graph, COUNTS, 0, NULL},
    {"floor", "W5", run_graph, COUNTS, 0, NULL},
    {"floor", "W6", run_callback_latency, LATENCY, 0, NULL},
    {"floor", "W6wait", run_wait_latency, LATENCY, 0, NULL},
    {0},
};

int main(int argc, char **argv) {
  return bench_main(argc, argv, cases);
}
