/* What the programs in this folder do in their loops: thousands of matrix products on the cpu
 * device, whose results come through a mailbox, while a timer ticks every 10 ms. All calls belong
 * to the loop's thread. */
#ifndef TENOR_EXAMPLES_LOAD_H
#define TENOR_EXAMPLES_LOAD_H

#include <tenor.h>

enum {
  LOAD_TICK_MS = 10,
  LOAD_SLICE_NS = 500000, /* how long a loop should dispatch at once */
  LOAD_SKIPPED = 77       /* the exit status where the machine lacks what the loop needs */
};

typedef struct load load;

/* Starts it all, on a runtime of its own: `program CHAINS ROUNDS`, with defaults for a few seconds.
 * Ends the program when that is not possible. */
load *load_start(int argc, char **argv);

/* What the loop has to watch and to dispatch. */
tnr_mailbox *load_mailbox(load *l);

/* To be called by the loop's timer. */
void load_tick(load *l);

/* True once all results have come: the loop should end. */
bool load_is_over(const load *l);

/* Ends the runtime, prints how it went, and returns the program's exit status: 0 when all results
 * are right. */
int load_finish(load *l, const char *loop);

/* CLOCK_MONOTONIC, ns. */
int64_t load_now(void);

#endif
