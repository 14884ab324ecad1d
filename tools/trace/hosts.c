#include "hosts.h"

#include <stdlib.h>

#include "spill.h"

static bool counts(const struct trace_span *span) {
  return span->type == TNR_TRACE_WAIT || span->type == TNR_TRACE_CALLBACK ||
         span->type == TNR_TRACE_HELD;
}

tnr_status trace_hosts_init(const struct trace_recording *recording, struct trace_hosts *out,
                            tnr_fault *fault) {
  size_t lanes = recording->lanes.count, spans = recording->spans.count, count = 0;
  *out = (struct trace_hosts){0};
  out->spans = spill_resize(NULL, (spans + 1) * sizeof *out->spans);
  out->first = calloc(lanes + 1, sizeof *out->first);
  if (!out->spans || !out->first) {
    tnr_status status = spill_fail(fault, "the waits of threads");
    trace_hosts_finish(out);
    return status;
  }
  for (size_t lane = 0, i = 0; lane < lanes; lane++) {
    out->first[lane] = (uint32_t)count;
    for (; i < spans && recording->spans.at[i].lane == lane; i++)
      if (counts(&recording->spans.at[i]))
        out->spans[count++] = (uint32_t)i;
  }
  out->first[lanes] = (uint32_t)count;
  tnr_status status = trace_holds_init(recording, &out->holds, fault);
  if (status != TNR_OK)
    trace_hosts_finish(out);
  return status;
}

void trace_hosts_finish(struct trace_hosts *hosts) {
  spill_free(hosts->spans);
  free(hosts->first);
  trace_holds_finish(&hosts->holds);
  *hosts = (struct trace_hosts){0};
}

uint32_t trace_hosts_before(const struct trace_recording *recording,
                            const struct trace_hosts *hosts, uint32_t lane, int64_t time) {
  if (lane == TRACE_NONE)
    return TRACE_NONE;
  uint32_t low = hosts->first[lane], high = hosts->first[lane + 1], first = low;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (recording->spans.at[hosts->spans[middle]].begin < time)
      low = middle + 1;
    else
      high = middle;
  }
  return low > first ? low - 1 : TRACE_NONE;
}
