/* Calls of composites as tracks on which each lies within the one around it. */
#ifndef TENOR_TRACE_COMPOSITES_H
#define TENOR_TRACE_COMPOSITES_H

#include "recording.h"

/* From its call to the end of the last op in it. */
struct trace_composite {
  int64_t begin, end;
  uint32_t op;
  uint32_t within; /* in `rows`: the composite around it on the same track; NONE: outermost there */
  uint32_t track;  /* the op of the track's outermost */
};

struct trace_composites {
  TRACE_ROWS(trace_composite)
  rows; /* track after track; outer before inner, earlier before later */
};

/* Those whose call is in the recording. Calls within one composite that overlap, as those of two
 * threads do, get tracks of their own. 32 bytes a composite and 20 an op, these only meanwhile. */
tnr_status trace_composites_find(const struct trace_recording *recording,
                                 struct trace_composites *out, tnr_fault *fault) TNR_MUST_USE;
void trace_composites_finish(struct trace_composites *composites);

#endif
