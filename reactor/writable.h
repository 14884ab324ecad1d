/* Who is told of room, once there is some: calls and workers that sleep until then, and what was
 * registered by tnr_on_writable. */
#ifndef TENOR_REACTOR_WRITABLE_H
#define TENOR_REACTOR_WRITABLE_H

#include "runtime.h"

/* Any thread, with the bounds' lock held, which may be let go of meanwhile: there may be more room
 * than before, or the bounds have just been closed. */
void tnr_bounds_tell_of_room(tnr_bounds *bounds);

#endif
