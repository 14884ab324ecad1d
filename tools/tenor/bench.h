/* `tenor bench` (command.h): what its benchmarks share. */
#ifndef TENOR_TOOL_BENCH_H
#define TENOR_TOOL_BENCH_H

#include <stdbool.h>
#include <stdio.h>

#include <tenor.h>

#include "command.h"

/* The benchmarks; argv[0] is its name. */
command_fn bench_dispatch, bench_model, bench_matmul;

/* Prints "tenor: SENTENCE" on stderr and ends the process with status 1. Only in a process
 * that bench_in_child() made. */
void bench_die(const char *format, ...) TNR_PRINTF(1, 2) __attribute__((noreturn));

/* The same with the calling thread's last error from the library. */
void bench_die_of_error(const char *what) __attribute__((noreturn));

/* Calls measure(argument, values) in a process of its own, which starts without threads and
 * with memory of no earlier run in it, and hands back the `count` values it filled in. False when
 * that process failed; it has said why. The caller has no threads. */
bool bench_in_child(void (*measure)(const void *argument, double *values), const void *argument,
                    double *values, int count);

/* Keeps this process, and those it makes, on the CPUs of a list such as "0,2-3". False with a
 * sentence on stderr when that can not be. */
bool bench_pin(const char *cpus);

enum { BENCH_REPEATS_MAX = 1000, BENCH_PATIENCE_MAX = 999999 };

struct bench_common {
  bool json;
  long repeats;
  bool undisturbed; /* disturbed samples are made again (bench_samples.h) */
  long patience;    /* s */
};

/* Reads the options --json, --repeats, --cpus, --undisturbed, --patience and --help of a benchmark
 * that has no others. Returns -1 to go on, else the exit status. `cpus` becomes the list of --cpus,
 * to which the process is pinned then. */
int bench_common_options(int argc, char **argv, void (*usage)(FILE *to), struct bench_common *out,
                         const char **cpus);

/* Reads a whole number of an option; false with a sentence on stderr. */
bool bench_number(const char *option, const char *text, long from, long to, long *out);

/* True when `item` is one of the items of a list such as "W1,W2". */
bool bench_listed(const char *list, const char *item);

#endif
