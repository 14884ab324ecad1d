#include "transfer.h"

#include <string.h>

#include "call.h"
#include "dispatcher.h"
#include "error.h"
#include "movement.h"
#include "operands.h"
#include "runtime.h"
#include "scope.h"
#include "source.h"
#include "strided.h"
#include "thread.h"
#include "wait.h"

static const tnr_value none = {TNR_VALUE_NONE, NULL};

/* ---- movements as calls ---- */

static bool is_single(tnr_value_kind kind, const tnr_op_def *def, tnr_site site) {
  if (kind == TNR_VALUE_TENSOR || kind == TNR_VALUE_FUTURE)
    return true;
  tnr_error_raise_at(def->name, site, TNR_EINVAL, "the input is a tuple; move its elements");
  return false;
}

static tnr_value move(const tnr_op_def *def, tnr_site site, tnr_value x, const tnr_mesh *to,
                      int64_t dim) {
  tnr_arguments arguments;
  if (!tnr_arguments_init(&arguments, def->name, site, &x, 1))
    return none;
  tnr_value result = none;
  const tnr_mesh *from = tnr_handle_mesh(arguments.handles[0]);
  if (to && tnr_mesh_machine(to)->runtime != arguments.runtime) {
    tnr_error_raise_at(def->name, site, TNR_EDEVICE, "the input belongs to another runtime than %s",
                       tnr_device_name(tnr_mesh_first(to)));
  } else if (is_single(x.kind, def, site)) {
    if (to && to == from && to->count == 1) {
      result = tnr_value_adopt((tnr_value){x.kind, tnr_retain(x.handle)});
    } else {
      tnr_op *op = tnr_movement_new(arguments.runtime, def, site, arguments.handles[0], to, dim);
      result = op ? tnr_call_op(op, arguments.async) : none;
    }
  }
  tnr_arguments_finish(&arguments);
  return result;
}

static tnr_value no_target(const tnr_op_def *def, tnr_site site, const char *what) {
  if (!tnr_error())
    tnr_error_raise_at(def->name, site, TNR_EINVAL, "the %s is NULL", what);
  return none;
}

tnr_value tnr_call_to_device(tnr_site site, tnr_value x, tnr_device *device) {
  if (!device)
    return no_target(&tnr_movement_to_device, site, "device");
  return move(&tnr_movement_to_device, site, x, device->self, 0);
}

tnr_value tnr_call_gather(tnr_site site, tnr_value x) {
  const tnr_mesh *from = tnr_value_mesh(x);
  return move(&tnr_movement_gather, site, x, from ? tnr_mesh_first(from)->self : NULL, 0);
}

tnr_value tnr_call_shard(tnr_site site, tnr_value x, const tnr_mesh *mesh,
                         const tnr_shard_attrs *attrs) {
  if (!mesh)
    return no_target(&tnr_movement_shard, site, "mesh");
  return move(&tnr_movement_shard, site, x, mesh, attrs ? attrs->dim : 0);
}

tnr_value tnr_call_replicate(tnr_site site, tnr_value x, const tnr_mesh *mesh) {
  if (!mesh)
    return no_target(&tnr_movement_replicate, site, "mesh");
  return move(&tnr_movement_replicate, site, x, mesh, 0);
}

/* ---- in ---- */

static tnr_tensor *raise(const char *op, const tnr_desc *desc, const tnr_fault *fault) {
  tnr_error_context context = {.op = op, .inputs = &desc, .input_count = 1};
  tnr_error_set(tnr_error_new(&context, fault));
  return NULL;
}

/* The device that is meant, if it may still be used. */
static tnr_device *open_device(tnr_device *device) {
  tnr_runtime *runtime = device ? device->machine->runtime : tnr_default_runtime();
  if (!runtime)
    return NULL;
  if (!tnr_dispatcher_takes(runtime)) {
    tnr_error_raise(TNR_ECLOSED, "the runtime has been closed");
    return NULL;
  }
  return device ? device : runtime->machine.devices[0];
}

/* Where data is written first. */
static tnr_device *landing(tnr_device *device) {
  return device->driver->host_memory ? device : device->machine->host;
}

static void leave_alone(void *user) {
  (void)user;
}

/* On to where it is meant to be; consumes the reference. On failure borrowed memory stays its
 * owner's, and is not released: nothing must be submitted that may yet fail. */
static tnr_tensor *send_on(tnr_tensor *landed, const tnr_mesh *to) {
  static const tnr_lender nobody = {leave_alone, NULL};
  tnr_lender *lender = tnr_storage_lender(landed->parts[0]);
  const tnr_op_def *def = to->count > 1 ? &tnr_movement_replicate : &tnr_movement_to_device;
  tnr_value moved = none;
  if (tnr_scope_reserve()) {
    if (landed->mesh == to)
      return tnr_scope_adopt(landed);
    moved = move(def, (tnr_site){NULL, 0}, tnr_value_of_tensor(landed), to, 0);
  }
  if (moved.kind == TNR_VALUE_NONE && lender)
    *lender = nobody;
  tnr_object_release(&landed->object);
  return tnr_value_tensor(moved);
}

static void fill(tnr_storage *storage, const tnr_desc *desc, const void *data,
                 const int64_t *strides) {
  storage->keeps = true;
  if (!data)
    memset(storage->memory, 0, storage->bytes);
  else if (!strides)
    memcpy(storage->memory, data, storage->bytes);
  else
    tnr_strided_copy(desc, data, strides, storage->memory);
  tnr_storage_finish(storage, NULL);
}

static tnr_tensor *create(const char *op, tnr_device *device, const tnr_desc *desc,
                          const void *data, const int64_t *strides) {
  tnr_fault fault;
  tnr_tensor *made;
  device = open_device(device);
  if (!device)
    return NULL;
  if (tnr_tensor_new(landing(device)->self, -1, desc, &made, &fault) != TNR_OK)
    return raise(op, desc, &fault);
  fill(made->parts[0], desc, data, strides);
  return send_on(made, device->self);
}

tnr_tensor *tnr_tensor_create(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                              const void *data) {
  return create("tensor_create", device, &(tnr_desc){shape, dtype}, data, NULL);
}

tnr_tensor *tnr_tensor_create_strided(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                      const void *data, const int64_t *strides) {
  if (!data || !strides) {
    tnr_error_raise(TNR_EINVAL, "tensor_create_strided: %s is NULL", data ? "strides" : "data");
    return NULL;
  }
  return create("tensor_create_strided", device, &(tnr_desc){shape, dtype}, data, strides);
}

/* ---- in, without a copy ---- */

static bool is_aligned(const void *data, tnr_dtype dtype) {
  return (uintptr_t)data % tnr_dtype_size(dtype) == 0;
}

static tnr_status check_lent(const tnr_desc *desc, const void *data, void (*release)(void *user),
                             tnr_fault *fault) {
  size_t bytes;
  tnr_status status = tnr_desc_bytes(desc, &bytes, fault);
  if (status != TNR_OK)
    return status;
  if (!release || (!data && bytes > 0))
    return tnr_fail(fault, TNR_EINVAL, "%s is NULL", release ? "data" : "release");
  if (!is_aligned(data, desc->dtype))
    return tnr_fail(fault, TNR_EINVAL, "the memory is not aligned to %zu bytes",
                    tnr_dtype_size(desc->dtype));
  return TNR_OK;
}

/* Memory of somebody else's, dense. When it fails, `release` is not called. */
static tnr_tensor *lend(const char *op, tnr_device *device, const tnr_desc *desc, const void *data,
                        void (*release)(void *user), void *user) {
  static const _Alignas(64) char nothing; /* where no element lies; kernels get no NULL */
  tnr_fault fault;
  tnr_tensor *made;
  device = open_device(device);
  if (!device)
    return NULL;
  if (check_lent(desc, data, release, &fault) != TNR_OK)
    return raise(op, desc, &fault);
  if (!data)
    data = &nothing;
  if (tnr_tensor_wrap(landing(device), desc, (void *)data, release, user, &made, &fault) != TNR_OK)
    return raise(op, desc, &fault);
  made->parts[0]->keeps = true;
  return send_on(made, device->self);
}

tnr_tensor *tnr_tensor_borrow(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                              const void *data, void (*release)(void *user), void *user) {
  return lend("tensor_borrow", device, &(tnr_desc){shape, dtype}, data, release, user);
}

/* What makes no sense counts as usable: it is refused there. */
static bool is_usable(const tnr_desc *desc, const void *data, const int64_t *strides) {
  if (!data || !tnr_dtype_size(desc->dtype) || !tnr_shape_valid(&desc->shape))
    return true;
  return is_aligned(data, desc->dtype) && tnr_strided_is_dense(&desc->shape, strides);
}

tnr_tensor *tnr_tensor_borrow_strided(tnr_device *device, tnr_dtype dtype, tnr_shape shape,
                                      const void *data, const int64_t *strides,
                                      void (*release)(void *user), void *user) {
  static const char op[] = "tensor_borrow_strided";
  const tnr_desc desc = {shape, dtype};
  if (!strides || !release) {
    tnr_error_raise(TNR_EINVAL, "%s: %s is NULL", op, strides ? "release" : "strides");
    return NULL;
  }
  if (is_usable(&desc, data, strides))
    return lend(op, device, &desc, data, release, user);
  tnr_tensor *made = create(op, device, &desc, data, strides);
  if (made)
    release(user);
  return made;
}

tnr_tensor *tnr_tensor_adopt(tnr_device *device, tnr_dtype dtype, tnr_shape shape, void *data,
                             void (*free_data)(void *data)) {
  void (*release)(void *) = data || !free_data ? free_data : leave_alone;
  tnr_tensor *made = lend("tensor_adopt", device, &(tnr_desc){shape, dtype}, data, release, data);
  if (!made && data && free_data)
    free_data(data);
  return made;
}

/* ---- scalars ---- */

static int64_t saturate(double value) {
  if (!(value > -0x1p63)) /* NaN as well */
    return value != value ? 0 : INT64_MIN;
  return value >= 0x1p63 ? INT64_MAX : (int64_t)value;
}

static void store_scalar(tnr_dtype dtype, double value, void *out) {
  float f32 = (float)value;
  uint16_t bf16 = tnr_f32_to_bf16(f32), f16 = tnr_f32_to_f16(f32);
  int64_t i64 = saturate(value);
  int32_t i32 = (int32_t)i64;
  int8_t i8 = (int8_t)i64;
  uint8_t u8 = (uint8_t)i64, boolean = value != 0;
  const void *from[TNR_DTYPE_COUNT] = {
      [TNR_F32] = &f32, [TNR_BF16] = &bf16, [TNR_F16] = &f16, [TNR_I8] = &i8,
      [TNR_U8] = &u8,   [TNR_I32] = &i32,   [TNR_I64] = &i64, [TNR_BOOL] = &boolean,
  };
  memcpy(out, from[dtype], tnr_dtype_size(dtype));
}

tnr_tensor *tnr_scalar(const tnr_mesh *mesh, tnr_dtype dtype, double value) {
  tnr_fault fault;
  tnr_tensor *made;
  tnr_desc desc = {{0}, dtype};
  if (!mesh) {
    if (!tnr_error())
      tnr_error_raise(TNR_EINVAL, "scalar: the mesh is NULL");
    return NULL;
  }
  tnr_device *first = open_device(tnr_mesh_first(mesh));
  if (!first)
    return NULL;
  tnr_device *lands = mesh->count > 1 ? first->machine->host : landing(first);
  if (tnr_tensor_new(lands->self, -1, &desc, &made, &fault) != TNR_OK)
    return raise("scalar", &desc, &fault);
  store_scalar(dtype, value, made->parts[0]->memory);
  tnr_storage_finish(made->parts[0], NULL);
  return send_on(made, mesh);
}

/* ---- out ---- */

static bool is_reachable(const tnr_tensor *tensor) {
  for (int i = 0; i < tensor->mesh->count; i++)
    if (!tensor->mesh->devices[i]->driver->host_memory)
      return false;
  return true;
}

tnr_status tnr_tensor_check(const tnr_tensor *tensor, const char *call) {
  if (tensor)
    return TNR_OK;
  return tnr_error() ? tnr_error_code(tnr_error())
                     : tnr_error_raise(TNR_EINVAL, "%s: the tensor is NULL", call);
}

tnr_status tnr_tensor_await(tnr_tensor *tensor, int64_t deadline) {
  tnr_error *error;
  if (tnr_result_state(&tensor->object, &error) == TNR_STORAGE_COMPLETE)
    return TNR_OK;
  int64_t left = deadline;
  if (deadline != INT64_MAX) {
    left = deadline - tnr_machine_now(tnr_mesh_machine(tensor->mesh));
    left = left > 0 ? left : 0;
  }
  return tnr_wait_value(tnr_value_of_tensor(tensor), TNR_COMPLETE, left);
}

static tnr_status read_here(const tnr_tensor *tensor, void *out) {
  tnr_fault fault;
  tnr_status status = tnr_movement_assemble(tensor, out, &fault);
  return status == TNR_OK ? TNR_OK : tnr_error_raise(status, "tensor_read: %s", fault.message);
}

static tnr_status read_through_host(tnr_tensor *tensor, void *out, int64_t deadline) {
  tnr_machine *machine = tnr_mesh_machine(tensor->mesh);
  tnr_status status = tnr_wait_refused(machine->runtime, "waiting for a copy to the host");
  if (status != TNR_OK)
    return status;
  tnr_tensor *staged = tnr_value_tensor(move(&tnr_movement_to_device, (tnr_site){NULL, 0},
                                             tnr_value_of_tensor(tensor), machine->host->self, 0));
  if (!staged)
    return tnr_error_code(tnr_error());
  tnr_scope_disown(staged);
  status = tnr_tensor_await(staged, deadline);
  if (status == TNR_OK)
    status = read_here(staged, out);
  tnr_object_release(&staged->object);
  return status;
}

tnr_status tnr_tensor_read_for(tnr_tensor *tensor, void *out, size_t bytes, int64_t timeout_ns) {
  tnr_status status = tnr_tensor_check(tensor, "tensor_read");
  if (status != TNR_OK)
    return status;
  if (bytes != tnr_tensor_bytes(tensor) || (!out && bytes > 0))
    return tnr_error_raise(TNR_EINVAL, "tensor_read: the tensor has %zu bytes, the buffer %zu",
                           tnr_tensor_bytes(tensor), out ? bytes : 0);
  int64_t deadline = tnr_deadline_after(tnr_runtime_of_mesh(tensor->mesh), timeout_ns);
  status = tnr_tensor_await(tensor, deadline);
  if (status != TNR_OK)
    return status;
  if (!is_reachable(tensor))
    return read_through_host(tensor, out, deadline);
  return read_here(tensor, out);
}

tnr_status tnr_tensor_read(tnr_tensor *tensor, void *out, size_t bytes) {
  return tnr_tensor_read_for(tensor, out, bytes, INT64_MAX);
}
