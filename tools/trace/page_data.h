/* What the page shows: one JSON object, to stand within a script element. */
#ifndef TENOR_TRACE_PAGE_DATA_H
#define TENOR_TRACE_PAGE_DATA_H

#include <stdio.h>

#include "recording.h"

struct trace_page_options {
  const char *file; /* what the recording is called */
  uint64_t events;  /* at most: the rest, the latest of them, is left out and counted */
  int64_t from, to; /* ns: what is there at some time between; to 0: until the end */
};

/* Whether it could be written, `to` knows. TNR_ENOMEM. */
tnr_status trace_page_data(const struct trace_recording *recording,
                           const struct trace_page_options *options, FILE *to,
                           tnr_fault *fault) TNR_MUST_USE;

#endif
