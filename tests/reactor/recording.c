#include "recording.h"

#include <unistd.h>

int recording_setup(void **state) {
  rig_setup(state);
  assert_ok(tnr_trace_start(*state, &(tnr_trace_options){.path = folder_path("record")}));
  return 0;
}

int recording_teardown(void **state) {
  (void)unlink(folder_path("record"));
  return rig_teardown(state);
}

void recording_needs_threads(tnr_runtime *runtime) {
  if (check_mode() == TNR_THREADS)
    return;
  (void)tnr_trace_stop(runtime); /* the next test writes to the same file */
  skip();
}

recorded recording_stop(tnr_runtime *runtime) {
  for (int i = 0; i < tnr_runtime_device_count(runtime); i++)
    assert_ok(tnr_synchronize_device(tnr_runtime_device_at(runtime, i)));
  assert_ok(tnr_trace_stop(runtime));
  recorded r = recorded_read(folder_path("record"));
  assert_non_null(r.total);
  assert_int_equal(r.total->lost, 0);
  assert_int_equal(r.total->strangers, 0);
  assert_true(r.total->records <= r.records); /* a thread may record until it sees the end */
  return r;
}
