#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "device_list.h"

static const char help[] =
    "Usage: tenor devices\n"
    "Lists the kinds of devices that 'tenor run --devices' takes, and says whether they work.\n"
    "\n"
    "  -h, --help  show this help\n";

static const char notes[] =
    "\n"
    "N is 0 to 63, and naming cpu:N makes cpu:0 to cpu:N: --devices cpu:0,cpu:1 makes two. Each\n"
    "has a worker thread, a queue, a pool of memory and a cache of programs of its own.\n";

/* Creates one device of the kind, and takes it down again. */
static const char *problem_of(const tnr_driver *driver) {
  const tnr_device_config config = {.driver = driver, .count = 1};
  const tnr_runtime_options options = {.devices = &config, .device_configs = 1};
  tnr_runtime *runtime = tnr_runtime_create(&options);
  if (!runtime)
    return tnr_error_message(tnr_error());
  tnr_runtime_destroy(runtime, TNR_DRAIN);
  return NULL;
}

static void print_kind(const struct device_kind *kind, const char *problem) {
  const tnr_driver *driver = kind->driver;
  printf("%s:N%*s%s\n", driver->kind, 7 - (int)strlen(driver->kind), "", kind->summary);
  printf("         memory: %s\n", driver->host_memory ? "the host's; files are used in place"
                                                      : "its own; inputs and results are copied");
  if (problem)
    printf("         does not work here: %s\n", problem);
}

static int list(void) {
  struct device_kind kind;
  int exit_status = 0;
  for (int i = 0; device_kind_at(i, &kind); i++) {
    const char *problem = problem_of(kind.driver);
    print_kind(&kind, problem);
    if (problem)
      exit_status = COMMAND_FAILED;
  }
  fputs(notes, stdout);
  printf("This machine has %ld CPUs.\n", sysconf(_SC_NPROCESSORS_ONLN));
  return exit_status;
}

int command_devices(int argc, char **argv) {
  static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
  static char name[] = "tenor";
  argv[0] = name; /* what getopt's sentences begin with */
  switch (getopt_long(argc, argv, "h", options, NULL)) {
  case 'h':
    fputs(help, stdout);
    return 0;
  case -1:
    break;
  default:
    return command_misused("devices");
  }
  if (optind < argc)
    return command_misuse("devices", "'%s' is too many: devices takes no arguments", argv[optind]);
  return list();
}
