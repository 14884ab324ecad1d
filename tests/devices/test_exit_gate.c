/* The gate that keeps threads out of oneDNN once the process ends. Each ending is one of this very
 * program, run again with the name of a case: a gate closes once a process. */
#include "check.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/cpu/exit_gate.h"

extern char **environ;

enum { GOOD = 42, BAD = 13, GIVEN_S = 30, SOON_S = 4, LONG_MS = 100, THREADS = 40 };

static atomic_int inside, entered; /* of the process that ends */
static atomic_bool ended;

static void pause_ms(long ms) {
  const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

/* ---- what ends ---- */

/* Nobody stays inside, so that the end waits for nobody: not the five seconds that the gate has. */
static int end_soon(void) {
  alarm(SOON_S);
  return GOOD;
}

/* What is destroyed at the end: then nobody may be inside, nor enter any more. */
static void judge(void) {
  if (tnr_exit_gate_enter() || atomic_load(&inside) > 0)
    _exit(BAD);
}

static int open_until_the_end(void) {
  for (int i = 0; i < 3; i++) {
    if (!tnr_exit_gate_enter())
      return BAD;
    tnr_exit_gate_leave();
  }
  return atexit(judge) == 0 ? end_soon() : BAD;
}

static void *stay_long(void *unused) {
  (void)unused;
  if (!tnr_exit_gate_enter())
    return NULL;
  atomic_fetch_add(&inside, 1);
  atomic_fetch_add(&entered, 1);
  pause_ms(LONG_MS);
  atomic_fetch_sub(&inside, 1);
  tnr_exit_gate_leave();
  return NULL;
}

static bool start_long(int count) {
  for (int i = 0; i < count; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, stay_long, NULL) != 0)
      return false;
    pthread_detach(thread);
  }
  while (atomic_load(&entered) < count)
    sched_yield();
  return true;
}

static int waits_for_one(void) {
  return atexit(judge) == 0 && start_long(1) ? GOOD : BAD;
}

/* More than the gate has places to count them, with an exit that is not main's return. */
static int waits_for_many(void) {
  if (atexit(judge) != 0 || !start_long(THREADS))
    return BAD;
  exit(GOOD);
}

static void *exit_there(void *unused) {
  (void)unused;
  exit(GOOD);
}

/* What was there before the first deed is destroyed behind what that brought. */
static int another_thread(void) {
  pthread_t thread;
  if (atexit(judge) != 0 || !tnr_exit_gate_enter())
    return BAD;
  tnr_exit_gate_did(TNR_EXIT_GATE_RUN, 3);
  tnr_exit_gate_leave();
  if (!start_long(1) || pthread_create(&thread, NULL, exit_there, NULL) != 0)
    return BAD;
  for (;;)
    pause();
}

/* What a later deed has brought is destroyed first, so the gate must have closed before: `judge`
 * stands for it. */
static int another_thread_behind(tnr_exit_gate_deed deed, unsigned kind) {
  pthread_t thread;
  tnr_exit_gate_did(TNR_EXIT_GATE_RUN, 3);
  if (atexit(judge) != 0)
    return BAD;
  tnr_exit_gate_did(deed, kind);
  if (!start_long(1) || pthread_create(&thread, NULL, exit_there, NULL) != 0)
    return BAD;
  for (;;)
    pause();
}

static int another_thread_behind_another_deed(void) {
  return another_thread_behind(TNR_EXIT_GATE_RUN_PACKED, 3);
}

static int another_thread_behind_the_last_kind(void) {
  return another_thread_behind(TNR_EXIT_GATE_RUN, TNR_EXIT_GATE_KINDS - 1);
}

static void *use_all_the_time(void *unused) {
  (void)unused;
  while (tnr_exit_gate_enter()) {
    atomic_fetch_add(&inside, 1);
    atomic_fetch_add(&entered, 1);
    if (atomic_load(&ended))
      _exit(BAD);
    atomic_fetch_sub(&inside, 1);
    tnr_exit_gate_leave();
  }
  return NULL;
}

static void destroy(void) {
  judge();
  atomic_store(&ended, true);
  pause_ms(5);
}

static int busy_threads(void) {
  if (atexit(destroy) != 0)
    return BAD;
  for (int i = 0; i < 4; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, use_all_the_time, NULL) != 0)
      return BAD;
    pthread_detach(thread);
  }
  while (atomic_load(&entered) < 1000)
    sched_yield();
  return end_soon();
}

/* Threads that were inside are not in the child, which does not wait for them. */
static int child(void) {
  int status = 0;
  if (!start_long(1))
    return BAD;
  pid_t made = fork();
  if (made == 0) {
    atomic_store(&inside, 0);
    alarm(2);
    bool opens = tnr_exit_gate_enter();
    tnr_exit_gate_leave();
    if (atexit(judge) != 0)
      _exit(BAD);
    exit(opens ? GOOD : BAD);
  }
  return made > 0 && waitpid(made, &status, 0) == made && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                            : BAD;
}

typedef struct ending {
  const char *name;
  int (*run)(void);
} ending;

static const ending endings[] = {
    {"open_until_the_end", open_until_the_end},
    {"waits_for_one", waits_for_one},
    {"waits_for_many", waits_for_many},
    {"another_thread", another_thread},
    {"another_thread_behind_another_deed", another_thread_behind_another_deed},
    {"another_thread_behind_the_last_kind", another_thread_behind_the_last_kind},
    {"busy_threads", busy_threads},
    {"child", child},
};

static int end(const char *name) {
  alarm(GIVEN_S);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
    if (strcmp(endings[i].name, name) == 0)
      return endings[i].run();
  return BAD;
}

/* ---- the tests ---- */

static void expect_good(const char *name) {
  pid_t process;
  int status = -1;
  char *const arguments[] = {(char[]){"test_exit_gate"}, (char *)(uintptr_t)name, NULL};
  assert_int_equal(posix_spawn(&process, "/proc/self/exe", NULL, NULL, arguments, environ), 0);
  assert_int_equal(waitpid(process, &status, 0), process);
  if (WIFEXITED(status) && WEXITSTATUS(status) == GOOD)
    return;
  fail_msg("%s: %s %d", name, WIFSIGNALED(status) ? "killed by signal" : "exit status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void it_is_open_until_main_returns(void **state) {
  (void)state;
  expect_good("open_until_the_end");
}

static void the_end_waits_for_who_is_inside(void **state) {
  (void)state;
  expect_good("waits_for_one");
  expect_good("waits_for_many");
}

static void it_closes_when_another_thread_exits(void **state) {
  (void)state;
  expect_good("another_thread");
}

static void it_closes_before_what_a_later_deed_brought(void **state) {
  (void)state;
  expect_good("another_thread_behind_another_deed");
  expect_good("another_thread_behind_the_last_kind");
}

static void nobody_is_inside_once_things_are_destroyed(void **state) {
  (void)state;
  for (int i = 0; i < 10; i++)
    expect_good("busy_threads");
}

static void a_child_does_not_wait_for_threads_that_it_lacks(void **state) {
  (void)state;
  if (CHECK_SANITIZED) /* they see a child's missing threads as leaks, or allow it none */
    skip();
  expect_good("child");
}

int main(int count, char **arguments) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_open_until_main_returns),
      cmocka_unit_test(the_end_waits_for_who_is_inside),
      cmocka_unit_test(it_closes_when_another_thread_exits),
      cmocka_unit_test(it_closes_before_what_a_later_deed_brought),
      cmocka_unit_test(nobody_is_inside_once_things_are_destroyed),
      cmocka_unit_test(a_child_does_not_wait_for_threads_that_it_lacks),
  };
  if (count == 2)
    return end(arguments[1]);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
