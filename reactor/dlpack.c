#include <tenor/dlpack.h>

#include <dlpack/dlpack.h>
#include <stdlib.h>

#include "error.h"
#include "transfer.h"

enum { CODE_BOOL = 6 }; /* kDLBool; headers before DLPack 0.8 lack the name */

static const DLDataType types[TNR_DTYPE_COUNT] = {
    [TNR_F32] = {kDLFloat, 32, 1}, [TNR_BF16] = {kDLBfloat, 16, 1}, [TNR_F16] = {kDLFloat, 16, 1},
    [TNR_I8] = {kDLInt, 8, 1},     [TNR_U8] = {kDLUInt, 8, 1},      [TNR_I32] = {kDLInt, 32, 1},
    [TNR_I64] = {kDLInt, 64, 1},   [TNR_BOOL] = {CODE_BOOL, 8, 1},
};

static void dense_strides(int rank, const int64_t *dims, int64_t *out) {
  uint64_t step = 1; /* may wrap where there are no elements */
  for (int i = rank; i-- > 0; step *= (uint64_t)dims[i])
    out[i] = (int64_t)step;
}

/* ---- out ---- */

typedef struct export {
  DLManagedTensor managed;
  tnr_host_view view;
  int64_t dims[TNR_MAX_RANK], strides[TNR_MAX_RANK];
}
export;

static void export_destroy(DLManagedTensor *managed) {
  export *made = managed->manager_ctx;
  tnr_host_view_release(&made->view);
  free(made);
}

/* Takes the view over. */
static export *export_new(tnr_host_view *view) {
  export *made = malloc(sizeof *made);
  if (!made)
    return NULL;
  tnr_shape shape = tnr_tensor_shape(view->tensor);
  *made = (export){.view = *view};
  for (int i = 0; i < shape.rank; i++)
    made->dims[i] = shape.dims[i];
  dense_strides((int)shape.rank, made->dims, made->strides);
  made->managed = (DLManagedTensor){
      .dl_tensor = {.data = (void *)view->data,
                    .device = {kDLCPU, 0},
                    .ndim = (int)shape.rank,
                    .dtype = types[tnr_tensor_dtype(view->tensor)],
                    .shape = made->dims,
                    .strides = made->strides},
      .manager_ctx = made,
      .deleter = export_destroy,
  };
  return made;
}

struct DLManagedTensor *tnr_to_dlpack(tnr_tensor *tensor) {
  tnr_host_view view;
  if (tnr_tensor_view_as("to_dlpack", tensor, &view, INT64_MAX) != TNR_OK)
    return NULL;
  export *made = export_new(&view);
  if (made)
    return &made->managed;
  tnr_host_view_release(&view);
  tnr_error_raise(TNR_ENOMEM, "to_dlpack: out of memory");
  return NULL;
}

/* ---- in ---- */

static const char *code_name(uint8_t code) {
  static const char *const names[] = {"int",    "uint",    "float", "opaque",
                                      "bfloat", "complex", "bool"};
  return code < sizeof names / sizeof *names ? names[code] : "unknown";
}

static tnr_status find_dtype(DLDataType type, tnr_dtype *out, tnr_fault *fault) {
  if (type.lanes != 1)
    return tnr_fail(fault, TNR_EDTYPE, "its elements are vectors of %d; tenor has none",
                    type.lanes);
  for (int i = 0; i < TNR_DTYPE_COUNT; i++)
    if (types[i].code == type.code && types[i].bits == type.bits) {
      *out = (tnr_dtype)i;
      return TNR_OK;
    }
  return tnr_fail(fault, TNR_EDTYPE,
                  "its elements are of %d bits and type %s (DLPack's code %d); tenor has no such "
                  "dtype",
                  type.bits, code_name(type.code), type.code);
}

static tnr_status find_shape(const DLTensor *from, tnr_shape *out, tnr_fault *fault) {
  if (from->ndim < 0 || from->ndim > TNR_MAX_RANK)
    return tnr_fail(fault, TNR_ESHAPE, "it has %d dims; tenor takes 0 to %d", from->ndim,
                    TNR_MAX_RANK);
  if (from->ndim > 0 && !from->shape)
    return tnr_fail(fault, TNR_EINVAL, "its shape is NULL");
  *out = tnr_shape_of(from->ndim, from->shape);
  return TNR_OK;
}

/* All that can be wrong with it. */
static tnr_status describe(const DLTensor *from, tnr_desc *out, tnr_fault *fault) {
  size_t bytes;
  if (from->device.device_type != kDLCPU)
    return tnr_fail(fault, TNR_EDEVICE,
                    "its data is on a device of DLPack's type %d; tenor takes memory of the CPU",
                    (int)from->device.device_type);
  tnr_status status = find_dtype(from->dtype, &out->dtype, fault);
  if (status == TNR_OK)
    status = find_shape(from, &out->shape, fault);
  if (status == TNR_OK)
    status = tnr_desc_bytes(out, &bytes, fault);
  if (status == TNR_OK && bytes > 0 && !from->data)
    return tnr_fail(fault, TNR_EINVAL, "its data is NULL");
  return status;
}

static void give_back(void *managed) {
  DLManagedTensor *from = managed;
  if (from->deleter)
    from->deleter(from);
}

tnr_tensor *tnr_from_dlpack(tnr_device *device, struct DLManagedTensor *managed) {
  tnr_fault fault;
  tnr_desc desc;
  int64_t dense[TNR_MAX_RANK];
  if (!managed) {
    if (!tnr_error())
      tnr_error_raise(TNR_EINVAL, "from_dlpack: the managed tensor is NULL");
    return NULL;
  }
  const DLTensor *from = &managed->dl_tensor;
  if (describe(from, &desc, &fault) != TNR_OK) {
    tnr_error_set(tnr_error_new(&(tnr_error_context){.op = "from_dlpack"}, &fault));
    return NULL;
  }
  dense_strides(from->ndim, desc.shape.dims, dense);
  const char *data = from->data ? (const char *)from->data + from->byte_offset : NULL;
  return tnr_tensor_borrow_strided(device, desc.dtype, desc.shape, data,
                                   from->strides ? from->strides : dense, give_back, managed);
}
