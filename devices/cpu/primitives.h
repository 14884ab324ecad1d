/* From the runtime's primitives to chains of oneDNN steps. */
#ifndef TENOR_CPU_PRIMITIVES_H
#define TENOR_CPU_PRIMITIVES_H

#include "onednn.h"

enum { TNR_CPU_INPUTS = 3 };

/* Which of the ways to do it is meant. */
typedef struct tnr_cpu_way {
  bool pack_weights; /* the second operand of a matmul is packable; else it is used as it lies */
  bool free_result;  /* the result may be left in a layout of its own */
  const tnr_own_layout *in[TNR_CPU_INPUTS]; /* how inputs lie; NULL: dense */
} tnr_cpu_way;

/* A finished chain that computes what `spec` says. TNR_EUNSUPPORTED when the plain kernel should
 * run instead. */
tnr_status tnr_cpu_chain_of(tnr_onednn *onednn, const tnr_program_spec *spec,
                            const tnr_cpu_way *way, tnr_chain **out) TNR_MUST_USE;

/* What oneDNN makes static objects for when it sees it first, as far as one can tell from outside:
 * a number below TNR_EXIT_GATE_KINDS. A chain has been made of `spec`. */
unsigned tnr_cpu_kind_of(const tnr_program_spec *spec, const tnr_cpu_way *way);

#endif
