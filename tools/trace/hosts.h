/* What decided when a thread submitted something: the last wait that it came back from, or the
 * callback in which it is; and the limits that it met. */
#ifndef TENOR_TRACE_HOSTS_H
#define TENOR_TRACE_HOSTS_H

#include "holds.h"

/* 4 bytes for each wait and callback. */
struct trace_hosts {
  uint32_t *spans; /* WAIT, HELD and CALLBACK, by lane, then begin */
  uint32_t *first; /* [lanes + 1] */
  struct trace_holds holds;
};

tnr_status trace_hosts_init(const struct trace_recording *recording, struct trace_hosts *out,
                            tnr_fault *fault) TNR_MUST_USE;
void trace_hosts_finish(struct trace_hosts *hosts);

/* The index in `spans` of the last one of the lane that begins before `time`; NONE. */
uint32_t trace_hosts_before(const struct trace_recording *recording,
                            const struct trace_hosts *hosts, uint32_t lane, int64_t time);

#endif
