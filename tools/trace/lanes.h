/* In which order threads are shown: those of the application, the dispatcher, the workers. */
#ifndef TENOR_TRACE_LANES_H
#define TENOR_TRACE_LANES_H

#include "recording.h"

/* [lanes], the caller frees it; NULL: no memory. */
uint32_t *trace_lanes_order(const struct trace_recording *recording);

/* "main", "dispatcher", "worker of cpu:0". */
void trace_lane_title(const struct trace_recording *recording, uint32_t lane, char *out,
                      size_t room);

/* What a slice of a thread's time is called: "body", "wait", …; and what a wait or rest is for. */
const char *trace_span_kind(const struct trace_span *span);
const char *trace_span_why(const struct trace_span *span);

/* "copy host → cpu:0", or the op's name. */
void trace_run_title(const struct trace_recording *recording, const struct trace_run *run,
                     char *out, size_t room);

#endif
