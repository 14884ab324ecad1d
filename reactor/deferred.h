/* Composites that have to wait for the shapes of their inputs: the body runs on the dispatcher once
 * all inputs are created. */
#ifndef TENOR_REACTOR_DEFERRED_H
#define TENOR_REACTOR_DEFERRED_H

#include "composite.h"

/* Any thread. The future of the result, in the innermost scope; retains the inputs and copies the
 * attributes. TNR_VALUE_NONE, with tnr_error(): out of memory, or the runtime takes no calls. */
tnr_value tnr_composite_defer(const tnr_invocation *of, const tnr_composite_def *def,
                              const tnr_value *in, int count, const void *attrs);

#endif
