/* From values to handles: what every kind of call does first. */
#ifndef TENOR_REACTOR_CALL_H
#define TENOR_REACTOR_CALL_H

#include "op.h"

/* Values looked into: tuples laid out one by one, futures of what exists replaced by it. */
typedef struct tnr_arguments {
  tnr_object **handles; /* [count]; borrowed */
  int count, capacity;
  bool async;           /* a future was among the values */
  tnr_runtime *runtime; /* the one that all belong to */
  tnr_object *few[8];
} tnr_arguments;

/* False, with tnr_error(): a value is NULL (an older error stays), values belong to different
 * runtimes, there are none, or there is no memory. Nothing is to be finished then. */
bool tnr_arguments_init(tnr_arguments *arguments, const char *op, tnr_site site,
                        const tnr_value *values, int count);
void tnr_arguments_finish(tnr_arguments *arguments);

/* Submits an op made for a call and gives the call's result: consumes the reference. */
tnr_value tnr_call_op(tnr_op *op, bool async);

/* A new reference to a future or its tensor, as a value in the innermost scope. */
tnr_value tnr_value_adopt(tnr_value value);

/* The runtime of any handle. */
tnr_runtime *tnr_handle_runtime(const tnr_object *handle);

#endif
