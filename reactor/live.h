/* What serves viewers of a running program. Dispatcher only, unless it says otherwise. */
#ifndef TENOR_REACTOR_LIVE_H
#define TENOR_REACTOR_LIVE_H

#include <tenor/live.h>
#include <tenor/status.h>

typedef struct tnr_live tnr_live;
struct evbuffer;

/* Before the dispatcher's thread runs: listens on its base. TNR_ESYSTEM, TNR_ENOMEM: nothing is
 * left behind. */
tnr_status tnr_live_start(tnr_runtime *runtime, tnr_fault *fault);

/* The dispatcher's thread, first: a viewer that has gone must not end the program. */
void tnr_live_enter(void);

/* When it has ended, and before its base is freed. Does nothing where it did not listen. */
void tnr_live_finish(tnr_runtime *runtime);

/* The answer to "stats". */
void tnr_live_describe(const tnr_runtime *runtime, struct evbuffer *out);

#endif
