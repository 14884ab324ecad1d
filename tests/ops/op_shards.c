/* The shard rule of an op, tried on all ways to split its inputs over two and over four devices. */
#include <string.h>

#include "op_harness.h"

typedef struct trial {
  const tnr_op_def *def;
  const void *attrs;
  const op_array *in;
  int in_count;
  op_result whole;
  int devices;
  int in_dims[OP_MOST_INPUTS], out_dims[OP_MOST_OUTPUTS];
} trial;

static tnr_shape piece_shape(tnr_shape shape, int dim, int devices) {
  if (dim >= 0)
    shape.dims[dim] /= devices;
  return shape;
}

/* What device `index` holds of an array that is split along `dim` (-1: all of it). */
static op_array piece_of(const op_array *array, int dim, int devices, int index) {
  if (dim < 0)
    return *array;
  tnr_shape shape = piece_shape(array->desc.shape, dim, devices);
  op_array piece = op_array_new(array->desc.dtype, shape);
  size_t size = tnr_dtype_size(array->desc.dtype);
  for (int64_t i = 0; i < tnr_shape_elements(&shape); i++) {
    int64_t place[TNR_MAX_RANK];
    op_unravel(&shape, i, place);
    place[dim] += index * shape.dims[dim];
    memcpy((char *)piece.data + (size_t)i * size,
           (char *)array->data + (size_t)op_ravel(&array->desc.shape, place) * size, size);
  }
  return piece;
}

static bool divides(const op_array *arrays, const int *dims, int count, int devices) {
  for (int i = 0; i < count; i++)
    if (dims[i] >= 0 && arrays[i].desc.shape.dims[dims[i]] % devices != 0)
      return false;
  return true;
}

static bool run_piece(const trial *t, int device) {
  op_array in[OP_MOST_INPUTS], out[OP_MOST_OUTPUTS];
  for (int i = 0; i < t->in_count; i++)
    in[i] = piece_of(&t->in[i], t->in_dims[i], t->devices, device);
  for (int i = 0; i < t->whole.count; i++)
    out[i] = op_array_new(t->whole.out[i].desc.dtype,
                          piece_shape(t->whole.out[i].desc.shape, t->out_dims[i], t->devices));
  tnr_fault fault;
  if (op_run_kernel(t->def, t->attrs, in, t->in_count, out, t->whole.count, &fault) != TNR_OK)
    return false;
  for (int i = 0; i < t->whole.count; i++) {
    op_array right = piece_of(&t->whole.out[i], t->out_dims[i], t->devices, device);
    size_t bytes = (size_t)tnr_shape_elements(&right.desc.shape) * tnr_dtype_size(right.desc.dtype);
    if (memcmp(out[i].data, right.data, bytes) != 0)
      return false;
  }
  return true;
}

typedef enum verdict { REFUSED, INDIVISIBLE, RIGHT, WRONG } verdict;

static verdict try_dims(trial *t) {
  tnr_desc in[OP_MOST_INPUTS], out[OP_MOST_OUTPUTS];
  op_describe(t->in, t->in_count, in);
  op_describe(t->whole.out, t->whole.count, out);
  tnr_op_call call = {.attrs = t->attrs, .in_count = t->in_count, .in = in};
  tnr_fault fault = {.code = TNR_OK};
  tnr_status status = t->def->shard(&call, t->in_dims, out, t->whole.count, t->out_dims, &fault);
  if (status != TNR_OK)
    return status == TNR_EDEVICE && fault.code == status && fault.message[0] ? REFUSED : WRONG;
  for (int i = 0; i < t->whole.count; i++)
    if (t->out_dims[i] < 0 || t->out_dims[i] >= out[i].shape.rank)
      return WRONG;
  if (!divides(t->whole.out, t->out_dims, t->whole.count, t->devices))
    return INDIVISIBLE;
  for (int device = 0; device < t->devices; device++)
    if (!run_piece(t, device))
      return WRONG;
  return RIGHT;
}

/* From one choice of dims to the next; false after the last. */
static bool next_dims(trial *t) {
  for (int i = 0; i < t->in_count; i++) {
    if (++t->in_dims[i] < t->in[i].desc.shape.rank)
      return true;
    t->in_dims[i] = -1;
  }
  return false;
}

static int try_all_dims(trial *t, const char *file, int line) {
  int right = 0;
  for (int i = 0; i < t->in_count; i++)
    t->in_dims[i] = -1;
  while (next_dims(t)) {
    if (!divides(t->in, t->in_dims, t->in_count, t->devices))
      continue;
    verdict verdict = try_dims(t);
    right += verdict == RIGHT;
    if (verdict != WRONG)
      continue;
    print_error("%s: wrong when input 0 is split along dim %d, the last input along %d, over %d\n",
                t->def->name, t->in_dims[0], t->in_dims[t->in_count - 1], t->devices);
    _fail(file, line);
  }
  return right;
}

int op_check_shards(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                    const char *file, int line) {
  trial t = {.def = def, .attrs = attrs, .in = in, .in_count = in_count};
  t.whole = op_run(def, attrs, in, in_count);
  _assert_int_equal(t.whole.status, TNR_OK, file, line);
  int right = 0;
  for (t.devices = 2; t.devices <= 4; t.devices += 2)
    right += try_all_dims(&t, file, line);
  return right;
}

int op_shard_rule(const tnr_op_def *def, const void *attrs, const op_array *in, int in_count,
                  const int *in_dims, tnr_fault *fault) {
  tnr_desc in_descs[OP_MOST_INPUTS], out_descs[OP_MOST_OUTPUTS];
  int out_dims[OP_MOST_OUTPUTS];
  op_result whole = op_run(def, attrs, in, in_count);
  assert_int_equal(whole.status, TNR_OK);
  op_describe(in, in_count, in_descs);
  op_describe(whole.out, whole.count, out_descs);
  tnr_op_call call = {.attrs = attrs, .in_count = in_count, .in = in_descs};
  tnr_status status = def->shard(&call, in_dims, out_descs, whole.count, out_dims, fault);
  return status == TNR_OK ? out_dims[0] : -1;
}

void op_check_shard_refused(const tnr_op_def *def, const void *attrs, const op_array *in,
                            int in_count, const int *in_dims, const char *sentence,
                            const char *file, int line) {
  tnr_fault fault = {.code = TNR_OK};
  int dim = op_shard_rule(def, attrs, in, in_count, in_dims, &fault);
  _assert_int_equal(dim, -1, file, line);
  _assert_int_equal(fault.code, TNR_EDEVICE, file, line);
  _assert_string_equal(fault.message, sentence, file, line);
}
