/* The subcommands of `tenor trace`, and what they have in common. */
#ifndef TENOR_TOOL_TRACE_H
#define TENOR_TOOL_TRACE_H

#include <stdbool.h>
#include <stdio.h>

#include "../trace/json.h"
#include "../trace/recording.h"
#include "command.h"

command_fn trace_record, trace_summary, trace_critical_path, trace_gaps_command, trace_diff,
    trace_check_command, trace_export, trace_html;

enum { TRACE_FILES_MAX = 2 };

/* What the arguments of a subcommand that reads recordings say. */
struct trace_options {
  const char *files[TRACE_FILES_MAX]; /* default: tenor.trace */
  bool json;
  bool all;           /* do not cut lists */
  int64_t min_ns;     /* gaps */
  int64_t slack_ns;   /* check */
  const char *output; /* NULL: standard output */
  const char *format; /* export */
  int64_t events;     /* html */
  int64_t from, to;   /* html; ns; to 0: until the end */
};

/* `command`: "trace summary"; `takes`: the letters of the options that it knows, of "jamsofebu";
 * `files`: how many recordings it reads. False: the command is over, with *exit_status. */
bool trace_options_parse(int argc, char **argv, const char *command, const char *help,
                         const char *takes, int files, struct trace_options *out, int *exit_status);

/* Reads a recording; what is wrong with it, or missing from it, is said on standard error. False:
 * *exit_status. */
bool trace_load(const char *path, struct trace_recording *out, int *exit_status);

/* Says what failed, with the file's name; returns the exit status. */
int trace_failed(const char *path, const tnr_fault *fault);

/* Has `write` fill the file, which is made or emptied, and says what went wrong. What could not be
 * written whole is removed, where it is a file. Returns the exit status; `write` returns one, too.
 */
int trace_write_file(const char *path, int (*write)(FILE *to, void *user), void *user);

/* Closes the object that `json` is, and the line; 0, or the exit status when it could not be
 * written. */
int trace_end_json(struct json *json);

#endif
