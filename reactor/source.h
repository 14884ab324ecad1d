/* Futures of tensors that exist already. */
#ifndef TENOR_REACTOR_SOURCE_H
#define TENOR_REACTOR_SOURCE_H

#include "future.h"

extern const tnr_class tnr_source_class;

/* A future of a tensor or tuple: created; complete when all its data is. The caller owns it; NULL
 * with tnr_error() when out of memory, or closed before the data is there. */
tnr_future *tnr_source_new(tnr_object *of);

/* Any value as a future, retained; NULL with tnr_error(). */
tnr_future *tnr_future_of_value(tnr_value x);

/* Follows a result to its completion; embedded. Dispatcher only once it is started. */
typedef struct tnr_follower {
  tnr_listener listener;
  tnr_object *result; /* a tensor or tuple; borrowed */
  void (*done)(struct tnr_follower *follower, tnr_error *error);
} tnr_follower;

/* Dispatcher: calls done(follower, error or NULL) once all data of the result is there, or failed;
 * perhaps at once. */
void tnr_follow(tnr_follower *follower, tnr_object *result,
                void (*done)(tnr_follower *follower, tnr_error *error));

/* The state of a tensor's or tuple's data as a whole. Any thread. */
tnr_storage_state tnr_result_state(const tnr_object *result, tnr_error **error);

#endif
