/* Whose memory is it? Three ways in, two ways out, and DLPack, which is both. */
#include <stdio.h>
#include <stdlib.h>
#include <tenor.h>

static void tell(void *user) {
  printf("%s is ours again\n", (const char *)user);
}

static void print(const float *numbers) {
  printf("%g %g %g %g\n", numbers[0], numbers[1], numbers[2], numbers[3]);
}

int main(void) {
  static const float data[4] = {1, 2, 3, 4};
  const tnr_shape shape = TNR_SHAPE(4);
  float *mine = calloc(4, sizeof *mine), out[4];
  tnr_host_view view;
  if (tnr_scope_open() != TNR_OK)
    return 1;

  /* In: read when the call returns; lent until tell is called; tenor's from now on. */
  tnr_tensor *copied = tnr_tensor_create(NULL, TNR_F32, shape, data);
  tnr_tensor *lent = tnr_tensor_borrow(NULL, TNR_F32, shape, data, tell, "data");
  tnr_tensor *adopted = tnr_tensor_adopt(NULL, TNR_F32, shape, mine, free);

  /* Out: a copy; and a look at where it is. */
  tnr_tensor *sum = tnr_add(tnr_add(copied, lent), adopted);
  if (tnr_tensor_read(sum, out, sizeof out) == TNR_OK)
    print(out);
  if (tnr_tensor_view(sum, &view) == TNR_OK)
    print(view.data);
  tnr_host_view_release(&view);

  /* To NumPy, PyTorch, …, and from them: here to ourselves. */
  tnr_tensor *back = tnr_from_dlpack(NULL, tnr_to_dlpack(sum));
  if (tnr_tensor_read(back, out, sizeof out) == TNR_OK)
    print(out);

  if (tnr_error())
    fprintf(stderr, "%s\n", tnr_error_message(tnr_error()));
  tnr_scope_close();
  return tnr_default_runtime_destroy(TNR_DRAIN) != TNR_OK;
}

/* Prints:
 * 2 4 6 8
 * 2 4 6 8
 * 2 4 6 8
 * data is ours again
 */
