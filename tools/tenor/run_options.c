#include "run_options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const char help[] =
    "Usage: tenor run MODEL.onnx --input NAME=FILE [OPTION]...\n"
    "Runs an ONNX model over all rows (dimension 0) of the input files, in batches that are\n"
    "spread over the devices.\n"
    "\n"
    "  -i, --input NAME=FILE       the model's input NAME; once for each input\n"
    "  -o, --output NAME=FILE.npy  write the model's output NAME, of all rows\n"
    "  -l, --labels FILE           one whole number for each row; prints how often the largest\n"
    "                              element of the first output is at that index\n"
    "  -d, --devices LIST          devices such as cpu:0,cpu:1 (default cpu:0); 'tenor devices'\n"
    "                              says which kinds there are\n"
    "  -b, --batch N               rows of a batch (default 64; the last batch may be smaller)\n"
    "  -m, --mode MODE             async: submit the batches and go on, results are taken by\n"
    "                              callbacks (default); blocking: wait for each batch before the\n"
    "                              next is submitted\n"
    "  -t, --threads-per-device N  threads that compute on each device (default 1)\n"
    "  -h, --help                  show this help\n"
    "\n"
    "Input and label files are .npy, IDX or ONNX TensorProto (.pb), each plain or gzipped; their\n"
    "content tells which. Where the model takes f32 and the file has unsigned bytes (u8), they "
    "are\n"
    "scaled by 1/255; where the model takes [N, 1, H, W] and the file is [N, H, W], the missing\n"
    "dimension is put in. Anything else must fit.\n"
    "\n"
    "The run ends on images (or rows) per second, and on how long the calling thread was held up:\n"
    "the time that it spent inside calls of the library, of the time that the run took. The rest\n"
    "was its own.\n";

static const char command[] = "run";

static bool parse_number(const char *text, int64_t max, int64_t *out) {
  char *end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || value < 1 || value > max)
    return false;
  *out = value;
  return true;
}

static int take_number(const char *option, int64_t max, int64_t *out) {
  if (parse_number(optarg, max, out))
    return 0;
  return command_misuse(command, "--%s takes a whole number from 1 to %lld, not '%s'", option,
                        (long long)max, optarg);
}

static int take_binding(const char *option, struct binding *bindings, size_t *count) {
  char *equals = strchr(optarg, '=');
  if (!equals || equals == optarg || equals[1] == '\0')
    return command_misuse(command, "--%s takes NAME=FILE, not '%s'", option, optarg);
  *equals = '\0';
  for (size_t i = 0; i < *count; i++)
    if (strcmp(bindings[i].name, optarg) == 0)
      return command_misuse(command, "--%s %s is given twice", option, optarg);
  bindings[(*count)++] = (struct binding){optarg, equals + 1};
  return 0;
}

static int take_mode(enum pass_mode *out) {
  bool async = strcmp(optarg, "async") == 0;
  if (!async && strcmp(optarg, "blocking") != 0)
    return command_misuse(command, "--mode is async or blocking, not '%s'", optarg);
  *out = async ? PASS_ASYNC : PASS_BLOCKING;
  return 0;
}

static int take_devices(const char *text, struct device_list *out) {
  tnr_fault fault;
  if (device_list_parse(text, out, &fault) != TNR_OK)
    return command_misuse(command, "%s", fault.message);
  return 0;
}

static int take_option(int option, struct run_options *out) {
  enum { THREADS_MAX = 1024 };
  int64_t threads = 0;
  int status;
  switch (option) {
  case 'i':
    return take_binding("input", out->inputs, &out->input_count);
  case 'o':
    return take_binding("output", out->outputs, &out->output_count);
  case 'l':
    out->labels = optarg;
    return 0;
  case 'd':
    return take_devices(optarg, &out->devices);
  case 'b':
    return take_number("batch", INT_MAX, &out->batch);
  case 'm':
    return take_mode(&out->mode);
  case 't':
    status = take_number("threads-per-device", THREADS_MAX, &threads);
    out->threads_per_device = (int)threads;
    return status;
  default:
    return command_misused(command);
  }
}

static int take_model(int argc, char **argv, struct run_options *out) {
  if (optind == argc)
    return command_misuse(command, "there is no model to run");
  if (optind + 1 < argc)
    return command_misuse(command, "one model is run at a time: '%s' is too many",
                          argv[optind + 1]);
  out->model = argv[optind];
  return 0;
}

static int init(int argc, struct run_options *out) {
  *out = (struct run_options){.mode = PASS_ASYNC};
  out->inputs = calloc((size_t)argc, sizeof(*out->inputs));
  out->outputs = calloc((size_t)argc, sizeof(*out->outputs));
  if (!out->inputs || !out->outputs)
    return command_fail("no memory for %d arguments", argc);
  return take_devices("cpu:0", &out->devices);
}

bool run_options_parse(int argc, char **argv, struct run_options *out, int *exit_status) {
  static const struct option options[] = {{"input", required_argument, NULL, 'i'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"labels", required_argument, NULL, 'l'},
                                          {"devices", required_argument, NULL, 'd'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"mode", required_argument, NULL, 'm'},
                                          {"threads-per-device", required_argument, NULL, 't'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
  static char name[] = "tenor";
  argv[0] = name; /* what getopt's sentences begin with */
  int option, status = init(argc, out);
  while (status == 0 && (option = getopt_long(argc, argv, "i:o:l:d:b:m:t:h", options, NULL)) >= 0) {
    if (option == 'h') {
      fputs(help, stdout);
      *exit_status = 0;
      return false;
    }
    status = take_option(option, out);
  }
  if (status == 0)
    status = take_model(argc, argv, out);
  *exit_status = status;
  return status == 0;
}

void run_options_finish(struct run_options *options) {
  free(options->inputs);
  free(options->outputs);
  *options = (struct run_options){0};
}
