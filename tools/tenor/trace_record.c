#define _GNU_SOURCE /* asprintf */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "screen.h"
#include "trace.h"

static const char command[] = "trace record";

static const char help[] =
    "Usage: tenor trace record [-o FILE] [--flight] [--] COMMAND [ARGUMENT]...\n"
    "Runs a program that uses tenor, and records what its runtimes do. A second\n"
    "runtime of the program writes to FILE.2, a third to FILE.3, and so on.\n"
    "\n"
    "  -o, --output FILE  what to write (default tenor.trace)\n"
    "      --flight       keep the last moments in memory, and write them when an\n"
    "                     op fails, the program crashes, or SIGUSR2 arrives\n"
    "  -h, --help         show this help\n"
    "\n"
    "The exit status is the program's, or 128 and the signal's number where one\n"
    "ended it; 127 when it cannot be started.\n";

enum { CANNOT_START = 127, BY_SIGNAL = 128 };

static const int passed[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};

enum { PASSED = sizeof passed / sizeof *passed };

/* Until somebody waits for them. */
static void hold_signals(sigset_t *held, sigset_t *before) {
  sigemptyset(held);
  sigaddset(held, SIGCHLD);
  for (int i = 0; i < PASSED; i++)
    sigaddset(held, passed[i]);
  sigprocmask(SIG_BLOCK, held, before);
}

/* Those from a terminal reach the child by themselves: we only outlive it. */
static void outlive_terminal(void) {
  signal(SIGINT, SIG_IGN);
  signal(SIGQUIT, SIG_IGN);
}

/* Passes signals on until the child has ended. */
static bool await(pid_t child, const sigset_t *held, int *status) {
  pid_t ended;
  while ((ended = waitpid(child, status, WNOHANG)) == 0) {
    int number = sigwaitinfo(held, NULL);
    if (number > 0 && number != SIGCHLD)
      kill(child, number);
  }
  return ended == child;
}

static void start(char **argv, const sigset_t *mask) {
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(argv[0], argv);
  int error = errno;
  (void)command_fail("cannot start '%s': %s", argv[0], strerror(error));
  _exit(CANNOT_START);
}

static int exit_status_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : BY_SIGNAL + WTERMSIG(status);
}

/* ---- what was written ---- */

static bool is_newer(const char *path, const struct timespec *since, uint64_t *bytes) {
  struct stat found;
  if (stat(path, &found) != 0)
    return false;
  *bytes = (uint64_t)found.st_size;
  return found.st_mtim.tv_sec > since->tv_sec ||
         (found.st_mtim.tv_sec == since->tv_sec && found.st_mtim.tv_nsec >= since->tv_nsec);
}

static bool say_file(const char *path, const struct timespec *since) {
  uint64_t bytes;
  if (!is_newer(path, since, &bytes))
    return false;
  fprintf(stderr, "tenor: wrote %s (%s)\n", path, screen_bytes(bytes));
  return true;
}

static void say_files(const char *path, const struct timespec *since, bool flight) {
  char *numbered;
  if (!say_file(path, since)) {
    fprintf(stderr,
            flight ? "tenor: nothing failed, so %s was not written\n"
                   : "tenor: nothing was written to %s: does the program use tenor?\n",
            path);
    return;
  }
  for (int i = 2;; i++) {
    if (asprintf(&numbered, "%s.%d", path, i) < 0)
      return;
    bool more = say_file(numbered, since);
    free(numbered);
    if (!more)
      break;
  }
  if (!flight)
    fprintf(stderr, "tenor: look at it with 'tenor trace summary %s'\n", path);
}

/* ---- the run ---- */

static char *absolute(const char *path) {
  char *here = getcwd(NULL, 0), *out = NULL;
  if (path[0] == '/' || !here)
    out = strdup(path);
  else if (asprintf(&out, "%s/%s", here, path) < 0)
    out = NULL;
  free(here);
  return out;
}

static bool set_environment(const char *path, bool flight) {
  char *full = absolute(path), *value = NULL;
  bool set = full && asprintf(&value, "%s%s", flight ? "flight:" : "", full) >= 0 &&
             setenv("TENOR_TRACE", value, 1) == 0;
  free(full);
  free(value);
  return set;
}

/* A file system's clock may be some ms behind. */
static struct timespec a_moment_ago(void) {
  enum { BEHIND_NS = 20000000 };
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  now.tv_sec -= now.tv_nsec < BEHIND_NS;
  now.tv_nsec += (now.tv_nsec < BEHIND_NS ? 1000000000 : 0) - BEHIND_NS;
  return now;
}

static int record(const char *path, bool flight, char **argv) {
  int status;
  sigset_t held, mask;
  struct timespec since = a_moment_ago();
  if (!set_environment(path, flight))
    return command_fail("no memory to record");
  fflush(NULL);
  signal(SIGCHLD, SIG_DFL); /* where it is ignored, nobody can be waited for */
  hold_signals(&held, &mask);
  pid_t child = fork();
  if (child == -1)
    return command_fail("cannot start a process: %s", strerror(errno));
  if (child == 0)
    start(argv, &mask);
  outlive_terminal();
  if (!await(child, &held, &status))
    return command_fail("cannot wait for '%s': %s", argv[0], strerror(errno));
  if (exit_status_of(status) != CANNOT_START)
    say_files(path, &since, flight);
  return exit_status_of(status);
}

int trace_record(int argc, char **argv) {
  static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                          {"flight", no_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  static char name[] = "tenor";
  const char *path = "tenor.trace";
  bool flight = false;
  int option;
  argv[0] = name; /* what getopt's sentences begin with */
  optind = 0;
  while ((option = getopt_long(argc, argv, "+o:h", options, NULL)) >= 0) {
    if (option == 'h') {
      fputs(help, stdout);
      return 0;
    }
    if (option == 'o')
      path = optarg;
    else if (option == 'f')
      flight = true;
    else
      return command_misused(command);
  }
  if (optind == argc)
    return command_misuse(command, "there is no program to record");
  return record(path, flight, argv + optind);
}
