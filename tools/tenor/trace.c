#include "trace.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "screen.h"

static const struct {
  const char *name, *what;
  command_fn *run;
} subcommands[] = {
    {"record", "run a program and record what its runtimes do", trace_record},
    {"summary", "where the time went: by op, device and thread", trace_summary},
    {"critical-path", "what decided when it ended, and what could be gained", trace_critical_path},
    {"gaps", "when devices were idle, and why", trace_gaps_command},
    {"diff", "what differs between two recordings", trace_diff},
    {"check", "whether what the runtime promises held", trace_check_command},
    {"export", "Chrome trace JSON, SVG or CSV", trace_export},
    {"html", "one page that shows the timeline, and opens offline", trace_html},
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static int usage(FILE *to) {
  fputs("Usage: tenor trace COMMAND [OPTION]...\n"
        "Records what programs do with tenor, and says where their time goes.\n\n",
        to);
  for (int i = 0; i < SUBCOMMANDS; i++)
    fprintf(to, "  %-15s%s\n", subcommands[i].name, subcommands[i].what);
  fputs("\n'tenor trace COMMAND --help' says more. A program is recorded, too, when it is\n"
        "started with TENOR_TRACE=FILE in its environment, or calls tnr_trace_start.\n\n"
        "A recording may be larger than memory: whatever its size, a command takes a few\n"
        "MiB of its own. Its tables, up to 120 bytes an event, are in unnamed files in\n"
        "$TMPDIR (default: /var/tmp), of which it keeps at most 256 MiB resident.\n",
        to);
  return to == stdout ? 0 : COMMAND_MISUSED;
}

int command_trace(int argc, char **argv) {
  if (argc < 2)
    return usage(stderr);
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
    return usage(stdout);
  for (int i = 0; i < SUBCOMMANDS; i++)
    if (strcmp(argv[1], subcommands[i].name) == 0)
      return subcommands[i].run(argc - 1, argv + 1);
  return command_misuse("trace", "there is no command 'trace %s'", argv[1]);
}

/* ---- options ---- */

/* "12", "12us", "1.5ms": a time, in µs where no unit is said. */
static bool parse_time(const char *text, int64_t *ns) {
  static const struct {
    const char *name;
    double ns;
  } units[] = {{"", 1e3}, {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}};
  char *end;
  double value = strtod(text, &end);
  if (end == text || !(value >= 0) || value > 1e9)
    return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(end, units[i].name) == 0 && value * units[i].ns < 1e15) {
      *ns = (int64_t)(value * units[i].ns);
      return true;
    }
  return false;
}

static int take_time(const char *command, const char *option, int64_t *out) {
  if (parse_time(optarg, out))
    return 0;
  return command_misuse(command, "--%s takes a time such as 50us or 2ms, not '%s'", option, optarg);
}

static int take_events(const char *command, int64_t *out) {
  char *end;
  errno = 0;
  long long value = strtoll(optarg, &end, 10);
  if (errno != 0 || end == optarg || *end || value < 1 || value > INT_MAX)
    return command_misuse(command, "--max-events takes a whole number from 1 to %d, not '%s'",
                          INT_MAX, optarg);
  *out = value;
  return 0;
}

static int take_option(int option, const char *command, struct trace_options *out) {
  switch (option) {
  case 'j':
    out->json = true;
    return 0;
  case 'a':
    out->all = true;
    return 0;
  case 'm':
    return take_time(command, "min", &out->min_ns);
  case 's':
    return take_time(command, "slack", &out->slack_ns);
  case 'o':
    out->output = optarg;
    return 0;
  case 'f':
    out->format = optarg;
    return 0;
  case 'e':
    return take_events(command, &out->events);
  case 'b':
    return take_time(command, "from", &out->from);
  case 'u':
    return take_time(command, "to", &out->to);
  default:
    return command_misused(command);
  }
}

static int take_files(int argc, char **argv, const char *command, int files,
                      struct trace_options *out) {
  int given = argc - optind;
  if (given > files)
    return command_misuse(command, "'%s' is too many: it reads %s", argv[optind + files],
                          files == 1 ? "one recording" : "two recordings");
  if (files > 1 && given < files)
    return command_misuse(command, "it compares two recordings, and %d %s given", given,
                          given == 1 ? "is" : "are");
  for (int i = 0; i < given; i++)
    out->files[i] = argv[optind + i];
  return 0;
}

/* Those of all options whose letters are in `takes`. */
static void choose_options(const char *takes, struct option *out) {
  static const struct option all[] = {{"json", no_argument, NULL, 'j'},
                                      {"all", no_argument, NULL, 'a'},
                                      {"min", required_argument, NULL, 'm'},
                                      {"slack", required_argument, NULL, 's'},
                                      {"output", required_argument, NULL, 'o'},
                                      {"format", required_argument, NULL, 'f'},
                                      {"max-events", required_argument, NULL, 'e'},
                                      {"from", required_argument, NULL, 'b'},
                                      {"to", required_argument, NULL, 'u'}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strchr(takes, all[i].val))
      *out++ = all[i];
  *out++ = (struct option){"help", no_argument, NULL, 'h'};
  *out = (struct option){0};
}

static void choose_letters(const struct option *options, char *out) {
  for (; options->name; options++) {
    *out++ = (char)options->val;
    if (options->has_arg == required_argument)
      *out++ = ':';
  }
  *out = '\0';
}

bool trace_options_parse(int argc, char **argv, const char *command, const char *help,
                         const char *takes, int files, struct trace_options *out,
                         int *exit_status) {
  static char name[] = "tenor";
  struct option options[12];
  char letters[24];
  int option, status = 0;
  *out = (struct trace_options){.files = {"tenor.trace", NULL}, .events = 1000000};
  argv[0] = name; /* what getopt's sentences begin with */
  optind = 0;
  choose_options(takes, options);
  choose_letters(options, letters);
  while (status == 0 && (option = getopt_long(argc, argv, letters, options, NULL)) >= 0) {
    if (option == 'h') {
      fputs(help, stdout);
      *exit_status = 0;
      return false;
    }
    status = take_option(option, command, out);
  }
  if (status == 0)
    status = take_files(argc, argv, command, files, out);
  *exit_status = status;
  return status == 0;
}

/* ---- recordings ---- */

int trace_failed(const char *path, const tnr_fault *fault) {
  tnr_fault named;
  (void)file_fail(&named, strcmp(path, "-") == 0 ? "standard input" : path, fault);
  return command_fail("%s", named.message);
}

/* What is missing is said before anything else. */
static void say_what_is_missing(const char *path, const struct trace_recording *recording) {
  const struct trace_reader_end *end = &recording->end;
  uint64_t lost = end->whole ? end->total.lost : end->lost;
  bool flight = recording->file.flags & TNR_TRACE_FLIGHT;
  if (lost > 0 && !flight)
    fprintf(stderr,
            "tenor: %s: %s records were LOST while it was recorded:\n"
            "  the disk, or the thread that writes, was too slow. What follows lacks them.\n",
            path, screen_count(lost));
  if (end->total.strangers > 0)
    fprintf(stderr, "tenor: %s: %s records of threads beyond the limit on threads are missing\n",
            path, screen_count(end->total.strangers));
  if (!end->whole)
    fprintf(stderr,
            "tenor: %s: cut off at byte %" PRIu64 ", without the end of the recording\n"
            "  (is the program still running, or was it killed?); what came before is shown\n",
            path, end->bytes);
}

bool trace_load(const char *path, struct trace_recording *out, int *exit_status) {
  tnr_fault fault;
  if (trace_recording_read(path, out, &fault) != TNR_OK) {
    *exit_status = trace_failed(path, &fault);
    return false;
  }
  say_what_is_missing(path, out);
  return true;
}

/* What stands for a device is no file to be removed. */
static void remove_file(const char *path) {
  struct stat found;
  if (lstat(path, &found) == 0 && S_ISREG(found.st_mode))
    (void)unlink(path);
}

int trace_write_file(const char *path, int (*write)(FILE *to, void *user), void *user) {
  FILE *to = fopen(path, "w");
  if (!to)
    return command_fail("%s: %s", path, strerror(errno));
  int status = write(to, user);
  bool failed = ferror(to) != 0;
  failed |= fclose(to) != 0;
  if (status == 0 && failed)
    status = command_fail("%s: cannot write all of it: %s", path, strerror(errno));
  if (status != 0)
    remove_file(path);
  return status;
}

int trace_end_json(struct json *json) {
  json_put_close(json, '}');
  fputc('\n', json->to);
  return 0;
}
