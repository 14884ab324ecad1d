/* The ops. Every macro takes tensors, futures or values, in any mixture, on one device or on
 * several that hold the inputs in the same way; the result's type follows (tenor/call.h). The
 * caller owns the result. Inputs are untouched. Errors: NULL with tnr_error() where they are known
 * at once, else in the future: TNR_ESHAPE, TNR_EDTYPE, TNR_EINVAL (attributes), TNR_EDEVICE,
 * TNR_ENOMEM, TNR_ECLOSED. Dims and axes that are negative count from the end. */
#ifndef TENOR_OPS_H
#define TENOR_OPS_H

#include <tenor/op.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For ops without attributes. */
typedef struct tnr_no_attrs {
  char none TNR_ZERO;
} tnr_no_attrs;

/* tnr_matmul(a, b, .transpose_b = true): a [..., m, k] x b [..., k, n] -> [..., m, n]. Leading dims
 * broadcast as in NumPy; operands have rank 2 or more. f32, bf16 (sums in f32), i32, i64. Called
 * with a third input (tnr_call), bias [n], it adds that to each row; tnr_linear does so. */
typedef struct tnr_matmul_attrs {
  bool transpose_a TNR_ZERO; /* a is [..., k, m] */
  bool transpose_b TNR_ZERO; /* b is [..., n, k] */
  bool relu TNR_ZERO;        /* then max(x, 0), as tnr_relu */
} tnr_matmul_attrs;
#define tnr_matmul(a, b, ...) TNR_OP2(&tnr_op_matmul, a, b, tnr_matmul_attrs, __VA_ARGS__)

/* Elementwise with NumPy broadcasting; both inputs of one dtype: f32, bf16, i8, u8, i32, i64.
 * Integers wrap; integer division truncates towards zero, and by zero fails with TNR_EKERNEL. */
#define tnr_add(a, b) TNR_OP2(&tnr_op_add, a, b, tnr_no_attrs, )
#define tnr_sub(a, b) TNR_OP2(&tnr_op_sub, a, b, tnr_no_attrs, )
#define tnr_mul(a, b) TNR_OP2(&tnr_op_mul, a, b, tnr_no_attrs, )
#define tnr_div(a, b) TNR_OP2(&tnr_op_div, a, b, tnr_no_attrs, )

/* max(x, 0). f32, bf16, i8, i32, i64. What a NaN gives, NaN or 0, depends on the device. */
#define tnr_relu(x) TNR_OP1(&tnr_op_relu, x, tnr_no_attrs, )

/* exp(x) / sum of exp(x) over .axis, computed from x minus its maximum. f32, bf16. What a line
 * gives that has NaN or +infinity in it depends on the device. */
typedef struct tnr_softmax_attrs {
  int64_t axis TNR_ZERO;
} tnr_softmax_attrs;
#define tnr_softmax(x, ...) TNR_OP1(&tnr_op_softmax, x, tnr_softmax_attrs, __VA_ARGS__)

/* Index of the first greatest element along .axis, as i64; the axis goes, or stays with size 1 when
 * .keep_dims. NaN counts as greatest, as in NumPy. An axis of size 0 is TNR_ESHAPE. Any dtype but
 * f16. */
typedef struct tnr_argmax_attrs {
  int64_t axis TNR_ZERO;
  int64_t keep_dims TNR_ZERO;
} tnr_argmax_attrs;
#define tnr_argmax(x, ...) TNR_OP1(&tnr_op_argmax, x, tnr_argmax_attrs, __VA_ARGS__)

/* tnr_split(x, .dim = 1, .parts = 2): a tuple of equal pieces along a dim that .parts divides. Any
 * dtype. */
typedef struct tnr_split_attrs {
  int64_t dim TNR_ZERO;
  int64_t parts TNR_ZERO; /* at least 1 */
} tnr_split_attrs;
#define tnr_split(x, ...) TNR_OP1_TUPLE(&tnr_op_split, x, tnr_split_attrs, __VA_ARGS__)

/* tnr_concat(tnr_tuple_of(a, b), .dim = 1): the elements of a tuple joined along .dim; the other
 * dims and the dtype are the same in all. Any dtype. */
typedef struct tnr_concat_attrs {
  int64_t dim TNR_ZERO;
} tnr_concat_attrs;
#define tnr_concat(tuple, ...) TNR_OP1(&tnr_op_concat, tuple, tnr_concat_attrs, __VA_ARGS__)

/* The same elements, in row-major order, under another shape; one dim may be -1: what remains. Any
 * dtype; shares storage. tnr_reshape(x, .shape = TNR_SHAPE(2, -1)). */
typedef struct tnr_reshape_attrs {
  tnr_shape shape TNR_ZERO;
} tnr_reshape_attrs;
#define tnr_reshape(x, ...) TNR_OP1(&tnr_op_reshape, x, tnr_reshape_attrs, __VA_ARGS__)

/* tnr_flatten(x, .axis = 1): [d0, …] -> [product of dims before axis, product of the rest], as ONNX
 * Flatten. -rank <= axis <= rank. Any dtype; shares storage. */
typedef struct tnr_flatten_attrs {
  int64_t axis TNR_ZERO;
} tnr_flatten_attrs;
#define tnr_flatten(x, ...) TNR_OP1(&tnr_op_flatten, x, tnr_flatten_attrs, __VA_ARGS__)

/* Output dim i is input dim .permutation[i]; .permuted = rank says that it is given, else the dims
 * are reversed. tnr_transpose(x, .permutation = {1, 0}, .permuted = 2). Any dtype. */
typedef struct tnr_transpose_attrs {
  int64_t permutation[TNR_MAX_RANK] TNR_ZERO;
  int64_t permuted TNR_ZERO;
} tnr_transpose_attrs;
#define tnr_transpose(x, ...) TNR_OP1(&tnr_op_transpose, x, tnr_transpose_attrs, __VA_ARGS__)

/* x [n, c, h, w] * weights [o, c / groups, kh, kw] + bias [o] -> [n, o, h', w']; bias: a tensor of
 * zeros where there is none. Cross-correlation, as in ONNX Conv. Of two elements: height, width.
 * Zero stride, dilation or groups mean 1. f32, bf16 (sums in f32). */
typedef struct tnr_conv2d_attrs {
  int64_t stride[2] TNR_ZERO;
  int64_t dilation[2] TNR_ZERO;
  int64_t pad_before[2] TNR_ZERO; /* zeros at top and left */
  int64_t pad_after[2] TNR_ZERO;  /* at bottom and right */
  int64_t groups TNR_ZERO;
  int64_t relu TNR_ZERO; /* not zero: then max(x, 0), as tnr_relu */
} tnr_conv2d_attrs;
#define tnr_conv2d(x, weights, bias, ...)                                                          \
  TNR_OP3(&tnr_op_conv2d, x, weights, bias, tnr_conv2d_attrs, __VA_ARGS__)

/* The greatest element of each window of .kernel; x [n, c, h, w]. Zero stride means the kernel's
 * size (no overlap), zero dilation 1; a window that would lie in padding alone is TNR_ESHAPE. f32,
 * bf16. What a window gives that has NaN in it depends on the device. */
typedef struct tnr_max_pool2d_attrs {
  int64_t kernel[2] TNR_ZERO; /* at least 1 */
  int64_t stride[2] TNR_ZERO;
  int64_t dilation[2] TNR_ZERO;
  int64_t pad_before[2] TNR_ZERO;
  int64_t pad_after[2] TNR_ZERO;
} tnr_max_pool2d_attrs;
#define tnr_max_pool2d(x, ...) TNR_OP1(&tnr_op_max_pool2d, x, tnr_max_pool2d_attrs, __VA_ARGS__)

/* Another dtype, from any to any. Float to integer truncates towards zero and saturates, NaN gives
 * 0; integer to narrower integer wraps; to bool: not zero. */
typedef struct tnr_cast_attrs {
  int64_t dtype TNR_ZERO; /* a tnr_dtype */
} tnr_cast_attrs;
#define tnr_cast(x, ...) TNR_OP1(&tnr_op_cast, x, tnr_cast_attrs, __VA_ARGS__)

/* Composites. x [..., k], weights [n, k], bias [n]: x * weights^T + bias -> [..., n]. */
#define tnr_linear(x, weights, bias)                                                               \
  TNR_COMPOSITE3(&tnr_op_linear, x, weights, bias, tnr_no_attrs, )

/* The same, then relu. */
#define tnr_linear_with_relu(x, weights, bias)                                                     \
  TNR_COMPOSITE3(&tnr_op_linear_with_relu, x, weights, bias, tnr_no_attrs, )

/* Two results: relu(linear), and linear itself. */
#define tnr_linear_with_intermediate(x, weights, bias)                                             \
  TNR_COMPOSITE3_TUPLE(&tnr_op_linear_with_intermediate, x, weights, bias, tnr_no_attrs, )

/* Scaled dot-product attention, softmax(q k^T / sqrt(d)) v, for q [..., m, d], k [..., n, d],
 * v [..., n, e] -> [..., m, e]. It looks at the shape of q for d. Source: Vaswani et al.,
 * "Attention Is All You Need" (2017), equation 1. */
#define tnr_attention(q, k, v) TNR_COMPOSITE3(&tnr_op_attention, q, k, v, tnr_no_attrs, )

extern TNR_API const tnr_op_def tnr_op_matmul, tnr_op_add, tnr_op_sub, tnr_op_mul, tnr_op_div,
    tnr_op_relu, tnr_op_softmax, tnr_op_argmax, tnr_op_split, tnr_op_concat, tnr_op_reshape,
    tnr_op_flatten, tnr_op_transpose, tnr_op_conv2d, tnr_op_max_pool2d, tnr_op_cast;
extern TNR_API const tnr_composite_def tnr_op_linear, tnr_op_linear_with_relu,
    tnr_op_linear_with_intermediate, tnr_op_attention;

#ifdef __cplusplus
}
#endif
#endif
