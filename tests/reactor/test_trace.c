/* Recordings as a whole: when they start and stop, what is in their files, and what goes wrong. */
#define _GNU_SOURCE /* F_SETPIPE_SZ */

#include "recorded.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

static bool exists(const char *name) {
  struct stat info;
  return stat(recorded_path(name), &info) == 0;
}

static void run_chain(tnr_runtime *runtime, int length) {
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 0));
  for (int i = 0; i < length; i++)
    x = rig_plus_one(x);
  assert_number(x, (float)length);
  assert_ok(tnr_scope_close());
  assert_ok(tnr_synchronize_device(rig_cpu(runtime, 0)));
}

typedef struct journey {
  bool submitted; /* in run_chain */
  int ran, completed;
} journey;

static void note(journey *of, const recorded_event *event) {
  of->submitted |=
      event->type == TNR_TRACE_SUBMIT && strcmp(recorded_name(event->site), "rig_plus_one") == 0;
  of->ran += event->type == TNR_TRACE_RUN || event->type == TNR_TRACE_END;
  of->completed += event->type == TNR_TRACE_COMPLETE;
}

/* How many ops of run_chain have their whole journey in the file. */
static size_t whole_ops(const recorded *r) {
  uint32_t last = 0;
  size_t count = 0;
  for (size_t i = 0; i < r->count; i++)
    if (r->events[i].op > last)
      last = r->events[i].op;
  journey *of = calloc((size_t)last + 1, sizeof *of);
  assert_non_null(of);
  for (size_t i = 0; i < r->count; i++)
    note(&of[r->events[i].op], &r->events[i]);
  for (uint32_t op = 1; op <= last; op++)
    count += of[op].submitted && of[op].ran == 1 && of[op].completed == 1;
  free(of);
  return count;
}

static size_t ops_in(const char *name) {
  recorded r = recorded_read(recorded_path(name));
  assert_non_null(r.total);
  size_t count = whole_ops(&r);
  recorded_finish(&r);
  return count;
}

/* ---- to a file ---- */

static void each_window_has_what_happened_in_it(void **state) {
  run_chain(*state, 5);
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = recorded_path("a")}));
  assert_true(tnr_trace_get_stats(*state).recording);
  run_chain(*state, 10);
  assert_ok(tnr_trace_stop(*state));
  assert_false(tnr_trace_get_stats(*state).recording);
  run_chain(*state, 20);
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = recorded_path("b")}));
  run_chain(*state, 40);
  assert_ok(tnr_trace_stop(*state));
  assert_int_equal(ops_in("a"), 10);
  assert_int_equal(ops_in("b"), 40);
}

static void a_runtime_records_from_its_beginning_to_its_end(void **state) {
  const tnr_trace_options trace = {.path = recorded_path("whole")};
  const tnr_device_config cpu = {.driver = tnr_cpu_driver(), .count = 4};
  const tnr_runtime_options options = {.devices = &cpu, .device_configs = 1, .trace = &trace};
  (void)state;
  tnr_runtime *runtime = tnr_runtime_create(&options);
  assert_made(runtime);
  run_chain(runtime, 7);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  recorded r = recorded_read(recorded_path("whole"));
  assert_int_equal(whole_ops(&r), 7);
  assert_non_null(r.total);
  assert_int_equal(r.total->drained, 1);
  assert_int_equal(r.total->records, r.records);
  assert_int_equal(r.file.devices, 4);
  assert_int_equal(r.file.pid, getpid());
  recorded_finish(&r);
}

static void stats_count_what_is_recorded(void **state) {
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = recorded_path("stats")}));
  run_chain(*state, 100);
  tnr_trace_stats during = tnr_trace_get_stats(*state);
  assert_true(during.recorded >= 500);
  assert_ok(tnr_trace_stop(*state));
  tnr_trace_stats after = tnr_trace_get_stats(*state);
  struct stat info;
  assert_int_equal(stat(recorded_path("stats"), &info), 0);
  assert_int_equal(after.written, info.st_size);
  assert_int_equal(after.lost, 0);
  assert_int_equal(after.forgotten, 0);
  assert_true(after.recorded >= during.recorded);
  assert_int_equal(tnr_trace_get_stats(NULL).recorded, 0);
}

/* Copies a pipe to a file until its end. */
typedef struct copier {
  int from;
  FILE *to;
} copier;

static void *copy_all(void *argument) {
  copier *c = argument;
  char buffer[4096];
  for (ssize_t got; (got = read(c->from, buffer, sizeof buffer)) > 0;)
    (void)!fwrite(buffer, 1, (size_t)got, c->to);
  return NULL;
}

/* The file is a pipe that nobody reads, which is as slow as a disk can be. */
static void a_slow_disk_costs_records_but_no_time(void **state) {
  int ends[2];
  char path[64];
  assert_int_equal(pipe(ends), 0);
  (void)fcntl(ends[1], F_SETPIPE_SZ, 4096);
  snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
  assert_ok(
      tnr_trace_start(*state, &(tnr_trace_options){.path = path, .bytes_per_thread = 128 << 10}));
  run_chain(*state, 20000);
  tnr_trace_stats stats = tnr_trace_get_stats(*state);
  assert_true(stats.lost > 50000); /* it has come this far, and the pipe has taken a few */
  assert_true(stats.written <= 128 << 10);
  copier c = {ends[0], fopen(recorded_path("slow"), "wb")};
  pthread_t thread;
  assert_non_null(c.to);
  close(ends[1]);
  assert_int_equal(pthread_create(&thread, NULL, copy_all, &c), 0);
  assert_ok(tnr_trace_stop(*state));
  pthread_join(thread, NULL);
  assert_int_equal(fclose(c.to), 0);
  close(ends[0]);
  recorded r = recorded_read(recorded_path("slow"));
  assert_non_null(r.total);
  assert_int_equal(r.total->lost, tnr_trace_get_stats(*state).lost);
  assert_int_equal(r.records + r.total->lost, r.total->records);
  assert_true(r.lost <= r.total->lost);
  recorded_finish(&r);
}

static void a_full_disk_is_told_at_the_end(void **state) {
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = "/dev/full"}));
  run_chain(*state, 100);
  assert_fails(tnr_trace_stop(*state), TNR_ESYSTEM);
  assert_non_null(strstr(tnr_error_message(tnr_error()), "/dev/full"));
  assert_non_null(strstr(tnr_error_message(tnr_error()), strerror(ENOSPC)));
  assert_false(tnr_trace_get_stats(*state).recording);
  run_chain(*state, 5);
}

static void destroy_tells_it_too(void **state) {
  (void)state;
  tnr_runtime *runtime = rig_runtime();
  assert_ok(tnr_trace_start(runtime, &(tnr_trace_options){.path = "/dev/full"}));
  assert_fails(tnr_runtime_destroy(runtime, TNR_DRAIN), TNR_ESYSTEM);
}

/* ---- what makes no sense ---- */

static void refused(tnr_runtime *runtime, const tnr_trace_options *options, tnr_status status,
                    const char *sentence) {
  tnr_error_clear();
  assert_fails(tnr_trace_start(runtime, options), status);
  if (!strstr(tnr_error_message(tnr_error()), sentence))
    fail_msg("'%s' does not say '%s'", tnr_error_message(tnr_error()), sentence);
  assert_false(tnr_trace_get_stats(runtime).recording);
}

static void options_that_make_no_sense_are_refused(void **state) {
  const char *path = recorded_path("refused");
  refused(*state, &(tnr_trace_options){0}, TNR_EINVAL, "there is no path");
  refused(*state, NULL, TNR_EINVAL, "the options is NULL");
  refused(NULL, &(tnr_trace_options){.path = path}, TNR_EINVAL, "the runtime is NULL");
  refused(*state, &(tnr_trace_options){.path = path, .mode = (tnr_trace_mode)7}, TNR_EINVAL,
          "there is no mode 7");
  refused(*state, &(tnr_trace_options){.path = path, .bytes_per_thread = 1000}, TNR_EINVAL,
          "bytes_per_thread is 1000");
  refused(*state, &(tnr_trace_options){.path = path, .max_threads = -1}, TNR_EINVAL,
          "max_threads is -1");
  refused(*state, &(tnr_trace_options){.path = path, .window_ns = 1}, TNR_EINVAL,
          "for recordings in flight");
  refused(*state, &(tnr_trace_options){.path = path, .signal = SIGUSR1}, TNR_EINVAL,
          "for recordings in flight");
  refused(*state, &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT, .on_failure = true}, TNR_EINVAL,
          "there is no path");
  refused(*state,
          &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT, .path = path, .signal = SIGKILL},
          TNR_EINVAL, "signal 9");
  refused(*state,
          &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT, .path = path, .signal = SIGSEGV},
          TNR_EINVAL, "is no signal to write a recording on");
  refused(*state, &(tnr_trace_options){.path = "/nowhere/at/all"}, TNR_ESYSTEM, strerror(ENOENT));
  assert_false(exists("refused"));
}

static void calls_out_of_turn_are_refused(void **state) {
  const tnr_trace_options options = {.path = recorded_path("turn")};
  assert_fails(tnr_trace_stop(*state), TNR_EINVAL);
  assert_fails(tnr_trace_dump(*state, options.path), TNR_EINVAL);
  assert_fails(tnr_trace_stop(NULL), TNR_EINVAL);
  assert_fails(tnr_trace_dump(NULL, options.path), TNR_EINVAL);
  assert_ok(tnr_trace_start(*state, &options));
  assert_fails(tnr_trace_start(*state, &options), TNR_EINVAL);
  assert_fails(tnr_trace_dump(*state, options.path), TNR_EINVAL);
  assert_ok(tnr_trace_stop(*state));
  assert_fails(tnr_trace_stop(*state), TNR_EINVAL);
}

static void two_recordings_do_not_share_a_file(void **state) {
  const tnr_trace_options options = {.path = recorded_path("shared")};
  tnr_runtime *other = rig_runtime();
  assert_ok(tnr_trace_start(*state, &options));
  assert_fails(tnr_trace_start(other, &options), TNR_ESYSTEM);
  assert_non_null(strstr(tnr_error_message(tnr_error()), "another recording"));
  assert_ok(tnr_trace_stop(*state));
  assert_ok(tnr_trace_start(other, &options));
  assert_ok(tnr_runtime_destroy(other, TNR_DRAIN));
}

/* ---- in flight ---- */

static const tnr_trace_options in_flight = {.mode = TNR_TRACE_IN_FLIGHT};

static void in_flight_the_last_is_there_when_asked_for(void **state) {
  enum { BYTES = 128 << 10 };
  assert_ok(tnr_trace_start(
      *state, &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT, .bytes_per_thread = BYTES}));
  run_chain(*state, 20000);
  assert_true(tnr_trace_get_stats(*state).forgotten > 0);
  assert_int_equal(tnr_trace_get_stats(*state).lost, 0);
  run_chain(*state, 50);
  assert_ok(tnr_trace_dump(*state, recorded_path("dump")));
  run_chain(*state, 50);
  recorded r = recorded_read(recorded_path("dump"));
  assert_true(r.file.flags & TNR_TRACE_FLIGHT);
  assert_non_null(r.total);
  assert_true(r.total->lost > 0);
  assert_true(whole_ops(&r) >= 50);
  recorded_finish(&r);
  assert_ok(tnr_trace_dump(*state, recorded_path("dump")));
  assert_true(ops_in("dump") >= 100);
  assert_fails(tnr_trace_dump(*state, "/nowhere/at/all"), TNR_ESYSTEM);
  assert_ok(tnr_trace_stop(*state));
}

static void a_window_leaves_out_what_is_old(void **state) {
  enum { BYTES = 128 << 10, MS = 1000000 };
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT,
                                                         .bytes_per_thread = BYTES,
                                                         .window_ns = 100 * MS}));
  run_chain(*state, 1500); /* several chunks */
  rig_sleep_ms(150);
  run_chain(*state, 1500);
  assert_ok(tnr_trace_dump(*state, recorded_path("window")));
  recorded r = recorded_read(recorded_path("window"));
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
  assert_ok(tnr_trace_dump(*state, recorded_path("hangs")));
  rig_open_gate();
  assert_ok(tnr_scope_close());
  recorded r = recorded_read(recorded_path("hangs"));
  uint32_t op = recorded_op(&r, "rig_hold", 0);
  assert_int_equal(recorded_count(&r, TNR_TRACE_BEGIN, op), 1);
  assert_int_equal(recorded_count(&r, TNR_TRACE_END, op), 0);
  recorded_finish(&r);
  assert_ok(tnr_trace_stop(*state));
}

static void await_file(const char *name) {
  for (int ms = 0; !exists(name); ms++) {
    assert_in_range(ms, 0, 20000);
    rig_sleep_ms(1);
  }
}

static void the_first_failure_writes_the_file(void **state) {
  const tnr_trace_options options = {
      .mode = TNR_TRACE_IN_FLIGHT, .path = recorded_path("failure"), .on_failure = true};
  assert_ok(tnr_trace_start(*state, &options));
  run_chain(*state, 20);
  assert_ok(tnr_scope_open());
  for (int i = 0; i < 2; i++) {
    tnr_future *bad = rig_fail(tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1)));
    assert_fails(tnr_wait(bad, TNR_COMPLETE, INT64_MAX), TNR_EKERNEL);
    await_file("failure");
  }
  assert_ok(tnr_scope_close());
  assert_ok(tnr_trace_stop(*state));
  assert_false(exists("failure.2"));
  recorded r = recorded_read(recorded_path("failure"));
  assert_int_equal(recorded_count(&r, TNR_TRACE_ERROR, 0) >= 1, 1);
  assert_int_equal(whole_ops(&r), 20);
  recorded_finish(&r);
}

static void a_signal_writes_a_file_each_time(void **state) {
  const tnr_trace_options options = {
      .mode = TNR_TRACE_IN_FLIGHT, .path = recorded_path("signal.%p"), .signal = SIGUSR1};
  char names[2][64];
  struct sigaction before, after;
  snprintf(names[0], sizeof names[0], "signal.%d", (int)getpid());
  snprintf(names[1], sizeof names[1], "signal.%d.2", (int)getpid());
  sigaction(SIGUSR1, NULL, &before);
  assert_ok(tnr_trace_start(*state, &options));
  run_chain(*state, 20);
  raise(SIGUSR1);
  await_file(names[0]);
  rig_sleep_ms(50);
  run_chain(*state, 20);
  raise(SIGUSR1);
  await_file(names[1]);
  assert_ok(tnr_trace_stop(*state));
  sigaction(SIGUSR1, NULL, &after);
  assert_ptr_equal(before.sa_handler, after.sa_handler);
  assert_int_equal(ops_in(names[0]), 20);
  assert_int_equal(ops_in(names[1]), 40);
}

/* In a process of its own, which has no threads but those of its runtime. */
static void crash(int number) {
  tnr_trace_options options = {
      .mode = TNR_TRACE_IN_FLIGHT, .path = recorded_path("crash"), .on_crash = true};
  tnr_runtime *runtime = rig_runtime();
  if (tnr_trace_start(runtime, &options) != TNR_OK)
    _exit(1);
  run_chain(runtime, 20);
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
    (void)unlink(recorded_path("crash"));
    pid_t child = fork();
    if (child == 0) {
      signal(numbers[i], SIG_DFL); /* not a sanitizer's, which would make it an exit */
      crash(numbers[i]);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), numbers[i]);
    assert_int_equal(ops_in("crash"), 20);
  }
}

/* ---- threads ---- */

static void submit_one(void *user, int index) {
  (void)index;
  tnr_release(rig_plus_one((tnr_future *)user));
}

static void threads_that_have_ended_make_room(void **state) {
  enum { TOGETHER = 2, TIMES = 20 };
  const tnr_trace_options options = {.path = recorded_path("ended"), .max_threads = TOGETHER + 1};
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  assert_ok(tnr_trace_start(*state, &options));
  run_chain(*state, 1);
  for (int i = 0; i < TIMES; i++) {
    rig_threads(TOGETHER, submit_one, x);
    rig_sleep_ms(1); /* the system may take a moment to forget a thread that was joined */
  }
  assert_ok(tnr_scope_close());
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_ok(tnr_trace_stop(*state));
  recorded r = recorded_read(recorded_path("ended"));
  size_t submitted = recorded_count(&r, TNR_TRACE_SUBMIT, 0);
  assert_true(submitted > TOGETHER + 1);
  /* strangers are records, of which a thread may write others, too */
  assert_true(submitted + r.total->strangers + r.total->lost >= TOGETHER * TIMES + 1);
  recorded_finish(&r);
}

static atomic_int arrived;

static void submit_beside_others(void *user, int index) {
  submit_one(user, index);
  atomic_fetch_add(&arrived, 1);
  while (atomic_load(&arrived) < 4)
    rig_sleep_ms(1);
}

static void threads_beyond_the_limit_are_counted(void **state) {
  enum { THREADS = 4, LIMIT = 2 };
  const tnr_trace_options options = {.path = recorded_path("many"), .max_threads = LIMIT};
  tnr_runtime *runtime = rig_runtime();
  (void)state;
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1));
  atomic_store(&arrived, 0);
  assert_ok(tnr_trace_start(runtime, &options));
  rig_threads(THREADS, submit_beside_others, x);
  assert_ok(tnr_scope_close());
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  recorded r = recorded_read(recorded_path("many"));
  assert_int_equal(recorded_count(&r, TNR_TRACE_SUBMIT, 0), LIMIT);
  assert_true(r.total->strangers >= THREADS - LIMIT); /* records: a wake is one, too */
  recorded_finish(&r);
}

typedef struct race {
  tnr_future *x;
  atomic_bool over; /* atomic */
} race;

static void *submit_until_over(void *user) {
  race *r = user;
  while (!atomic_load(&r->over))
    submit_one(r->x, 0);
  return NULL;
}

static void recording_starts_and_stops_while_others_submit(void **state) {
  enum { THREADS = 2, TIMES = 15 };
  race r = {.x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1))};
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, submit_until_over, &r), 0);
  for (int i = 0; i < TIMES; i++) {
    bool flight = i % 3 == 2;
    assert_ok(tnr_trace_start(
        *state, &(tnr_trace_options){.mode = flight ? TNR_TRACE_IN_FLIGHT : TNR_TRACE_TO_FILE,
                                     .path = recorded_path("race")}));
    rig_sleep_ms(i % 4);
    if (flight)
      assert_ok(tnr_trace_dump(*state, recorded_path("race")));
    assert_ok(tnr_trace_stop(*state));
    recorded file = recorded_read(recorded_path("race"));
    assert_non_null(file.total);
    recorded_finish(&file);
  }
  atomic_store(&r.over, true);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

/* ---- the environment ---- */

static void the_environment_starts_recordings(void **state) {
  (void)state;
  char value[160];
  setenv("TENOR_TRACE", recorded_path("env"), 1);
  tnr_runtime *first = rig_runtime(), *second = rig_runtime();
  run_chain(first, 3);
  run_chain(second, 4);
  assert_ok(tnr_runtime_destroy(first, TNR_DRAIN));
  assert_ok(tnr_runtime_destroy(second, TNR_DRAIN));
  snprintf(value, sizeof value, "flight:%s", recorded_path("env"));
  setenv("TENOR_TRACE", value, 1);
  tnr_runtime *third = rig_runtime();
  run_chain(third, 5);
  raise(SIGUSR2);
  await_file("env.3");
  assert_ok(tnr_runtime_destroy(third, TNR_DRAIN));
  setenv("TENOR_TRACE", "", 1);
  tnr_runtime *silent = rig_runtime();
  assert_false(tnr_trace_get_stats(silent).recording);
  assert_ok(tnr_runtime_destroy(silent, TNR_DRAIN));
  setenv("TENOR_TRACE", "/nowhere/at/all", 1);
  assert_null(tnr_runtime_create(NULL));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESYSTEM);
  assert_non_null(strstr(tnr_error_message(tnr_error()), "TENOR_TRACE"));
  unsetenv("TENOR_TRACE");
  assert_int_equal(ops_in("env"), 3);
  assert_int_equal(ops_in("env.2"), 4);
  assert_int_equal(ops_in("env.3"), 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_bare_test(a_crash_writes_the_file_and_stays_a_crash),
      rig_test(each_window_has_what_happened_in_it),
      rig_bare_test(a_runtime_records_from_its_beginning_to_its_end),
      rig_test(stats_count_what_is_recorded),
      rig_test(a_slow_disk_costs_records_but_no_time),
      rig_test(a_full_disk_is_told_at_the_end),
      rig_bare_test(destroy_tells_it_too),
      rig_test(options_that_make_no_sense_are_refused),
      rig_test(calls_out_of_turn_are_refused),
      rig_test(two_recordings_do_not_share_a_file),
      rig_test(in_flight_the_last_is_there_when_asked_for),
      rig_test(a_window_leaves_out_what_is_old),
      rig_test(what_never_ends_is_seen),
      rig_test(the_first_failure_writes_the_file),
      rig_test(a_signal_writes_a_file_each_time),
      rig_test(threads_that_have_ended_make_room),
      rig_bare_test(threads_beyond_the_limit_are_counted),
      rig_test(recording_starts_and_stops_while_others_submit),
      rig_bare_test(the_environment_starts_recordings),
  };
  return cmocka_run_group_tests(tests, recorded_enter_folder, recorded_leave_folder);
}
