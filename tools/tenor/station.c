#include "station.h"

#include <stdlib.h>

#include "command.h"

size_t work_results(const struct work *work) {
  return work->recipe->graph->output_count + (work->predicts ? 1 : 0);
}

static tnr_status make_full(struct station *station, tnr_fault *fault) {
  const tnr_mesh *mesh = tnr_mesh_of(&station->device, 1);
  station->full = mesh ? tnr_scalar(mesh, TNR_F32, 255) : NULL;
  return station->full ? TNR_OK : command_take_error(fault);
}

tnr_status station_init(const struct work *work, tnr_runtime *runtime, tnr_device *device,
                        struct station *out, tnr_fault *fault) {
  size_t count = work->recipe->graph->input_count + work_results(work);
  *out = (struct station){.work = work,
                          .device = device,
                          .host = tnr_runtime_device(runtime, "host"),
                          .values = calloc(count, sizeof(*out->values))};
  tnr_status status = TNR_OK;
  if (!out->values)
    status = tnr_fail(fault, TNR_ENOMEM, "no memory for %zu values", count);
  else if (!out->host)
    status = command_take_error(fault);
  if (status == TNR_OK)
    status = make_full(out, fault);
  if (status == TNR_OK)
    status = model_init(work->recipe, device, &out->model, fault);
  if (status != TNR_OK)
    station_finish(out);
  return status;
}

void station_finish(struct station *station) {
  if (station->model.recipe)
    model_finish(&station->model);
  tnr_release(station->full);
  free(station->values);
  *station = (struct station){0};
}

static void submit_inputs(struct station *station, int64_t first, int64_t count, bool async) {
  size_t inputs = station->work->recipe->graph->input_count;
  for (size_t i = 0; i < inputs; i++)
    station->values[i] =
        feed_submit(&station->work->feeds[i], station->device, station->full, first, count, async);
}

/* In an open scope. */
static tnr_value submit(struct station *station, int64_t first, int64_t count, bool async,
                        tnr_fault *fault) {
  const struct onnx_graph *graph = station->work->recipe->graph;
  tnr_value *results = station->values + graph->input_count;
  submit_inputs(station, first, count, async);
  for (size_t i = 0; i < graph->input_count; i++)
    if (station->values[i].kind == TNR_VALUE_NONE) {
      command_take_error(fault);
      return (tnr_value){0};
    }
  if (model_apply(&station->model, station->values, results, fault) != TNR_OK)
    return (tnr_value){0};
  if (station->work->predicts)
    results[graph->output_count] = tnr_argmax(results[0], .axis = -1);
  for (size_t i = 0; i < work_results(station->work); i++)
    results[i] = tnr_to_device(results[i], station->host);
  tnr_value all = tnr_all(results, (int)work_results(station->work), TNR_HERE);
  if (all.kind == TNR_VALUE_NONE)
    command_take_error(fault);
  return tnr_keep(all);
}

tnr_value station_submit(struct station *station, int64_t first, int64_t count, bool async,
                         tnr_fault *fault) {
  if (tnr_scope_open() != TNR_OK) {
    command_take_error(fault);
    return (tnr_value){0};
  }
  tnr_value all = submit(station, first, count, async, fault);
  tnr_scope_close();
  return all;
}
