/* Where a timeline is told of what happens. */
#ifndef TENOR_REACTOR_TIMELINE_H
#define TENOR_REACTOR_TIMELINE_H

#include <tenor/timeline.h>

#include "runtime.h"

/* In virtual time: a call numbers its op, which then is seen at each of its steps. Any thread; the
 * caller holds a reference. */
void tnr_timeline_write(tnr_op *op, tnr_timeline_kind kind, const tnr_device *device);

/* The same, wherever there may be no timeline. `device`: where, for START and END, else NULL. */
static inline void tnr_timeline_note(tnr_op *op, tnr_timeline_kind kind, const tnr_device *device) {
  if (__builtin_expect(op->future.runtime->timeline.write != NULL, 0))
    tnr_timeline_write(op, kind, device);
}

/* A number for an op that has none and is written later. Any thread. */
uint32_t tnr_timeline_next(tnr_runtime *runtime);

#endif
