/* Layouts in which oneDNN leaves results, and takes them again: tnr_layout for the cpu device. */
#ifndef TENOR_CPU_LAYOUT_H
#define TENOR_CPU_LAYOUT_H

#include <oneapi/dnnl/dnnl.h>

#include "onednn.h"

/* Belongs to its tnr_onednn. Immutable but for `next`. */
struct tnr_own_layout {
  tnr_layout base;
  tnr_own_layout *next;
  dnnl_engine_t engine;
  dnnl_memory_desc_t desc, dense;
  dnnl_primitive_t to_dense; /* a reorder without a scratchpad */
};

/* The one layout with that description; NULL when it cannot be made, or there is no memory. The
 * worker of the device. */
const tnr_own_layout *tnr_own_layout_of(tnr_onednn *onednn, const dnnl_memory_desc_t *desc);

/* Frees a list. */
void tnr_own_layouts_destroy(tnr_own_layout *first);

#endif
