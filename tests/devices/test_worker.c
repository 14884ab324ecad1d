/* A device's worker and the rings to and from it: order, batches, sleeping and waking, stopping. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "devices/worker.h"

/* ---- the ring by itself ---- */

static void *number(uintptr_t n) {
  return (void *)(n * 8);
}

static void items_are_seen_once_published(void **state) {
  (void)state;
  tnr_ring *ring = aligned_alloc(64, sizeof *ring);
  memset(ring, 0, sizeof *ring);
  assert_true(tnr_ring_published(ring));
  tnr_ring_push(ring, number(1));
  tnr_ring_push(ring, number(2));
  assert_false(tnr_ring_published(ring));
  assert_int_equal(tnr_ring_look(ring), 0);
  assert_null(tnr_ring_pop(ring));
  tnr_ring_publish(ring);
  assert_int_equal(tnr_ring_look(ring), 2);
  assert_ptr_equal(tnr_ring_peek(ring, 0), number(1));
  assert_ptr_equal(tnr_ring_peek(ring, 1), number(2));
  assert_null(tnr_ring_peek(ring, 2));
  assert_ptr_equal(tnr_ring_pop(ring), number(1));
  assert_ptr_equal(tnr_ring_pop(ring), number(2));
  assert_null(tnr_ring_pop(ring));
  free(ring);
}

static void a_ring_goes_round_and_its_counters_wrap(void **state) {
  (void)state;
  tnr_ring *ring = aligned_alloc(64, sizeof *ring);
  memset(ring, 0, sizeof *ring);
  ring->pushed = ring->seen = UINT32_MAX - 100;
  atomic_init(&ring->tail, ring->pushed);
  atomic_init(&ring->head, ring->pushed);
  for (uintptr_t i = 0; i < 10 * TNR_RING_SIZE; i += TNR_RING_SIZE) {
    for (uintptr_t k = 0; k < TNR_RING_SIZE; k++)
      tnr_ring_push(ring, number(i + k));
    tnr_ring_publish(ring);
    assert_int_equal(tnr_ring_look(ring), TNR_RING_SIZE);
    for (uintptr_t k = 0; k < TNR_RING_SIZE; k++)
      assert_ptr_equal(tnr_ring_pop(ring), number(i + k));
  }
  free(ring);
}

/* ---- the worker ---- */

typedef struct rig {
  tnr_worker *worker;
  pthread_t worker_thread;      /* written by start */
  atomic_int started, finished; /* atomic */
  atomic_int wrong;             /* atomic: calls on another thread, or in another order */
  atomic_int wakes;             /* atomic */
  _Atomic uintptr_t last;       /* atomic: the item run last */
  tnr_parker parker;            /* the test sleeps, the worker wakes */
  bool flush_each;              /* immutable while the worker runs */
} rig;

static void on_start(void *user, tnr_worker *worker) {
  rig *r = user;
  (void)worker;
  r->worker_thread = pthread_self();
  r->started++;
}

static void on_run(void *user, tnr_worker *worker, void *item) {
  rig *r = user;
  if (!pthread_equal(pthread_self(), r->worker_thread) || (uintptr_t)item != r->last + 8 ||
      r->finished)
    r->wrong++;
  r->last = (uintptr_t)item;
  tnr_worker_give_back(worker, item);
  if (r->flush_each)
    tnr_worker_flush(worker);
}

static void on_finish(void *user, tnr_worker *worker) {
  rig *r = user;
  (void)worker;
  r->finished++;
}

static void on_wake(void *user) {
  rig *r = user;
  r->wakes++;
  tnr_parker_wake(&r->parker);
}

static void start(rig *r, int64_t spin_ns) {
  const tnr_worker_duty duty = {on_start, on_run, on_finish, on_wake, r};
  r->worker = aligned_alloc(64, (sizeof *r->worker + 63) / 64 * 64);
  memset(r->worker, 0, sizeof *r->worker);
  tnr_worker_init(r->worker, &duty, (tnr_thread_slot){NULL, 0}, "tested", spin_ns);
  assert_int_equal(tnr_worker_start(r->worker), TNR_OK);
}

static void stop(rig *r, uintptr_t items) {
  tnr_worker_stop(r->worker);
  assert_int_equal(r->started, 1);
  assert_int_equal(r->finished, 1);
  assert_int_equal(r->wrong, 0);
  assert_int_equal(r->last, items * 8);
  free(r->worker);
}

static void send(rig *r, uintptr_t from, uintptr_t count) {
  for (uintptr_t i = 0; i < count; i++)
    tnr_ring_push(&r->worker->queues[TNR_LEVEL_NORMAL], number(from + i + 1));
  tnr_ring_publish(&r->worker->queues[TNR_LEVEL_NORMAL]);
  tnr_parker_wake(&r->worker->parker);
}

/* Takes back one item, sleeping until there is one. */
static void *receive(rig *r) {
  while (tnr_ring_look(&r->worker->done) == 0) {
    tnr_parker_prepare(&r->parker);
    if (tnr_ring_look(&r->worker->done) == 0)
      tnr_parker_sleep(&r->parker, INT64_MAX);
    else
      tnr_parker_cancel(&r->parker);
  }
  return tnr_ring_pop(&r->worker->done);
}

#if defined(__SANITIZE_THREAD__)
enum { TRIPS = 10000 };
#else
enum { TRIPS = 50000 };
#endif

/* One item there and back, so that both sides fall asleep again and again. */
static void round_trips(int64_t spin_ns) {
  rig r = {0};
  start(&r, spin_ns);
  for (uintptr_t i = 0; i < TRIPS; i++) {
    send(&r, i, 1);
    assert_ptr_equal(receive(&r), number(i + 1));
  }
  stop(&r, TRIPS);
}

static void no_item_is_lost_when_both_sides_sleep(void **state) {
  (void)state;
  round_trips(0);
}

static void no_item_is_lost_when_the_worker_looks_around_first(void **state) {
  (void)state;
  round_trips(5000);
}

/* As many as may be in its hands, in batches of all sizes. */
static void batches_come_back_whole_and_in_order(void **state) {
  (void)state;
  rig r = {0};
  uintptr_t sent = 0, received = 0;
  start(&r, 0);
  for (uintptr_t batch = 1; sent < 4 * TRIPS; batch = batch * 7 % 997 + 1) {
    uintptr_t room = TNR_WORKER_DEPTH_NORMAL - (sent - received);
    uintptr_t count = batch < room ? batch : room;
    send(&r, sent, count);
    sent += count;
    for (uintptr_t keep = batch % 50; sent - received > keep; received++)
      assert_ptr_equal(receive(&r), number(received + 1));
  }
  for (; received < sent; received++)
    assert_ptr_equal(receive(&r), number(received + 1));
  stop(&r, sent);
}

static void one_wake_up_tells_of_a_whole_batch(void **state) {
  (void)state;
  rig r = {0};
  start(&r, 0);
  send(&r, 0, 640);
  for (uintptr_t i = 0; i < 640; i++)
    assert_ptr_equal(receive(&r), number(i + 1));
  assert_in_range(r.wakes, 1, 640 / 64 + 1);
  stop(&r, 640);
}

static void what_is_flushed_is_seen_at_once(void **state) {
  (void)state;
  rig r = {.flush_each = true};
  start(&r, 0);
  send(&r, 0, 100);
  for (uintptr_t i = 0; i < 100; i++)
    assert_ptr_equal(receive(&r), number(i + 1));
  assert_in_range(r.wakes, 100, 100);
  stop(&r, 100);
}

/* Without a thread: `waiting` items are on the queue. */
static tnr_worker *worker_with(rig *r, uintptr_t waiting) {
  r->worker = aligned_alloc(64, (sizeof *r->worker + 63) / 64 * 64);
  memset(r->worker, 0, sizeof *r->worker);
  r->worker->duty = (tnr_worker_duty){on_start, on_run, on_finish, on_wake, r};
  for (uintptr_t i = 0; i < waiting; i++)
    tnr_ring_push(&r->worker->queues[TNR_LEVEL_NORMAL], number(i + 1));
  tnr_ring_publish(&r->worker->queues[TNR_LEVEL_NORMAL]);
  return r->worker;
}

static void items_are_held_while_others_wait(void **state) {
  (void)state;
  rig r = {0};
  tnr_worker *worker = worker_with(&r, 16);
  assert_true(tnr_worker_may_hold(worker, TNR_WORKER_HELD_NS_MAX - 1));
  assert_false(tnr_worker_may_hold(worker, TNR_WORKER_HELD_NS_MAX));
  tnr_worker_give_back(worker, number(1));
  tnr_worker_flush(worker);
  assert_true(tnr_worker_may_hold(worker, 1000));
  (void)tnr_ring_look(&worker->queues[TNR_LEVEL_NORMAL]);
  (void)tnr_ring_pop(&worker->queues[TNR_LEVEL_NORMAL]);
  assert_false(tnr_worker_may_hold(worker, 1000));
  free(worker);
}

/* Before it runs one that takes longer than the time that is left, the worker shows what it holds.
 */
static void nothing_is_held_over_an_item_that_takes_long(void **state) {
  (void)state;
  rig r = {0};
  tnr_worker *worker = worker_with(&r, 100);
  assert_true(tnr_worker_may_go_on(worker, TNR_WORKER_HELD_NS_MAX - 1));
  assert_false(tnr_worker_may_go_on(worker, TNR_WORKER_HELD_NS_MAX));
  assert_false(tnr_worker_may_go_on(worker, INT64_MAX)); /* it has never been timed */
  assert_true(tnr_worker_may_hold(worker, TNR_WORKER_HELD_NS_MAX / 2));
  assert_true(tnr_worker_may_go_on(worker, TNR_WORKER_HELD_NS_MAX / 2 - 1));
  assert_false(tnr_worker_may_go_on(worker, TNR_WORKER_HELD_NS_MAX / 2));
  free(worker);
}

static void nothing_is_held_for_long(void **state) {
  (void)state;
  rig r = {0};
  enum { TIMES = 50, EACH_NS = TNR_WORKER_HELD_NS_MAX / TIMES };
  tnr_worker *worker = worker_with(&r, 100);
  for (int i = 0; i < TIMES - 1; i++)
    assert_true(tnr_worker_may_hold(worker, EACH_NS));
  assert_false(tnr_worker_may_hold(worker, EACH_NS));
  tnr_worker_give_back(worker, number(1));
  tnr_worker_flush(worker);
  assert_int_equal(r.wakes, 1);
  assert_true(tnr_worker_may_hold(worker, EACH_NS));
  free(worker);
}

static void stopping_runs_what_was_sent_before(void **state) {
  (void)state;
  for (uintptr_t i = 0; i < 300; i++) {
    rig r = {0};
    start(&r, i % 3 ? 0 : 20000);
    if (i % 2)
      send(&r, 0, i);
    stop(&r, i % 2 ? i : 0);
  }
}

/* ---- levels ---- */

enum { LEVEL_ITEMS = 400 };
static uintptr_t order[TNR_LEVELS * LEVEL_ITEMS]; /* the worker's until it has stopped */
static size_t ordered;

static void note_order(void *user, tnr_worker *worker, void *item) {
  (void)user;
  order[ordered++] = (uintptr_t)item / 8;
  tnr_worker_give_back(worker, item);
}

/* Items of a level are its number of thousands and their own. */
static void run_levels(const int *counts) {
  rig r = {0};
  const tnr_worker_duty duty = {on_start, note_order, on_finish, on_wake, &r};
  r.worker = aligned_alloc(64, (sizeof *r.worker + 63) / 64 * 64);
  memset(r.worker, 0, sizeof *r.worker);
  ordered = 0;
  for (uintptr_t level = 0; level < TNR_LEVELS; level++) {
    for (int i = 0; i < counts[level]; i++)
      tnr_ring_push(&r.worker->queues[level], number(1000 * level + (uintptr_t)i + 1));
    tnr_ring_publish(&r.worker->queues[level]);
  }
  tnr_worker_init(r.worker, &duty, (tnr_thread_slot){NULL, 0}, "tested", 0);
  assert_int_equal(tnr_worker_start(r.worker), TNR_OK);
  tnr_worker_stop(r.worker);
  free(r.worker);
}

static void higher_levels_come_first(void **state) {
  (void)state;
  run_levels((const int[]){5, 7, 3});
  assert_int_equal(ordered, 15);
  for (uintptr_t i = 0; i < 15; i++)
    assert_int_equal(order[i], i < 5 ? i + 1 : i < 12 ? 1000 + i - 4 : 2000 + i - 11);
}

static void lower_levels_are_passed_over_so_many_times_at_most(void **state) {
  (void)state;
  run_levels((const int[]){LEVEL_ITEMS, LEVEL_ITEMS, LEVEL_ITEMS});
  assert_int_equal(ordered, TNR_LEVELS * LEVEL_ITEMS);
  uintptr_t next[TNR_LEVELS] = {1, 1, 1}, passed_over[TNR_LEVELS] = {0};
  for (size_t i = 0; i < ordered; i++) {
    uintptr_t level = order[i] / 1000;
    assert_int_equal(order[i] % 1000, next[level]++);
    assert_in_range(passed_over[level], 0, TNR_PASSED_OVER_MAX);
    passed_over[level] = 0;
    for (uintptr_t lower = level + 1; lower < TNR_LEVELS; lower++)
      passed_over[lower] += next[lower] <= LEVEL_ITEMS;
  }
}

/* ---- a worker without a thread ---- */

/* Whoever makes its rounds is its thread. */
static void be_the_worker(rig *r) {
  const tnr_worker_duty duty = {on_start, on_run, on_finish, on_wake, r};
  r->worker = aligned_alloc(64, (sizeof *r->worker + 63) / 64 * 64);
  memset(r->worker, 0, sizeof *r->worker);
  tnr_worker_init(r->worker, &duty, (tnr_thread_slot){NULL, 0}, "tested", 0);
  r->worker_thread = pthread_self();
}

static void rounds_run_no_more_than_asked_and_in_order(void **state) {
  (void)state;
  rig r = {0};
  be_the_worker(&r);
  assert_false(tnr_worker_round(r.worker, 5));
  send(&r, 0, 12);
  for (uintptr_t done = 0; done < 12; done += 5) {
    assert_true(tnr_worker_round(r.worker, 5));
    assert_int_equal(r.last, 8 * (done + 5 < 12 ? done + 5 : 12));
    assert_int_equal(tnr_ring_look(&r.worker->done), r.last / 8);
  }
  assert_false(tnr_worker_round(r.worker, 5));
  assert_int_equal(r.wrong, 0);
  free(r.worker);
}

static void what_a_sleeping_worker_gives_back_is_seen_when_it_is_awake(void **state) {
  (void)state;
  rig r = {0};
  be_the_worker(&r);
  send(&r, 0, 2);
  assert_true(tnr_worker_round(r.worker, 1));
  r.worker->asleep_until = 1;
  assert_true(tnr_worker_round(r.worker, 1));
  assert_int_equal(tnr_ring_look(&r.worker->done), 1);
  assert_int_equal(r.wakes, 1);
  tnr_worker_awake(r.worker);
  assert_int_equal(tnr_ring_look(&r.worker->done), 2);
  assert_int_equal(r.wakes, 2);
  free(r.worker);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(items_are_seen_once_published),
      cmocka_unit_test(a_ring_goes_round_and_its_counters_wrap),
      cmocka_unit_test(no_item_is_lost_when_both_sides_sleep),
      cmocka_unit_test(no_item_is_lost_when_the_worker_looks_around_first),
      cmocka_unit_test(batches_come_back_whole_and_in_order),
      cmocka_unit_test(one_wake_up_tells_of_a_whole_batch),
      cmocka_unit_test(what_is_flushed_is_seen_at_once),
      cmocka_unit_test(items_are_held_while_others_wait),
      cmocka_unit_test(nothing_is_held_over_an_item_that_takes_long),
      cmocka_unit_test(nothing_is_held_for_long),
      cmocka_unit_test(stopping_runs_what_was_sent_before),
      cmocka_unit_test(higher_levels_come_first),
      cmocka_unit_test(lower_levels_are_passed_over_so_many_times_at_most),
      cmocka_unit_test(rounds_run_no_more_than_asked_and_in_order),
      cmocka_unit_test(what_a_sleeping_worker_gives_back_is_seen_when_it_is_awake),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
