#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "live.h"

enum { RUNTIMES_MAX = 99, PIDS_MAX = 256 };

typedef struct top_options {
  pid_t pid;
  double interval; /* s */
  bool once, json;
} top_options;

/* One runtime, and what it said last and before. */
typedef struct top_runtime {
  live_source source;
  live_sample *now, *before; /* before NULL: this is the first */
} top_runtime;

/* ---- JSON ---- */

static void put_string(const char *text) {
  putchar('"');
  for (; *text; text++)
    if (*text == '"' || *text == '\\')
      printf("\\%c", *text);
    else if ((unsigned char)*text < ' ')
      printf("\\u%04x", (unsigned char)*text);
    else
      putchar(*text);
  putchar('"');
}

static void put_fields(const live_fields *fields) {
  for (int i = 0; i < fields->count; i++) {
    put_string(fields->at[i].name);
    printf(": %" PRIu64 ", ", fields->at[i].value);
  }
}

static void put_devices(const live_sample *sample) {
  printf("\"device_stats\": [");
  for (int i = 0; i < sample->device_count; i++) {
    printf("%s{", i ? ", " : "");
    put_fields(&sample->devices[i].fields);
    printf("\"name\": ");
    put_string(sample->devices[i].name);
    putchar('}');
  }
  printf("], ");
}

static void put_oldest(const live_oldest *oldest) {
  printf("\"oldest\": ");
  if (!oldest->state[0]) {
    printf("null");
    return;
  }
  printf("{\"ns\": %" PRIu64 ", \"state\": \"%s\", \"device\": ", oldest->ns, oldest->state);
  put_string(oldest->device);
  printf(", \"op\": ");
  put_string(oldest->op);
  printf(", \"file\": ");
  put_string(oldest->file);
  printf(", \"line\": %d}", oldest->line);
}

static void put_json(const live_sample *sample) {
  printf("{\"version\": ");
  put_string(sample->version);
  printf(", ");
  put_fields(&sample->fields);
  put_devices(sample);
  printf("\"latencies\": [");
  for (int i = 0; i < sample->latency_count; i++)
    printf("%s[%" PRIu64 ", %" PRIu64 "]", i ? ", " : "", sample->latencies[i].end,
           sample->latencies[i].count);
  printf("], ");
  put_oldest(&sample->oldest);
  printf("}\n");
}

/* ---- the screen ---- */

static const char *text_of_time(uint64_t ns, char out[16]) {
  if (ns < 10000)
    snprintf(out, 16, "%" PRIu64 " ns", ns);
  else if (ns < 10000000)
    snprintf(out, 16, "%.1f us", (double)ns / 1e3);
  else if (ns < UINT64_C(10000000000))
    snprintf(out, 16, "%.1f ms", (double)ns / 1e6);
  else
    snprintf(out, 16, "%.1f s", (double)ns / 1e9);
  return out;
}

static const char *text_of_bytes(uint64_t bytes, char out[16]) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = (double)bytes;
  int unit = 0;
  for (; value >= 1024 && unit < 4; unit++)
    value /= 1024;
  snprintf(out, 16, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
  return out;
}

static double per_second(const top_runtime *runtime, uint64_t now, uint64_t before) {
  if (!runtime->before)
    return 0;
  uint64_t ns =
      live_value(&runtime->now->fields, "now_ns") - live_value(&runtime->before->fields, "now_ns");
  return ns > 0 ? (double)(now - before) * 1e9 / (double)ns : 0;
}

static double rate(const top_runtime *runtime, const char *name) {
  return per_second(runtime, live_value(&runtime->now->fields, name),
                    runtime->before ? live_value(&runtime->before->fields, name) : 0);
}

static void draw_totals(const top_runtime *runtime) {
  const live_fields *fields = &runtime->now->fields;
  char p50[16], p90[16], p99[16], longest[16];
  printf("process %" PRIu64 ", tenor %s%s\n", live_value(fields, "pid"), runtime->now->version,
         live_value(fields, "recording") ? ", recording" : "");
  printf("ops      %" PRIu64 " in flight, %" PRIu64 " done, %" PRIu64 " failed; %.0f/s\n",
         live_value(fields, "in_flight"), live_value(fields, "completed"),
         live_value(fields, "failed"), rate(runtime, "completed"));
  printf("latency  p50 %s, p90 %s, p99 %s; longest ever %s\n",
         text_of_time(live_quantile(runtime->now, runtime->before, 0.5), p50),
         text_of_time(live_quantile(runtime->now, runtime->before, 0.9), p90),
         text_of_time(live_quantile(runtime->now, runtime->before, 0.99), p99),
         text_of_time(live_value(fields, "latency_max_ns"), longest));
  printf("wakes    %.0f/s; handles %" PRIu64 "; events lost %" PRIu64 "\n", rate(runtime, "wakes"),
         live_value(fields, "handles"), live_value(fields, "trace_lost"));
}

static const live_device *device_before(const top_runtime *runtime, const char *name) {
  for (int i = 0; runtime->before && i < runtime->before->device_count; i++)
    if (strcmp(runtime->before->devices[i].name, name) == 0)
      return &runtime->before->devices[i];
  return NULL;
}

static void draw_device(const top_runtime *runtime, const live_device *device) {
  const live_device *before = device_before(runtime, device->name);
  uint64_t done = live_value(&device->fields, "done");
  char memory[16], reserved[16];
  printf("%-10s %8" PRIu64 " %8s %12" PRIu64 " %10.0f %12s %12s\n", device->name,
         live_value(&device->fields, "queued"),
         live_value(&device->fields, "running") ? "running" : "idle", done,
         per_second(runtime, done, before ? live_value(&before->fields, "done") : 0),
         text_of_bytes(live_value(&device->fields, "live_bytes"), memory),
         text_of_bytes(live_value(&device->fields, "reserved_bytes"), reserved));
}

static void draw_oldest(const live_oldest *oldest) {
  char age[16];
  if (oldest->state[0])
    printf("oldest   %s, submitted %s ago, %s on %s (%s:%d)\n", oldest->op,
           text_of_time(oldest->ns, age), oldest->state, oldest->device, oldest->file,
           oldest->line);
  else
    printf("oldest   no op is queued\n");
}

static void draw(const top_runtime *runtime) {
  draw_totals(runtime);
  draw_oldest(&runtime->now->oldest);
  printf("\n%-10s %8s %8s %12s %10s %12s %12s\n", "device", "queued", "", "done", "/s", "memory",
         "reserved");
  for (int i = 0; i < runtime->now->device_count; i++)
    draw_device(runtime, &runtime->now->devices[i]);
  putchar('\n');
}

/* ---- one look ---- */

static void forget(top_runtime *runtime) {
  live_close(&runtime->source);
  free(runtime->now);
  free(runtime->before);
  *runtime = (top_runtime){.source = {.fd = -1}};
}

static tnr_status look(top_runtime *runtime, tnr_fault *fault) {
  live_sample *sample = malloc(sizeof *sample);
  if (!sample)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory for what a runtime says");
  tnr_status status = live_ask(&runtime->source, sample, fault);
  if (status != TNR_OK) {
    free(sample);
    return status;
  }
  free(runtime->before);
  runtime->before = runtime->now;
  runtime->now = sample;
  return TNR_OK;
}

/* Those that have come to be since the last look, too. */
static int attach_all(top_runtime *runtimes, pid_t pid, tnr_fault *fault) {
  int attached = 0;
  for (int i = 0; i < RUNTIMES_MAX; i++) {
    tnr_fault ignored;
    if (runtimes[i].source.fd == -1 &&
        !live_connect(pid, i + 1, &runtimes[i].source, i == 0 ? fault : &ignored))
      runtimes[i].source.fd = -1;
    attached += runtimes[i].source.fd != -1;
  }
  return attached;
}

static int look_at_all(top_runtime *runtimes, tnr_fault *fault) {
  int seen = 0;
  for (int i = 0; i < RUNTIMES_MAX; i++) {
    if (runtimes[i].source.fd == -1)
      continue;
    if (look(&runtimes[i], fault) == TNR_OK)
      seen++;
    else
      forget(&runtimes[i]);
  }
  return seen;
}

static void show(const top_runtime *runtimes, const top_options *options) {
  if (!options->json && !options->once)
    fputs("\033[H\033[J", stdout);
  for (int i = 0; i < RUNTIMES_MAX; i++)
    if (runtimes[i].source.fd != -1 && options->json)
      put_json(runtimes[i].now);
    else if (runtimes[i].source.fd != -1)
      draw(&runtimes[i]);
  fflush(stdout);
}

static void pause_for(double seconds) {
  struct timespec rest = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&rest, NULL);
}

/* Rates need two looks. */
static int run(const top_options *options) {
  static top_runtime runtimes[RUNTIMES_MAX];
  tnr_fault fault = {0};
  for (int i = 0; i < RUNTIMES_MAX; i++)
    runtimes[i] = (top_runtime){.source = {.fd = -1}};
  bool ever = false, goes_on = true;
  for (int looks = 1; goes_on; looks++) {
    if (attach_all(runtimes, options->pid, &fault) == 0 || look_at_all(runtimes, &fault) == 0)
      break;
    ever = true;
    bool drawn_at_once = options->json || !options->once;
    if (drawn_at_once || looks == 2)
      show(runtimes, options);
    goes_on = !options->once || (!options->json && looks < 2);
    if (goes_on && !ferror(stdout))
      pause_for(options->interval);
    goes_on = goes_on && !ferror(stdout);
  }
  for (int i = 0; i < RUNTIMES_MAX; i++)
    forget(&runtimes[i]);
  return ever ? 0 : command_fail("%s", fault.message);
}

/* ---- the command ---- */

static int help(FILE *to) {
  fputs(
      "Usage: tenor top [OPTION]... [PID]\n"
      "\n"
      "Shows what the runtimes of a running program do, once a second: what is queued, running\n"
      "and done on each device, ops per second, how long they take, memory, and the oldest op\n"
      "on a queue. The program has to allow it: its environment has TENOR_LIVE=1, or its\n"
      "runtime's option `live` is set. Without a PID: lists the processes that can be looked at.\n"
      "\n"
      "  --once        print one look, with rates over one interval, and end\n"
      "  --json        print a JSON object for each runtime and look, a line each\n"
      "  --interval S  seconds between two looks (default 1)\n"
      "  -h, --help    show this help\n",
      to);
  return 0;
}

static int list(void) {
  pid_t pids[PIDS_MAX];
  int count = live_list(pids, PIDS_MAX);
  for (int i = 0; i < count && i < PIDS_MAX; i++)
    printf("%d\n", (int)pids[i]);
  return count > 0 ? 0 : command_fail("no process of yours can be looked at: see --help");
}

static bool read_pid(const char *text, pid_t *out) {
  char *end;
  errno = 0;
  long pid = strtol(text, &end, 10);
  *out = (pid_t)pid;
  return isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0 && pid > 0 &&
         pid <= INT32_MAX;
}

static bool read_interval(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  return end != text && *end == '\0' && *out >= 0.01 && *out <= 3600;
}

int command_top(int argc, char **argv) {
  static const struct option long_options[] = {{"once", no_argument, NULL, 'o'},
                                               {"json", no_argument, NULL, 'j'},
                                               {"interval", required_argument, NULL, 'i'},
                                               {"help", no_argument, NULL, 'h'},
                                               {0}};
  top_options options = {.interval = 1};
  for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;)
    switch (option) {
    case 'o':
      options.once = true;
      break;
    case 'j':
      options.json = true;
      break;
    case 'i':
      if (!read_interval(optarg, &options.interval))
        return command_misuse("top", "'%s' is no interval from 0.01 to 3600 seconds", optarg);
      break;
    case 'h':
      return help(stdout);
    default:
      return command_misused("top");
    }
  if (argc - optind > 1)
    return command_misuse("top", "there is more than one process to look at");
  if (optind == argc)
    return list();
  if (!read_pid(argv[optind], &options.pid))
    return command_misuse("top", "'%s' is no number of a process", argv[optind]);
  return run(&options);
}
