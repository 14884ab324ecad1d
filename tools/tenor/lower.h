/* How each operator of ONNX becomes calls of tenor's ops. */
#ifndef TENOR_TOOL_LOWER_H
#define TENOR_TOOL_LOWER_H

#include "recipe.h"

/* Adds a node's steps to the recipe. Called with as many inputs as the operator takes and with
 * attributes that it knows; a node whose output is what it is given, or a constant, or what the
 * step before it can do as well, sets the slot of its output instead. */
typedef tnr_status lower_fn(struct recipe *recipe, const struct onnx_node *node, tnr_fault *fault);

lower_fn lower_add, lower_sub, lower_mul, lower_div, lower_matmul, lower_gemm, lower_relu,
    lower_softmax;
lower_fn lower_cast, lower_concat, lower_constant, lower_flatten, lower_identity, lower_reshape,
    lower_transpose;
lower_fn lower_conv, lower_max_pool;

/* The slot of an input, or ONNX_ABSENT; of the output. */
size_t lower_in(const struct recipe *recipe, const struct onnx_node *node, size_t i);
size_t lower_out(const struct recipe *recipe, const struct onnx_node *node);

/* The content of an input that is a constant, or NULL. */
const struct array *lower_constant_in(const struct recipe *recipe, const struct onnx_node *node,
                                      size_t i);

/* A step from the first input to the output. */
struct step *lower_unary(struct recipe *recipe, const struct onnx_node *node, const tnr_op_def *op);

/* A slot that holds an f32 constant whose elements are all `value`. */
tnr_status lower_filled(struct recipe *recipe, const struct onnx_node *node, tnr_shape shape,
                        float value, size_t *slot, tnr_fault *fault) TNR_MUST_USE;

#endif
