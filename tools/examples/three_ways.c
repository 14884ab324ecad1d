/* The same small model called in three ways: sync, async, and with a callback. */
#include <stdio.h>

#include <tenor.h>

/* Model code is written once, over values, and serves all three. */
static tnr_value model(tnr_value x, tnr_value weights, tnr_value bias) {
  return tnr_softmax(tnr_linear_with_relu(x, weights, bias), .axis = -1);
}

static void print(const char *how, tnr_tensor *y) {
  float out[2];
  if (tnr_tensor_read(y, out, sizeof out) != TNR_OK) /* waits until the data is there */
    fprintf(stderr, "%s: %s\n", how, tnr_error_message(tnr_error()));
  else
    printf("%-8s [%.3f, %.3f]\n", how, out[0], out[1]);
}

static void on_complete(tnr_value future, void *user) {
  tnr_value y = tnr_get(future); /* complete: this does not wait, and the data can be read */
  print(user, tnr_value_tensor(y));
  tnr_release(y.handle);
}

int main(void) {
  const float x_data[3] = {1, 2, 3}, weight_data[6] = {1, 0, 0, 0, 1, 0}, bias_data[2] = {0.5f, 0};
  if (tnr_scope_open() != TNR_OK) /* releases at its end every handle that is made in it */
    return 1;
  tnr_tensor *x = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(1, 3), x_data);
  tnr_tensor *weights = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(2, 3), weight_data);
  tnr_tensor *bias = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(2), bias_data);

  /* Sync: tensors in, a tensor out. It is created; reading it waits for its data. */
  tnr_tensor *plain = tnr_softmax(tnr_linear_with_relu(x, weights, bias), .axis = -1);
  print("sync", plain);

  /* Async: one future in, a future out. Nothing waits until tnr_get. */
  tnr_future *input = tnr_to_async(x);
  tnr_future *later = tnr_softmax(tnr_linear_with_relu(input, weights, bias), .axis = -1);
  print("async", tnr_get(later));

  /* Callback: nobody waits. It runs on the dispatcher thread. */
  tnr_value y = model(TNR_VALUE(input), TNR_VALUE(weights), TNR_VALUE(bias));
  if (tnr_on(y, TNR_COMPLETE, on_complete, "callback") != TNR_OK)
    fprintf(stderr, "%s\n", tnr_error_message(tnr_error()));

  tnr_scope_close();
  return tnr_default_runtime_destroy(TNR_DRAIN) == TNR_OK ? 0 : 1; /* after all callbacks */
}
