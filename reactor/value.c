#include <tenor/value.h>

#include "future.h"
#include "operands.h"
#include "promise.h"

static tnr_value value(tnr_value_kind kind, void *handle) {
  return (tnr_value){handle ? kind : TNR_VALUE_NONE, handle};
}

tnr_value tnr_value_of_tensor(tnr_tensor *tensor) {
  return value(TNR_VALUE_TENSOR, tensor);
}

tnr_value tnr_value_of_tuple(tnr_tuple *tuple) {
  return value(TNR_VALUE_TUPLE, tuple);
}

tnr_value tnr_value_of_future(tnr_future *future) {
  return value(TNR_VALUE_FUTURE, future);
}

tnr_value tnr_value_of_future_tuple(tnr_future_tuple *future) {
  return value(TNR_VALUE_FUTURE_TUPLE, future);
}

tnr_value tnr_value_of_value(tnr_value of) {
  return of;
}

tnr_tensor *tnr_value_tensor(tnr_value of) {
  return of.kind == TNR_VALUE_TENSOR ? of.handle : NULL;
}

tnr_tuple *tnr_value_tuple(tnr_value of) {
  return of.kind == TNR_VALUE_TUPLE ? of.handle : NULL;
}

tnr_future *tnr_value_future(tnr_value of) {
  return of.kind == TNR_VALUE_FUTURE ? of.handle : NULL;
}

tnr_future_tuple *tnr_value_future_tuple(tnr_value of) {
  return of.kind == TNR_VALUE_FUTURE_TUPLE ? of.handle : NULL;
}

bool tnr_value_desc(tnr_value of, tnr_desc *out) {
  const tnr_tensor *tensor = tnr_value_tensor(of);
  tnr_future *future = tnr_value_future(of);
  tnr_error *error;
  const tnr_desc *desc = NULL;
  if (future && tnr_future_get_state(tnr_future_source(future)) >= TNR_FUTURE_CREATED)
    tensor = (const tnr_tensor *)tnr_future_get_result(future, &error);
  else if (future && !tnr_future_get_error(future))
    desc = tnr_promised_desc(future);
  if (tensor)
    desc = &tensor->desc;
  if (desc)
    *out = *desc;
  return desc != NULL;
}

const tnr_mesh *tnr_value_mesh(tnr_value of) {
  return of.handle ? tnr_handle_mesh(of.handle) : NULL;
}

void *tnr_retain(void *handle) {
  if (handle)
    tnr_object_retain(handle);
  return handle;
}

void tnr_release(void *handle) {
  if (handle)
    tnr_object_release(handle);
}
