/* SIGUSR1: the command prints every op in flight on standard error, and goes on. */
#ifndef TENOR_TOOL_WATCH_H
#define TENOR_TOOL_WATCH_H

#include <tenor/runtime.h>

/* First of all, before there are threads: the signal does not end the process any more. */
void watch_prepare(void);

/* From now on the signal tells of this runtime. One at a time; without effect when there is no
 * thread for it. */
void watch_begin(tnr_runtime *runtime);

/* Before the runtime is destroyed. Without effect when nothing is watched. */
void watch_end(void);

#endif
