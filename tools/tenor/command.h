/* The subcommands of `tenor`, and how each of them ends. */
#ifndef TENOR_TOOL_COMMAND_H
#define TENOR_TOOL_COMMAND_H

#include <stddef.h>

#include <tenor/status.h>

/* A subcommand: argv[0] is its name. Returns the exit status: 0, or one of these. */
typedef int command_fn(int argc, char **argv);
command_fn command_bench, command_devices, command_run, command_top, command_trace;

enum {
  COMMAND_FAILED = 1,
  COMMAND_MISUSED = 2 /* the arguments make no sense */
};

/* Prints "tenor: SENTENCE" on stderr; returns COMMAND_FAILED. */
int command_fail(const char *format, ...) TNR_PRINTF(1, 2);

/* Prints "tenor: SENTENCE" and where the help is on stderr; returns COMMAND_MISUSED. `command` is
 * "run", or "" for the command itself. */
int command_misuse(const char *command, const char *format, ...) TNR_PRINTF(2, 3);

/* What to return when getopt has printed its sentence. */
int command_misused(const char *command);

/* Puts the calling thread's tnr_error() into `fault` and returns its code. */
tnr_status command_take_error(tnr_fault *fault);

#endif
