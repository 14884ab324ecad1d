/* All that the cpu device needs of oneDNN, in the runtime's own words. Only chain.c, layout.c,
 * packed.c and onednn.c, which share chain.h, know its API; all that 3.x changes is in onednn.c but
 * for the type of layouts.
 *
 * A chain is a fixed sequence of steps between buffers: the inputs and outputs of a program, and
 * temporaries that the chain owns. Steps are added in the order in which they run. Functions that
 * add return TNR_EUNSUPPORTED when oneDNN has nothing, or nothing fast, for the case; the chain may
 * then hold part of what was asked and must be destroyed. A chain belongs to one thread. */
#ifndef TENOR_CPU_ONEDNN_H
#define TENOR_CPU_ONEDNN_H

#include <stdatomic.h>

#include <tenor/driver.h>

#include "view.h"

typedef struct tnr_onednn tnr_onednn;
typedef struct tnr_chain tnr_chain;

/* Counted, since packed weights may outlive the device. */
tnr_status tnr_onednn_create(tnr_onednn **out, tnr_fault *fault) TNR_MUST_USE;
tnr_onednn *tnr_onednn_retain(tnr_onednn *onednn);
void tnr_onednn_release(tnr_onednn *onednn);

tnr_status tnr_chain_create(tnr_onednn *onednn, int in_count, int out_count,
                            tnr_chain **out) TNR_MUST_USE;
void tnr_chain_destroy(tnr_chain *chain);

/* A new temporary with the dtype and shape of `like`, dense. */
tnr_view tnr_chain_temporary(tnr_chain *chain, const tnr_view *like);

/* After the last step: makes room for the temporaries. */
tnr_status tnr_chain_finish(tnr_chain *chain) TNR_MUST_USE;

/* Runs all steps. `weights` is NULL, or where the packed form of the packable input (see below) is
 * kept between runs; without it that input is packed on each run. */
tnr_status tnr_chain_run(tnr_chain *chain, const void *const *in, void *const *out,
                         tnr_derived_list *weights, tnr_fault *fault);

/* The input for which the chain wants a layout of its own, or -1. */
int tnr_chain_packable_input(const tnr_chain *chain);

/* The layout in which the result is left; NULL: dense. */
const tnr_own_layout *tnr_chain_result(const tnr_chain *chain);

/* To be called first: lets the last step leave its result in whatever layout it comes. */
void tnr_chain_free_result(tnr_chain *chain);

/* For steps that go over elements one by one, whatever their order: the result is in the layout
 * of what comes in. */
void tnr_chain_keep_layout(tnr_chain *chain, const tnr_own_layout *layout);

bool tnr_own_layout_has_dims(const tnr_own_layout *layout, const int64_t *dims, int rank);

/* A dense copy of a buffer that lies in a layout: adds a step. */
tnr_status tnr_chain_add_dense(tnr_chain *chain, int buffer, const tnr_own_layout *layout,
                               int *out);

/* Writes `from` into `to`, repeating it along the dims in which it has 1. */
tnr_status tnr_chain_add_expand(tnr_chain *chain, const tnr_view *from, const tnr_view *to);

/* Copies between views of equal dims: another order of dimensions, another dtype. */
tnr_status tnr_chain_add_reorder(tnr_chain *chain, const tnr_view *from, const tnr_view *to);

/* `kind` is ADD, SUB, MUL or DIV. Dims of `b` may be 1; `a` is as large as `out`. */
tnr_status tnr_chain_add_binary(tnr_chain *chain, tnr_primitive_kind kind, const tnr_view *a,
                                const tnr_view *b, const tnr_view *out);

tnr_status tnr_chain_add_relu(tnr_chain *chain, const tnr_view *in, const tnr_view *out);
tnr_status tnr_chain_add_softmax(tnr_chain *chain, const tnr_view *in, const tnr_view *out,
                                 int axis);

/* a [..., m, k], b [..., k, n], bias [..., 1, n] or NULL, out [..., m, n]; batch dims of `a` or `b`
 * may be 1, those of `bias` are. With `pack`, `b` becomes packable when oneDNN would rather have it
 * in another layout. */
typedef struct tnr_chain_matmul {
  const tnr_view *a, *b, *bias, *out;
  bool relu, pack;
} tnr_chain_matmul;
tnr_status tnr_chain_add_matmul(tnr_chain *chain, const tnr_chain_matmul *op);

/* Sizes of a window, height first. */
typedef struct tnr_window {
  int64_t kernel[2], stride[2], dilation[2], pad_before[2], pad_after[2];
} tnr_window;

/* Where `in` has a layout, oneDNN chooses that of the result. */
tnr_status tnr_chain_add_max_pool(tnr_chain *chain, const tnr_view *in, const tnr_view *out,
                                  const tnr_window *window);

/* in [n, c, h, w], weights [o, c, kh, kw] or [groups, o / groups, c / groups, kh, kw], packable;
 * bias [o] or NULL. */
typedef struct tnr_chain_convolution {
  const tnr_view *in, *weights, *bias, *out;
  tnr_window window;
  bool relu;
} tnr_chain_convolution;
tnr_status tnr_chain_add_convolution(tnr_chain *chain, const tnr_chain_convolution *op);

#endif
