/* Weights in the layout that oneDNN prefers, kept between runs. */
#ifndef TENOR_CPU_PACKED_H
#define TENOR_CPU_PACKED_H

#include "chain.h"

/* The packed form of the chain's packable input, whose buffer is bound: the one in `list` that has
 * the chain's layout, or a new one. NULL when it can not be made: pack on each run instead. */
dnnl_memory_t tnr_packed_weights(tnr_chain *chain, tnr_derived_list *list);

#endif
