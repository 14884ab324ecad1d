/* Recordings as a whole: when they start and stop, which threads they have, and what goes wrong. */
#define _GNU_SOURCE /* F_SETPIPE_SZ */

#include "chain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- to a file ---- */

static void each_window_has_what_happened_in_it(void **state) {
  chain_run(*state, 5);
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = folder_path("a")}));
  assert_true(tnr_trace_get_stats(*state).recording);
  chain_run(*state, 10);
  assert_ok(tnr_trace_stop(*state));
  assert_false(tnr_trace_get_stats(*state).recording);
  chain_run(*state, 20);
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = folder_path("b")}));
  chain_run(*state, 40);
  assert_ok(tnr_trace_stop(*state));
  assert_int_equal(chain_ops_in("a"), 10);
  assert_int_equal(chain_ops_in("b"), 40);
}

static void a_runtime_records_from_its_beginning_to_its_end(void **state) {
  const tnr_trace_options trace = {.path = folder_path("whole")};
  const tnr_device_config cpu = {.driver = tnr_cpu_driver(), .count = 4};
  const tnr_runtime_options options = {.devices = &cpu, .device_configs = 1, .trace = &trace};
  (void)state;
  tnr_runtime *runtime = tnr_runtime_create(&options);
  assert_made(runtime);
  chain_run(runtime, 7);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  recorded r = recorded_read(folder_path("whole"));
  assert_int_equal(chain_whole_ops(&r), 7);
  assert_non_null(r.total);
  assert_int_equal(r.total->drained, 1);
  assert_int_equal(r.total->records, r.records);
  assert_int_equal(r.file.devices, 4);
  assert_int_equal(r.file.pid, getpid());
  recorded_finish(&r);
}

static void stats_count_what_is_recorded(void **state) {
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = folder_path("stats")}));
  chain_run(*state, 100);
  tnr_trace_stats during = tnr_trace_get_stats(*state);
  assert_true(during.recorded >= 500);
  assert_ok(tnr_trace_stop(*state));
  tnr_trace_stats after = tnr_trace_get_stats(*state);
  struct stat info;
  assert_int_equal(stat(folder_path("stats"), &info), 0);
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
  chain_run(*state, 20000);
  tnr_trace_stats stats = tnr_trace_get_stats(*state);
  assert_true(stats.lost > 50000); /* it has come this far, and the pipe has taken a few */
  assert_true(stats.written <= 128 << 10);
  copier c = {ends[0], fopen(folder_path("slow"), "wb")};
  pthread_t thread;
  assert_non_null(c.to);
  close(ends[1]);
  assert_int_equal(pthread_create(&thread, NULL, copy_all, &c), 0);
  assert_ok(tnr_trace_stop(*state));
  pthread_join(thread, NULL);
  assert_int_equal(fclose(c.to), 0);
  close(ends[0]);
  recorded r = recorded_read(folder_path("slow"));
  assert_non_null(r.total);
  assert_int_equal(r.total->lost, tnr_trace_get_stats(*state).lost);
  assert_int_equal(r.records + r.total->lost, r.total->records);
  assert_true(r.lost <= r.total->lost);
  recorded_finish(&r);
}

static void a_full_disk_is_told_at_the_end(void **state) {
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = "/dev/full"}));
  chain_run(*state, 100);
  assert_fails(tnr_trace_stop(*state), TNR_ESYSTEM);
  assert_non_null(strstr(tnr_error_message(tnr_error()), "/dev/full"));
  assert_non_null(strstr(tnr_error_message(tnr_error()), strerror(ENOSPC)));
  assert_false(tnr_trace_get_stats(*state).recording);
  chain_run(*state, 5);
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
  const char *path = folder_path("refused");
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
  assert_false(folder_has("refused"));
}

static void calls_out_of_turn_are_refused(void **state) {
  const tnr_trace_options options = {.path = folder_path("turn")};
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
  const tnr_trace_options options = {.path = folder_path("shared")};
  tnr_runtime *other = rig_runtime();
  assert_ok(tnr_trace_start(*state, &options));
  assert_fails(tnr_trace_start(other, &options), TNR_ESYSTEM);
  assert_non_null(strstr(tnr_error_message(tnr_error()), "another recording"));
  assert_ok(tnr_trace_stop(*state));
  assert_ok(tnr_trace_start(other, &options));
  assert_ok(tnr_runtime_destroy(other, TNR_DRAIN));
}

/* ---- threads ---- */

static void submit_one(void *user, int index) {
  (void)index;
  tnr_release(rig_plus_one((tnr_future *)user));
}

static void threads_that_have_ended_make_room(void **state) {
  enum { TOGETHER = 2, TIMES = 20 };
  const tnr_trace_options options = {.path = folder_path("ended"), .max_threads = TOGETHER + 1};
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 0), 1));
  assert_ok(tnr_trace_start(*state, &options));
  chain_run(*state, 1);
  for (int i = 0; i < TIMES; i++) {
    rig_threads(TOGETHER, submit_one, x);
    rig_sleep_ms(1); /* the system may take a moment to forget a thread that was joined */
  }
  assert_ok(tnr_scope_close());
  assert_ok(tnr_synchronize_device(rig_cpu(*state, 0)));
  assert_ok(tnr_trace_stop(*state));
  recorded r = recorded_read(folder_path("ended"));
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
  const tnr_trace_options options = {.path = folder_path("many"), .max_threads = LIMIT};
  tnr_runtime *runtime = rig_runtime();
  (void)state;
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1));
  atomic_store(&arrived, 0);
  assert_ok(tnr_trace_start(runtime, &options));
  rig_threads(THREADS, submit_beside_others, x);
  assert_ok(tnr_scope_close());
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  recorded r = recorded_read(folder_path("many"));
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
                                     .path = folder_path("race")}));
    rig_sleep_ms(i % 4);
    if (flight)
      assert_ok(tnr_trace_dump(*state, folder_path("race")));
    assert_ok(tnr_trace_stop(*state));
    recorded file = recorded_read(folder_path("race"));
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
  setenv("TENOR_TRACE", folder_path("env"), 1);
  tnr_runtime *first = rig_runtime(), *second = rig_runtime();
  chain_run(first, 3);
  chain_run(second, 4);
  assert_ok(tnr_runtime_destroy(first, TNR_DRAIN));
  assert_ok(tnr_runtime_destroy(second, TNR_DRAIN));
  snprintf(value, sizeof value, "flight:%s", folder_path("env"));
  setenv("TENOR_TRACE", value, 1);
  tnr_runtime *third = rig_runtime();
  chain_run(third, 5);
  raise(SIGUSR2);
  folder_await("env.3");
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
  assert_int_equal(chain_ops_in("env"), 3);
  assert_int_equal(chain_ops_in("env.2"), 4);
  assert_int_equal(chain_ops_in("env.3"), 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      rig_test(each_window_has_what_happened_in_it),
      rig_bare_test(a_runtime_records_from_its_beginning_to_its_end),
      rig_test(stats_count_what_is_recorded),
      rig_test(a_slow_disk_costs_records_but_no_time),
      rig_test(a_full_disk_is_told_at_the_end),
      rig_bare_test(destroy_tells_it_too),
      rig_test(options_that_make_no_sense_are_refused),
      rig_test(calls_out_of_turn_are_refused),
      rig_test(two_recordings_do_not_share_a_file),
      rig_test(threads_that_have_ended_make_room),
      rig_bare_test(threads_beyond_the_limit_are_counted),
      rig_test(recording_starts_and_stops_while_others_submit),
      rig_bare_test(the_environment_starts_recordings),
  };
  return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
