/* Errors: a chain of calls is checked once, at its end, and says what went wrong at its root. */
#include <stdio.h>
#include <tenor.h>

static void read_or_tell(tnr_tensor *x) {
  int32_t numbers[2];
  if (tnr_tensor_read(x, numbers, sizeof numbers) == TNR_OK)
    printf("%d %d\n", numbers[0], numbers[1]);
  else
    printf("%s: %s\n", tnr_error_op(tnr_error()), tnr_error_reason(tnr_error()));
  tnr_error_clear();
}

int main(void) {
  if (tnr_scope_open() != TNR_OK)
    return 1;
  tnr_tensor *a = tnr_tensor_create(NULL, TNR_I32, TNR_SHAPE(2), (const int32_t[]){6, 8});
  tnr_tensor *b = tnr_tensor_create(NULL, TNR_I32, TNR_SHAPE(2), (const int32_t[]){3, 0});
  tnr_tensor *c = tnr_tensor_create(NULL, TNR_I32, TNR_SHAPE(3), NULL);
  read_or_tell(tnr_sub(tnr_mul(a, b), a));
  read_or_tell(tnr_sub(tnr_mul(a, c), a)); /* known at once: NULL goes in and out */
  read_or_tell(tnr_sub(tnr_div(a, b), a)); /* known when the kernel runs: what follows fails too */
  tnr_scope_close();
  return tnr_default_runtime_destroy(TNR_DRAIN) != TNR_OK;
}

/* Prints:
 * 12 -8
 * mul: dim -1 does not broadcast: 2 and 3
 * div: integer division by zero: element 1 of the divisor
 */
