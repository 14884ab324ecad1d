/* Async, with a limit on the waiting: the calls return at once, and get asks for the result. */
#include <stdio.h>
#include <tenor.h>

int main(void) {
  const float numbers[] = {1, -2, 3, -4};
  const int64_t ten_seconds = 10000000000; /* ns */
  float sums[4];
  if (tnr_scope_open() != TNR_OK) /* releases at its end every handle that is made in it */
    return 1;
  tnr_tensor *a = tnr_tensor_create(NULL, TNR_F32, TNR_SHAPE(2, 2), numbers);
  tnr_future *later = tnr_to_async(a), *sum = tnr_add(tnr_relu(later), later);
  tnr_tensor *b = tnr_get_for(sum, ten_seconds); /* NULL when that is not enough */
  if (tnr_tensor_read_for(b, sums, sizeof sums, ten_seconds) == TNR_OK)
    printf("%g %g %g %g\n", sums[0], sums[1], sums[2], sums[3]);
  else
    fprintf(stderr, "%s\n", tnr_error_message(tnr_error())); /* of the first call that failed */
  tnr_scope_close();
  return tnr_default_runtime_destroy(TNR_DRAIN) != TNR_OK;
}

/* Prints:
 * 2 -2 6 -4
 */
