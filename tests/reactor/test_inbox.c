/* The inbox by itself: what goes in comes out, once, in order, until it is closed. */
#include "reactor/inbox.h"

#include <sched.h>
#include <stdlib.h>

#include "rig.h"

static void what_goes_in_comes_out_in_order(void **state) {
  tnr_inbox inbox = {.closed = false};
  (void)state;
  assert_true(tnr_inbox_is_empty(&inbox));
  assert_int_equal(tnr_inbox_next(&inbox), 0);
  for (uintptr_t i = 1; i <= 1000; i++)
    assert_int_equal(tnr_inbox_put_op(&inbox, (void *)(16 * i), false), TNR_INBOX_TAKEN);
  for (uintptr_t i = 1; i <= 500; i++)
    assert_int_equal(tnr_inbox_next(&inbox), 16 * i);
  assert_int_equal(tnr_inbox_put_op(&inbox, (void *)(16 * 1001), false), TNR_INBOX_TAKEN);
  assert_int_equal(tnr_inbox_ahead(&inbox, 1), 16 * 502);
  assert_int_equal(tnr_inbox_ahead(&inbox, 500), 0); /* not taken over yet */
  for (uintptr_t i = 501; i <= 1001; i++)
    assert_int_equal(tnr_inbox_next(&inbox), 16 * i);
  assert_int_equal(tnr_inbox_next(&inbox), 0);
  assert_true(tnr_inbox_is_empty(&inbox));
  tnr_inbox_finish(&inbox);
}

static void messages_bear_a_mark(void **state) {
  tnr_inbox inbox = {.closed = false};
  tnr_message message = {NULL};
  (void)state;
  assert_int_equal(tnr_inbox_put_message(&inbox, &message, false), TNR_INBOX_TAKEN);
  assert_int_equal(tnr_inbox_next(&inbox), (uintptr_t)&message | 1);
  tnr_inbox_finish(&inbox);
}

static void only_the_first_has_to_wake_a_sleeper(void **state) {
  tnr_inbox inbox = {.closed = false};
  tnr_message message = {NULL};
  (void)state;
  assert_true(tnr_inbox_sleep(&inbox));
  assert_int_equal(tnr_inbox_put_message(&inbox, &message, false), TNR_INBOX_TAKEN_WAKE);
  assert_int_equal(tnr_inbox_put_message(&inbox, &message, false), TNR_INBOX_TAKEN);
  assert_false(tnr_inbox_sleep(&inbox)); /* something is in it */
  (void)tnr_inbox_next(&inbox);
  assert_false(tnr_inbox_sleep(&inbox)); /* and still is */
  (void)tnr_inbox_next(&inbox);
  assert_true(tnr_inbox_sleep(&inbox));
  tnr_inbox_awake(&inbox);
  assert_int_equal(tnr_inbox_put_message(&inbox, &message, false), TNR_INBOX_TAKEN);
  tnr_inbox_finish(&inbox);
}

static void a_closed_inbox_takes_only_what_must_come(void **state) {
  tnr_inbox inbox = {.closed = false};
  tnr_message message = {NULL};
  (void)state;
  tnr_inbox_close(&inbox);
  assert_int_equal(tnr_inbox_put_message(&inbox, &message, false), TNR_INBOX_CLOSED);
  assert_true(tnr_inbox_is_empty(&inbox));
  assert_int_equal(tnr_inbox_put_message(&inbox, &message, true), TNR_INBOX_TAKEN);
  assert_int_equal(tnr_inbox_next(&inbox), (uintptr_t)&message | 1);
  tnr_inbox_finish(&inbox);
}

enum { PRODUCERS = 7, ITEMS = CHECK_MANY(100000) };

typedef struct traffic {
  tnr_inbox inbox;
  int taken[PRODUCERS + 1], wrong;
} traffic;

static void move_items(void *user, int index) {
  traffic *all = user;
  if (index > 0) {
    for (uintptr_t i = 1; i <= ITEMS; i++)
      if (tnr_inbox_put_op(&all->inbox, (void *)(i << 8 | (uintptr_t)index << 1), false) >=
          TNR_INBOX_CLOSED)
        abort();
    return;
  }
  for (int left = PRODUCERS * ITEMS; left > 0;) {
    uintptr_t item = tnr_inbox_next(&all->inbox);
    if (!item) {
      sched_yield();
      continue;
    }
    all->wrong += (int)(item >> 8) != ++all->taken[item >> 1 & 127];
    left--;
  }
}

static void every_producers_items_come_in_its_order(void **state) {
  traffic *all = calloc(1, sizeof *all);
  (void)state;
  rig_threads(PRODUCERS + 1, move_items, all);
  assert_int_equal(all->wrong, 0);
  assert_true(tnr_inbox_is_empty(&all->inbox));
  tnr_inbox_finish(&all->inbox);
  free(all);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(what_goes_in_comes_out_in_order),
      rig_bare_test(messages_bear_a_mark),
      rig_bare_test(only_the_first_has_to_wake_a_sleeper),
      rig_bare_test(a_closed_inbox_takes_only_what_must_come),
      rig_bare_test(every_producers_items_come_in_its_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
