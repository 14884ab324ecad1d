/* The smallest program: one product, plain and async. */
#include <stdio.h>
#include <tenor.h>

/* In a scope, so that nothing has to be released one by one. */
static int multiply(float *plain, float *async, size_t bytes) {
  const float numbers[] = {1, 2, 3, 4};
  tnr_tensor *a = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(2, 2), numbers);
  tnr_tensor *product = tnr_matmul(a, a, .transpose_b = true);
  tnr_future *later = tnr_matmul(tnr_to_async(a), a, .transpose_b = true);
  return tnr_tensor_read(product, plain, bytes) == TNR_OK &&
         tnr_tensor_read(tnr_get(later), async, bytes) == TNR_OK;
}

int main(void) {
  float plain[4] = {0}, async[4] = {0};
  if (tnr_scope_open() != TNR_OK || !multiply(plain, async, sizeof(plain)) ||
      tnr_scope_close() != TNR_OK || tnr_default_runtime_destroy(TNR_DRAIN) != TNR_OK) {
    fprintf(stderr, "%s\n", tnr_error_message(tnr_error()));
    return 1;
  }
  printf("tenor %s: %g %g %g %g\n", tnr_version(), async[0], async[1], async[2], async[3]);
  return plain[0] == 5 && plain[3] == 25 && async[1] == 11 && async[2] == 11 ? 0 : 1;
}
