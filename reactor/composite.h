/* What a composite's call and one whose body runs later share. */
#ifndef TENOR_REACTOR_COMPOSITE_H
#define TENOR_REACTOR_COMPOSITE_H

#include "runtime.h"

/* One call of a composite. */
typedef struct tnr_invocation {
  tnr_runtime *runtime;
  tnr_site site;
  uint32_t number; /* in a recording; 0: none */
} tnr_invocation;

static inline bool tnr_value_is_future(tnr_value value) {
  return value.kind == TNR_VALUE_FUTURE || value.kind == TNR_VALUE_FUTURE_TUPLE;
}

/* Of the first that has failed; borrowed. NULL: none has. */
tnr_error *tnr_error_among(const tnr_value *in, int count);

/* Runs the body on this thread, in a scope of its own; the result is the caller's, or the outer
 * scope's. `async`: a plain result becomes a future. TNR_VALUE_NONE, with tnr_error(): there is
 * none. */
tnr_value tnr_composite_run(const tnr_composite_def *def, const tnr_invocation *of,
                            const tnr_value *in, int in_count, const void *attrs, bool async);

#endif
