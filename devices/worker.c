#include "worker.h"

#include <sys/prctl.h>

enum { FLUSH_EVERY = 64 };

void tnr_worker_give_back(tnr_worker *worker, void *item) {
  tnr_ring_push(&worker->done, item);
}

void tnr_worker_flush(tnr_worker *worker) {
  if (tnr_ring_published(&worker->done) || worker->asleep_until)
    return;
  worker->held_ns = 0;
  tnr_ring_publish(&worker->done);
  worker->duty.wake_dispatcher(worker->duty.user);
}

bool tnr_worker_has_work(const tnr_worker *worker) {
  return tnr_ring_has(&worker->queues[TNR_LEVEL_NORMAL]) ||
         tnr_ring_has(&worker->queues[TNR_LEVEL_HIGH]) ||
         tnr_ring_has(&worker->queues[TNR_LEVEL_LOW]);
}

/* What was published at once ends with a flush. */
static void *pop(tnr_worker *worker, tnr_level level) {
  tnr_ring *queue = &worker->queues[level];
  void *item = tnr_ring_pop(queue);
  if (item)
    return item;
  tnr_worker_flush(worker);
  (void)tnr_ring_look(queue);
  return tnr_ring_pop(queue);
}

/* The lowest level that has been passed over for long enough, else the highest that has something.
 */
static tnr_level choose(const tnr_worker *worker) {
  for (int level = TNR_LEVELS - 1; level > 0; level--)
    if (worker->passed_over[level] >= TNR_PASSED_OVER_MAX && tnr_ring_has(&worker->queues[level]))
      return (tnr_level)level;
  for (int level = 0; level < TNR_LEVELS - 1; level++)
    if (tnr_ring_has(&worker->queues[level]))
      return (tnr_level)level;
  return TNR_LEVEL_LOW;
}

/* Several levels are in use. */
static void *pop_one_of(tnr_worker *worker) {
  tnr_level level = choose(worker);
  worker->passed_over[level] = 0;
  for (int lower = (int)level + 1; lower < TNR_LEVELS; lower++)
    worker->passed_over[lower] += tnr_ring_has(&worker->queues[lower]);
  return pop(worker, level);
}

static void *next_item(tnr_worker *worker) {
  if (tnr_ring_has(&worker->queues[TNR_LEVEL_HIGH]) || tnr_ring_has(&worker->queues[TNR_LEVEL_LOW]))
    return pop_one_of(worker);
  return pop(worker, TNR_LEVEL_NORMAL);
}

void *tnr_worker_peek(tnr_worker *worker) {
  tnr_ring *queue = &worker->queues[choose(worker)];
  (void)tnr_ring_look(queue);
  return tnr_ring_peek(queue, 0);
}

static uint32_t count_waiting(void *user) {
  tnr_worker *worker = user;
  uint32_t waiting = 0;
  for (int level = 0; level < TNR_LEVELS; level++)
    waiting += tnr_ring_look(&worker->queues[level]);
  return waiting;
}

/* With a short queue somebody may be waiting for its end: then the dispatcher should be awake. */
bool tnr_worker_may_hold(tnr_worker *worker, int64_t took_ns) {
  enum { WAITING_MIN = 16 };
  worker->held_ns += took_ns;
  return worker->held_ns < TNR_WORKER_HELD_NS_MAX && count_waiting(worker) >= WAITING_MIN;
}

bool tnr_worker_round(tnr_worker *worker, uint32_t limit) {
  uint32_t ran = 0;
  for (void *item; ran < limit && (item = next_item(worker));) {
    worker->duty.run(worker->duty.user, worker, item);
    if (++ran % FLUSH_EVERY == 0)
      tnr_worker_flush(worker);
  }
  tnr_worker_flush(worker);
  return ran > 0;
}

static void rest(tnr_worker *worker) {
  if (tnr_lookout_find(&worker->lookout, INT64_MAX, count_waiting, worker))
    return;
  tnr_parker_prepare(&worker->parker);
  /* acquire: pairs with the release in tnr_worker_stop */
  if (tnr_worker_has_work(worker) || atomic_load_explicit(&worker->stop, memory_order_acquire))
    tnr_parker_cancel(&worker->parker);
  else
    tnr_parker_sleep(&worker->parker, INT64_MAX);
}

static void *worker_main(void *argument) {
  tnr_worker *worker = argument;
  tnr_this_thread = worker->slot;
  (void)prctl(PR_SET_NAME, worker->name);
  worker->duty.start(worker->duty.user, worker);
  for (;;) {
    /* acquire, and before the look: what was pushed before the stop is run */
    bool stopping = atomic_load_explicit(&worker->stop, memory_order_acquire);
    if (tnr_worker_round(worker, UINT32_MAX))
      continue;
    if (stopping)
      break;
    rest(worker);
  }
  worker->duty.finish(worker->duty.user, worker);
  return NULL;
}

void tnr_worker_init(tnr_worker *worker, const tnr_worker_duty *duty, tnr_thread_slot slot,
                     const char *name, int64_t spin_ns) {
  worker->duty = *duty;
  worker->name = name;
  worker->slot = slot;
  tnr_lookout_init(&worker->lookout, spin_ns);
}

void tnr_worker_awake(tnr_worker *worker) {
  worker->asleep_until = 0;
  tnr_worker_flush(worker);
}

tnr_status tnr_worker_start(tnr_worker *worker) {
  return pthread_create(&worker->thread, NULL, worker_main, worker) == 0 ? TNR_OK : TNR_ESYSTEM;
}

void tnr_worker_stop(tnr_worker *worker) {
  /* release: pairs with the acquire in worker_main */
  atomic_store_explicit(&worker->stop, true, memory_order_release);
  tnr_parker_wake(&worker->parker);
  pthread_join(worker->thread, NULL);
}
