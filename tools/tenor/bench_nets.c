#include "bench_nets.h"

#include "bench.h"

#include <string.h>

static const int64_t mlp_sizes[MLP_LAYERS + 1] = {784, 512, 512, 10};

static bool is_mlp(const struct net *net) {
  return net->recipe.graph == NULL;
}

static void die_of(const tnr_fault *fault) {
  bench_die("%s", fault->message);
}

/* --- loading ---------------------------------------------------------------------------------- */

/* Numbers that keep the layers' results in a sane range. */
static struct array made_array(tnr_shape shape, float scale) {
  tnr_fault fault;
  struct array array;
  const tnr_desc desc = {shape, TNR_F32};
  if (array_init(&array, &desc, &fault) != TNR_OK)
    die_of(&fault);
  uint32_t state = 1;
  for (size_t i = 0; i < array.size / sizeof(float); i++) {
    state = state * 1664525 + 1013904223;
    ((float *)array.data)[i] = scale * ((float)(state >> 8) / (float)(1 << 23) - 1);
  }
  return array;
}

static void load_model(const char *path, struct net *out) {
  tnr_fault fault;
  if (onnx_read(path, &out->graph, &fault) != TNR_OK ||
      recipe_init(&out->graph, &out->recipe, &fault) != TNR_OK)
    die_of(&fault);
  if (out->graph.input_count != 1 || out->graph.output_count != 1 ||
      out->graph.inputs[0].shape.rank < 1)
    bench_die("%s: the model must have one input and one output", path);
}

void net_load(const char *path, struct net *out) {
  *out = (struct net){0};
  if (path != NULL) {
    load_model(path, out);
    return;
  }
  for (int i = 0; i < MLP_LAYERS; i++) {
    out->weights[i] = made_array(TNR_SHAPE(mlp_sizes[i + 1], mlp_sizes[i]), 0.07F);
    out->biases[i] = made_array(TNR_SHAPE(mlp_sizes[i + 1]), 0.1F);
  }
}

void net_finish(struct net *net) {
  recipe_finish(&net->recipe);
  onnx_finish(&net->graph);
  for (int i = 0; i < MLP_LAYERS; i++) {
    array_finish(&net->weights[i]);
    array_finish(&net->biases[i]);
  }
}

tnr_shape net_input(const struct net *net, int64_t batch) {
  tnr_shape shape = is_mlp(net) ? TNR_SHAPE(0, mlp_sizes[0]) : net->graph.inputs[0].shape;
  shape.dims[0] = batch;
  return shape;
}

/* --- on oneDNN -------------------------------------------------------------------------------- */

static const struct array *constant_of(const struct net *net, const struct step *step, int input) {
  const struct array *array = net->recipe.constants[step->inputs[input]];
  if (array == NULL)
    bench_die("node '%s' has weights that are computed", step->node->name);
  return array;
}

static void add_convolution(struct direct *direct, const struct net *net, const struct step *step) {
  const tnr_conv2d_attrs *attrs = &step->attrs.conv2d;
  const struct array *weights = constant_of(net, step, 1);
  struct direct_convolution layer = {.weights = weights->data,
                                     .bias = constant_of(net, step, 2)->data,
                                     .shape = weights->desc.shape,
                                     .relu = attrs->relu != 0};
  for (int i = 0; i < 2; i++) {
    if (attrs->dilation[i] > 1 || attrs->groups > 1)
      bench_die("node '%s' has dilation or groups", step->node->name);
    layer.window.kernel[i] = weights->desc.shape.dims[2 + i];
    layer.window.stride[i] = attrs->stride[i] > 0 ? attrs->stride[i] : 1;
    layer.window.pad_before[i] = attrs->pad_before[i];
    layer.window.pad_after[i] = attrs->pad_after[i];
  }
  direct_add_convolution(direct, &layer);
}

static void add_max_pool(struct direct *direct, const struct step *step) {
  const tnr_max_pool2d_attrs *attrs = &step->attrs.max_pool2d;
  struct direct_window window;
  for (int i = 0; i < 2; i++) {
    if (attrs->dilation[i] > 1)
      bench_die("node '%s' has dilation", step->node->name);
    window.kernel[i] = attrs->kernel[i];
    window.stride[i] = attrs->stride[i] > 0 ? attrs->stride[i] : attrs->kernel[i];
    window.pad_before[i] = attrs->pad_before[i];
    window.pad_after[i] = attrs->pad_after[i];
  }
  direct_add_max_pool(direct, &window);
}

static void add_linear(struct direct *direct, const struct net *net, const struct step *step) {
  const tnr_matmul_attrs *attrs = &step->attrs.matmul;
  const struct array *weights = constant_of(net, step, 1);
  direct_add_linear(direct,
                    &(struct direct_linear){
                        .weights = weights->data,
                        .bias = step->input_count > 2 ? constant_of(net, step, 2)->data : NULL,
                        .n = weights->desc.shape.dims[attrs->transpose_b ? 0 : 1],
                        .transposed = attrs->transpose_b,
                        .relu = attrs->relu});
}

static void add_step(struct direct *direct, const struct net *net, const struct step *step) {
  if (step->op == &tnr_op_matmul)
    add_linear(direct, net, step);
  else if (step->op == &tnr_op_conv2d)
    add_convolution(direct, net, step);
  else if (step->op == &tnr_op_max_pool2d)
    add_max_pool(direct, step);
  else if (step->op == &tnr_op_relu)
    direct_add_relu(direct);
  else if (step->op == &tnr_op_flatten)
    direct_add_flatten(direct);
  else
    bench_die("node '%s': no direct call for it", step->node->name);
}

static void add_mlp_layer(struct direct *direct, const struct net *net, int i) {
  direct_add_linear(direct, &(struct direct_linear){.weights = net->weights[i].data,
                                                    .bias = net->biases[i].data,
                                                    .n = mlp_sizes[i + 1],
                                                    .transposed = true,
                                                    .relu = i + 1 < MLP_LAYERS});
}

struct direct *net_direct(const struct net *net, int64_t batch) {
  tnr_shape shape = net_input(net, batch);
  struct direct *direct = direct_create(TNR_F32, &shape);
  for (size_t i = 0; i < net->recipe.step_count; i++)
    add_step(direct, net, &net->recipe.steps[i]);
  for (int i = 0; is_mlp(net) && i < MLP_LAYERS; i++)
    add_mlp_layer(direct, net, i);
  direct_add_dense(direct);
  return direct;
}

/* --- on tenor --------------------------------------------------------------------------------- */

static tnr_tensor *tensor_of(tnr_device *device, const struct array *array) {
  tnr_tensor *tensor = tnr_tensor_create(device, array->desc.dtype, array->desc.shape, array->data);
  if (tensor == NULL)
    bench_die_of_error("cannot make a tensor");
  return tensor;
}

void net_place(const struct net *net, tnr_device *device, struct placed_net *out) {
  tnr_fault fault;
  *out = (struct placed_net){.net = net};
  if (!is_mlp(net)) {
    if (model_init(&net->recipe, device, &out->model, &fault) != TNR_OK)
      die_of(&fault);
    return;
  }
  for (int i = 0; i < MLP_LAYERS; i++) {
    out->weights[i] = tensor_of(device, &net->weights[i]);
    out->biases[i] = tensor_of(device, &net->biases[i]);
  }
}

void placed_net_finish(struct placed_net *placed) {
  if (!is_mlp(placed->net))
    model_finish(&placed->model);
  for (int i = 0; i < MLP_LAYERS; i++) {
    tnr_release(placed->weights[i]);
    tnr_release(placed->biases[i]);
  }
}

static tnr_value apply_mlp(const struct placed_net *placed, tnr_value x) {
  if (tnr_scope_open() != TNR_OK)
    bench_die_of_error("cannot open a scope");
  for (int i = 0; i < MLP_LAYERS; i++) {
    if (i + 1 < MLP_LAYERS)
      x = tnr_linear_with_relu(x, placed->weights[i], placed->biases[i]);
    else
      x = tnr_keep(tnr_linear(x, placed->weights[i], placed->biases[i]));
  }
  tnr_scope_close();
  if (x.kind == TNR_VALUE_NONE)
    bench_die_of_error("a layer was refused");
  return x;
}

tnr_value placed_net_apply(const struct placed_net *placed, tnr_value x) {
  tnr_value y;
  tnr_fault fault;
  if (is_mlp(placed->net))
    return apply_mlp(placed, x);
  if (model_apply(&placed->model, &x, &y, &fault) != TNR_OK)
    die_of(&fault);
  return y;
}
