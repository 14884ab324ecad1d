/* What the dispatcher keeps of ops in flight: apart from each other, used again, and no more than
 * ever was in use at once. */
#include <stdlib.h>

#include "check.h"
#include "devices/pool.h"
#include "reactor/flight.h"

enum { MANY = 50000 };

static int setup(void **state) {
  *state = calloc(1, sizeof(tnr_flights));
  return *state ? 0 : -1;
}

static int teardown(void **state) {
  tnr_flights_finish(*state);
  free(*state);
  return 0;
}

static void take(tnr_flights *flights, tnr_flight **taken, int count) {
  for (int i = 0; i < count; i++) {
    taken[i] = tnr_flight_new(flights);
    assert_non_null(taken[i]);
    taken[i]->missing = (uint32_t)i;
    taken[i]->done.ev_fd = i;
  }
}

static void give_back(tnr_flights *flights, tnr_flight **taken, int count) {
  for (int i = 0; i < count; i++) {
    assert_int_equal(taken[i]->missing, i);
    assert_int_equal(taken[i]->done.ev_fd, i);
    tnr_flight_free(flights, taken[i]);
  }
}

static int chunks_of(const tnr_flights *flights) {
  int count = 0;
  for (const void *chunk = flights->chunks; chunk; chunk = *(void *const *)chunk)
    count++;
  return count;
}

static void many_are_apart_and_used_again(void **state) {
  tnr_flights *flights = *state;
  tnr_flight **taken = calloc(MANY, sizeof *taken);
  take(flights, taken, MANY);
  give_back(flights, taken, MANY);
  int chunks = chunks_of(flights);
  for (int round = 0; round < 3; round++) {
    take(flights, taken, MANY);
    give_back(flights, taken, MANY);
    assert_int_equal(chunks_of(flights), chunks);
  }
  free(taken);
}

static void what_came_back_last_goes_first(void **state) {
  tnr_flight *taken[3];
  if (TNR_POOL_PASS_THROUGH)
    skip();
  take(*state, taken, 3);
  give_back(*state, taken, 3);
  for (int i = 2; i >= 0; i--)
    assert_ptr_equal(tnr_flight_new(*state), taken[i]);
}

int main(void) {
#define fresh(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
  const struct CMUnitTest tests[] = {
      fresh(many_are_apart_and_used_again),
      fresh(what_came_back_last_goes_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
