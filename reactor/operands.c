#include "operands.h"

#include <stdlib.h>
#include <string.h>

#include "runtime.h"

/* An op's outputs all live where it runs; other tuples may hold tensors from anywhere. */
static const tnr_mesh *element_mesh(tnr_element *element) {
  tnr_error *error;
  tnr_object *result = NULL;
  if (tnr_future_is_op(element->tuple))
    return tnr_future_get_mesh(element->tuple);
  if (tnr_future_get_state(element->tuple) >= TNR_FUTURE_CREATED)
    result = tnr_future_get_result(&element->future, &error);
  return result ? ((const tnr_tensor *)result)->mesh : NULL;
}

const tnr_mesh *tnr_handle_mesh(tnr_object *handle) {
  if (handle->class == &tnr_tensor_class)
    return ((tnr_tensor *)handle)->mesh;
  if (handle->class == &tnr_tuple_class) {
    const tnr_tuple *tuple = (tnr_tuple *)handle;
    return tuple->count ? tuple->tensors[0]->mesh : NULL;
  }
  if (handle->class == &tnr_element_class)
    return element_mesh((tnr_element *)handle);
  return tnr_future_get_mesh((tnr_future *)handle);
}

/* An input's tensor or tuple; NULL when it failed, or is not there yet: then *error is NULL too. */
static tnr_object *result_of(const tnr_op_input *input, tnr_error **error) {
  *error = NULL;
  if (tnr_op_input_is_tensor(input))
    return input->handle;
  tnr_future *future = (tnr_future *)input->handle;
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

/* ---- walking over the tensors of the inputs ---- */

/* Gets one tensor, NULL for an input that is not known; false ends the walk. */
typedef bool visit(tnr_tensor *tensor, void *user);

static bool is_tuple(const tnr_op_input *input) {
  return !tnr_op_input_is_tensor(input) && ((const tnr_future *)input->handle)->tuple;
}

static bool walk_result(const tnr_op_input *input, tnr_object *result, visit *fn, void *user) {
  if (!result || !is_tuple(input))
    return fn((tnr_tensor *)result, user);
  const tnr_tuple *tuple = (tnr_tuple *)result;
  bool goes_on = true;
  for (int i = 0; i < tuple->count && goes_on; i++)
    goes_on = fn(tuple->tensors[i], user);
  return goes_on;
}

static bool grow(tnr_operands *out) {
  int capacity = 2 * out->capacity;
  bool inside = out->tensors == out->few;
  tnr_tensor **tensors = realloc(inside ? NULL : out->tensors, (size_t)capacity * sizeof(*tensors));
  if (!tensors)
    return false;
  if (inside)
    memcpy(tensors, out->few, sizeof out->few);
  out->tensors = tensors;
  out->capacity = capacity;
  return true;
}

static bool add(tnr_tensor *tensor, void *user) {
  tnr_operands *out = user;
  if (out->count == out->capacity && !grow(out))
    return false;
  out->tensors[out->count++] = tensor;
  out->error = storage_error(tensor);
  return !out->error;
}

static bool fail(tnr_op *op, tnr_operands *operands, tnr_error *error) {
  tnr_operands_finish(operands);
  if (error) {
    tnr_future_set_error(&op->future, error);
    return false;
  }
  tnr_fault fault;
  tnr_fail(&fault, TNR_ENOMEM, "out of memory for %d inputs", operands->count + 1);
  tnr_op_fail(op, &fault);
  return false;
}

bool tnr_operands_init(tnr_op *op, tnr_operands *out) {
  out->tensors = out->few;
  out->capacity = TNR_OPERANDS_FEW;
  out->count = 0;
  out->error = NULL;
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_error *error;
    tnr_object *result = result_of(&op->in[i], &error);
    if (!result)
      return fail(op, out, error);
    if (!walk_result(&op->in[i], result, add, out))
      return fail(op, out, out->error);
  }
  return true;
}

static bool find_error(tnr_tensor *tensor, void *user) {
  tnr_error **error = user;
  *error = storage_error(tensor);
  return !*error;
}

bool tnr_operands_failed(tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    tnr_error *error;
    tnr_object *result = result_of(&op->in[i], &error);
    if (result)
      (void)walk_result(&op->in[i], result, find_error, &error);
    if (error) {
      tnr_future_set_error(&op->future, error);
      return true;
    }
  }
  return false;
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

typedef struct desc_list {
  const tnr_desc **descs;
  int count, max;
} desc_list;

static bool add_desc(tnr_tensor *tensor, void *user) {
  desc_list *list = user;
  list->descs[list->count++] = tensor ? &tensor->desc : NULL;
  return list->count < list->max;
}

int tnr_operands_descs(tnr_op *op, const tnr_desc **out, int max) {
  desc_list list = {out, 0, max};
  bool goes_on = true;
  for (uint32_t i = 0; i < op->in_count && goes_on; i++) {
    tnr_error *error;
    goes_on = walk_result(&op->in[i], result_of(&op->in[i], &error), add_desc, &list);
  }
  return list.count;
}
