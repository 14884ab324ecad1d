/* The clocks that recordings can be written in. */
#include "reactor/ticker.h"

#include "check.h"
#include "devices/parker.h"

static void sleep_ms(long ms) {
  const struct timespec pause = {0, ms * 1000000};
  nanosleep(&pause, NULL);
}

static void check_pace(const tnr_ticker *ticker) {
  int64_t begin_ns = tnr_now_ns();
  uint64_t begin = tnr_ticker_ticks(ticker);
  sleep_ms(50);
  uint64_t end = tnr_ticker_ticks_after(ticker);
  int64_t end_ns = tnr_now_ns();
  assert_true(end > begin);
  double measured = (double)tnr_ticker_to_ns(ticker, end - begin);
  double real = (double)(end_ns - begin_ns);
  assert_true(measured < real * 1.001 + 20000);
  assert_true(measured > real * 0.9); /* the thread may be held up between the two looks */
}

static void the_machines_clock_goes_as_fast_as_time(void **state) {
  (void)state;
  tnr_ticker machine = tnr_ticker_machine(), monotonic = tnr_ticker_monotonic();
  assert_false(machine.made);
  assert_false(monotonic.made);
  check_pace(&machine);
  check_pace(&monotonic);
}

static void ticks_never_go_back_on_one_thread(void **state) {
  (void)state;
  tnr_ticker ticker = tnr_ticker_machine();
  uint64_t last = tnr_ticker_ticks(&ticker);
  for (int i = 0; i < 100000; i++) {
    uint64_t now = i % 2 ? tnr_ticker_ticks(&ticker) : tnr_ticker_ticks_after(&ticker);
    assert_true(now >= last);
    last = now;
  }
}

static void conversions_invert_each_other(void **state) {
  (void)state;
  tnr_ticker ticker = tnr_ticker_machine();
  const uint64_t spans[] = {0, 1, 1000, 123456789, UINT64_C(86400) * 1000000000 * 365};
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
    uint64_t back = tnr_ticker_to_ns(&ticker, tnr_ticker_from_ns(&ticker, spans[i]));
    assert_true(back <= spans[i] && spans[i] - back <= 2);
  }
}

static uint64_t step(void *user) {
  return *(uint64_t *)user += 5;
}

static void a_made_time_is_taken_as_it_is(void **state) {
  (void)state;
  uint64_t now = 100;
  tnr_ticker ticker = tnr_ticker_made(step, &now);
  assert_true(ticker.made);
  assert_int_equal(tnr_ticker_ticks(&ticker), 105);
  assert_int_equal(tnr_ticker_ticks_after(&ticker), 110);
  assert_int_equal(tnr_ticker_to_ns(&ticker, 77), 77);
  assert_int_equal(tnr_ticker_from_ns(&ticker, 77), 77);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_machines_clock_goes_as_fast_as_time),
      cmocka_unit_test(ticks_never_go_back_on_one_thread),
      cmocka_unit_test(conversions_invert_each_other),
      cmocka_unit_test(a_made_time_is_taken_as_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
