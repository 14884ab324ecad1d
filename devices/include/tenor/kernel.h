/* What an op hands to a device: a plain C kernel, and the same thing said as a primitive for
 * devices that have something faster. */
#ifndef TENOR_KERNEL_H
#define TENOR_KERNEL_H

#include <tenor/shape.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One run of a kernel. All buffers are dense and row-major and do not overlap; they are valid for
 * the duration of the call. Shapes are those of the part of the tensor that this device holds: take
 * sizes from here and never from attributes. */
typedef struct tnr_kernel_call {
  const void *attrs; /* the op's attributes */
  int in_count, out_count;
  const tnr_desc *in, *out;
  const void *const *in_data;
  void *const *out_data;
} tnr_kernel_call;

/* Computes all outputs. Runs on a device's worker thread; may run on several at once, so it keeps
 * no state. Returns TNR_OK, or fills `fault` and returns its code. */
typedef tnr_status tnr_kernel_fn(const tnr_kernel_call *call, tnr_fault *fault);

/* The vocabulary of operations that a device may know how to do faster than the plain kernel.
 * Operand shapes and dtypes come from the descriptions beside it. Default member values are zero.
 */
typedef enum tnr_primitive_kind {
  TNR_PRIMITIVE_NONE = 0,
  TNR_PRIMITIVE_MATMUL, /* in: a [..., m, k], b [..., k, n] (or transposed), optional bias [n];
                         * NumPy batch rules */
  TNR_PRIMITIVE_ADD,    /* in: a, b, broadcast as in NumPy; also SUB, MUL, DIV */
  TNR_PRIMITIVE_SUB,
  TNR_PRIMITIVE_MUL,
  TNR_PRIMITIVE_DIV,
  TNR_PRIMITIVE_RELU,
  TNR_PRIMITIVE_SOFTMAX, /* over `axis` */
  TNR_PRIMITIVE_CONV2D, /* in: x [n, c, h, w], weights [o, c / groups, kh, kw], optional bias [o] */
  TNR_PRIMITIVE_MAX_POOL2D, /* in: x [n, c, h, w]; padding never wins */
  TNR_PRIMITIVE_CAST,       /* same shape, another dtype */
  TNR_PRIMITIVE_TRANSPOSE   /* output dim i is input dim permutation[i] */
} tnr_primitive_kind;

typedef struct tnr_primitive {
  tnr_primitive_kind kind;
  bool transpose_a, transpose_b;       /* MATMUL: the last two dims of that operand are swapped */
  bool relu;                           /* MATMUL, CONV2D: max(x, 0) of the result, bias included */
  int64_t axis;                        /* SOFTMAX: 0 <= axis < rank */
  int64_t kernel[2];                   /* MAX_POOL2D: height, width, in elements */
  int64_t stride[2], dilation[2];      /* CONV2D, MAX_POOL2D: height, width; at least 1 */
  int64_t pad_before[2], pad_after[2]; /* CONV2D, MAX_POOL2D: height, width, in elements */
  int64_t groups;                      /* CONV2D: at least 1 */
  int permutation[TNR_MAX_RANK];       /* TRANSPOSE */
} tnr_primitive;

/* What a device gets when it is asked for a program: everything is known but the data. The pointers
 * stay valid as long as the program lives. */
typedef struct tnr_program_spec {
  const char *name; /* the op's name, for messages */
  const void *attrs;
  int in_count, out_count;
  const tnr_desc *in, *out;
  tnr_kernel_fn *kernel;   /* never NULL */
  tnr_primitive primitive; /* kind is TNR_PRIMITIVE_NONE when there is none */
  double flops;            /* a cost model's estimate of arithmetic operations */
} tnr_program_spec;

#ifdef __cplusplus
}
#endif
#endif
