/* A thread without work looks for some before it sleeps, unless looking gives its CPU to somebody
 * who keeps it. */
#define _GNU_SOURCE /* sched_setaffinity */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "devices/lookout.h"
#include "devices/parker.h"

static const int64_t MS = 1000000; /* ns */

/* Has one item from the look with number `from` on. */
typedef struct shelf {
  int looks, from;
} shelf;

static uint32_t count(void *user) {
  shelf *counted = user;
  return ++counted->looks >= counted->from;
}

static tnr_lookout lookout_of(int64_t spin_ns) {
  tnr_lookout lookout;
  tnr_lookout_init(&lookout, spin_ns);
  return lookout;
}

static void what_is_there_is_found_at_the_first_look(void **state) {
  (void)state;
  tnr_lookout lookout = lookout_of(MS);
  shelf full = {.from = 1};
  assert_true(tnr_lookout_find(&lookout, INT64_MAX, count, &full));
  assert_int_equal(full.looks, 1);
}

static void what_comes_while_it_gives_way_is_found(void **state) {
  (void)state;
  tnr_lookout lookout = lookout_of(10000 * MS);
  shelf filled = {.from = lookout.looks + 1};
  assert_true(tnr_lookout_find(&lookout, INT64_MAX, count, &filled));
}

static void looking_ends_when_its_time_is_over(void **state) {
  (void)state;
  tnr_lookout lookout = lookout_of(2 * MS);
  shelf empty = {.from = INT32_MAX};
  int64_t begin = tnr_now_ns();
  assert_false(tnr_lookout_find(&lookout, INT64_MAX, count, &empty));
  assert_true(empty.looks > lookout.looks);
  assert_true(tnr_now_ns() - begin >= 2 * MS || !tnr_lookout_may_look(&lookout, tnr_now_ns()));
}

static void looking_ends_at_the_deadline(void **state) {
  (void)state;
  tnr_lookout lookout = lookout_of(20000 * MS);
  shelf empty = {.from = INT32_MAX};
  int64_t begin = tnr_now_ns();
  assert_false(tnr_lookout_find(&lookout, begin + MS, count, &empty));
  assert_true(tnr_now_ns() - begin < 10000 * MS);
  assert_false(tnr_lookout_find(&lookout, begin, count, &empty));
}

static void without_time_there_is_one_look(void **state) {
  (void)state;
  for (int64_t spin_ns = -1; spin_ns <= 0; spin_ns++) {
    tnr_lookout lookout = lookout_of(spin_ns);
    shelf full = {.from = 1}, filled = {.from = 2};
    assert_true(tnr_lookout_find(&lookout, INT64_MAX, count, &full));
    assert_false(tnr_lookout_find(&lookout, INT64_MAX, count, &filled));
  }
}

static void who_may_not_look_looks_once(void **state) {
  (void)state;
  tnr_lookout lookout = lookout_of(10000 * MS);
  shelf filled = {.from = 2};
  for (int i = 0; i < 2; i++)
    tnr_lookout_was_away(&lookout, tnr_now_ns(), 3600000 * MS, 0);
  assert_false(tnr_lookout_find(&lookout, INT64_MAX, count, &filled));
}

/* ---- the rule ---- */

/* Away for long once: that alone may be chance. */
static tnr_lookout wary_lookout(void) {
  tnr_lookout lookout = lookout_of(MS);
  tnr_lookout_was_away(&lookout, 90 * MS, 3 * MS, 0);
  assert_true(tnr_lookout_may_look(&lookout, 90 * MS));
  return lookout;
}

static void who_was_away_for_long_twice_sleeps_for_a_while(void **state) {
  (void)state;
  tnr_lookout lookout = wary_lookout();
  tnr_lookout_was_away(&lookout, 100 * MS, 3 * MS, 0);
  assert_false(tnr_lookout_may_look(&lookout, 100 * MS));
  assert_false(tnr_lookout_may_look(&lookout, 103 * MS - 1));
  assert_true(tnr_lookout_may_look(&lookout, 103 * MS));
}

static void come_back_soon(tnr_lookout *lookout, int times, int64_t now) {
  for (int i = 0; i < times; i++)
    tnr_lookout_was_away(lookout, now, MS / 20, 0);
  assert_true(tnr_lookout_may_look(lookout, now));
}

/* As where a machine stands still now and then. */
static void who_is_seldom_away_for_long_goes_on_looking(void **state) {
  (void)state;
  tnr_lookout lookout = wary_lookout();
  for (int64_t now = 100 * MS; now < 1000 * MS; now += 100 * MS) {
    come_back_soon(&lookout, 16, now);
    tnr_lookout_was_away(&lookout, now + MS, 3 * MS, 0);
    assert_true(tnr_lookout_may_look(&lookout, now + MS));
  }
}

/* As beside a busy thread, where the scheduler lets it return at once every other time. */
static void who_is_away_for_long_every_other_time_sleeps_for_a_while(void **state) {
  (void)state;
  tnr_lookout lookout = wary_lookout();
  for (int64_t now = 100 * MS; now < 1000 * MS; now += 100 * MS) {
    come_back_soon(&lookout, 3, now);
    tnr_lookout_was_away(&lookout, now + MS, MS / 2, 0);
    assert_false(tnr_lookout_may_look(&lookout, now + MS));
  }
}

/* Of what was submitted, or run, by those who had the CPU. */
static void time_in_which_a_batch_came_was_not_lost(void **state) {
  (void)state;
  tnr_lookout lookout = wary_lookout();
  tnr_lookout_was_away(&lookout, 100 * MS, 3 * MS, 1000);
  assert_true(tnr_lookout_may_look(&lookout, 100 * MS));
  lookout = wary_lookout();
  tnr_lookout_was_away(&lookout, 100 * MS, 3 * MS, 1);
  assert_false(tnr_lookout_may_look(&lookout, 100 * MS));
}

/* How long nobody looks after one ms away, at `now`. */
static int64_t blind_after(tnr_lookout *lookout, int64_t now) {
  int64_t blind = 0;
  tnr_lookout_was_away(lookout, now, MS, 0);
  while (!tnr_lookout_may_look(lookout, now + blind))
    blind += MS;
  return blind / MS;
}

static void the_more_often_it_happens_the_longer_nobody_looks(void **state) {
  (void)state;
  tnr_lookout lookout = wary_lookout();
  static const int64_t longer[] = {1, 2, 4, 8, 16, 32, 64, 64};
  for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
    assert_int_equal(blind_after(&lookout, (int64_t)i * 1000 * MS), longer[i]);
}

static void who_gets_its_cpu_back_soon_is_soon_as_before(void **state) {
  (void)state;
  tnr_lookout lookout = wary_lookout();
  for (int i = 0; i < 8; i++)
    (void)blind_after(&lookout, i * 1000 * MS);
  come_back_soon(&lookout, 32, 9000 * MS);
  assert_int_equal(blind_after(&lookout, 10000 * MS), 16);
  come_back_soon(&lookout, 96, 11000 * MS);
  assert_int_equal(blind_after(&lookout, 12000 * MS), 0);
  assert_int_equal(blind_after(&lookout, 13000 * MS), 1);
}

static void it_is_known_who_would_look_on_another_cpu(void **state) {
  (void)state;
  tnr_lookout lookout = wary_lookout(), never = lookout_of(-1), alone = lookout_of(MS);
  lookout.looks = never.looks = 6;
  alone.looks = 1; /* there is one CPU */
  assert_true(tnr_lookout_looks_beside(&lookout, 0));
  assert_false(tnr_lookout_looks_beside(&never, 0));
  assert_false(tnr_lookout_looks_beside(&alone, 0));
  tnr_lookout_was_away(&lookout, 100 * MS, 3 * MS, 0);
  assert_false(tnr_lookout_looks_beside(&lookout, 101 * MS));
}

/* As a program under a debugger is. */
static void who_was_stopped_for_an_hour_looks_again_within_seconds(void **state) {
  (void)state;
  tnr_lookout lookout = wary_lookout();
  tnr_lookout_was_away(&lookout, 0, 3600000 * MS, 0);
  assert_true(tnr_lookout_may_look(&lookout, 10000 * MS));
  tnr_lookout_was_away(&lookout, 0, INT64_MAX, 0);
  assert_true(tnr_lookout_may_look(&lookout, 10000 * MS));
}

/* ---- beside a busy thread ---- */

static void *stay_busy(void *argument) {
  atomic_bool *stop = argument;
  while (!atomic_load(stop)) {
  }
  return NULL;
}

/* One of those that this thread may use. */
static cpu_set_t one_cpu(void) {
  cpu_set_t allowed, one;
  assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
    if (CPU_ISSET(cpu, &allowed))
      CPU_SET(cpu, &one);
  return one;
}

static void beside_a_busy_thread_nobody_goes_on_looking(void **state) {
  (void)state;
  cpu_set_t before, one = one_cpu();
  atomic_bool stop = false;
  pthread_t busy;
  tnr_lookout lookout = lookout_of(MS / 100);
  shelf empty = {.from = INT32_MAX};
  assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  assert_int_equal(pthread_create(&busy, NULL, stay_busy, &stop), 0); /* on the same CPU */
  int64_t begin = tnr_now_ns();
  bool looks = true;
  while (looks && tnr_now_ns() - begin < 20000 * MS) {
    assert_false(tnr_lookout_find(&lookout, INT64_MAX, count, &empty));
    looks = tnr_lookout_may_look(&lookout, tnr_now_ns());
  }
  atomic_store(&stop, true);
  pthread_join(busy, NULL);
  assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
  assert_false(looks);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_there_is_found_at_the_first_look),
      cmocka_unit_test(what_comes_while_it_gives_way_is_found),
      cmocka_unit_test(looking_ends_when_its_time_is_over),
      cmocka_unit_test(looking_ends_at_the_deadline),
      cmocka_unit_test(without_time_there_is_one_look),
      cmocka_unit_test(who_may_not_look_looks_once),
      cmocka_unit_test(who_was_away_for_long_twice_sleeps_for_a_while),
      cmocka_unit_test(who_is_seldom_away_for_long_goes_on_looking),
      cmocka_unit_test(who_is_away_for_long_every_other_time_sleeps_for_a_while),
      cmocka_unit_test(time_in_which_a_batch_came_was_not_lost),
      cmocka_unit_test(the_more_often_it_happens_the_longer_nobody_looks),
      cmocka_unit_test(who_gets_its_cpu_back_soon_is_soon_as_before),
      cmocka_unit_test(it_is_known_who_would_look_on_another_cpu),
      cmocka_unit_test(who_was_stopped_for_an_hour_looks_again_within_seconds),
      cmocka_unit_test(beside_a_busy_thread_nobody_goes_on_looking),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
