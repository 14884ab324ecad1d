/* Layers called directly on oneDNN, as a program without tenor would: what `tenor bench` measures
 * the cpu device against. Between layers tensors stay in the layout that suits oneDNN; only the
 * input, the output and what is flattened are dense. Weights are packed once, when a layer is
 * added; buffers and scratchpads are made then, too. A sequence runs on the calling thread, one at
 * a time. Whatever fails ends the process (bench_die). */
#ifndef TENOR_TOOL_BENCH_ONEDNN_H
#define TENOR_TOOL_BENCH_ONEDNN_H

#include <tenor/shape.h>

/* A sequence of layers, each on what the one before it gave. */
struct direct;

struct direct *direct_create(tnr_dtype dtype, const tnr_shape *input);
void direct_destroy(struct direct *direct);

/* `window` with what ONNX calls strides and pads; weights [o, c, kh, kw], bias [o]; with `relu`
 * that is done in the same call. */
struct direct_window {
  int64_t kernel[2], stride[2], pad_before[2], pad_after[2];
};
struct direct_convolution {
  const void *weights, *bias;
  tnr_shape shape; /* of the weights */
  struct direct_window window;
  bool relu;
};
void direct_add_convolution(struct direct *direct, const struct direct_convolution *layer);
void direct_add_max_pool(struct direct *direct, const struct direct_window *window);
void direct_add_relu(struct direct *direct); /* in place */
void direct_add_flatten(struct direct *direct);
void direct_add_dense(struct direct *direct); /* brings back a dense result, if it is not */

/* weights [n, k] when `transposed`, else [k, n]; bias [n] or NULL; with `relu` that is done in the
 * same call. */
struct direct_linear {
  const void *weights, *bias;
  int64_t n;
  bool transposed, relu;
};
void direct_add_linear(struct direct *direct, const struct direct_linear *layer);

void *direct_input(struct direct *direct); /* to be filled before the first run */
const void *direct_output(const struct direct *direct);
size_t direct_output_bytes(const struct direct *direct);

void direct_run(struct direct *direct);

/* Before the first run on another thread than direct_create was called on. */
void direct_use_thread(void);

#endif
