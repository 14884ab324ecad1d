/* Handles, and the tagged value that stands for any of them where a language has no overloads. */
#ifndef TENOR_VALUE_H
#define TENOR_VALUE_H

#include <tenor/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The result of an op that may not have run yet: of a tensor, or of a tuple of tensors. Counted;
 * any thread. */
typedef struct tnr_future tnr_future;
typedef struct tnr_future_tuple tnr_future_tuple;

/* Ops that belong together: see request.h. Counted; any thread. */
typedef struct tnr_group tnr_group;

typedef enum tnr_value_kind {
  TNR_VALUE_NONE = 0, /* NULL: a call that failed */
  TNR_VALUE_TENSOR,
  TNR_VALUE_TUPLE,
  TNR_VALUE_FUTURE,
  TNR_VALUE_FUTURE_TUPLE
} tnr_value_kind;

/* A handle with its type as data. Model code written over tnr_value serves plain and async inputs
 * alike: ops on values give values, futures as soon as one input is a future. Not counted itself:
 * the handle in it is. */
typedef struct tnr_value {
  tnr_value_kind kind;
  void *handle;
} tnr_value;

TNR_API tnr_value tnr_value_of_tensor(tnr_tensor *tensor);
TNR_API tnr_value tnr_value_of_tuple(tnr_tuple *tuple);
TNR_API tnr_value tnr_value_of_future(tnr_future *future);
TNR_API tnr_value tnr_value_of_future_tuple(tnr_future_tuple *future);
TNR_API tnr_value tnr_value_of_value(tnr_value value);

/* The handle, or NULL when the value is of another kind. */
TNR_API tnr_tensor *tnr_value_tensor(tnr_value value);
TNR_API tnr_tuple *tnr_value_tuple(tnr_value value);
TNR_API tnr_future *tnr_value_future(tnr_value value);
TNR_API tnr_future_tuple *tnr_value_future_tuple(tnr_value value);

/* The shape and dtype of a tensor, or of a future that is created or was promised with them; asking
 * never waits. False when it is not known yet, failed, or a tuple. */
TNR_API bool tnr_value_desc(tnr_value value, tnr_desc *out);

/* Where it lives or will live; NULL while that is not known. */
TNR_API const tnr_mesh *tnr_value_mesh(tnr_value value);

/* Takes another reference and returns the handle; NULL is fine. Any thread. */
TNR_API void *tnr_retain(void *handle);

/* Gives one reference back: tensors, tuples, futures, future tuples, promises, groups, errors. NULL
 * is fine. Any thread. Never waits: an op whose future is given up still runs. */
TNR_API void tnr_release(void *handle);

#ifdef __cplusplus
}

static inline tnr_value tnr_value_of(tnr_tensor *x) {
  return tnr_value_of_tensor(x);
}
static inline tnr_value tnr_value_of(tnr_tuple *x) {
  return tnr_value_of_tuple(x);
}
static inline tnr_value tnr_value_of(tnr_future *x) {
  return tnr_value_of_future(x);
}
static inline tnr_value tnr_value_of(tnr_future_tuple *x) {
  return tnr_value_of_future_tuple(x);
}
static inline tnr_value tnr_value_of(tnr_value x) {
  return x;
}
#define TNR_VALUE(x) tnr_value_of(x)
#else
#define TNR_VALUE(x)                                                                               \
  _Generic((x), tnr_tensor *                                                                       \
           : tnr_value_of_tensor, tnr_tuple *                                                      \
           : tnr_value_of_tuple, tnr_future *                                                      \
           : tnr_value_of_future, tnr_future_tuple *                                               \
           : tnr_value_of_future_tuple, tnr_value                                                  \
           : tnr_value_of_value)(x)
#endif
#endif
