#include "op_harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reactor/plan.h"

/* Arrays of the test that runs now. */
typedef struct block {
  struct block *next;
  void *data;
} block;
static block *blocks;

static char note[200];

void op_note(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(note, sizeof note, format, arguments);
  va_end(arguments);
}

int op_free_arrays(void **state) {
  (void)state;
  note[0] = '\0';
  while (blocks) {
    block *first = blocks;
    blocks = first->next;
    free(first->data);
    free(first);
  }
  return 0;
}

op_array op_array_new(tnr_dtype dtype, tnr_shape shape) {
  op_array array = {.desc = {.shape = shape, .dtype = dtype}};
  tnr_fault fault;
  size_t bytes;
  if (tnr_desc_bytes(&array.desc, &bytes, &fault) != TNR_OK)
    fail_msg("%s", fault.message);
  block *owner = malloc(sizeof *owner);
  *owner = (block){.next = blocks, .data = malloc(bytes)};
  blocks = owner;
  array.data = owner->data;
  memset(array.data, 0xa5, bytes);
  return array;
}

op_array op_array_of(tnr_dtype dtype, tnr_shape shape, const double *numbers, int count) {
  op_array array = op_array_new(dtype, shape);
  if (tnr_shape_elements(&shape) != count)
    fail_msg("%d numbers for %jd elements", count, (intmax_t)tnr_shape_elements(&shape));
  for (int i = 0; i < count; i++)
    op_set_number(&array, i, numbers[i]);
  return array;
}

op_array op_array_random(tnr_dtype dtype, tnr_shape shape, unsigned seed) {
  op_array array = op_array_new(dtype, shape);
  int least = dtype == TNR_U8 || dtype == TNR_BOOL ? 0 : -4, span = dtype == TNR_BOOL ? 2 : 9;
  uint64_t bits = seed * 2654435761u + 1;
  for (int64_t i = 0; i < tnr_shape_elements(&shape); i++) {
    bits = bits * 6364136223846793005u + 1442695040888963407u;
    op_set_number(&array, i, least + (int)((bits >> 33) % (unsigned)span));
  }
  return array;
}

double op_number(const op_array *array, int64_t index) {
  switch (array->desc.dtype) {
  case TNR_F32:
    return ((const float *)array->data)[index];
  case TNR_BF16:
    return tnr_bf16_to_f32(((const uint16_t *)array->data)[index]);
  case TNR_F16:
    return tnr_f16_to_f32(((const uint16_t *)array->data)[index]);
  case TNR_I8:
    return ((const int8_t *)array->data)[index];
  case TNR_I32:
    return ((const int32_t *)array->data)[index];
  case TNR_I64:
    return (double)((const int64_t *)array->data)[index];
  default:
    return ((const uint8_t *)array->data)[index];
  }
}

void op_set_number(const op_array *array, int64_t index, double number) {
  switch (array->desc.dtype) {
  case TNR_F32:
    ((float *)array->data)[index] = (float)number;
    break;
  case TNR_BF16:
    ((uint16_t *)array->data)[index] = tnr_f32_to_bf16((float)number);
    break;
  case TNR_F16:
    ((uint16_t *)array->data)[index] = tnr_f32_to_f16((float)number);
    break;
  case TNR_I8:
    ((int8_t *)array->data)[index] = (int8_t)number;
    break;
  case TNR_I32:
    ((int32_t *)array->data)[index] = (int32_t)number;
    break;
  case TNR_I64:
    ((int64_t *)array->data)[index] = (int64_t)number;
    break;
  default:
    ((uint8_t *)array->data)[index] = (uint8_t)number;
  }
}

void op_unravel(const tnr_shape *shape, int64_t position, int64_t index[TNR_MAX_RANK]) {
  for (int64_t d = shape->rank - 1; d >= 0; d--) {
    index[d] = position % shape->dims[d];
    position /= shape->dims[d];
  }
}

int64_t op_ravel(const tnr_shape *shape, const int64_t index[TNR_MAX_RANK]) {
  int64_t position = 0;
  for (int64_t d = 0; d < shape->rank; d++)
    position = position * shape->dims[d] + index[d];
  return position;
}

double op_broadcast_number(const op_array *array, const tnr_shape *shape,
                           const int64_t index[TNR_MAX_RANK]) {
  const tnr_shape *own = &array->desc.shape;
  int64_t place[TNR_MAX_RANK];
  for (int64_t d = 0; d < own->rank; d++)
    place[d] = index[d + shape->rank - own->rank] % own->dims[d];
  return op_number(array, op_ravel(own, place));
}

void op_describe(const op_array *arrays, int count, tnr_desc *out) {
  for (int i = 0; i < count; i++)
    out[i] = arrays[i].desc;
}

tnr_status op_run_kernel(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                         const op_array *out, int out_count, tnr_fault *fault) {
  if (def->alias) {
    memcpy(out->data, in->data,
           (size_t)tnr_shape_elements(&in->desc.shape) * tnr_dtype_size(in->desc.dtype));
    return TNR_OK;
  }
  tnr_desc in_descs[OP_MOST_INPUTS], out_descs[OP_MOST_OUTPUTS];
  const void *in_data[OP_MOST_INPUTS];
  void *out_data[OP_MOST_OUTPUTS];
  op_describe(in, in_count, in_descs);
  op_describe(out, out_count, out_descs);
  for (int i = 0; i < in_count; i++)
    in_data[i] = in[i].data;
  for (int i = 0; i < out_count; i++)
    out_data[i] = out[i].data;
  tnr_kernel_call call = {.attrs = attrs,
                          .in_count = in_count,
                          .out_count = out_count,
                          .in = in_descs,
                          .out = out_descs,
                          .in_data = in_data,
                          .out_data = out_data};
  return def->kernel(&call, fault);
}

static void make_outputs(const tnr_op_outputs *outputs, op_result *result) {
  assert_in_range(outputs->count, 0, OP_MOST_OUTPUTS);
  result->count = outputs->count;
  for (int i = 0; i < outputs->count; i++)
    result->out[i] = op_array_new(outputs->descs[i].dtype, outputs->descs[i].shape);
}

op_result op_run(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count) {
  op_result result = {.status = TNR_OK};
  tnr_desc in_descs[OP_MOST_INPUTS];
  op_describe(in, in_count, in_descs);
  tnr_op_call call = {.attrs = attrs, .in_count = in_count, .in = in_descs};
  tnr_op_outputs outputs = {.count = 0};
  result.status = def->validate(&call, &result.fault);
  if (result.status == TNR_OK)
    result.status = def->infer(&call, &outputs, &result.fault);
  if (result.status == TNR_OK)
    make_outputs(&outputs, &result);
  free(outputs.descs);
  if (result.status != TNR_OK)
    return result;
  result.status = op_run_kernel(def, attrs, in, in_count, result.out, result.count, &result.fault);
  return result;
}

op_array op_output(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                   const char *file, int line) {
  op_result result = op_run(def, attrs, in, in_count);
  if (result.status == TNR_OK && result.count == 1)
    return result.out[0];
  print_error("%s: %s, %d outputs\n", def->name,
              result.status == TNR_OK ? "no error" : result.fault.message, result.count);
  _fail(file, line);
  return result.out[0];
}

static bool alike(double x, double y, double tolerance) {
  if (isnan(x) || isnan(y))
    return isnan(x) && isnan(y);
  return x == y || fabs(x - y) <= tolerance * fmax(1, fmax(fabs(x), fabs(y)));
}

static bool same_content(const op_array *array, const op_array *expected, double tolerance) {
  for (int64_t i = 0; i < tnr_shape_elements(&array->desc.shape); i++) {
    double x = op_number(array, i), y = op_number(expected, i);
    if (!alike(x, y, tolerance)) {
      print_error("element %jd is %.9g, not %.9g\n", (intmax_t)i, x, y);
      return false;
    }
  }
  return true;
}

void op_check_is(op_array array, op_array expected, double tolerance, const char *file, int line) {
  char got[TNR_SHAPE_TEXT_MAX], wanted[TNR_SHAPE_TEXT_MAX];
  tnr_shape_format(&array.desc.shape, got, sizeof got);
  tnr_shape_format(&expected.desc.shape, wanted, sizeof wanted);
  bool same = array.desc.dtype == expected.desc.dtype &&
              tnr_shape_equal(&array.desc.shape, &expected.desc.shape);
  if (!same)
    print_error("is %s %s, not %s %s\n", tnr_dtype_name(array.desc.dtype), got,
                tnr_dtype_name(expected.desc.dtype), wanted);
  if (same && same_content(&array, &expected, tolerance))
    return;
  if (note[0])
    print_error("%s\n", note);
  _fail(file, line);
}

void op_check_fails(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                    tnr_status code, const char *sentence, const char *file, int line) {
  op_result result = op_run(def, attrs, in, in_count);
  _assert_int_equal(result.status, code, file, line);
  _assert_int_equal(result.fault.code, code, file, line);
  _assert_string_equal(result.fault.message, sentence, file, line);
}
