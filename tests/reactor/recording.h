/* A test whose runtime records from beginning to end, for tests of what is recorded. Its group's
 * setup and teardown are folder_enter and folder_leave. */
#ifndef TENOR_TESTS_RECORDING_H
#define TENOR_TESTS_RECORDING_H

#include "recorded.h"
#include "rig.h"

/* A test of the rig's whose runtime writes folder_path("record"). */
#define recording_test(function)                                                                   \
  cmocka_unit_test_setup_teardown(function, recording_setup, recording_teardown)
int recording_setup(void **state);
int recording_teardown(void **state);

/* Skips the rest where nothing runs while the test does not wait for it. */
void recording_needs_threads(tnr_runtime *runtime);

/* Waits for the devices and ends the recording: all of it, nothing lost. */
recorded recording_stop(tnr_runtime *runtime);

#endif
