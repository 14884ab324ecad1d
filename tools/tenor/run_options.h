/* The command line of `tenor run`. */
#ifndef TENOR_TOOL_RUN_OPTIONS_H
#define TENOR_TOOL_RUN_OPTIONS_H

#include "device_list.h"
#include "pass.h"

/* NAME=FILE of an --input or --output. */
struct binding {
  const char *name, *path;
};

/* Strings are those of the command line. */
struct run_options {
  const char *model, *labels; /* files; labels may be NULL */
  struct binding *inputs, *outputs;
  size_t input_count, output_count;
  struct device_list devices;
  int64_t batch;          /* rows; 0: not given */
  int threads_per_device; /* 0: not given */
  enum pass_mode mode;
};

/* Reads the command line, and splits its NAME=FILE. False when there is nothing to run: it has
 * printed its help or a sentence, and `exit_status` is what to return. Finish `out` either way. */
bool run_options_parse(int argc, char **argv, struct run_options *out, int *exit_status);

void run_options_finish(struct run_options *options);

#endif
