/* The smallest program: there is no runtime to create, the first tensor makes one. */
#include <stdio.h>
#include <tenor.h>

int main(void) {
  const float numbers[] = {1, 2, 3, 4};
  float product[4];
  tnr_tensor *a = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(2, 2), numbers);
  tnr_tensor *b = tnr_matmul(a, a);
  if (tnr_tensor_read(b, product, sizeof product) != TNR_OK) /* waits for the data */
    return 1;
  printf("%g %g\n%g %g\n", product[0], product[1], product[2], product[3]);
  tnr_release(b);
  tnr_release(a);
  return tnr_default_runtime_destroy(TNR_DRAIN) != TNR_OK;
}

/* Prints:
 * 7 10
 * 15 22
 */
