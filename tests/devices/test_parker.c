/* How a thread sleeps: no wake-up is lost, however the two sides meet. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#include "devices/parker.h"

enum { MS = 1000000 }; /* ns */

static void a_sleep_ends_when_its_time_is_over(void **state) {
  (void)state;
  tnr_parker parker = {0};
  int64_t start = tnr_now_ns();
  bool woken = true;
  while (woken && tnr_now_ns() - start < 10000ll * MS) { /* may return early */
    tnr_parker_prepare(&parker);
    woken = tnr_parker_sleep(&parker, 5 * MS);
  }
  assert_false(woken);
  assert_true(tnr_now_ns() - start >= 5 * MS);
  assert_false(tnr_parker_claim(&parker));
}

static void one_waker_claims_a_sleeper_that_is_prepared(void **state) {
  (void)state;
  tnr_parker parker = {0};
  assert_false(tnr_parker_claim(&parker));
  tnr_parker_prepare(&parker);
  assert_true(tnr_parker_claim(&parker));
  assert_false(tnr_parker_claim(&parker));
}

static void a_wake_up_between_prepare_and_sleep_is_not_lost(void **state) {
  (void)state;
  tnr_parker parker = {0};
  tnr_parker_prepare(&parker);
  tnr_parker_wake(&parker);
  assert_true(tnr_parker_sleep(&parker, INT64_MAX));
}

static void who_cancels_is_not_prepared_any_more(void **state) {
  (void)state;
  tnr_parker parker = {0};
  tnr_parker_prepare(&parker);
  tnr_parker_cancel(&parker);
  assert_false(tnr_parker_claim(&parker));
}

/* ---- races ---- */

#if defined(__SANITIZE_THREAD__)
enum { TURNS = 20000 };
#else
enum { TURNS = 100000 };
#endif

/* Two threads that hand a turn to each other: each sleeps until it is its own. */
typedef struct game {
  _Atomic int turn; /* atomic: how many there have been */
  tnr_parker parkers[2];
} game;

typedef struct player {
  game *of;
  int side;
} player;

static void wait_for_turn(game *g, int side, int turn) {
  while (atomic_load_explicit(&g->turn, memory_order_acquire) < turn) {
    tnr_parker_prepare(&g->parkers[side]);
    if (atomic_load_explicit(&g->turn, memory_order_acquire) < turn)
      tnr_parker_sleep(&g->parkers[side], INT64_MAX);
    else
      tnr_parker_cancel(&g->parkers[side]);
  }
}

static void *play(void *argument) {
  player *p = argument;
  for (int turn = p->side; turn < TURNS; turn += 2) {
    wait_for_turn(p->of, p->side, turn);
    atomic_store_explicit(&p->of->turn, turn + 1, memory_order_release);
    tnr_parker_wake(&p->of->parkers[1 - p->side]);
  }
  return NULL;
}

static void no_wake_up_is_lost_between_two_threads(void **state) {
  (void)state;
  game g = {0};
  player players[2] = {{&g, 0}, {&g, 1}};
  pthread_t other;
  assert_int_equal(pthread_create(&other, NULL, play, &players[1]), 0);
  play(&players[0]);
  pthread_join(other, NULL);
  assert_int_equal(g.turn, TURNS);
}

/* Several wakers and one sleeper. */
enum { WAKERS = 4, EACH = TURNS / 10 };

typedef struct crowd {
  _Atomic int work; /* atomic */
  tnr_parker parker;
} crowd;

static void *bring_work(void *argument) {
  crowd *c = argument;
  for (int i = 0; i < EACH; i++) {
    atomic_fetch_add_explicit(&c->work, 1, memory_order_release);
    tnr_parker_wake(&c->parker);
  }
  return NULL;
}

static void no_wake_up_is_lost_among_many_wakers(void **state) {
  (void)state;
  crowd c = {0};
  pthread_t wakers[WAKERS];
  for (int i = 0; i < WAKERS; i++)
    assert_int_equal(pthread_create(&wakers[i], NULL, bring_work, &c), 0);
  for (int done = 0; done < WAKERS * EACH;) {
    done += atomic_exchange_explicit(&c.work, 0, memory_order_acquire);
    tnr_parker_prepare(&c.parker);
    if (done == WAKERS * EACH || atomic_load_explicit(&c.work, memory_order_acquire) > 0)
      tnr_parker_cancel(&c.parker);
    else
      tnr_parker_sleep(&c.parker, INT64_MAX);
  }
  for (int i = 0; i < WAKERS; i++)
    pthread_join(wakers[i], NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_sleep_ends_when_its_time_is_over),
      cmocka_unit_test(one_waker_claims_a_sleeper_that_is_prepared),
      cmocka_unit_test(a_wake_up_between_prepare_and_sleep_is_not_lost),
      cmocka_unit_test(who_cancels_is_not_prepared_any_more),
      cmocka_unit_test(no_wake_up_is_lost_between_two_threads),
      cmocka_unit_test(no_wake_up_is_lost_among_many_wakers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
