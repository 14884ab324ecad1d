/* The results of all batches, put together in the order of the rows. */
#ifndef TENOR_TOOL_GATHER_H
#define TENOR_TOOL_GATHER_H

#include <tenor.h>

#include "array.h"

struct gather {
  size_t results; /* of each batch */
  int64_t batches;
  struct array *pieces; /* [batches][results]; each written once, by whoever takes that batch */
};

/* Fails with TNR_ENOMEM; `out` is then all zero. */
tnr_status gather_init(size_t results, int64_t batches, struct gather *out,
                       tnr_fault *fault) TNR_MUST_USE;

/* All zero is fine, and what is left. */
void gather_finish(struct gather *gather);

/* Reads the results of one batch, a tuple or future tuple, waiting until they are complete. Each
 * batch is taken once; different ones by any threads at once. Fails with the batch's own error. */
tnr_status gather_take(struct gather *gather, int64_t batch, tnr_value results,
                       tnr_fault *fault) TNR_MUST_USE;

/* Joins all pieces of one result along dimension 0; all batches have been taken. The caller
 * finishes `out`. Fails with TNR_ESHAPE when pieces do not fit together, TNR_EOVERFLOW,
 * TNR_ENOMEM; `out` is then all zero. */
tnr_status gather_join(const struct gather *gather, size_t result, struct array *out,
                       tnr_fault *fault) TNR_MUST_USE;

#endif
