#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "join.h"
#include "movement.h"
#include "runtime.h"
#include "scope.h"
#include "source.h"

static const tnr_value none = {TNR_VALUE_NONE, NULL};

tnr_runtime *tnr_handle_runtime(const tnr_object *handle) {
  if (handle->class == &tnr_tensor_class)
    return tnr_runtime_of_mesh(((const tnr_tensor *)handle)->mesh);
  if (handle->class == &tnr_tuple_class)
    return ((const tnr_tuple *)handle)->machine->runtime;
  return ((const tnr_future *)handle)->runtime;
}

tnr_value tnr_value_adopt(tnr_value value) {
  return tnr_scope_adopt(value.handle) ? value : none;
}

/* ---- arguments ---- */

static bool grow(tnr_arguments *arguments) {
  int capacity = 2 * arguments->capacity;
  bool inside = arguments->handles == arguments->few;
  tnr_object **handles =
      realloc(inside ? NULL : arguments->handles, (size_t)capacity * sizeof(*handles));
  if (!handles)
    return false;
  if (inside)
    memcpy(handles, arguments->few, sizeof arguments->few);
  arguments->handles = handles;
  arguments->capacity = capacity;
  return true;
}

static bool add(tnr_arguments *arguments, tnr_object *handle) {
  if (arguments->count == arguments->capacity && !grow(arguments))
    return false;
  arguments->handles[arguments->count++] = handle;
  return true;
}

static bool add_laid_out(tnr_arguments *arguments, tnr_object *handle) {
  bool fits = true;
  if (handle->class == &tnr_op_class || handle->class == &tnr_tensor_class) /* most are */
    return add(arguments, handle);
  if (handle->class == &tnr_tuple_class) {
    const tnr_tuple *tuple = (tnr_tuple *)handle;
    for (int i = 0; i < tuple->count && fits; i++)
      fits = add(arguments, &tuple->tensors[i]->object);
    return fits;
  }
  if (handle->class == &tnr_source_class)
    return add_laid_out(arguments, ((tnr_future *)handle)->result);
  if (handle->class == &tnr_all_class) {
    for (int i = 0; i < tnr_all_count((tnr_future *)handle) && fits; i++)
      fits = add_laid_out(arguments, tnr_all_member((tnr_future *)handle, i));
    return fits;
  }
  return add(arguments, handle);
}

static bool refuse(tnr_arguments *arguments, const char *op, tnr_site site, tnr_status code,
                   const char *reason, int index) {
  tnr_error_raise_at(op, site, code, reason, index);
  tnr_arguments_finish(arguments);
  return false;
}

static bool add_value(tnr_arguments *arguments, const char *op, tnr_site site, tnr_value value,
                      int index) {
  if (value.kind == TNR_VALUE_NONE || !value.handle) {
    if (!tnr_error()) /* else the first error stays: NULL came from the call that failed */
      return refuse(arguments, op, site, TNR_EINVAL, "input %d is NULL", index);
    tnr_arguments_finish(arguments);
    return false;
  }
  tnr_runtime *runtime = tnr_handle_runtime(value.handle);
  if (arguments->runtime && arguments->runtime != runtime)
    return refuse(arguments, op, site, TNR_EDEVICE,
                  "input %d belongs to another runtime than those before it", index);
  arguments->runtime = runtime;
  arguments->async |= value.kind == TNR_VALUE_FUTURE || value.kind == TNR_VALUE_FUTURE_TUPLE;
  return add_laid_out(arguments, value.handle) ||
         refuse(arguments, op, site, TNR_ENOMEM, "out of memory for input %d", index);
}

bool tnr_arguments_init(tnr_arguments *arguments, const char *op, tnr_site site,
                        const tnr_value *values, int count) {
  arguments->handles = arguments->few;
  arguments->count = 0;
  arguments->capacity = (int)(sizeof arguments->few / sizeof *arguments->few);
  arguments->async = false;
  arguments->runtime = NULL;
  for (int i = 0; i < count; i++)
    if (!add_value(arguments, op, site, values[i], i))
      return false;
  if (arguments->count >= TNR_WAITER_LISTENS)
    return refuse(arguments, op, site, TNR_EINVAL, "there are too many inputs", 0);
  return arguments->count > 0 || refuse(arguments, op, site, TNR_EINVAL, "there are no inputs", 0);
}

void tnr_arguments_finish(tnr_arguments *arguments) {
  if (arguments->handles != arguments->few)
    free(arguments->handles);
}

/* ---- calls ---- */

static tnr_value fail_call(tnr_op *op) {
  tnr_error *error = tnr_future_get_error(&op->future);
  if (error) {
    tnr_object_retain(tnr_error_object(error));
    tnr_error_set(error);
  }
  tnr_op_give_up(op);
  return none;
}

static tnr_value plain_result(tnr_op *op) {
  tnr_value value = {op->future.tuple ? TNR_VALUE_TUPLE : TNR_VALUE_TENSOR, op->future.result};
  tnr_object_retain(value.handle);
  tnr_object_release(&op->future.object);
  return value;
}

tnr_value tnr_call_op(tnr_op *op, bool async) {
  if (!async && tnr_op_create_now(op) != TNR_OK)
    return fail_call(op);
  if (tnr_op_submit(op) != TNR_OK)
    return none;
  return tnr_value_adopt(async ? tnr_future_value(&op->future) : plain_result(op));
}

static bool is_complete_def(const tnr_op_def *def) {
  return def && def->name && def->validate && def->infer && (def->kernel || def->alias);
}

static tnr_value submit_call(const tnr_op_def *def, tnr_site site, tnr_arguments *arguments,
                             const void *attrs) {
  tnr_op *op =
      tnr_op_new(arguments->runtime, def, site, arguments->handles, arguments->count, attrs);
  if (!op)
    return none;
  return tnr_call_op(op, arguments->async);
}

tnr_value tnr_call(const tnr_op_def *def, tnr_site site, const tnr_value *in, int in_count,
                   const void *attrs) {
  tnr_arguments arguments;
  if (!is_complete_def(def)) {
    tnr_error_raise_at(def && def->name ? def->name : "op", site, TNR_EINVAL,
                       "the op's definition lacks name, validate, infer or kernel");
    return none;
  }
  if (!tnr_arguments_init(&arguments, def->name, site, in, in_count))
    return none;
  tnr_value result;
  if (attrs || def->attrs_size == 0) {
    result = submit_call(def, site, &arguments, attrs);
  } else {
    void *zeros = calloc(1, def->attrs_size);
    result = none;
    if (zeros)
      result = submit_call(def, site, &arguments, zeros);
    else
      tnr_error_raise_at(def->name, site, TNR_ENOMEM, "out of memory for attributes");
    free(zeros);
  }
  tnr_arguments_finish(&arguments);
  return result;
}
