/* What tests of limits share: runtimes that have some, and what to put into them. */
#ifndef TENOR_TESTS_BOUNDED_H
#define TENOR_TESTS_BOUNDED_H

#include "rig.h"

enum { BOUNDED_LARGE = 256 << 10 }; /* bytes of a large tensor; of these the pool's peak is exact */

/* Devices cpu:0 and cpu:1, each with the limits `each`; a scope is open on this thread. Traced: it
 * records from its beginning; NULL: it does not. */
tnr_runtime *bounded_runtime(tnr_limits all, tnr_limits each, bool full_is_error);
tnr_runtime *bounded_traced(tnr_limits all, tnr_limits each, bool full_is_error,
                            const tnr_trace_options *trace);

/* Closes the scope, and asserts that nothing is left. */
void bounded_end(tnr_runtime *runtime);

/* cpu:0, and there: f32 of ones, and a future of 4 of them. */
tnr_device *bounded_device(tnr_runtime *runtime);
tnr_tensor *bounded_large(tnr_runtime *runtime);
tnr_future *bounded_one(tnr_runtime *runtime);

/* x + 5, in five ops; the late one's body runs when the shape of x is known. */
extern const tnr_composite_def bounded_five, bounded_late_five;

#endif
