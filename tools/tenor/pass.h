/* One pass over all rows: batches submitted to several devices in turn, results gathered. */
#ifndef TENOR_TOOL_PASS_H
#define TENOR_TOOL_PASS_H

#include "gather.h"
#include "progress.h"
#include "station.h"

enum pass_mode {
  PASS_ASYNC,   /* submits futures and goes on; results are taken by callbacks */
  PASS_BLOCKING /* submits a batch, waits for its results, then submits the next */
};

/* All borrowed. */
struct pass {
  struct station *stations; /* of one work */
  int station_count;
  int64_t batch_rows;    /* at least 1; the last batch may be smaller */
  struct gather *gather; /* for pass_batches() batches */
  struct progress *progress;
};

struct pass_times {
  int64_t total_ns; /* from the first submission until all results were there */
  int64_t held_ns;  /* of it, how long the calling thread was inside calls of the library */
};

int64_t pass_batches(int64_t rows, int64_t batch_rows);

/* Runs all batches. On failure what is in flight is awaited, and the first failure is told. */
tnr_status pass_run(const struct pass *pass, enum pass_mode mode, struct pass_times *out,
                    tnr_fault *fault) TNR_MUST_USE;

#endif
