/* Signals that have the last moments of recordings written. A signal's handler belongs to the
 * process, and so does the short list of the recorders that it is for. */
#ifndef TENOR_REACTOR_TRACE_SIGNAL_H
#define TENOR_REACTOR_TRACE_SIGNAL_H

#include <stdbool.h>

#include <tenor/status.h>

typedef struct tnr_recorder tnr_recorder;

/* From now on `signal` (0: none) makes the recorder's scribe write, and with `crash` the deadly
 * signals write on the thread that they arrive at. TNR_EINVAL: no such signal; TNR_ESYSTEM: too
 * many recorders do that already. */
tnr_status tnr_trace_signals_watch(tnr_recorder *recorder, bool crash, int signal,
                                   tnr_fault *fault);

/* Not any more; does nothing for a recorder that is not in the list. The last one restores the
 * handlers that there were before. */
void tnr_trace_signals_leave(tnr_recorder *recorder);

#endif
