#include <inttypes.h>
#include <string.h>

#include <tenor/ops.h>

#include "element.h"
#include "sharding.h"
#include "signature.h"
#include "words.h"

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  const tnr_cast_attrs *attrs = call->attrs;
  if (attrs->dtype < 0 || attrs->dtype >= TNR_DTYPE_COUNT)
    return tnr_fail(fault, TNR_EINVAL, "%" PRId64 " is not a dtype", attrs->dtype);
  return tnr_signature_check(call, 1, TNR_DTYPES_ANY, fault);
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  (void)fault;
  const tnr_cast_attrs *attrs = call->attrs;
  tnr_op_add_output(outputs, (tnr_dtype)attrs->dtype, call->in[0].shape);
  return TNR_OK;
}

/* The greatest value of an integer dtype, and the least one. */
static void range_of(tnr_dtype dtype, int64_t *least, int64_t *greatest) {
  switch (dtype) {
  case TNR_I8:
    *least = INT8_MIN, *greatest = INT8_MAX;
    break;
  case TNR_U8:
    *least = 0, *greatest = UINT8_MAX;
    break;
  case TNR_I32:
    *least = INT32_MIN, *greatest = INT32_MAX;
    break;
  default:
    *least = INT64_MIN, *greatest = INT64_MAX;
  }
}

/* INT64_MAX as a double is 2^63, the first value that does not fit: the comparisons hold for it. */
static int64_t saturate(float value, int64_t least, int64_t greatest) {
  if (value != value)
    return 0;
  if ((double)value <= (double)least)
    return least;
  if ((double)value >= (double)greatest)
    return greatest;
  return (int64_t)value;
}

static void floats_to_integers(tnr_dtype from, const void *in, tnr_dtype to, void *out,
                               int64_t count) {
  int64_t least, greatest;
  range_of(to, &least, &greatest);
  for (int64_t i = 0; i < count; i++)
    store_integer(to, out, i, saturate(load_float(from, in, i), least, greatest));
}

static void floats_to_bools(tnr_dtype from, const void *in, uint8_t *out, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    out[i] = load_float(from, in, i) != 0;
}

static void floats_to_floats(tnr_dtype from, const void *in, tnr_dtype to, void *out,
                             int64_t count) {
  for (int64_t i = 0; i < count; i++)
    store_float(to, out, i, load_float(from, in, i));
}

static void integers_to_floats(tnr_dtype from, const void *in, tnr_dtype to, void *out,
                               int64_t count) {
  for (int64_t i = 0; i < count; i++)
    store_float(to, out, i, (float)load_integer(from, in, i));
}

static void integers_to_integers(tnr_dtype from, const void *in, tnr_dtype to, void *out,
                                 int64_t count) {
  for (int64_t i = 0; i < count; i++)
    store_integer(to, out, i, load_integer(from, in, i));
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  tnr_dtype from = call->in[0].dtype, to = call->out[0].dtype;
  const void *in = call->in_data[0];
  void *out = call->out_data[0];
  int64_t count = tnr_shape_elements(&call->out[0].shape);
  if (count == 0)
    return TNR_OK;
  if (from == to)
    memcpy(out, in, (size_t)count * tnr_dtype_size(to));
  else if (dtype_is_float(from) && dtype_is_float(to))
    floats_to_floats(from, in, to, out, count);
  else if (dtype_is_float(from) && to == TNR_BOOL)
    floats_to_bools(from, in, out, count);
  else if (dtype_is_float(from))
    floats_to_integers(from, in, to, out, count);
  else if (dtype_is_float(to))
    integers_to_floats(from, in, to, out, count);
  else
    integers_to_integers(from, in, to, out, count);
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  (void)call;
  out->kind = TNR_PRIMITIVE_CAST;
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_cast_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_text(&words, "dtype", tnr_dtype_name((tnr_dtype)attrs->dtype));
}

const tnr_op_def tnr_op_cast = {
    .name = "cast",
    .attrs_size = sizeof(tnr_cast_attrs),
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .primitive = primitive,
    .shard = tnr_sharding_elementwise,
    .describe = describe,
};
