/* From the runtime's primitives to chains of oneDNN steps. */
#ifndef TENOR_CPU_PRIMITIVES_H
#define TENOR_CPU_PRIMITIVES_H

#include "onednn.h"

/* A finished chain that computes what `spec` says. With `pack_weights` the second operand of a
 * matmul is packable too; without, it is used as it lies. TNR_EUNSUPPORTED when the plain kernel
 * should run instead. */
tnr_status tnr_cpu_chain_of(tnr_onednn *onednn, const tnr_program_spec *spec, bool pack_weights,
                            tnr_chain **out) TNR_MUST_USE;

/* What oneDNN makes static objects for when it sees it first, as far as one can tell from outside:
 * a number below TNR_EXIT_GATE_KINDS. A chain has been made of `spec`. */
unsigned tnr_cpu_kind_of(const tnr_program_spec *spec);

#endif
