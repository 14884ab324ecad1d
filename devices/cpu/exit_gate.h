/* oneDNN's code that makes primitives uses static objects, and exit(3) destroys those while workers
 * may still run. The gate keeps workers out of that code once the process ends. Running primitives
 * uses no static objects, and needs no gate.
 *
 * It closes before anything is destroyed when the main thread calls exit, or returns from main.
 * When another thread calls exit, it closes before all that was made by then: only what a worker is
 * making at that moment, the first of its kind in the process, may be destroyed under its hands. */
#ifndef TENOR_CPU_EXIT_GATE_H
#define TENOR_CPU_EXIT_GATE_H

#include <stdbool.h>

enum { TNR_EXIT_GATE_KINDS = 64 };

/* Any thread: false when the process ends; then oneDNN must not be asked to make anything. Else to
 * be left soon: exit(3) waits for it. */
bool tnr_exit_gate_enter(void);

/* `kind`, below TNR_EXIT_GATE_KINDS, stands for what was made: the first of its kind may have
 * brought new static objects. */
void tnr_exit_gate_leave(unsigned kind);

#endif
