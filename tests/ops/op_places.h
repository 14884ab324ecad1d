/* Where a test puts its tensors, so that one test runs everywhere: devices of each kind, one and
 * four, replicated and sharded, plain and async. */
#ifndef TENOR_TESTS_OP_PLACES_H
#define TENOR_TESTS_OP_PLACES_H

#include "op_harness.h"

typedef struct op_place {
  const char *name; /* for messages */
  const char *kind; /* of device */
  int devices;
  bool sharded; /* else replicated on each device */
  bool async;
} op_place;

/* The place at `index`; NULL behind the last. */
const op_place *op_place_at(int index);

/* A runtime with four devices of each kind that places speak of; group setup and teardown with it
 * as the state. The teardown asserts that nothing is left. */
int op_runtime_setup(void **state);
int op_runtime_teardown(void **state);

/* The array as a value at that place; `split`: the dim along which it is sharded where the place
 * is, -1: replicated there too. */
tnr_value op_put(tnr_runtime *runtime, const op_place *place, const op_array *array, int split);

/* Waits, and reads element `index` of a result that may be a tuple (a tensor: 0). */
op_array op_take(tnr_value value, int index);

/* How far results of devices may be from those of the plain kernels. */
double op_tolerance(tnr_dtype dtype);

#endif
