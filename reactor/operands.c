#include "operands.h"

#include <stdlib.h>

#include "runtime.h"

const tnr_mesh *tnr_handle_mesh(tnr_object *handle) {
  if (handle->class == &tnr_tensor_class)
    return ((tnr_tensor *)handle)->mesh;
  if (handle->class == &tnr_tuple_class) {
    const tnr_tuple *tuple = (tnr_tuple *)handle;
    return tuple->count ? tuple->tensors[0]->mesh : NULL;
  }
  return tnr_future_get_mesh(tnr_future_source((tnr_future *)handle));
}

/* An input's tensor or tuple; NULL when it failed, or is not there yet: then *error is NULL too. */
static tnr_object *result_of(tnr_object *handle, tnr_error **error) {
  *error = NULL;
  if (handle->class == &tnr_tensor_class)
    return handle;
  tnr_future *future = (tnr_future *)handle;
  if (tnr_future_get_state(tnr_future_source(future)) < TNR_FUTURE_CREATED) {
    *error = tnr_future_get_error(future);
    return NULL;
  }
  return tnr_future_get_result(future, error);
}

static tnr_error *storage_error(const tnr_tensor *tensor) {
  for (int i = 0; i < tensor->mesh->count; i++)
    if (tnr_storage_get_state(tensor->parts[i]) == TNR_STORAGE_FAILED)
      return (tnr_error *)tensor->parts[i]->error;
  return NULL;
}

/* The tensors of a result. */
static tnr_tensor *const *tensors_of(tnr_object **result, int *count) {
  if ((*result)->class == &tnr_tensor_class) {
    *count = 1;
    return (tnr_tensor *const *)result;
  }
  const tnr_tuple *tuple = (tnr_tuple *)*result;
  *count = tuple->count;
  return tuple->tensors;
}

static tnr_error *error_in(tnr_object *handle) {
  tnr_error *error;
  tnr_object *result = result_of(handle, &error);
  if (!result)
    return error;
  int count;
  tnr_tensor *const *tensors = tensors_of(&result, &count);
  for (int i = 0; i < count && !error; i++)
    error = storage_error(tensors[i]);
  return error;
}

bool tnr_operands_failed(tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_error *error = error_in(op->in[i].handle);
    if (error) {
      tnr_future_set_error(&op->future, error);
      return true;
    }
  }
  return false;
}

static int count_tensors(tnr_op *op) {
  int total = 0, count;
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_error *error;
    tnr_object *result = result_of(op->in[i].handle, &error);
    (void)tensors_of(&result, &count);
    total += count;
  }
  return total;
}

static bool make_room(tnr_op *op, tnr_operands *out) {
  out->tensors = out->few;
  int total = count_tensors(op);
  if (total <= TNR_OPERANDS_FEW)
    return true;
  out->tensors = malloc((size_t)total * sizeof *out->tensors);
  if (out->tensors)
    return true;
  tnr_fault fault;
  tnr_fail(&fault, TNR_ENOMEM, "out of memory for %d inputs", total);
  tnr_op_fail(op, &fault);
  return false;
}

bool tnr_operands_init(tnr_op *op, tnr_operands *out) {
  if (tnr_operands_failed(op) || !make_room(op, out))
    return false;
  out->count = 0;
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_error *error;
    tnr_object *result = result_of(op->in[i].handle, &error);
    int count;
    tnr_tensor *const *tensors = tensors_of(&result, &count);
    for (int k = 0; k < count; k++)
      out->tensors[out->count++] = tensors[k];
  }
  return true;
}

void tnr_operands_finish(tnr_operands *operands) {
  if (operands->tensors != operands->few)
    free(operands->tensors);
}

static tnr_status differ(const tnr_mesh *first, const tnr_mesh *other, int index,
                         tnr_fault *fault) {
  if (first->count != other->count)
    return tnr_fail(fault, TNR_EDEVICE, "input 0 is on %d device%s, input %d on %d", first->count,
                    first->count == 1 ? "" : "s", index, other->count);
  for (int i = 0; i < first->count; i++)
    if (first->devices[i] != other->devices[i])
      return tnr_fail(fault, TNR_EDEVICE, "input 0 lives on %s, but input %d on %s",
                      first->devices[i]->name, index, other->devices[i]->name);
  return TNR_OK;
}

tnr_status tnr_operands_check_devices(const tnr_operands *operands, tnr_fault *fault) {
  if (operands->count == 0)
    return tnr_fail(fault, TNR_EINVAL, "there are no inputs");
  for (int i = 0; i < operands->count; i++)
    if (tnr_device_is_host(tnr_mesh_first(operands->tensors[i]->mesh)))
      return tnr_fail(fault, TNR_EDEVICE,
                      "input %d lives on the host; move it to a device with tnr_to_device", i);
  const tnr_mesh *first = operands->tensors[0]->mesh;
  for (int i = 1; i < operands->count; i++)
    if (operands->tensors[i]->mesh != first)
      return differ(first, operands->tensors[i]->mesh, i, fault);
  return TNR_OK;
}

int tnr_operands_descs(tnr_op *op, const tnr_desc **out, int max) {
  int total = 0;
  for (uint32_t i = 0; i < op->in_count && total < max; i++) {
    tnr_error *error;
    tnr_object *result = op->in[i].handle ? result_of(op->in[i].handle, &error) : NULL;
    if (!result) {
      out[total++] = NULL;
      continue;
    }
    int count;
    tnr_tensor *const *tensors = tensors_of(&result, &count);
    for (int k = 0; k < count && total < max; k++)
      out[total++] = &tensors[k]->desc;
  }
  return total;
}
