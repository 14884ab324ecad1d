/* What of the cpu device is not in its driver. */
#ifndef TENOR_CPU_CPU_H
#define TENOR_CPU_CPU_H

#include "derived.h"

/* Runs a program of the cpu driver. `derived` has an entry for each input: where forms derived from
 * its data may be kept, or NULL. Weights are then packed on the first run only. */
tnr_status tnr_cpu_program_run(tnr_program *program, const void *const *in,
                               tnr_derived_list *const *derived, void *const *out,
                               tnr_fault *fault);

#endif
