/* oneDNN uses static objects, also while primitives run, and exit(3) destroys those while workers
 * may still be at work. The gate keeps workers out of oneDNN once the process ends.
 *
 * It closes before anything is destroyed when the main thread calls exit, or returns from main.
 * When another thread calls exit, it closes before all that was there by then: only what a worker
 * is doing for the first time in the process at that very moment may be destroyed under its hands.
 */
#ifndef TENOR_CPU_EXIT_GATE_H
#define TENOR_CPU_EXIT_GATE_H

#include <stdbool.h>

/* What is done inside. The first of each, of each kind, may bring new static objects. */
typedef enum tnr_exit_gate_deed {
  TNR_EXIT_GATE_MAKE,
  TNR_EXIT_GATE_MAKE_PACKED,
  TNR_EXIT_GATE_RUN,
  TNR_EXIT_GATE_RUN_PACKED,
  TNR_EXIT_GATE_DEEDS
} tnr_exit_gate_deed;

enum { TNR_EXIT_GATE_KINDS = 64 };

/* Any thread: false when the process ends; then oneDNN must not be used. Else to be left soon:
 * exit(3) waits for it. */
bool tnr_exit_gate_enter(void);

void tnr_exit_gate_leave(void);

/* Before leaving, when something of a kind, below TNR_EXIT_GATE_KINDS, may have been done for the
 * first time. */
void tnr_exit_gate_did(tnr_exit_gate_deed deed, unsigned kind);

#endif
