/* What tests of runtimes without threads share: one with two cpu devices and a sim. */
#ifndef TENOR_TESTS_THREADLESS_H
#define TENOR_TESTS_THREADLESS_H

#include "rig.h"

/* Devices cpu:0, cpu:1 and sim:0, whose ops take no time. */
tnr_runtime *threadless_runtime(tnr_mode mode);

/* A test with a runtime of TNR_ONE_THREAD as *state, a scope, and the rig's gate open. */
#define threadless_test(function)                                                                  \
  cmocka_unit_test_setup_teardown(function, threadless_setup, threadless_teardown)
int threadless_setup(void **state);
int threadless_teardown(void **state);

/* A future of f32 ones on a device. */
tnr_future *threadless_one(tnr_runtime *runtime, int device);

/* How many threads the process has. */
int threadless_count_threads(void);

#endif
