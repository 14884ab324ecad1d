#include "threadless.h"

#include <dirent.h>

tnr_runtime *threadless_runtime(tnr_mode mode) {
  static const tnr_sim_config at_once = {0};
  const tnr_device_config devices[] = {
      {.driver = tnr_cpu_driver(), .count = 2},
      {.driver = tnr_sim_driver(), .count = 1, .config = &at_once},
  };
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = devices, .device_configs = 2, .mode = mode});
  assert_made(runtime);
  return runtime;
}

int threadless_setup(void **state) {
  rig_bare_setup(state);
  rig_open_gate();
  *state = threadless_runtime(TNR_ONE_THREAD);
  assert_ok(tnr_scope_open());
  return 0;
}

int threadless_teardown(void **state) {
  while (tnr_scope_close() == TNR_OK) {
  }
  assert_nothing_left(*state);
  return rig_bare_teardown(state);
}

tnr_future *threadless_one(tnr_runtime *runtime, int device) {
  return tnr_to_async(rig_tensor(tnr_runtime_device_at(runtime, device), 1));
}

int threadless_count_threads(void) {
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  assert_non_null(tasks);
  for (const struct dirent *task; (task = readdir(tasks));)
    count += task->d_name[0] != '.';
  closedir(tasks);
  return count;
}
