/* Two simulated devices in virtual time, on one thread: each run prints the same, to the byte. A
 * seed as argument gives another legal order, which is the same again for the same seed. */
#include <stdio.h>
#include <stdlib.h>

#include <tenor.h>

static void print(const tnr_timeline_entry *entry, void *user) {
  char line[200];
  (void)user;
  tnr_timeline_format(entry, line, sizeof line);
  if (entry->kind == TNR_TIMELINE_START || entry->kind == TNR_TIMELINE_COMPLETE)
    fputs(line, stdout);
}

int main(int count, char **arguments) {
  const tnr_sim_config model = {.launch_ns = 5000, .bytes_per_second = 1e9};
  const tnr_device_config sims = {.driver = tnr_sim_driver(), .count = 2, .config = &model};
  tnr_runtime *runtime = tnr_runtime_create(&(tnr_runtime_options){
      .devices = &sims,
      .device_configs = 1,
      .mode = TNR_DETERMINISTIC,
      .seed = count > 1 ? strtoull(arguments[1], NULL, 10) : 0,
      .timeline = print,
  });
  if (!runtime || tnr_scope_open() != TNR_OK)
    return 1;
  tnr_device *left = tnr_runtime_device_at(runtime, 0), *right = tnr_runtime_device_at(runtime, 1);
  const float data[4] = {-1, 2, -3, 4};
  tnr_future *a = tnr_to_async(tnr_tensor_create(left, TNR_F32, TNR_SHAPE(2, 2), data));
  tnr_future *b = tnr_to_async(tnr_tensor_create(right, TNR_F32, TNR_SHAPE(2, 2), data));

  tnr_future *product = tnr_matmul(a, a), *positive = tnr_relu(b); /* side by side */
  tnr_future *sum = tnr_add(product, tnr_to_device(positive, left));

  float out[4];
  tnr_status status = tnr_tensor_read(tnr_get(sum), out, sizeof out); /* everything runs in here */
  if (status == TNR_OK)
    printf("[%g, %g, %g, %g] after %lld ns\n", out[0], out[1], out[2], out[3],
           (long long)tnr_runtime_now(runtime));
  tnr_scope_close();
  return tnr_runtime_destroy(runtime, TNR_DRAIN) == TNR_OK && status == TNR_OK ? 0 : 1;
}
