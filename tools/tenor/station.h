/* A device with its own copy of a model: where batches are submitted. */
#ifndef TENOR_TOOL_STATION_H
#define TENOR_TOOL_STATION_H

#include "feed.h"
#include "model.h"

/* What is run over the rows. All borrowed. */
struct work {
  const struct recipe *recipe;
  const struct feed *feeds; /* one for each input of the graph, all of `rows` rows */
  int64_t rows;
  bool predicts; /* one more result: the argmax of output 0 over its last dimension */
};

/* How many results a batch has: the graph's outputs, then the prediction. */
size_t work_results(const struct work *work);

struct station {
  const struct work *work; /* borrowed */
  tnr_device *device;
  tnr_device *host;
  struct model model;
  tnr_tensor *full;  /* the f32 scalar 255 */
  tnr_value *values; /* inputs, then results, of the batch that is being submitted */
};

/* Copies the model to the device. Fails as model_init does. `out` is then all zero. */
tnr_status station_init(const struct work *work, tnr_runtime *runtime, tnr_device *device,
                        struct station *out, tnr_fault *fault) TNR_MUST_USE;

/* All zero is fine, and what is left. */
void station_finish(struct station *station);

/* Submits rows [first, first + count). The results arrive on the host as one tuple: a future tuple
 * if `async`, else a tuple; the caller owns it. Of kind NONE, with `fault` filled in, on failure.
 * One thread at a time; never waits. */
tnr_value station_submit(struct station *station, int64_t first, int64_t count, bool async,
                         tnr_fault *fault);

#endif
