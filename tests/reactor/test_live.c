/* Looking at a running program over its socket: numbers that agree, viewers that are stuck, rude or
 * strangers. */
#define _GNU_SOURCE /* memmem, struct ucred */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorded.h"
#include "rig.h"

enum { ANSWER_MAX = 1 << 16 };

static char folder[] = "/tmp/tenor_live_XXXXXX";

static tnr_runtime *live_runtime(void) {
  const tnr_device_config cpu = {.driver = tnr_cpu_driver(), .count = 4};
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = &cpu, .device_configs = 1, .live = true});
  assert_made(runtime);
  assert_non_null(tnr_live_path(runtime));
  return runtime;
}

static int set_up(void **state) {
  rig_bare_setup(state);
  *state = live_runtime();
  assert_ok(tnr_scope_open());
  return 0;
}

/* -1: nobody listens there. */
static int attach_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd == -1 || strlen(path) >= sizeof address.sun_path)
    return -1;
  strcpy(address.sun_path, path);
  if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  close(fd);
  return -1;
}

static int attach(const tnr_runtime *runtime) {
  int fd = attach_to(tnr_live_path(runtime));
  assert_int_not_equal(fd, -1);
  return fd;
}

static void say(int fd, const char *line) {
  assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
}

/* Reads until the text ends with this, or there is no more. */
static const char *hear(int fd, const char *end) {
  static char text[ANSWER_MAX];
  size_t length = 0;
  text[0] = '\0';
  while (length < strlen(end) || strcmp(text + length - strlen(end), end) != 0) {
    ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
    if (got <= 0)
      break;
    length += (size_t)got;
    text[length] = '\0';
  }
  return text;
}

static const char *ask_stats(int fd) {
  say(fd, "stats\n");
  return hear(fd, "\n.\n");
}

/* The number behind a name at the beginning of a line. */
static uint64_t number_of(const char *text, const char *name) {
  char start[96];
  snprintf(start, sizeof start, "\n%s ", name);
  const char *at = strstr(text, start);
  if (!at)
    fail_msg("'%s' does not say %s", text, name);
  return strtoull(at + strlen(start), NULL, 10);
}

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
  int fd = attach(*state);
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(*state, 1), 0));
  for (int i = 0; i < 50; i++)
    x = rig_plus_one(x);
  assert_number(x, 50);
  tnr_stats stats = {.size = sizeof stats};
  tnr_device_stats device = {.size = sizeof device};
  assert_ok(tnr_stats_read(*state, &stats));
  assert_ok(tnr_stats_read_device(rig_cpu(*state, 1), &device));
  const char *text = ask_stats(fd);
  assert_int_equal(strtol(text + strlen("pid "), NULL, 10), getpid());
  assert_int_equal(number_of(text, "submitted"), stats.submitted);
  assert_int_equal(number_of(text, "completed"), stats.completed);
  assert_int_equal(number_of(text, "in_flight"), 0);
  assert_int_equal(number_of(text, "latency_samples"), stats.latency_samples);
  assert_int_equal(number_of(text, "devices"), 4);
  assert_int_equal(device_number(text, "cpu:1", "done"), device.done);
  assert_int_equal(device_number(text, "cpu:1", "live_bytes"), device.live_bytes);
  assert_int_equal(device_number(text, "cpu:0", "running"), 0);
  assert_null(strstr(text, "\noldest "));
  close(fd);
}

static void the_oldest_op_is_named(void **state) {
  int fd = attach(*state);
  tnr_future *held = rig_hold(tnr_to_async(rig_tensor(rig_cpu(*state, 2), 1)));
  tnr_future *behind = rig_plus_one(held);
  rig_await_held(1);
  rig_sleep_ms(5);
  const char *text;
  do
    text = ask_stats(fd);
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
  int fd = attach(*state);
  for (int i = 0; i < 3; i++) {
    rig_sleep_ms(20);
    assert_int_equal(number_of(ask_stats(fd), "in_flight"), 0);
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
  char path[64], *file;
  snprintf(path, sizeof path, "%s/timeline", folder);
  size_t bytes = take_timeline(fd, &file);
  FILE *to = fopen(path, "wb");
  assert_non_null(to);
  assert_int_equal(fwrite(file, 1, bytes, to), bytes);
  assert_int_equal(fclose(to), 0);
  free(file);
  recorded r = recorded_read(path);
  assert_int_not_equal(recorded_op(&r, "rig_plus_one", 0), 0);
  recorded_finish(&r);
}

static void record_one(tnr_runtime *runtime) {
  assert_ok(tnr_trace_start(runtime, &(tnr_trace_options){.mode = TNR_TRACE_IN_FLIGHT}));
  assert_number(rig_plus_one(tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 1))), 2);
}

static void the_timeline_is_a_recording(void **state) {
  int fd = attach(*state);
  say(fd, "timeline\n");
  assert_string_equal(hear(fd, "\n"), "error the runtime does not record in flight\n");
  record_one(*state);
  say(fd, "timeline\nstats\n");
  assert_timeline(fd);
  assert_int_equal(number_of(hear(fd, "\n.\n"), "recording"), 1);
  assert_ok(tnr_trace_stop(*state));
  close(fd);
}

static void two_viewers_get_a_timeline_each(void **state) {
  int first = attach(*state), second = attach(*state);
  record_one(*state);
  say(first, "timeline\n");
  say(second, "timeline\n");
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
    int fd = attach(*state);
    say(fd, "timeline\n");
    if (i % 2)
      assert_true(recv(fd, some, sizeof some, 0) > 0);
    close(fd);
  }
  int last = attach(*state);
  say(last, "timeline\n");
  assert_timeline(last);
  close(last);
}

static void the_runtime_may_end_in_the_middle_of_a_timeline(void **state) {
  (void)state;
  tnr_runtime *runtime = live_runtime();
  int fd = attach(runtime);
  assert_ok(tnr_scope_open());
  record_one(runtime);
  assert_ok(tnr_scope_close());
  say(fd, "timeline\n");
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  close(fd);
}

/* Answers take a hundredth of the dispatcher's time; none takes less than 1 µs. */
static void who_asks_much_waits(void **state) {
  enum { QUESTIONS = 40 };
  char questions[QUESTIONS * 6 + 1] = "";
  int fd = attach(*state);
  for (int i = 0; i < QUESTIONS; i++)
    memcpy(questions + (ptrdiff_t)i * 6, "stats\n", 6);
  int64_t begin = rig_now_ns();
  say(fd, questions);
  size_t answers = 0, length = 0;
  static char text[ANSWER_MAX];
  while (answers < QUESTIONS) {
    ssize_t got = recv(fd, text + length, sizeof text - length, 0);
    assert_true(got > 0);
    for (size_t end = length + (size_t)got; length < end; length++)
      answers += length >= 2 && memcmp(text + length - 2, "\n.\n", 3) == 0;
    memmove(text, text + length - 2, 2);
    length = 2;
  }
  assert_true(rig_now_ns() - begin >= (QUESTIONS - 1) * 99 * 1000);
  close(fd);
}

/* ---- viewers ---- */

static void run_some(tnr_runtime *runtime) {
  assert_ok(tnr_scope_open());
  tnr_future *x = tnr_to_async(rig_tensor(rig_cpu(runtime, 0), 0));
  for (int i = 0; i < 500; i++)
    x = rig_plus_one(x);
  assert_number(x, 500);
  assert_ok(tnr_scope_close());
}

/* A viewer that asks and asks, and reads nothing, gets no more answers, and is dropped. */
static void a_stuck_viewer_is_dropped_and_holds_nobody_up(void **state) {
  static char questions[6 * 10];
  int stuck = attach(*state), other = attach(*state);
  for (size_t i = 0; i < sizeof questions; i += 6)
    memcpy(questions + i, "stats\n", 6);
  (void)fcntl(stuck, F_SETFL, O_NONBLOCK);
  bool gone = false;
  int64_t limit = rig_now_ns() + INT64_C(30000000000);
  while (!gone && rig_now_ns() < limit) {
    gone = send(stuck, questions, sizeof questions, MSG_NOSIGNAL) == -1 && errno != EAGAIN;
    run_some(*state);
  }
  assert_true(gone);
  assert_true(number_of(ask_stats(other), "completed") >= 500);
  close(stuck);
  close(other);
}

static bool is_at_end(int fd) {
  char byte;
  return recv(fd, &byte, 1, 0) <= 0;
}

static void
what_is_no_question_is_answered_with_an_error_and_too_long_a_line_with_the_end(void **state) {
  char line[300];
  int fd = attach(*state);
  say(fd, "stat\n");
  assert_string_equal(hear(fd, "\n"), "error there is nothing of that name\n");
  say(fd, "\n");
  assert_string_equal(hear(fd, "\n"), "error there is nothing of that name\n");
  memset(line, 'x', sizeof line);
  line[sizeof line - 1] = '\0';
  (void)send(fd, line, strlen(line), MSG_NOSIGNAL);
  assert_true(is_at_end(fd));
  close(fd);
}

static void too_many_viewers_are_sent_away(void **state) {
  enum { MOST = 8 };
  int fds[MOST + 1];
  for (int i = 0; i < MOST; i++) {
    fds[i] = attach(*state);
    assert_int_equal(number_of(ask_stats(fds[i]), "devices"), 4);
  }
  fds[MOST] = attach(*state);
  assert_true(is_at_end(fds[MOST]));
  close(fds[0]);
  int again;
  do { /* the dispatcher has to see that one has gone */
    rig_sleep_ms(1);
    again = attach(*state);
    (void)send(again, "stats\n", 6, MSG_NOSIGNAL);
    if (hear(again, "\n.\n")[0])
      break;
    close(again);
  } while (true);
  close(again);
  for (int i = 1; i <= MOST; i++)
    close(fds[i]);
}

static void come_and_go(void *user, int index) {
  (void)index;
  for (int i = 0; i < 1000; i++) {
    int fd = attach_to(tnr_live_path(user));
    if (fd == -1)
      abort();
    (void)send(fd, "stats\nstats\n", 12, MSG_NOSIGNAL);
    if (i % 20 == 0)
      (void)hear(fd, "\n.\n");
    close(fd);
  }
}

static atomic_bool over;

static void *look_on(void *runtime) {
  come_and_go(runtime, 0);
  atomic_store(&over, true);
  return NULL;
}

static void viewers_come_and_go_while_ops_run(void **state) {
  pthread_t thread;
  over = false;
  assert_int_equal(pthread_create(&thread, NULL, look_on, *state), 0);
  for (int i = 0; i < 20 || !atomic_load(&over); i++)
    run_some(*state);
  pthread_join(thread, NULL);
  tnr_stats stats = {.size = sizeof stats};
  assert_ok(tnr_stats_read(*state, &stats));
  assert_int_equal(stats.failed, 0);
}

static void the_end_of_the_runtime_is_the_end_for_viewers(void **state) {
  char path[128];
  (void)state;
  tnr_runtime *runtime = live_runtime();
  int fd = attach(runtime);
  snprintf(path, sizeof path, "%s", tnr_live_path(runtime));
  assert_int_equal(access(path, F_OK), 0);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_true(is_at_end(fd));
  assert_int_equal(access(path, F_OK), -1);
  close(fd);
}

/* ---- who may ---- */

static void only_the_user_can_connect(void **state) {
  struct stat info;
  assert_int_equal(stat(tnr_live_path(*state), &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  assert_int_equal(info.st_uid, geteuid());
  assert_int_equal(stat(folder, &info), 0);
  if (geteuid() != 0)
    return; /* nobody else can be played */
  char path[128];
  snprintf(path, sizeof path, "%s", tnr_live_path(*state));
  assert_int_equal(chmod(path, 0666), 0); /* even so: the process says whose it is */
  assert_int_equal(chmod(folder, 0755), 0);
  pid_t child = fork();
  if (child == 0) {
    char byte;
    if (setuid(65534) != 0)
      _exit(3);
    int fd = attach_to(path);
    if (fd == -1)
      _exit(1);
    (void)send(fd, "stats\n", 6, MSG_NOSIGNAL);
    _exit(recv(fd, &byte, 1, 0) == 1 ? 2 : 0);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(chmod(folder, 0700), 0);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_folder_that_others_reach_into_is_refused(void **state) {
  (void)state;
  assert_int_equal(chmod(folder, 0770), 0);
  assert_null(tnr_runtime_create(&(tnr_runtime_options){.live = true}));
  assert_int_equal(tnr_error_code(tnr_error()), TNR_ESYSTEM);
  assert_non_null(strstr(tnr_error_message(tnr_error()), "this user's alone"));
  assert_int_equal(chmod(folder, 0700), 0);
}

/* ---- which runtimes ---- */

static void runtimes_of_one_process_have_sockets_of_their_own(void **state) {
  (void)state;
  tnr_runtime *first = live_runtime(), *second = live_runtime();
  assert_string_not_equal(tnr_live_path(first), tnr_live_path(second));
  int fds[2] = {attach(first), attach(second)};
  run_some(second);
  assert_int_equal(number_of(ask_stats(fds[0]), "completed"), 0);
  assert_true(number_of(ask_stats(fds[1]), "completed") >= 500);
  assert_ok(tnr_runtime_destroy(first, TNR_DRAIN));
  assert_ok(tnr_runtime_destroy(second, TNR_DRAIN));
  close(fds[0]);
  close(fds[1]);
}

static void what_a_dead_process_left_behind_is_taken_over(void **state) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)state;
  snprintf(address.sun_path, sizeof address.sun_path, "%s/tenor-%d.sock", folder, (int)getpid());
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  close(fd);
  tnr_runtime *runtime = live_runtime();
  assert_string_equal(tnr_live_path(runtime), address.sun_path);
  close(attach(runtime));
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
  close(attach(live));
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

/* ---- the folder ---- */

static int enter_folder(void **state) {
  (void)state;
  return !mkdtemp(folder) || setenv("XDG_RUNTIME_DIR", folder, 1) != 0;
}

static int leave_folder(void **state) {
  (void)state;
  char line[64];
  snprintf(line, sizeof line, "rm -r %s", folder);
  return system(line) != 0;
}

#define live_test(function) cmocka_unit_test_setup_teardown(function, set_up, rig_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      live_test(its_numbers_are_the_counters),
      live_test(the_oldest_op_is_named),
      live_test(the_dispatcher_answers_while_it_has_nothing_else_to_do),
      live_test(the_timeline_is_a_recording),
      live_test(two_viewers_get_a_timeline_each),
      live_test(a_viewer_may_go_in_the_middle_of_its_timeline),
      rig_bare_test(the_runtime_may_end_in_the_middle_of_a_timeline),
      live_test(who_asks_much_waits),
      live_test(a_stuck_viewer_is_dropped_and_holds_nobody_up),
      live_test(what_is_no_question_is_answered_with_an_error_and_too_long_a_line_with_the_end),
      live_test(too_many_viewers_are_sent_away),
      live_test(viewers_come_and_go_while_ops_run),
      rig_bare_test(the_end_of_the_runtime_is_the_end_for_viewers),
      live_test(only_the_user_can_connect),
      rig_bare_test(a_folder_that_others_reach_into_is_refused),
      rig_bare_test(runtimes_of_one_process_have_sockets_of_their_own),
      rig_bare_test(what_a_dead_process_left_behind_is_taken_over),
      rig_bare_test(the_environment_allows_it),
  };
  return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
