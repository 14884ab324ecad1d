/* How far a run is, on standard error: one line that is rewritten on a terminal, else a line at
 * each quarter. */
#ifndef TENOR_TOOL_PROGRESS_H
#define TENOR_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* For one thread. */
struct progress {
  const char *noun; /* "images" */
  int64_t total;    /* rows; at least 1 */
  bool terminal;
  int64_t start_ns, shown_ns;
  int64_t shown_quarters;
};

void progress_init(struct progress *progress, const char *noun, int64_t total);

/* Says that so many rows are done; prints only when it is time to. */
void progress_show(struct progress *progress, int64_t done);

/* Takes the line off the terminal. */
void progress_finish(struct progress *progress);

enum { GROUPED_MAX = 32 };

/* Writes "12,345" and returns `out`. */
char *progress_grouped(int64_t number, char out[GROUPED_MAX]);

/* CLOCK_MONOTONIC in ns. */
int64_t progress_now(void);

#endif
