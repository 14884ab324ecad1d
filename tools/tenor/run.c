#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "file.h"
#include "pass.h"
#include "run_options.h"
#include "score.h"
#include "watch.h"

enum { DEFAULT_BATCH = 64 };

/* Everything of one `tenor run`. All zero: nothing of it is there yet. */
struct run {
  struct run_options options;
  struct onnx_graph graph;
  struct recipe recipe;
  struct feed *feeds;  /* one for each input of the graph */
  struct array labels; /* data is NULL without --labels */
  tnr_runtime *runtime;
  tnr_device *devices[DEVICE_LIST_MAX]; /* options.devices.count */
  struct work work;
  struct station *stations; /* one a device */
  struct gather gather;
  int64_t batch_rows;
  struct pass_times times;
};

static void finish(struct run *run) {
  watch_end();
  gather_finish(&run->gather);
  for (int i = 0; run->stations && i < run->options.devices.count; i++)
    station_finish(&run->stations[i]);
  free(run->stations);
  /* The devices use the feeds' memory to the last. */
  tnr_runtime_destroy(run->runtime, TNR_DRAIN);
  array_finish(&run->labels);
  for (size_t i = 0; run->feeds && i < run->graph.input_count; i++)
    feed_finish(&run->feeds[i]);
  free(run->feeds);
  recipe_finish(&run->recipe);
  onnx_finish(&run->graph);
  run_options_finish(&run->options);
}

/* ---- the model ---- */

static tnr_status name_file(const char *path, tnr_fault *fault) {
  tnr_fault cause = *fault;
  return file_fail(fault, path, &cause);
}

static tnr_status load_model(struct run *run, tnr_fault *fault) {
  const char *path = run->options.model;
  tnr_status status = onnx_read(path, &run->graph, fault);
  if (status != TNR_OK)
    return status;
  if (recipe_init(&run->graph, &run->recipe, fault) != TNR_OK)
    return name_file(path, fault);
  if (run->graph.input_count > 0)
    return TNR_OK;
  tnr_fail(fault, TNR_EUNSUPPORTED, "the model has no inputs, so there are no rows to run it over");
  return name_file(path, fault);
}

/* The index of the name among the values, or `count`. */
static size_t find_value(const struct onnx_value *values, size_t count, const char *name) {
  size_t i = 0;
  while (i < count && strcmp(values[i].name, name) != 0)
    i++;
  return i;
}

/* Every binding names one of the values. */
static tnr_status check_names(const struct binding *bindings, size_t binding_count,
                              const struct onnx_value *values, size_t count, const char *kind,
                              tnr_fault *fault) {
  for (size_t i = 0; i < binding_count; i++) {
    if (find_value(values, count, bindings[i].name) < count)
      continue;
    char names[128] = "";
    for (size_t j = 0, used = 0; j < count && used < sizeof names; j++)
      used += (size_t)snprintf(names + used, sizeof names - used, "%s'%s'", j ? ", " : "",
                               values[j].name);
    return tnr_fail(fault, TNR_EINVAL, "the model has no %s '%.80s': it has %s", kind,
                    bindings[i].name, names);
  }
  return TNR_OK;
}

/* ---- the inputs ---- */

static tnr_status load_feed(struct run *run, size_t input, tnr_fault *fault) {
  const struct onnx_value *value = &run->graph.inputs[input];
  char wants[FEED_WANTS_MAX];
  for (size_t i = 0; i < run->options.input_count; i++)
    if (strcmp(run->options.inputs[i].name, value->name) == 0)
      return feed_init(value, run->options.inputs[i].path, &run->feeds[input], fault);
  return tnr_fail(fault, TNR_EINVAL, "the input '%.60s' is not given: add --input %.60s=FILE (%s)",
                  value->name, value->name, feed_wants(value, wants));
}

static tnr_status check_rows(const struct run *run, tnr_fault *fault) {
  const struct feed *feeds = run->feeds;
  int64_t rows = feed_rows(&feeds[0]);
  for (size_t i = 1; i < run->graph.input_count; i++)
    if (feed_rows(&feeds[i]) != rows)
      return tnr_fail(fault, TNR_ESHAPE, "input '%.60s' has %" PRId64 " rows, '%.60s' %" PRId64,
                      feeds[0].input->name, rows, feeds[i].input->name, feed_rows(&feeds[i]));
  if (rows > 0)
    return TNR_OK;
  return tnr_fail(fault, TNR_ESHAPE, "input '%.80s' has no rows", feeds[0].input->name);
}

static tnr_status load_feeds(struct run *run, tnr_fault *fault) {
  tnr_status status = TNR_OK;
  run->feeds = calloc(run->graph.input_count, sizeof(*run->feeds));
  if (!run->feeds)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu inputs", run->graph.input_count);
  for (size_t i = 0; status == TNR_OK && i < run->graph.input_count; i++)
    status = load_feed(run, i, fault);
  return status == TNR_OK ? check_rows(run, fault) : status;
}

/* What the user asks for, or what the model insists on. */
static tnr_status choose_batch(struct run *run, tnr_fault *fault) {
  int64_t rows = feed_rows(&run->feeds[0]), asked = run->options.batch;
  run->batch_rows = asked ? asked : DEFAULT_BATCH;
  for (size_t i = 0; i < run->graph.input_count; i++) {
    int64_t fixed = feed_fixed_batch(&run->feeds[i]);
    if (fixed == 0)
      continue;
    if ((asked && asked != fixed) || rows % fixed != 0)
      return tnr_fail(fault, TNR_ESHAPE,
                      "input '%.80s' takes exactly %" PRId64 " rows at a time, and this would be "
                      "%" PRId64 " rows in batches of %" PRId64,
                      run->feeds[i].input->name, fixed, rows, asked ? asked : fixed);
    run->batch_rows = asked = fixed;
  }
  if (run->batch_rows > rows)
    run->batch_rows = rows;
  return TNR_OK;
}

static tnr_status load_inputs(struct run *run, tnr_fault *fault) {
  const struct run_options *options = &run->options;
  tnr_status status = check_names(options->inputs, options->input_count, run->graph.inputs,
                                  run->graph.input_count, "input", fault);
  if (status == TNR_OK)
    status = check_names(options->outputs, options->output_count, run->graph.outputs,
                         run->graph.output_count, "output", fault);
  if (status == TNR_OK)
    status = load_feeds(run, fault);
  if (status == TNR_OK)
    status = choose_batch(run, fault);
  if (status == TNR_OK && options->labels)
    status = score_load(options->labels, feed_rows(&run->feeds[0]), &run->labels, fault);
  return status;
}

/* ---- the devices ---- */

static tnr_status open_devices(struct run *run, tnr_fault *fault) {
  const struct run_options *options = &run->options;
  run->work = (struct work){.recipe = &run->recipe,
                            .feeds = run->feeds,
                            .rows = feed_rows(&run->feeds[0]),
                            .predicts = run->labels.data};
  tnr_status status = gather_init(
      work_results(&run->work), pass_batches(run->work.rows, run->batch_rows), &run->gather, fault);
  if (status == TNR_OK)
    status = device_list_open(&options->devices, options->threads_per_device, &run->runtime,
                              run->devices, fault);
  if (status != TNR_OK)
    return status;
  watch_begin(run->runtime);
  run->stations = calloc((size_t)options->devices.count, sizeof(*run->stations));
  if (!run->stations)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %d devices", options->devices.count);
  for (int i = 0; status == TNR_OK && i < options->devices.count; i++)
    status = station_init(&run->work, run->runtime, run->devices[i], &run->stations[i], fault);
  return status;
}

/* ---- the run ---- */

static const char *noun_of_rows(const struct run *run) {
  return run->feeds[0].shape.rank == 4 ? "images" : "rows";
}

static const char *ending(int64_t count) {
  return count == 1 ? "" : "es";
}

/* Beside the progress, not among the results. */
static void announce(const struct run *run) {
  char rows[GROUPED_MAX], batches[GROUPED_MAX];
  bool computes = true;
  fprintf(stderr, "%s %s in %s batch%s of %" PRId64 ", %s, on",
          progress_grouped(run->work.rows, rows), noun_of_rows(run),
          progress_grouped(run->gather.batches, batches), ending(run->gather.batches),
          run->batch_rows, run->options.mode == PASS_ASYNC ? "async" : "blocking");
  for (int i = 0; i < run->options.devices.count; i++) {
    fprintf(stderr, "%s %s", i ? "," : "", tnr_device_name(run->devices[i]));
    computes = computes && device_list_computes(&run->options.devices, i);
  }
  fputs(computes ? "\n" : " (null devices compute nothing: the results mean nothing)\n", stderr);
}

static tnr_status run_pass(struct run *run, tnr_fault *fault) {
  struct progress progress;
  const struct pass pass = {.stations = run->stations,
                            .station_count = run->options.devices.count,
                            .batch_rows = run->batch_rows,
                            .gather = &run->gather,
                            .progress = &progress};
  announce(run);
  progress_init(&progress, noun_of_rows(run), run->work.rows);
  return pass_run(&pass, run->options.mode, &run->times, fault);
}

/* ---- the results ---- */

static void report_devices(const struct run *run) {
  for (int i = 0; i < run->options.devices.count; i++) {
    char ops[GROUPED_MAX];
    tnr_program_stats programs = tnr_device_programs(run->devices[i]);
    double peak = (double)tnr_device_memory(run->devices[i]).peak_bytes;
    bool large = peak >= 1e6;
    printf("%s: %s ops, %" PRIu64 " programs made for them, %.1f %s of tensors at most\n",
           tnr_device_name(run->devices[i]),
           progress_grouped((int64_t)(programs.hits + programs.misses), ops), programs.misses,
           peak / (large ? 1e6 : 1e3), large ? "MB" : "kB");
  }
}

static void report_times(const struct run *run) {
  char speed[GROUPED_MAX];
  double total = (double)run->times.total_ns, held = (double)run->times.held_ns;
  printf("speed: %s %s/s\n",
         progress_grouped((int64_t)((double)run->work.rows * 1e9 / total + 0.5), speed),
         noun_of_rows(run));
  printf("calling thread held up: %.1f ms of %.1f ms (%.1f%%)\n", held / 1e6, total / 1e6,
         held * 100 / total);
}

static tnr_status write_output(const struct run *run, const struct binding *binding,
                               tnr_fault *fault) {
  struct array output;
  char shape[TNR_SHAPE_TEXT_MAX];
  size_t index = find_value(run->graph.outputs, run->graph.output_count, binding->name);
  tnr_status status = gather_join(&run->gather, index, &output, fault);
  if (status == TNR_OK)
    status = array_save_npy(&output, binding->path, fault);
  if (status == TNR_OK)
    printf("%s: %s %s in %s\n", binding->name, tnr_dtype_name(output.desc.dtype),
           tnr_shape_format(&output.desc.shape, shape, sizeof shape), binding->path);
  array_finish(&output);
  return status;
}

static tnr_status report_accuracy(const struct run *run, tnr_fault *fault) {
  struct array predictions;
  double share;
  tnr_status status = gather_join(&run->gather, run->graph.output_count, &predictions, fault);
  if (status == TNR_OK)
    status = score_share(&predictions, &run->labels, &share, fault);
  if (status == TNR_OK)
    printf("accuracy: %.2f%%\n", share * 100);
  array_finish(&predictions);
  return status;
}

static tnr_status report(const struct run *run, tnr_fault *fault) {
  tnr_status status = TNR_OK;
  report_devices(run);
  report_times(run);
  for (size_t i = 0; status == TNR_OK && i < run->options.output_count; i++)
    status = write_output(run, &run->options.outputs[i], fault);
  if (status == TNR_OK && run->labels.data)
    status = report_accuracy(run, fault);
  return status;
}

static tnr_status run_all(struct run *run, tnr_fault *fault) {
  tnr_status status = load_model(run, fault);
  if (status == TNR_OK)
    status = load_inputs(run, fault);
  if (status == TNR_OK)
    status = open_devices(run, fault);
  if (status == TNR_OK)
    status = run_pass(run, fault);
  if (status == TNR_OK)
    status = report(run, fault);
  return status;
}

int command_run(int argc, char **argv) {
  struct run run = {0};
  tnr_fault fault;
  int exit_status;
  if (run_options_parse(argc, argv, &run.options, &exit_status) && run_all(&run, &fault) != TNR_OK)
    exit_status = command_fail("%s", fault.message);
  finish(&run);
  return exit_status;
}
