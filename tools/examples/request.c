/* Requests of a server: each is a group of ops, with a deadline and a priority. */
#include <stdio.h>

#include <tenor.h>

static void report(const char *what, tnr_future *future) {
  tnr_status status = tnr_wait(future, TNR_COMPLETE, INT64_MAX);
  const char *reason = tnr_error_reason(tnr_future_error(future));
  printf("%s: %s%s%s\n", what, tnr_status_name(status), *reason ? ", " : "", reason);
}

/* What one request asks for. */
static tnr_future *answer(tnr_group *request, tnr_future *x) {
  if (tnr_terms_open(.group = request) != TNR_OK)
    return NULL;
  tnr_future *y = tnr_softmax(tnr_relu(x), .axis = -1);
  tnr_terms_close();
  return y;
}

static void serve(tnr_runtime *runtime, tnr_future *x) {
  tnr_future *busy = tnr_relu(x);
  tnr_wait(busy, TNR_CREATED, INT64_MAX); /* the device has begun with it, and takes its time */

  tnr_group *late = tnr_group_create(runtime, .name = "request 7", .timeout_ns = 20000000);
  tnr_group *gone = tnr_group_create(runtime, .name = "request 8");
  tnr_group *urgent = tnr_group_create(runtime, .priority = TNR_PRIORITY_HIGH);
  tnr_future *answers[] = {answer(late, x), answer(gone, x), answer(urgent, x)};
  tnr_group_cancel(gone); /* whoever asked has gone */

  report("gone", answers[1]);
  report("late", answers[0]);
  report("busy", busy);
  tnr_group_wait(urgent, INT64_MAX);
  report("urgent", answers[2]);
}

int main(void) {
  const tnr_sim_config slow = {.launch_ns = 100000000}; /* 100 ms an op */
  const tnr_device_config devices = {tnr_sim_driver(), 1, &slow};
  const float data[2] = {1, 2};
  tnr_runtime *runtime =
      tnr_runtime_create(&(tnr_runtime_options){.devices = &devices, .device_configs = 1});
  if (!runtime || tnr_scope_open() != TNR_OK)
    return 1;
  tnr_device *device = tnr_runtime_device_at(runtime, 0);
  serve(runtime, tnr_to_async(tnr_tensor_create(device, TNR_F32, TNR_SHAPE(2), data)));
  tnr_scope_close();
  return tnr_runtime_destroy(runtime, TNR_DRAIN) == TNR_OK ? 0 : 1;
}
