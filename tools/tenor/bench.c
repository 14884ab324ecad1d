#define _GNU_SOURCE /* sched_setaffinity */

#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
  const char *name, *what;
  command_fn *run;
} benchmarks[] = {
    {"dispatch", "what it costs to dispatch an op", bench_dispatch},
    {"model", "whole models beside the same layers called directly on oneDNN", bench_model},
    {"matmul", "matrix products beside oneDNN called directly", bench_matmul},
};

enum { BENCHMARKS = sizeof benchmarks / sizeof *benchmarks };

static int usage(FILE *to) {
  fputs("Usage: tenor bench BENCHMARK [OPTION]...\n\n", to);
  for (int i = 0; i < BENCHMARKS; i++)
    fprintf(to, "  %-10s%s\n", benchmarks[i].name, benchmarks[i].what);
  fputs("\n'tenor bench BENCHMARK --help' says more.\n", to);
  return to == stdout ? 0 : COMMAND_MISUSED;
}

int command_bench(int argc, char **argv) {
  if (argc < 2)
    return usage(stderr);
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
    return usage(stdout);
  for (int i = 0; i < BENCHMARKS; i++)
    if (strcmp(argv[1], benchmarks[i].name) == 0)
      return benchmarks[i].run(argc - 1, argv + 1);
  return command_misuse("bench", "there is no benchmark '%s'", argv[1]);
}

/* --- processes -------------------------------------------------------------------------------- */

void bench_die(const char *format, ...) {
  char sentence[TNR_FAULT_MESSAGE_MAX];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  _exit(command_fail("%s", sentence));
}

void bench_die_of_error(const char *what) {
  bench_die("%s: %s", what, tnr_error_message(tnr_error()));
}

static bool write_all(int fd, const void *data, size_t size) {
  const char *from = data;
  for (ssize_t done; size > 0; from += done, size -= (size_t)done) {
    done = write(fd, from, size);
    if (done < 0 && errno != EINTR)
      return false;
    if (done < 0)
      done = 0;
  }
  return true;
}

static bool read_all(int fd, void *data, size_t size) {
  char *to = data;
  for (ssize_t done; size > 0; to += done, size -= (size_t)done) {
    done = read(fd, to, size);
    if (done == 0 || (done < 0 && errno != EINTR))
      return false;
    if (done < 0)
      done = 0;
  }
  return true;
}

static void child(void (*measure)(const void *argument, double *values), const void *argument,
                  double *values, int count, int fd) {
  /* Else it would go on measuring, or hanging, when the one who waits for it is stopped. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 0; i < count; i++)
    values[i] = NAN;
  measure(argument, values);
  if (!write_all(fd, values, (size_t)count * sizeof *values))
    bench_die("cannot hand the figures back: %s", strerror(errno));
  _exit(0);
}

static bool succeeded(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return false;
  if (WIFSIGNALED(status))
    command_fail("the run was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool bench_in_child(void (*measure)(const void *argument, double *values), const void *argument,
                    double *values, int count) {
  int ends[2];
  fflush(NULL);
  if (pipe(ends) != 0) {
    command_fail("cannot make a pipe: %s", strerror(errno));
    return false;
  }
  pid_t pid = fork();
  if (pid == 0)
    child(measure, argument, values, count, ends[1]);
  close(ends[1]);
  bool complete = pid > 0 && read_all(ends[0], values, (size_t)count * sizeof *values);
  close(ends[0]);
  if (pid < 0)
    command_fail("cannot make a process: %s", strerror(errno));
  return pid > 0 && succeeded(pid) && complete;
}

/* --- options ---------------------------------------------------------------------------------- */

static bool parse_cpus(const char *list, cpu_set_t *out) {
  CPU_ZERO(out);
  for (const char *at = list; at != NULL; at = *at == ',' ? at + 1 : NULL) {
    char *end;
    long first = strtol(at, &end, 10), last = first;
    if (end == at)
      return false;
    if (*end == '-') {
      at = end + 1;
      last = strtol(at, &end, 10);
      if (end == at)
        return false;
    }
    if (first < 0 || last < first || last >= CPU_SETSIZE || (*end != ',' && *end != '\0'))
      return false;
    for (long cpu = first; cpu <= last; cpu++)
      CPU_SET((size_t)cpu, out);
    at = end;
  }
  return true;
}

bool bench_pin(const char *cpus) {
  cpu_set_t wanted, got;
  if (!parse_cpus(cpus, &wanted)) {
    command_fail("--cpus needs a list such as 0 or 0,1, not '%s'", cpus);
    return false;
  }
  /* The system quietly leaves out CPUs that there are not. */
  if (sched_setaffinity(0, sizeof wanted, &wanted) != 0 ||
      sched_getaffinity(0, sizeof got, &got) != 0 || !CPU_EQUAL(&wanted, &got)) {
    command_fail("cannot use the CPUs %s; there are %ld", cpus, sysconf(_SC_NPROCESSORS_ONLN));
    return false;
  }
  return true;
}

bool bench_number(const char *option, const char *text, long from, long to, long *out) {
  char *end;
  errno = 0;
  *out = strtol(text, &end, 10);
  if (errno == 0 && end != text && *end == '\0' && *out >= from && *out <= to)
    return true;
  command_fail("%s needs a number from %ld to %ld, not '%s'", option, from, to, text);
  return false;
}

bool bench_listed(const char *list, const char *item) {
  size_t length = strlen(item);
  for (const char *at = list; at != NULL; at = strchr(at, ',')) {
    at += *at == ',';
    if (strncmp(at, item, length) == 0 && (at[length] == ',' || at[length] == '\0'))
      return true;
  }
  return false;
}

static bool take_common(int option, struct bench_common *out, const char **cpus) {
  switch (option) {
  case 'j':
    out->json = true;
    return true;
  case 'r':
    return bench_number("--repeats", optarg, 1, BENCH_REPEATS_MAX, &out->repeats);
  case 'c':
    *cpus = optarg;
    return bench_pin(optarg);
  case 'u':
    out->undisturbed = true;
    return true;
  case 'p':
    return bench_number("--patience", optarg, 1, BENCH_PATIENCE_MAX, &out->patience);
  default:
    return false;
  }
}

int bench_common_options(int argc, char **argv, void (*usage)(FILE *to), struct bench_common *out,
                         const char **cpus) {
  static const struct option known[] = {{"json", no_argument, NULL, 'j'},
                                        {"repeats", required_argument, NULL, 'r'},
                                        {"cpus", required_argument, NULL, 'c'},
                                        {"undisturbed", no_argument, NULL, 'u'},
                                        {"patience", required_argument, NULL, 'p'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};
  static char tool[] = "tenor";
  char name[32];
  int option;
  snprintf(name, sizeof name, "bench %s", argv[0]);
  argv[0] = tool; /* what getopt's sentences begin with */
  optind = 0;     /* getopt starts afresh */
  while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
    if (option == 'h') {
      usage(stdout);
      return 0;
    }
    if (!take_common(option, out, cpus))
      return command_misused(name);
  }
  if (optind < argc)
    return command_misuse(name, "takes no argument '%s'", argv[optind]);
  return -1;
}
