/* Recordings in flight: what is there when it is asked for, and what writes it unasked: a failure,
 * a signal, a crash. */
#include "chain.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const tnr_trace_options in_flight = {.mode = TNR_TRACE_IN_FLIGHT};

static void in_flight_the_last_is_there_when_asked_for(void **state) {
  enum { BYTES = 128 << 10 };
  assert_ok(tnr_trace_start(
      *state, &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT, .bytes_per_thread = BYTES}));
  chain_run(*state, 20000);
  assert_true(tnr_trace_get_stats(*state).forgotten > 0);
  assert_int_equal(tnr_trace_get_stats(*state).lost, 0);
  chain_run(*state, 50);
  assert_ok(tnr_trace_dump(*state, folder_path("dump")));
  chain_run(*state, 50);
  recorded r = recorded_read(folder_path("dump"));
  assert_true(r.file.flags & TNR_TRACE_FLIGHT);
  assert_non_null(r.total);
  assert_true(r.total->lost > 0);
  assert_true(chain_whole_ops(&r) >= 50);
  recorded_finish(&r);
  assert_ok(tnr_trace_dump(*state, folder_path("dump")));
  assert_true(chain_ops_in("dump") >= 100);
  assert_fails(tnr_trace_dump(*state, "/nowhere/at/all"), TNR_ESYSTEM);
  assert_ok(tnr_trace_stop(*state));
}

static void a_window_leaves_out_what_is_old(void **state) {
  enum { BYTES = 128 << 10, MS = 1000000 };
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT,
                                                         .bytes_per_thread = BYTES,
                                                         .window_ns = 100 * MS}));
  chain_run(*state, 1500); /* several chunks */
  rig_sleep_ms(150);
  chain_run(*state, 1500);
  assert_ok(tnr_trace_dump(*state, folder_path("window")));
  recorded r = recorded_read(folder_path("window"));
  size_t submitted = recorded_count(&r, TNR_TRACE_SUBMIT, 0);
  assert_true(submitted > 0 && submitted < 2500); /* on a slow machine not all of the second run */
  recorded_finish(&r);
  assert_ok(tnr_trace_stop(*state));
}

static void what_never_ends_is_seen(void **state) {
  assert_ok(tnr_trace_start(*state, &in_flight));
  assert_ok(tnr_scope_open());
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
  assert_non_null(held);
  rig_await_held(1);
  assert_ok(tnr_trace_dump(*state, folder_path("hangs")));
  rig_open_gate();
  assert_ok(tnr_scope_close());
  recorded r = recorded_read(folder_path("hangs"));
  uint32_t op = recorded_op(&r, "rig_hold", 0);
  assert_int_equal(recorded_count(&r, TNR_TRACE_BEGIN, op), 1);
  assert_int_equal(recorded_count(&r, TNR_TRACE_END, op), 0);
  recorded_finish(&r);
  assert_ok(tnr_trace_stop(*state));
}

static void the_first_failure_writes_the_file(void **state) {
  const tnr_trace_options options = {
      .mode = TNR_TRACE_IN_FLIGHT, .path = folder_path("failure"), .on_failure = true};
  assert_ok(tnr_trace_start(*state, &options));
  chain_run(*state, 20);
  assert_ok(tnr_scope_open());
  for (int i = 0; i < 2; i++) {
    tnr_future *bad = rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
    assert_fails(tnr_wait(bad, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
    folder_await("failure");
  }
  assert_ok(tnr_scope_close());
  assert_ok(tnr_trace_stop(*state));
  assert_false(folder_has("failure.2"));
  recorded r = recorded_read(folder_path("failure"));
  assert_int_equal(recorded_count(&r, TNR_TRACE_ERROR, 0) >= 1, 1);
  assert_int_equal(chain_whole_ops(&r), 20);
  recorded_finish(&r);
}

static void a_signal_writes_a_file_each_time(void **state) {
  const tnr_trace_options options = {
      .mode = TNR_TRACE_IN_FLIGHT, .path = folder_path("signal.%p"), .signal = SIGUSR1};
  char names[2][64];
  struct sigaction before, after;
  snprintf(names[0], sizeof names[0], "signal.%d", (int)getpid());
  snprintf(names[1], sizeof names[1], "signal.%d.2", (int)getpid());
  sigaction(SIGUSR1, NULL, &before);
  assert_ok(tnr_trace_start(*state, &options));
  chain_run(*state, 20);
  raise(SIGUSR1);
  folder_await(names[0]);
  rig_sleep_ms(50);
  chain_run(*state, 20);
  raise(SIGUSR1);
  folder_await(names[1]);
  assert_ok(tnr_trace_stop(*state));
  sigaction(SIGUSR1, NULL, &after);
  assert_ptr_equal(before.sa_handler, after.sa_handler);
  assert_int_equal(chain_ops_in(names[0]), 20);
  assert_int_equal(chain_ops_in(names[1]), 40);
}

/* In a process of its own, which has no threads but those of its runtime. */
static void crash(int number) {
  tnr_trace_options options = {
      .mode = TNR_TRACE_IN_FLIGHT, .path = folder_path("crash"), .on_crash = true};
  tnr_runtime *runtime = rig_runtime();
  if (tnr_trace_start(runtime, &options) != TNR_OK)
    _exit(1);
  chain_run(runtime, 20);
  raise(number);
  _exit(2);
}

static void a_crash_writes_the_file_and_stays_a_crash(void **state) {
  (void)state;
#if defined(__SANITIZE_THREAD__)
  skip(); /* it does not let a child make threads */
#endif
  const int numbers[] = {SIGABRT, SIGSEGV};
  for (int i = 0; i < 2; i++) {
    (void)unlink(folder_path("crash"));
    pid_t child = fork();
    if (child == 0) {
      signal(numbers[i], SIG_DFL); /* not a sanitizer's, which would make it an exit */
      crash(numbers[i]);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), numbers[i]);
    assert_int_equal(chain_ops_in("crash"), 20);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(a_crash_writes_the_file_and_stays_a_crash),
      rig_test(in_flight_the_last_is_there_when_asked_for),
      rig_test(a_window_leaves_out_what_is_old),
      rig_test(what_never_ends_is_seen),
      rig_test(the_first_failure_writes_the_file),
      rig_test(a_signal_writes_a_file_each_time),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
