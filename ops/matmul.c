#include <inttypes.h>
#include <string.h>

#include <tenor/ops.h>

#include "broadcast.h"
#include "element.h"
#include "signature.h"
#include "walk.h"
#include "words.h"

/* One product of matrices, a [m, k] x b [k, n]. Strides in elements: row to row, column to column.
 */
typedef struct product {
  tnr_dtype dtype;
  int64_t m, n, k;
  int64_t a_row, a_column, b_row, b_column;
} product;

/* Operands have rank 2 at least. */
static product product_of(const void *attrs, const tnr_desc *in) {
  const tnr_matmul_attrs *matmul = attrs;
  const int64_t *a = in[0].shape.dims + in[0].shape.rank - 2;
  const int64_t *b = in[1].shape.dims + in[1].shape.rank - 2;
  product p = {.dtype = in[0].dtype, .m = a[0], .k = a[1], .n = b[1]};
  p.a_row = a[1];
  p.a_column = 1;
  p.b_row = b[1];
  p.b_column = 1;
  if (matmul->transpose_a) {
    p.m = a[1];
    p.k = a[0];
    p.a_row = 1;
    p.a_column = a[1];
  }
  if (matmul->transpose_b) {
    p.n = b[0];
    p.b_row = 1;
    p.b_column = b[1];
  }
  return p;
}

static int64_t inner_of_b(const void *attrs, const tnr_shape *b) {
  const tnr_matmul_attrs *matmul = attrs;
  return b->dims[b->rank - (matmul->transpose_b ? 1 : 2)];
}

static tnr_status validate(const tnr_op_call *call, tnr_fault *fault) {
  tnr_status status =
      tnr_signature_check(call, 2, TNR_DTYPES_FLOAT | TNR_DTYPES_WIDE_INTEGER, fault);
  if (status != TNR_OK)
    return status;
  for (int i = 0; i < 2; i++)
    if (call->in[i].shape.rank < 2)
      return tnr_fail(fault, TNR_ESHAPE, "input %d has rank %" PRId64 ", but needs 2 or more", i,
                      call->in[i].shape.rank);
  int64_t k = product_of(call->attrs, call->in).k;
  int64_t k_of_b = inner_of_b(call->attrs, &call->in[1].shape);
  if (k != k_of_b)
    return tnr_fail(fault, TNR_ESHAPE, "inner dimensions differ: %" PRId64 " and %" PRId64, k,
                    k_of_b);
  tnr_shape ignored;
  return tnr_broadcast_shapes(&call->in[0].shape, &call->in[1].shape, 2, &ignored, fault);
}

static tnr_status infer(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault) {
  tnr_shape shape;
  tnr_status status =
      tnr_broadcast_shapes(&call->in[0].shape, &call->in[1].shape, 2, &shape, fault);
  if (status != TNR_OK)
    return status;
  product p = product_of(call->attrs, call->in);
  shape.dims[shape.rank - 2] = p.m;
  shape.dims[shape.rank - 1] = p.n;
  tnr_op_add_output(outputs, p.dtype, shape);
  return TNR_OK;
}

/* Row by row of b, so that the inner loop runs over memory as it lies when b is not transposed. */
static void multiply_f32(const product *p, const float *a, const float *b, float *restrict out) {
  memset(out, 0, (size_t)(p->m * p->n) * sizeof *out);
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t l = 0; l < p->k; l++) {
      float x = a[i * p->a_row + l * p->a_column];
      const float *row = b + l * p->b_row;
      if (p->b_column == 1)
        for (int64_t j = 0; j < p->n; j++)
          out[i * p->n + j] += x * row[j];
      else
        for (int64_t j = 0; j < p->n; j++)
          out[i * p->n + j] += x * row[j * p->b_column];
    }
}

static void multiply_bf16(const product *p, const uint16_t *a, const uint16_t *b, uint16_t *out) {
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = 0; j < p->n; j++) {
      float sum = 0;
      for (int64_t l = 0; l < p->k; l++)
        sum += tnr_bf16_to_f32(a[i * p->a_row + l * p->a_column]) *
               tnr_bf16_to_f32(b[l * p->b_row + j * p->b_column]);
      out[i * p->n + j] = tnr_f32_to_bf16(sum);
    }
}

/* Unsigned sums wrap, and their low bits are those of the narrower type's sums. */
static void multiply_integers(const product *p, const void *a, const void *b, void *out) {
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = 0; j < p->n; j++) {
      uint64_t sum = 0;
      for (int64_t l = 0; l < p->k; l++)
        sum += (uint64_t)load_integer(p->dtype, a, i * p->a_row + l * p->a_column) *
               (uint64_t)load_integer(p->dtype, b, l * p->b_row + j * p->b_column);
      store_integer(p->dtype, out, i * p->n + j, (int64_t)sum);
    }
}

static void multiply(const product *p, const void *a, const void *b, void *out) {
  if (p->dtype == TNR_F32)
    multiply_f32(p, a, b, out);
  else if (p->dtype == TNR_BF16)
    multiply_bf16(p, a, b, out);
  else
    multiply_integers(p, a, b, out);
}

static tnr_status kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)fault;
  tnr_shape batch = call->out[0].shape;
  if (tnr_shape_elements(&batch) == 0)
    return TNR_OK;
  int64_t strides[TNR_WALK_OPERANDS][TNR_MAX_RANK];
  for (int i = 0; i < 2; i++)
    tnr_broadcast_strides(&call->in[i].shape, batch.rank, strides[i]);
  batch.rank -= 2;
  product p = product_of(call->attrs, call->in);
  int64_t size = (int64_t)tnr_dtype_size(p.dtype);
  char *out = call->out_data[0];
  tnr_walk walk;
  tnr_walk_start(&walk, &batch, strides);
  do {
    for (int64_t i = 0; i < walk.count; i++) {
      multiply(&p, (const char *)call->in_data[0] + (walk.offset[0] + i * walk.step[0]) * size,
               (const char *)call->in_data[1] + (walk.offset[1] + i * walk.step[1]) * size, out);
      out += p.m * p.n * size;
    }
  } while (tnr_walk_next(&walk));
  return TNR_OK;
}

static void primitive(const tnr_op_call *call, tnr_primitive *out) {
  const tnr_matmul_attrs *attrs = call->attrs;
  out->kind = TNR_PRIMITIVE_MATMUL;
  out->transpose_a = attrs->transpose_a;
  out->transpose_b = attrs->transpose_b;
}

/* A multiplication and an addition for each element of each inner product. */
static double flops(const tnr_op_call *call, const tnr_desc *out, int out_count) {
  (void)out_count;
  return 2.0 * (double)tnr_shape_elements(&out[0].shape) *
         (double)product_of(call->attrs, call->in).k;
}

/* Which dim of an operand's matrices an index of its dims means. */
typedef enum role { ROLE_REPLICATED, ROLE_BATCH, ROLE_OUTER, ROLE_INNER } role;

static role role_of(const tnr_shape *shape, int dim, bool inner_is_last) {
  if (dim < 0)
    return ROLE_REPLICATED;
  if (dim < shape->rank - 2)
    return ROLE_BATCH;
  return (dim == shape->rank - 1) == inner_is_last ? ROLE_INNER : ROLE_OUTER;
}

static tnr_status shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                        int out_count, int *out_dims, tnr_fault *fault) {
  (void)out_count;
  const tnr_matmul_attrs *attrs = call->attrs;
  role a = role_of(&call->in[0].shape, in_dims[0], !attrs->transpose_a);
  role b = role_of(&call->in[1].shape, in_dims[1], attrs->transpose_b);
  if (a == ROLE_INNER || b == ROLE_INNER)
    return tnr_fail(fault, TNR_EDEVICE,
                    "input %d is split over devices along the inner dimension: gather it first",
                    a == ROLE_INNER ? 0 : 1);
  if (a != ROLE_OUTER && b != ROLE_OUTER)
    return tnr_broadcast_shard(call, in_dims, out, out_dims, fault);
  if (a != ROLE_REPLICATED && b != ROLE_REPLICATED)
    return tnr_fail(fault, TNR_EDEVICE,
                    "both inputs are split over devices, along different dims of the output: "
                    "replicate one of them");
  out_dims[0] = (int)out->shape.rank - (a == ROLE_OUTER ? 2 : 1);
  return TNR_OK;
}

static void describe(const void *from, char *out, size_t size) {
  const tnr_matmul_attrs *attrs = from;
  tnr_words words = tnr_words_begin(out, size);
  tnr_words_flag(&words, "transpose_a", attrs->transpose_a);
  tnr_words_flag(&words, "transpose_b", attrs->transpose_b);
}

const tnr_op_def tnr_op_matmul = {
    .name = "matmul",
    .attrs_size = sizeof(tnr_matmul_attrs),
    .validate = validate,
    .infer = infer,
    .kernel = kernel,
    .primitive = primitive,
    .flops = flops,
    .shard = shard,
    .describe = describe,
};
