/* How a runtime's life begins and ends its recording. */
#ifndef TENOR_REACTOR_TRACE_H
#define TENOR_REACTOR_TRACE_H

#include "runtime.h"

/* Before any thread runs, and when mode and timeline are known. */
void tnr_trace_prepare(tnr_runtime *runtime);

/* When all threads run: starts what the options (NULL: nothing) or else TENOR_TRACE ask for. */
tnr_status tnr_trace_begin(tnr_runtime *runtime, const tnr_trace_options *options,
                           tnr_fault *fault);

/* When no thread of the runtime runs any more and all is complete: ends a recording, if there is
 * one. TNR_ESYSTEM, with tnr_error(): it could not be written to its end. */
tnr_status tnr_trace_end(tnr_runtime *runtime);

#endif
