/* For writers of ops and of composite ops. A user's op lives in one file and is called exactly like
 * the built-in ones: see tests/outside/ for a complete example of both. */
#ifndef TENOR_OP_H
#define TENOR_OP_H

#include <tenor/call.h>
#include <tenor/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What validate, infer and the others know of a call: attributes and inputs, as whole tensors. */
typedef struct tnr_op_call {
  const void *attrs;
  int in_count;
  const tnr_desc *in;
} tnr_op_call;

/* Where infer puts the outputs. */
typedef struct tnr_op_outputs tnr_op_outputs;

/* Appends one output. The runtime checks shape and size and reports what is wrong with them. */
TNR_API void tnr_op_add_output(tnr_op_outputs *outputs, tnr_dtype dtype, tnr_shape shape);

/* What a call of the op gives back. */
typedef enum tnr_op_result { TNR_OP_TENSOR = 0, TNR_OP_TUPLE } tnr_op_result;

/* One op. A constant that outlives every runtime that uses it. The functions keep no state: any
 * thread may be in them. They return TNR_OK, or `return tnr_fail(fault, code, "sentence", …)`. */
typedef struct tnr_op_def {
  const char *name;     /* mandatory: "matmul" */
  size_t attrs_size;    /* sizeof the attributes struct (plain data, no pointers, no padding: equal
                         * bytes mean equal programs), 0 for none */
  tnr_op_result result; /* TNR_OP_TENSOR: infer adds exactly one output */

  /* Mandatory. Are these inputs and attributes all right? */
  tnr_status (*validate)(const tnr_op_call *call, tnr_fault *fault);

  /* Mandatory. Appends every output. Only called on what validate passed. */
  tnr_status (*infer)(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault);

  /* The program: a plain C kernel. Mandatory unless `alias`. */
  tnr_kernel_fn *kernel;

  /* Optional. The same program as a primitive that devices may have something faster for: fills
   * `out`; may leave its kind TNR_PRIMITIVE_NONE. */
  void (*primitive)(const tnr_op_call *call, tnr_primitive *out);

  /* Optional (default: one per output element). Arithmetic operations, for cost models. `out`:
   * what infer said. */
  double (*flops)(const tnr_op_call *call, const tnr_desc *out, int out_count);

  /* Optional (default: all inputs must be replicated, as the outputs are then). How the op can be
   * done piece by piece when inputs are split over devices: in_dims[i] is the dimension along which
   * input i is split, -1 when it is replicated, and at least one is not -1. Fills out_dims[k] for
   * each output, or fails with TNR_EDEVICE and a sentence when the pieces would not add up to the
   * right result. Each device then runs the kernel on its pieces; an output's piece is its inferred
   * shape with dims[out_dims[k]] divided by the number of devices. */
  tnr_status (*shard)(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                      int out_count, int *out_dims, tnr_fault *fault);

  /* Optional (default: nothing). The attributes as a short text, such as "dim = 1, parts = 2", for
   * people who look at a recording: at most `size` bytes with the final 0. */
  void (*describe)(const void *attrs, char *out, size_t size);

  /* Optional. True when output 0 has the very bytes of input 0 under another shape: nothing runs,
   * storage is shared. */
  bool alias;
} tnr_op_def;

/* Calls an op on values: the plain function under every call macro, for languages without macros.
 * Plain inputs give a plain result (created, not necessarily complete) or a value of kind NONE with
 * tnr_error(); a future among them gives a future, which carries any error that is not known at
 * once. Tuples among the inputs count as their elements, in order. An input of kind NONE gives
 * NONE and leaves tnr_error() as it is. `attrs` may be NULL for all zero. The caller owns the
 * result. Any thread; never blocks. */
TNR_API tnr_value tnr_call(const tnr_op_def *def, tnr_site site, const tnr_value *in, int in_count,
                           const void *attrs) TNR_MUST_USE;

/* A composite op: a function of values, written once. It runs in a scope of its own; what it
 * returns is moved out. It returns a value of kind NONE when something failed. */
typedef struct tnr_composite_def {
  const char *name;
  size_t attrs_size; /* as in tnr_op_def */

  /* True when the body looks at shapes (tnr_value_desc): then it runs when all inputs are created,
   * on the dispatcher thread if that is later than the call; it must not block. */
  bool needs_shapes;
  tnr_op_result result; /* which kind the body returns */

  tnr_value (*body)(const tnr_value *in, int in_count, const void *attrs);
} tnr_composite_def;

/* Calls a composite; as tnr_call. Inputs are passed on one by one, tuples as tuples. */
TNR_API tnr_value tnr_call_composite(const tnr_composite_def *def, tnr_site site,
                                     const tnr_value *in, int in_count,
                                     const void *attrs) TNR_MUST_USE;

/* TNR_INPUTS(a, b): the values of up to three inputs as an array, for tnr_call. */
#ifdef __cplusplus
}
struct tnr_inputs {
  tnr_value values[3];
};
#define TNR_INPUTS(...) (tnr_inputs_of(__VA_ARGS__).values)
template <class A> static inline tnr_inputs tnr_inputs_of(A a) {
  return tnr_inputs{{TNR_VALUE(a)}};
}
template <class A, class B> static inline tnr_inputs tnr_inputs_of(A a, B b) {
  return tnr_inputs{{TNR_VALUE(a), TNR_VALUE(b)}};
}
template <class A, class B, class C> static inline tnr_inputs tnr_inputs_of(A a, B b, C c) {
  return tnr_inputs{{TNR_VALUE(a), TNR_VALUE(b), TNR_VALUE(c)}};
}
#else
#define TNR_INPUT_COUNT_(a, b, c, n, ...) n
#define TNR_INPUTS1_(a, ...)              ((const tnr_value[]){TNR_VALUE(a)})
#define TNR_INPUTS2_(a, b, ...)           ((const tnr_value[]){TNR_VALUE(a), TNR_VALUE(b)})
#define TNR_INPUTS3_(a, b, c, ...)        ((const tnr_value[]){TNR_VALUE(a), TNR_VALUE(b), TNR_VALUE(c)})
#define TNR_INPUTS(...)                                                                            \
  TNR_INPUT_COUNT_(__VA_ARGS__, TNR_INPUTS3_, TNR_INPUTS2_, TNR_INPUTS1_, 0)(__VA_ARGS__, 0)
#endif

/* The call macros of ops with one, two and three inputs; …_TUPLE for those that give a tuple.
 * #define my_op(x, ...) TNR_OP1(&my_op_def, x, my_op_attrs, __VA_ARGS__) */
#define TNR_OP1(def, a, attrs, ...)                                                                \
  TNR_ONE(tnr_call(def, TNR_HERE, TNR_INPUTS(a), 1, TNR_ATTRS(attrs, __VA_ARGS__)), a)
#define TNR_OP2(def, a, b, attrs, ...)                                                             \
  TNR_ONE2(tnr_call(def, TNR_HERE, TNR_INPUTS(a, b), 2, TNR_ATTRS(attrs, __VA_ARGS__)), a, b)
#define TNR_OP3(def, a, b, c, attrs, ...)                                                          \
  TNR_ONE3(tnr_call(def, TNR_HERE, TNR_INPUTS(a, b, c), 3, TNR_ATTRS(attrs, __VA_ARGS__)), a, b, c)
#define TNR_OP1_TUPLE(def, a, attrs, ...)                                                          \
  TNR_MANY(tnr_call(def, TNR_HERE, TNR_INPUTS(a), 1, TNR_ATTRS(attrs, __VA_ARGS__)), a)
#define TNR_OP2_TUPLE(def, a, b, attrs, ...)                                                       \
  TNR_MANY2(tnr_call(def, TNR_HERE, TNR_INPUTS(a, b), 2, TNR_ATTRS(attrs, __VA_ARGS__)), a, b)
#define TNR_OP3_TUPLE(def, a, b, c, attrs, ...)                                                    \
  TNR_MANY3(tnr_call(def, TNR_HERE, TNR_INPUTS(a, b, c), 3, TNR_ATTRS(attrs, __VA_ARGS__)), a, b, c)

/* The same for composites. */
#define TNR_COMPOSITE1(def, a, attrs, ...)                                                         \
  TNR_ONE(tnr_call_composite(def, TNR_HERE, TNR_INPUTS(a), 1, TNR_ATTRS(attrs, __VA_ARGS__)), a)
#define TNR_COMPOSITE2(def, a, b, attrs, ...)                                                      \
  TNR_ONE2(tnr_call_composite(def, TNR_HERE, TNR_INPUTS(a, b), 2, TNR_ATTRS(attrs, __VA_ARGS__)),  \
           a, b)
#define TNR_COMPOSITE3(def, a, b, c, attrs, ...)                                                   \
  TNR_ONE3(                                                                                        \
      tnr_call_composite(def, TNR_HERE, TNR_INPUTS(a, b, c), 3, TNR_ATTRS(attrs, __VA_ARGS__)), a, \
      b, c)
#define TNR_COMPOSITE1_TUPLE(def, a, attrs, ...)                                                   \
  TNR_MANY(tnr_call_composite(def, TNR_HERE, TNR_INPUTS(a), 1, TNR_ATTRS(attrs, __VA_ARGS__)), a)
#define TNR_COMPOSITE2_TUPLE(def, a, b, attrs, ...)                                                \
  TNR_MANY2(tnr_call_composite(def, TNR_HERE, TNR_INPUTS(a, b), 2, TNR_ATTRS(attrs, __VA_ARGS__)), \
            a, b)
#define TNR_COMPOSITE3_TUPLE(def, a, b, c, attrs, ...)                                             \
  TNR_MANY3(                                                                                       \
      tnr_call_composite(def, TNR_HERE, TNR_INPUTS(a, b, c), 3, TNR_ATTRS(attrs, __VA_ARGS__)), a, \
      b, c)
#endif
