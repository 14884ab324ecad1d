/* 20 requests on two devices, in turn. In the middle of each, the program looks at a number. It
 * waits for it, and submits nothing meanwhile; with the argument "async" it asks for a callback
 * instead. `tenor trace html` shows the difference. */
#include <stdio.h>
#include <string.h>

#include <tenor.h>

enum { REQUESTS = 20 };

struct server {
  tnr_device *host;
  tnr_future *x[2]; /* on each device */
  tnr_tensor *weights[2];
  bool async;
  int seen; /* numbers */
};

static tnr_future *layer(tnr_future *x, tnr_tensor *weights) {
  return tnr_relu(tnr_matmul(x, weights));
}

static void look(tnr_value future, void *server) {
  tnr_value y = tnr_get(future);
  float number;
  if (tnr_tensor_read(tnr_value_tensor(y), &number, sizeof number) == TNR_OK)
    ++((struct server *)server)->seen;
  tnr_release(tnr_keep(y).handle); /* whether a scope owns it or not */
}

static tnr_future *serve(struct server *server, int device) {
  tnr_tensor *weights = server->weights[device];
  tnr_future *half = layer(layer(server->x[device], weights), weights);
  tnr_future *number = tnr_to_device(half, server->host);
  if (!server->async)
    look(TNR_VALUE(number), server); /* the stall: waits until the number is there */
  else if (tnr_on(number, TNR_COMPLETE, look, server) != TNR_OK)
    return NULL;
  return tnr_softmax(layer(half, weights), .axis = -1);
}

static bool serve_all(struct server *server) {
  tnr_future *answers[REQUESTS];
  bool fine = true;
  for (int i = 0; i < REQUESTS; i++)
    answers[i] = serve(server, i % 2);
  for (int i = 0; i < REQUESTS; i++)
    fine &= tnr_wait(answers[i], TNR_COMPLETE, INT64_MAX) == TNR_OK;
  return fine;
}

int main(int count, char **arguments) {
  const tnr_sim_config model = {.launch_ns = 500000}; /* half a millisecond an op */
  const tnr_device_config sims = {.driver = tnr_sim_driver(), .count = 2, .config = &model};
  tnr_runtime *runtime = tnr_runtime_create(
      &(tnr_runtime_options){.devices = &sims, .device_configs = 1, .mode = TNR_DETERMINISTIC});
  if (!runtime || tnr_scope_open() != TNR_OK)
    return 1;
  struct server server = {.host = tnr_runtime_device(runtime, "host"),
                          .async = count > 1 && strcmp(arguments[1], "async") == 0};
  for (int i = 0; i < 2; i++) {
    const float one = 1;
    tnr_device *device = tnr_runtime_device_at(runtime, i);
    server.x[i] = tnr_to_async(tnr_tensor_create(device, TNR_F32, TNR_SHAPE(1, 1), &one));
    server.weights[i] = tnr_tensor_create(device, TNR_F32, TNR_SHAPE(1, 1), &one);
  }
  bool fine = serve_all(&server);
  tnr_scope_close();
  fine &= tnr_runtime_destroy(runtime, TNR_DRAIN) == TNR_OK; /* after all callbacks */
  printf("%d requests, %d numbers\n", REQUESTS, server.seen);
  return fine ? 0 : 1;
}

/* Prints:
 * 20 requests, 20 numbers
 */
