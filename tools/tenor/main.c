#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <tenor/runtime.h>

#include "command.h"
#include "watch.h"

static const struct {
  const char *name, *summary;
  command_fn *run;
} commands[] = {
    {"run", "run an ONNX model over the rows of input files", command_run},
    {"devices", "list the kinds of devices that there are", command_devices},
    {"top", "show what a running program does, once a second", command_top},
    {"bench", "measure what the runtime costs, beside direct calls of oneDNN", command_bench},
    {"trace", "record what a program does with tenor, and see where its time goes", command_trace},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to) {
  fputs("Usage: tenor COMMAND [OPTION]...\n"
        "Runs tensor models on several devices at once, without holding up the caller.\n"
        "\n"
        "Commands:\n",
        to);
  for (int i = 0; i < COMMANDS; i++)
    fprintf(to, "  %-10s%s\n", commands[i].name, commands[i].summary);
  fputs("\n"
        "  -h, --help     show this help; 'tenor COMMAND --help' shows that of a command\n"
        "  -V, --version  show the version\n"
        "\n"
        "Signal SIGUSR1: prints every op in flight on standard error, and goes on.\n"
        "Exit status: 0 when all went well, 1 after a failure, 2 for arguments that make no\n"
        "sense; the reason is one sentence on standard error.\n",
        to);
}

static int dispatch(int argc, char **argv) {
  if (argc == 0) {
    print_help(stderr);
    return COMMAND_MISUSED;
  }
  for (int i = 0; i < COMMANDS; i++)
    if (strcmp(argv[0], commands[i].name) == 0) {
      optind = 0; /* getopt starts afresh */
      return commands[i].run(argc, argv);
    }
  return command_misuse("", "there is no command '%s'", argv[0]);
}

/* A full disk or a closed pipe shows when the last of the output is written. */
static int flush_output(int status) {
  if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0)
    return command_fail("cannot write to standard output: %s", strerror(errno));
  return status;
}

int main(int argc, char **argv) {
  static const struct option options[] = {
      {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
  static char name[] = "tenor";
  watch_prepare();
  if (argc > 0)
    argv[0] = name; /* what getopt's sentences begin with */
  switch (getopt_long(argc, argv, "+hV", options, NULL)) {
  case 'h':
    print_help(stdout);
    return flush_output(0);
  case 'V':
    printf("tenor %s\n", tnr_version());
    return flush_output(0);
  case -1:
    return flush_output(dispatch(argc - optind, argv + optind));
  default:
    return command_misused("");
  }
}
