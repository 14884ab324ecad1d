/* A recording in the forms that other programs read. */
#ifndef TENOR_TRACE_EXPORT_H
#define TENOR_TRACE_EXPORT_H

#include <stdio.h>

#include "recording.h"

/* Each writes all of it; TNR_ENOMEM. Whether it could be written, `to` knows: see ferror. */
typedef tnr_status trace_export_fn(const struct trace_recording *recording, FILE *to,
                                   tnr_fault *fault);

/* Chrome trace events, which Perfetto and speedscope read: each thread's slices in the order of
 * time, arrows from ops to those that use what they made, counters. */
trace_export_fn trace_export_chrome;

/* The same, slices only and without arguments: speedscope takes these for parts of names, and can
 * sum up by op without them. */
trace_export_fn trace_export_slices;

/* A row for each run of an op on a device; ops that never ran have one, too. */
trace_export_fn trace_export_csv;

/* A picture: a line for each thread and device. What is narrower than can be seen is drawn
 * together.
 */
trace_export_fn trace_export_svg;

#endif
