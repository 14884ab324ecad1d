/* The networks of `tenor bench model`: the CNN of an ONNX file, and a perceptron 784-512-512-10 of
 * composites. Each can be applied with tenor and be laid out as direct calls of oneDNN. Whatever
 * fails ends the process (bench_die). */
#ifndef TENOR_TOOL_BENCH_NETS_H
#define TENOR_TOOL_BENCH_NETS_H

#include "bench_onednn.h"
#include "model.h"

enum { MLP_LAYERS = 3 };

struct net {
  struct onnx_graph graph; /* all zero: it is the perceptron */
  struct recipe recipe;
  struct array weights[MLP_LAYERS], biases[MLP_LAYERS]; /* [n, k], [n] */
};

/* NULL path: the perceptron. */
void net_load(const char *path, struct net *out);
void net_finish(struct net *net);

tnr_shape net_input(const struct net *net, int64_t batch);

/* The net as layers on oneDNN: each op that tenor runs, with its bias and its relu, is one call. */
struct direct *net_direct(const struct net *net, int64_t batch);

/* Its weights on a device. */
struct placed_net {
  const struct net *net;
  struct model model;
  tnr_tensor *weights[MLP_LAYERS], *biases[MLP_LAYERS];
};

void net_place(const struct net *net, tnr_device *device, struct placed_net *out);
void placed_net_finish(struct placed_net *placed);

/* One result; a future when x is one. The caller owns it. */
tnr_value placed_net_apply(const struct placed_net *placed, tnr_value x);

#endif
