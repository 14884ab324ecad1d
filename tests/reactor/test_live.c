/* Looking at a running program over its socket: numbers that agree, its timeline, and who may look
 * at which runtime. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorded.h"
#include "viewer.h"

/* The number behind a name on the line of a device. */
static uint64_t device_number(const char *text, const char *device, const char *name) {
  char start[96], word[96];
  snprintf(start, sizeof start, "\ndevice %s ", device);
  snprintf(word, sizeof word, " %s ", name);
  const char *line = strstr(text, start);
  const char *at = line ? strstr(line, word) : NULL;
  if (!at)
    fail_msg("'%s' does not say %s of %s", text, name, device);
  return strtoull(at + strlen(word), NULL, 10);
}

/* ---- numbers ---- */

static void its_numbers_are_the_counters(void **state) {
  int fd = viewer_attach(*state);
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 1), 0));
  for (int i = 0; i < 50; i++)
    x = rig_plus_one(x);
  assert_number(x, 50);
  tnr_stats stats = {.size = sizeof stats};
  tnr_device_stats device = {.size = sizeof device};
  assert_ok(tnr_stats_read(*state, &stats));
  assert_ok(tnr_stats_read_device(rig_cpu(*state, 1), &device));
  const char *text = viewer_ask_stats(fd);
  assert_int_equal(strtol(text + strlen("pid "), NULL, 10), getpid());
  assert_int_equal(viewer_number(text, "submitted"), stats.submitted);
  assert_int_equal(viewer_number(text, "completed"), stats.completed);
  assert_int_equal(viewer_number(text, "in_flight"), 0);
  assert_int_equal(viewer_number(text, "latency_samples"), stats.latency_samples);
  assert_int_equal(viewer_number(text, "devices"), 4);
  assert_int_equal(device_number(text, "cpu:1", "done"), device.done);
  assert_int_equal(device_number(text, "cpu:1", "live_bytes"), device.live_bytes);
  assert_int_equal(device_number(text, "cpu:0", "running"), 0);
  assert_null(strstr(text, "\noldest "));
  close(fd);
}

static void the_oldest_op_is_named(void **state) {
  int fd = viewer_attach(*state);
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 2), 1)));
  tnr_future *behind = rig_plus_one(held);
  rig_await_held(1);
  rig_sleep_ms(5);
  const char *text;
  do
    text = viewer_ask_stats(fd);
  while (device_number(text, "cpu:2", "queued") == 0);
  assert_int_equal(device_number(text, "cpu:2", "queued"), 1);
  assert_int_equal(device_number(text, "cpu:2", "running"), 1);
  const char *oldest = strstr(text, "\noldest ");
  assert_non_null(oldest);
  assert_true(strtoll(oldest + strlen("\noldest "), NULL, 10) >= 5000000);
  assert_non_null(strstr(oldest, " running cpu:2 "));
  assert_non_null(strstr(oldest, " rig_hold "));
  assert_non_null(strstr(oldest, "test_live.c\n"));
  rig_open_gate();
  assert_ok(tnr_wait(behind, TNR_COMPLETE, INT64_MAX));
  close(fd);
}

static void the_dispatcher_answers_while_it_has_nothing_else_to_do(void **state) {
  int fd = viewer_attach(*state);
  for (int i = 0; i < 3; i++) {
    rig_sleep_ms(20);
    assert_int_equal(viewer_number(viewer_ask_stats(fd), "in_flight"), 0);
  }
  close(fd);
}

/* ---- the timeline ---- */

/* What comes after "timeline\n"; its length. */
static size_t take_timeline(int fd, char **out) {
  char head[32] = "";
  size_t length = 0;
  while (length == 0 || head[length - 1] != '\n') {
    assert_in_range(length, 0, sizeof head - 2);
    assert_int_equal(recv(fd, head + length++, 1, 0), 1);
  }
  assert_memory_equal(head, "timeline ", strlen("timeline "));
  size_t bytes = strtoull(head + strlen("timeline "), NULL, 10);
  *out = malloc(bytes);
  assert_non_null(*out);
  assert_int_equal(recv(fd, *out, bytes, MSG_WAITALL), bytes);
  return bytes;
}

static void assert_timeline(int fd) {
  char *file;
  size_t bytes = take_timeline(fd, &file);
  FILE *to = fopen(folder_path("timeline"), "wb");
  assert_non_null(to);
  assert_int_equal(fwrite(file, 1, bytes, to), bytes);
  assert_int_equal(fclose(to), 0);
  free(file);
  recorded r = recorded_read(folder_path("timeline"));
  assert_int_not_equal(recorded_op(&r, "rig_plus_one", 0), 0);
  recorded_finish(&r);
}

static void record_one(tnr_runtime *runtime) {
  assert_ok(tnr_trace_start(runtime, &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT}));
  assert_number(rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1))), 2);
}

static void the_timeline_is_a_recording(void **state) {
  int fd = viewer_attach(*state);
  viewer_say(fd, "timeline\n");
  assert_string_equal(viewer_hear(fd, "\n"), "error the runtime does not record in flight\n");
  record_one(*state);
  viewer_say(fd, "timeline\nstats\n");
  assert_timeline(fd);
  assert_int_equal(viewer_number(viewer_hear(fd, "\n.\n"), "recording"), 1);
  assert_ok(tnr_trace_stop(*state));
  close(fd);
}

static void two_viewers_get_a_timeline_each(void **state) {
  int first = viewer_attach(*state), second = viewer_attach(*state);
  record_one(*state);
  viewer_say(first, "timeline\n");
  viewer_say(second, "timeline\n");
  assert_timeline(second);
  assert_timeline(first);
  close(first);
  close(second);
}

/* While its copy is being made, and while it reads it. */
static void a_viewer_may_go_in_the_middle_of_its_timeline(void **state) {
  enum { TIMES = 6 };
  record_one(*state);
  for (int i = 0; i < TIMES; i++) {
    char some[200];
    int fd = viewer_attach(*state);
    viewer_say(fd, "timeline\n");
    if (i % 2)
      assert_true(recv(fd, some, sizeof some, 0) > 0);
    close(fd);
  }
  int last = viewer_attach(*state);
  viewer_say(last, "timeline\n");
  assert_timeline(last);
  close(last);
}

static void the_runtime_may_end_in_the_middle_of_a_timeline(void **state) {
  (void)state;
  tnr_runtime *runtime = viewer_runtime();
  int fd = viewer_attach(runtime);
  assert_ok(tnr_scope_open());
  record_one(runtime);
  assert_ok(tnr_scope_close());
  viewer_say(fd, "timeline\n");
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  close(fd);
}

/* ---- who may ---- */

static void only_the_user_can_connect(void **state) {
  struct stat info;
  assert_int_equal(stat(tnr_live_path(*state), &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  assert_int_equal(info.st_uid, geteuid());
  assert_int_equal(stat(folder_itself(), &info), 0);
  if (geteuid() != 0)
    return; /* nobody else can be played */
  char path[128];
  snprintf(path, sizeof path, "%s", tnr_live_path(*state));
  assert_int_equal(chmod(path, 0666), 0); /* even so: the process says whose it is */
  assert_int_equal(chmod(folder_itself(), 0755), 0);
  pid_t child = fork();
  if (child == 0) {
    char byte;
    if (setuid(65534) != 0)
      _exit(3);
    int fd = viewer_attach_to(path);
    if (fd == -1)
      _exit(1);
    (void)send(fd, "stats\n", 6, MSG_NOSIGNAL);
    _exit(recv(fd, &byte, 1, 0) == 1 ? 2 : 0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(chmod(folder_itself(), 0700), 0);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_folder_that_others_reach_into_is_refused(void **state) {
  (void)state;
  assert_int_equal(chmod(folder_itself(), 0770), 0);
  assert_null(tnr_runtime_create(&(tnr_runtime_options){.live = true}));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESYSTEM);
  assert_non_null(strstr(tnr_error_message(tnr_error()), "this user's alone"));
  assert_int_equal(chmod(folder_itself(), 0700), 0);
}

/* ---- which runtimes ---- */

static void runtimes_of_one_process_have_sockets_of_their_own(void **state) {
  (void)state;
  tnr_runtime *first = viewer_runtime(), *second = viewer_runtime();
  assert_string_not_equal(tnr_live_path(first), tnr_live_path(second));
  int fds[2] = {viewer_attach(first), viewer_attach(second)};
  viewer_run_some(second);
  assert_int_equal(viewer_number(viewer_ask_stats(fds[0]), "completed"), 0);
  assert_true(viewer_number(viewer_ask_stats(fds[1]), "completed") >= 500);
  assert_ok(tnr_runtime_destroy(first, TNR_DRAIN));
  assert_ok(tnr_runtime_destroy(second, TNR_DRAIN));
  close(fds[0]);
  close(fds[1]);
}

static void what_a_dead_process_left_behind_is_taken_over(void **state) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)state;
  snprintf(address.sun_path, sizeof address.sun_path, "%s/tenor-%d.sock", folder_itself(),
           (int)getpid());
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  close(fd);
  tnr_runtime *runtime = viewer_runtime();
  assert_string_equal(tnr_live_path(runtime), address.sun_path);
  close(viewer_attach(runtime));
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
}

static void the_environment_allows_it(void **state) {
  (void)state;
  assert_null(tnr_live_path(NULL));
  tnr_runtime *silent = rig_runtime();
  assert_null(tnr_live_path(silent));
  assert_ok(tnr_runtime_destroy(silent, TNR_DRAIN));
  setenv("TENOR_LIVE", "1", 1);
  tnr_runtime *live = rig_runtime();
  assert_non_null(tnr_live_path(live));
  close(viewer_attach(live));
  assert_ok(tnr_runtime_destroy(live, TNR_DRAIN));
  setenv("TENOR_LIVE", "maybe", 1);
  assert_null(tnr_runtime_create(NULL));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
  assert_non_null(strstr(tnr_error_message(tnr_error()), "'maybe'"));
  setenv("TENOR_LIVE", "0", 1);
  silent = rig_runtime();
  assert_null(tnr_live_path(silent));
  assert_ok(tnr_runtime_destroy(silent, TNR_DRAIN));
  unsetenv("TENOR_LIVE");
  assert_null(tnr_runtime_create(&(tnr_runtime_options){.live = true, .mode = TNR_ONE_THREAD}));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      viewer_test(its_numbers_are_the_counters),
      viewer_test(the_oldest_op_is_named),
      viewer_test(the_dispatcher_answers_while_it_has_nothing_else_to_do),
      viewer_test(the_timeline_is_a_recording),
      viewer_test(two_viewers_get_a_timeline_each),
      viewer_test(a_viewer_may_go_in_the_middle_of_its_timeline),
      rig_bare_test(the_runtime_may_end_in_the_middle_of_a_timeline),
      viewer_test(only_the_user_can_connect),
      rig_bare_test(a_folder_that_others_reach_into_is_refused),
      rig_bare_test(runtimes_of_one_process_have_sockets_of_their_own),
      rig_bare_test(what_a_dead_process_left_behind_is_taken_over),
      rig_bare_test(the_environment_allows_it),
  };
  return cmocka_run_group_tests(tests, viewer_enter, folder_leave);
}
