/* A program with an event loop of its own: numbers come in on stdin, and poll(2) is the only call
 * that waits, for them and for results alike. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <tenor.h>

/* What came in becomes the input that the ops wait for. */
static void receive(tnr_promise *input) {
  char line[64] = "";
  float x[3];
  (void)!read(STDIN_FILENO, line, sizeof line - 1);
  if (sscanf(line, "%f %f %f", &x[0], &x[1], &x[2]) != 3) {
    tnr_promise_fail(input, TNR_EINVAL, "three numbers were expected");
    return;
  }
  tnr_tensor *tensor = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(1, 3), x);
  tnr_promise_fulfil(input, tensor);
  tnr_release(tensor);
}

/* Runs on the thread that dispatches the mailbox, on success and on failure. */
static void print(tnr_value future, void *running) {
  float y[2];
  tnr_value result = tnr_get(future); /* complete: this does not wait */
  if (result.handle && tnr_tensor_read(tnr_value_tensor(result), y, sizeof y) == TNR_OK)
    printf("[%.1f, %.1f]\n", y[0], y[1]);
  else
    printf("%s\n", tnr_error_message(tnr_error()));
  tnr_release(result.handle);
  *(bool *)running = false;
}

int main(void) {
  const float data[6] = {1, 0.5f, -1, 1, 2, -4};
  bool running = true;
  tnr_mailbox *mailbox = tnr_mailbox_create(NULL);
  tnr_tensor *weights = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(3, 2), data);
  tnr_promise *input = tnr_promise_create(NULL);
  tnr_future *x = tnr_promise_future(input), *product = tnr_matmul(x, weights);
  tnr_future *y = tnr_relu(product); /* waits for its input; the program does not */
  if (!mailbox || tnr_on(y, TNR_COMPLETE, print, &running, .mailbox = mailbox) != TNR_OK) {
    fprintf(stderr, "%s\n", tnr_error_message(tnr_error()));
    return 1;
  }

  struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                         {.fd = tnr_mailbox_fd(mailbox), .events = POLLIN}};
  while (running && poll(fds, 2, -1) >= 0) {
    if (fds[0].revents) {
      receive(input);
      fds[0].fd = -1; /* one line is all that it takes */
    }
    if (fds[1].revents)
      tnr_mailbox_dispatch(mailbox, .max_ns = 1000000);
  }

  void *mine[] = {weights, input, x, product, y};
  for (int i = 0; i < 5; i++)
    tnr_release(mine[i]);
  tnr_default_runtime_destroy(TNR_DRAIN);
  return tnr_mailbox_destroy(mailbox) == TNR_OK ? 0 : 1;
}
