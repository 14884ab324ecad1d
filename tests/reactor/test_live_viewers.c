/* Viewers of a running program that ask much, are stuck or rude, are too many, or come and go: none
 * holds up the program, nor each other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "viewer.h"

/* A viewer that asks and asks, and reads nothing, gets no more answers, and is dropped. */
static void a_stuck_viewer_is_dropped_and_holds_nobody_up(void **state) {
  static char questions[6 * 10];
  int stuck = viewer_attach(*state), other = viewer_attach(*state);
  for (size_t i = 0; i < sizeof questions; i += 6)
    memcpy(questions + i, "stats\n", 6);
  (void)fcntl(stuck, F_SETFL, O_NONBLOCK);
  bool gone = false;
  int64_t limit = rig_now_ns() + INT64_C(30000000000);
  while (!gone && rig_now_ns() < limit) {
    gone = send(stuck, questions, sizeof questions, MSG_NOSIGNAL) == -1 && errno != EAGAIN;
    viewer_run_some(*state);
  }
  assert_true(gone);
  assert_true(viewer_number(viewer_ask_stats(other), "completed") >= 500);
  close(stuck);
  close(other);
}

static void
what_is_no_question_is_answered_with_an_error_and_too_long_a_line_with_the_end(void **state) {
  char line[300];
  int fd = viewer_attach(*state);
  viewer_say(fd, "stat\n");
  assert_string_equal(viewer_hear(fd, "\n"), "error there is nothing of that name\n");
  viewer_say(fd, "\n");
  assert_string_equal(viewer_hear(fd, "\n"), "error there is nothing of that name\n");
  memset(line, 'x', sizeof line);
  line[sizeof line - 1] = '\0';
  (void)send(fd, line, strlen(line), MSG_NOSIGNAL);
  assert_true(viewer_is_at_end(fd));
  close(fd);
}

static void too_many_viewers_are_sent_away(void **state) {
  enum { MOST = 8 };
  int fds[MOST + 1];
  for (int i = 0; i < MOST; i++) {
    fds[i] = viewer_attach(*state);
    assert_int_equal(viewer_number(viewer_ask_stats(fds[i]), "devices"), 4);
  }
  fds[MOST] = viewer_attach(*state);
  assert_true(viewer_is_at_end(fds[MOST]));
  close(fds[0]);
  int again;
  do { /* the dispatcher has to see that one has gone */
    rig_sleep_ms(1);
    again = viewer_attach(*state);
    (void)send(again, "stats\n", 6, MSG_NOSIGNAL);
    if (viewer_hear(again, "\n.\n")[0])
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
    int fd = viewer_attach_to(tnr_live_path(user));
    if (fd == -1)
      abort();
    (void)send(fd, "stats\nstats\n", 12, MSG_NOSIGNAL);
    if (i % 20 == 0)
      (void)viewer_hear(fd, "\n.\n");
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
    viewer_run_some(*state);
  pthread_join(thread, NULL);
  tnr_stats stats = {.size = sizeof stats};
  assert_ok(tnr_stats_read(*state, &stats));
  assert_int_equal(stats.failed, 0);
}

static void the_end_of_the_runtime_is_the_end_for_viewers(void **state) {
  char path[128];
  (void)state;
  tnr_runtime *runtime = viewer_runtime();
  int fd = viewer_attach(runtime);
  snprintf(path, sizeof path, "%s", tnr_live_path(runtime));
  assert_int_equal(access(path, F_OK), 0);
  assert_ok(tnr_runtime_destroy(runtime, TNR_DRAIN));
  assert_true(viewer_is_at_end(fd));
  assert_int_equal(access(path, F_OK), -1);
  close(fd);
}

/* Answers take a hundredth of the dispatcher's time; none takes less than 1 µs. */
static void who_asks_much_waits(void **state) {
  enum { QUESTIONS = 40 };
  char questions[QUESTIONS * 6 + 1] = "";
  int fd = viewer_attach(*state);
  for (int i = 0; i < QUESTIONS; i++)
    memcpy(questions + (ptrdiff_t)i * 6, "stats\n", 6);
  int64_t begin = rig_now_ns();
  viewer_say(fd, questions);
  size_t answers = 0, length = 0;
  static char text[VIEWER_ANSWER_MAX];
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

int main(void) {
  const struct CMUnitTest tests[] = {
      viewer_test(who_asks_much_waits),
      viewer_test(a_stuck_viewer_is_dropped_and_holds_nobody_up),
      viewer_test(what_is_no_question_is_answered_with_an_error_and_too_long_a_line_with_the_end),
      viewer_test(too_many_viewers_are_sent_away),
      viewer_test(viewers_come_and_go_while_ops_run),
      rig_bare_test(the_end_of_the_runtime_is_the_end_for_viewers),
  };
  return cmocka_run_group_tests(tests, viewer_enter, folder_leave);
}
