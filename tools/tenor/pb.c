#include "pb.h"

#include <inttypes.h>
#include <string.h>

#include "format.h"

/* TensorProto.DataType and TensorProto.DataLocation of the specification. */
static const struct {
  const char *name;
  tnr_dtype dtype; /* TNR_DTYPE_COUNT: none of ours */
} types[] = {
    [1] = {"float", TNR_F32},
    [2] = {"uint8", TNR_U8},
    [3] = {"int8", TNR_I8},
    [4] = {"uint16", TNR_DTYPE_COUNT},
    [5] = {"int16", TNR_DTYPE_COUNT},
    [6] = {"int32", TNR_I32},
    [7] = {"int64", TNR_I64},
    [8] = {"string", TNR_DTYPE_COUNT},
    [9] = {"bool", TNR_BOOL},
    [10] = {"float16", TNR_F16},
    [11] = {"double", TNR_DTYPE_COUNT},
    [12] = {"uint32", TNR_DTYPE_COUNT},
    [13] = {"uint64", TNR_DTYPE_COUNT},
    [14] = {"complex64", TNR_DTYPE_COUNT},
    [15] = {"complex128", TNR_DTYPE_COUNT},
    [16] = {"bfloat16", TNR_BF16},
};

enum { TYPES_COUNT = sizeof(types) / sizeof(types[0]), LOCATION_EXTERNAL = 1 };

tnr_status pb_dtype(int32_t data_type, tnr_dtype *out, tnr_fault *fault) {
  if (data_type <= 0 || data_type >= TYPES_COUNT)
    return tnr_fail(fault, TNR_EDTYPE, "element type %d is not known", (int)data_type);
  *out = types[data_type].dtype;
  if (*out == TNR_DTYPE_COUNT)
    return tnr_fail(fault, TNR_EDTYPE, "elements of type %s are not supported",
                    types[data_type].name);
  return TNR_OK;
}

static tnr_status check_form(const Onnx__TensorProto *tensor, tnr_fault *fault) {
  if (tensor->data_location == LOCATION_EXTERNAL || tensor->n_external_data > 0)
    return tnr_fail(fault, TNR_EINVAL,
                    "the data is in another file; save the model with the data inside");
  if (tensor->has_segment)
    return tnr_fail(fault, TNR_EINVAL, "data in segments is not supported");
  int forms = tensor->has_raw_data + (tensor->n_float_data > 0) + (tensor->n_int32_data > 0) +
              (tensor->n_int64_data > 0);
  if (forms > 1)
    return tnr_fail(fault, TNR_EINVAL, "the data is there in more than one form");
  return TNR_OK;
}

static tnr_status read_desc(const Onnx__TensorProto *tensor, tnr_desc *out, tnr_fault *fault) {
  if (!tensor->has_data_type)
    return tnr_fail(fault, TNR_EDTYPE, "the element type is missing");
  if (tensor->n_dims > TNR_MAX_RANK)
    return tnr_fail(fault, TNR_ESHAPE, "%zu dimensions; the most is %d", tensor->n_dims,
                    TNR_MAX_RANK);
  *out = (tnr_desc){.shape.rank = (int64_t)tensor->n_dims};
  for (size_t i = 0; i < tensor->n_dims; i++) {
    if (tensor->dims[i] < 0)
      return tnr_fail(fault, TNR_ESHAPE, "dimension %zu is %" PRId64, i, tensor->dims[i]);
    out->shape.dims[i] = tensor->dims[i];
  }
  return pb_dtype(tensor->data_type, &out->dtype, fault);
}

/* int32_data holds an element of 8 or 16 bits in the low bits of each number. */
static tnr_status copy_narrow(const int32_t *from, struct array *out, tnr_fault *fault) {
  size_t width = tnr_dtype_size(out->desc.dtype), count = out->size / width;
  int bits = (int)(8 * width);
  bool has_sign = out->desc.dtype == TNR_I8;
  int32_t low = has_sign ? -(1 << (bits - 1)) : 0;
  int32_t high = has_sign ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
  for (size_t i = 0; i < count; i++) {
    if (from[i] < low || from[i] > high)
      return tnr_fail(fault, TNR_EINVAL, "element %zu is %d, which is no %s", i, (int)from[i],
                      tnr_dtype_name(out->desc.dtype));
    uint16_t element = (uint16_t)from[i];
    memcpy((uint8_t *)out->data + i * width, &element, width);
  }
  return TNR_OK;
}

/* The field that holds elements of this dtype when there is no raw data. */
struct source {
  const void *data;
  size_t count;
  bool narrow;
};

static struct source typed_source(const Onnx__TensorProto *tensor, tnr_dtype dtype) {
  switch (dtype) {
  case TNR_F32:
    return (struct source){tensor->float_data, tensor->n_float_data, false};
  case TNR_I64:
    return (struct source){tensor->int64_data, tensor->n_int64_data, false};
  case TNR_I32:
    return (struct source){tensor->int32_data, tensor->n_int32_data, false};
  default:
    return (struct source){tensor->int32_data, tensor->n_int32_data, true};
  }
}

static tnr_status copy_typed(const struct source *source, struct array *out, tnr_fault *fault) {
  if (source->narrow)
    return copy_narrow(source->data, out, fault);
  if (out->size > 0)
    memcpy(out->data, source->data, out->size);
  return TNR_OK;
}

static tnr_status copy_data(const Onnx__TensorProto *tensor, const tnr_desc *desc,
                            struct array *out, tnr_fault *fault) {
  struct source source = typed_source(tensor, desc->dtype);
  size_t have =
      tensor->has_raw_data ? tensor->raw_data.len : source.count * tnr_dtype_size(desc->dtype);
  tnr_status status = format_init(out, desc, have, fault);
  if (status != TNR_OK)
    return status;
  if (!tensor->has_raw_data)
    status = copy_typed(&source, out, fault);
  else if (out->size > 0)
    memcpy(out->data, tensor->raw_data.data, out->size);
  format_normalize_bools(out);
  if (status != TNR_OK)
    array_finish(out);
  return status;
}

tnr_status pb_copy(const Onnx__TensorProto *tensor, struct array *out, tnr_fault *fault) {
  tnr_desc desc;
  *out = (struct array){0};
  tnr_status status = check_form(tensor, fault);
  if (status == TNR_OK)
    status = read_desc(tensor, &desc, fault);
  if (status == TNR_OK)
    status = copy_data(tensor, &desc, out, fault);
  return status;
}

tnr_status pb_parse(const struct bytes *file, struct array *out, tnr_fault *fault) {
  *out = (struct array){0};
  Onnx__TensorProto *tensor = onnx__tensor_proto__unpack(NULL, file->size, file->data);
  if (!tensor)
    return tnr_fail(fault, TNR_EINVAL, "this is no .npy, IDX or ONNX TensorProto file");
  tnr_status status = pb_copy(tensor, out, fault);
  onnx__tensor_proto__free_unpacked(tensor, NULL);
  return status;
}
