#include "../trace/export.h"

#include <string.h>

#include "trace.h"

static const char help[] =
    "Usage: tenor trace export --format FORMAT [OPTION]... [FILE]\n"
    "Writes a recording (default: tenor.trace; '-' is standard input) in another\n"
    "form:\n"
    "  json    Chrome trace events, for ui.perfetto.dev and others\n"
    "  slices  the same without arguments and arrows, so that www.speedscope.app\n"
    "          can sum up by op\n"
    "  svg     a picture of threads and devices\n"
    "  csv     a row for each run of an op on a device\n"
    "\n"
    "  -f, --format FORMAT  default: what the output's name ends in\n"
    "  -o, --output FILE    default: standard output\n"
    "  -h, --help           show this help\n";

static const char command[] = "trace export";

static const struct {
  const char *name;
  trace_export_fn *write;
} formats[] = {{"json", trace_export_chrome},
               {"slices", trace_export_slices},
               {"svg", trace_export_svg},
               {"csv", trace_export_csv}};

enum { FORMATS = sizeof formats / sizeof *formats };

/* What --format says, or else the output's name. */
static const char *format_of(const struct trace_options *options) {
  const char *dot = options->output ? strrchr(options->output, '.') : NULL;
  return options->format ? options->format : dot ? dot + 1 : "";
}

struct export {
  trace_export_fn *write;
  const struct trace_recording *recording;
  const char *path; /* of the recording */
};

static int write_to(FILE *to, void *user) {
  const struct export *export = user;
  tnr_fault fault;
  if (export->write(export->recording, to, &fault) != TNR_OK)
    return trace_failed(export->path, &fault);
  return 0;
}

static int export(trace_export_fn *write, const struct trace_options *options) {
  struct trace_recording recording;
  int exit_status;
  if (!trace_load(options->files[0], &recording, &exit_status))
    return exit_status;
  struct export what = {write, &recording, options->files[0]};
  exit_status = options->output ? trace_write_file(options->output, write_to, &what)
                                : write_to(stdout, &what);
  trace_recording_finish(&recording);
  return exit_status;
}

int trace_export(int argc, char **argv) {
  struct trace_options options;
  int exit_status;
  if (!trace_options_parse(argc, argv, command, help, "of", 1, &options, &exit_status))
    return exit_status;
  const char *format = format_of(&options);
  for (int i = 0; i < FORMATS; i++)
    if (strcmp(format, formats[i].name) == 0)
      return export(formats[i].write, &options);
  return command_misuse(command,
                        *format ? "there is no format '%s': it is json, slices, svg or csv"
                                : "which format? say --format json, slices, svg or csv%s",
                        format);
}
