/* Compiles as it is. With MISTAKE set to a number it holds one mistake about async results, which
 * the compiler has to refuse. */
#include <tenor.h>

#ifndef MISTAKE
#define MISTAKE 0
#endif

tnr_status store_async(tnr_tensor *plain, tnr_future *async, tnr_future_tuple *parts);

tnr_status store_async(tnr_tensor *plain, tnr_future *async, tnr_future_tuple *parts) {
  tnr_tensor *tensor = tnr_matmul(plain, plain);
  tnr_tuple *tuple = tnr_split(plain, .dim = 1, .parts = 2);
  tnr_future *future = tnr_matmul(async, plain);
#if MISTAKE == 1 /* one async input makes the result async */
  tensor = tnr_matmul(async, plain);
#elif MISTAKE == 2  /* whichever input it is */
  tensor = tnr_matmul(plain, async);
#elif MISTAKE == 3  /* in composites too */
  tensor = tnr_linear(plain, plain, async);
#elif MISTAKE == 4  /* in tuples too */
  tuple = tnr_split(async, .dim = 1, .parts = 2);
#elif MISTAKE == 5  /* and in their elements */
  tensor = tnr_at(parts, 0);
#elif MISTAKE == 6  /* an async tuple makes the result async */
  tensor = tnr_concat(parts, .dim = 1);
#elif MISTAKE == 7  /* to_async gives a future */
  tensor = tnr_to_async(plain);
#elif MISTAKE == 8  /* a plain result is no future */
  future = tnr_relu(plain);
#elif MISTAKE == 9  /* a future has no data to read */
  return tnr_tensor_read(future, NULL, 0);
#elif MISTAKE == 10 /* nor a shape to look at */
  return tnr_tensor_shape(tnr_relu(async)).rank ? TNR_OK : TNR_ESHAPE;
#endif
  tnr_release(tensor);
  tnr_release(tuple);
  tnr_release(future);
  tnr_release(tnr_at(parts, 0));
  return TNR_OK;
}
