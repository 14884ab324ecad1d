/* Composites and failures of a random graph. */
#include "graph.h"

#include <string.h>

/* ---- linear, with one result and with two ---- */

static bool is_whole(const graph_node *node) {
  return node->values[0].shard_dim < 0;
}

static bool is_row(const graph_node *node) {
  return node->values[0].right.desc.shape.rank == 1;
}

static bool linear_numbers(const graph_node *x, const graph_node *weights, const graph_node *bias,
                           numbers *linear) {
  numbers turned = numbers_transpose(&weights->values[0].right);
  numbers product = numbers_matmul(&x->values[0].right, &turned);
  numbers_free(&turned);
  if (!product.at)
    return false;
  *linear = numbers_binary(&tnr_op_add, &product, &bias->values[0].right);
  bool same = graph_is_usable(linear) && tnr_shape_equal(&linear->desc.shape, &product.desc.shape);
  numbers_free(&product);
  if (!same)
    numbers_free(linear);
  return same;
}

/* x may be split along its rows. */
static bool find_linear(graph *g, graph_node **in, numbers *linear) {
  for (int tries = 0; tries < 10; tries++) {
    in[0] = graph_tensor(g);
    if (!in[0] || in[0]->values[0].place == GRAPH_HOST || in[0]->values[0].shard_dim > 0)
      continue;
    in[1] = graph_partner(g, in[0]);
    in[2] = graph_partner(g, in[0]);
    if (is_whole(in[1]) && is_whole(in[2]) && is_row(in[2]) &&
        linear_numbers(in[0], in[1], in[2], linear))
      return true;
  }
  return false;
}

bool graph_linear(graph *g) {
  graph_node *in[3];
  numbers linear;
  if (!find_linear(g, in, &linear))
    return false;
  if (linear.desc.shape.dims[0] % 2 != 0 && !is_whole(in[0])) {
    numbers_free(&linear);
    return false;
  }
  graph_value value = {numbers_relu(&linear), 0, in[0]->values[0].place,
                       in[0]->values[0].shard_dim};
  tnr_value inputs[3];
  for (int i = 0; i < 3; i++) {
    value.roots |= graph_roots(in[i]);
    inputs[i] = graph_input(g, in[i]);
  }
  bool both = graph_chance(g, 50);
  const tnr_composite_def *def = both ? &tnr_op_linear_with_intermediate : &tnr_op_linear_with_relu;
  graph_value values[2] = {value, value};
  values[1].right = linear;
  if (!both)
    numbers_free(&linear);
  tnr_value made = tnr_call_composite(def, graph_site(g), inputs, 3, NULL);
  graph_add(g, def->name, made, values, both ? 2 : 1, both);
  g->nodes[g->count - 1].cancelable = graph_is_async(&g->nodes[g->count - 1]);
  return true;
}

/* ---- a composite that looks at a shape ---- */

/* The sum of the two halves along dim 0, or twice x where there are none. */
static tnr_value halves_body(const tnr_value *in, int in_count, const void *attrs) {
  tnr_desc desc;
  (void)in_count;
  (void)attrs;
  if (!tnr_value_desc(in[0], &desc))
    return (tnr_value){TNR_VALUE_NONE, NULL};
  if (desc.shape.dims[0] % 2 != 0)
    return tnr_add(in[0], in[0]);
  tnr_value halves = tnr_split(in[0], .dim = 0, .parts = 2);
  return tnr_add(tnr_at(halves, 0), tnr_at(halves, 1));
}

static const tnr_composite_def halves_def = {
    .name = "halves", .needs_shapes = true, .body = halves_body};

static numbers halves_numbers(const numbers *x) {
  if (x->desc.shape.dims[0] % 2 != 0)
    return numbers_binary(&tnr_op_add, x, x);
  numbers upper = numbers_slice(x, 0, 2, 0), lower = numbers_slice(x, 0, 2, 1);
  numbers sum = numbers_binary(&tnr_op_add, &upper, &lower);
  numbers_free(&upper);
  numbers_free(&lower);
  return sum;
}

bool graph_halves(graph *g) {
  graph_node *x = graph_tensor(g);
  if (!x || x->values[0].place == GRAPH_HOST || x->values[0].shard_dim == 0)
    return false;
  graph_value value = x->values[0];
  value.right = halves_numbers(&value.right);
  if (!graph_is_usable(&value.right)) {
    numbers_free(&value.right);
    return false;
  }
  tnr_value in = graph_input(g, x);
  graph_add(g, "halves", tnr_call_composite(&halves_def, graph_site(g), &in, 1, NULL), &value, 1,
            false);
  g->nodes[g->count - 1].cancelable = graph_is_async(&g->nodes[g->count - 1]);
  return true;
}

/* ---- failures ---- */

/* Gives its input, but the kernel fails where its piece begins with the element `first`. */
typedef struct fragile_attrs {
  int64_t first;
} fragile_attrs;

static tnr_status fragile_validate(const tnr_op_call *call, tnr_fault *fault) {
  (void)call;
  (void)fault;
  return TNR_OK;
}

static tnr_status fragile_infer(const tnr_op_call *call, tnr_op_outputs *outputs,
                                tnr_fault *fault) {
  (void)fault;
  tnr_op_add_output(outputs, call->in[0].dtype, call->in[0].shape);
  return TNR_OK;
}

static tnr_status fragile_kernel(const tnr_kernel_call *call, tnr_fault *fault) {
  const fragile_attrs *attrs = call->attrs;
  size_t size = tnr_dtype_size(call->in[0].dtype);
  if (memcmp(call->in_data[0], &attrs->first, size) == 0)
    return tnr_fail(fault, TNR_EKERNEL, "broken on purpose");
  memcpy(call->out_data[0], call->in_data[0],
         (size_t)tnr_shape_elements(&call->in[0].shape) * size);
  return TNR_OK;
}

static tnr_status fragile_shard(const tnr_op_call *call, const int *in_dims, const tnr_desc *out,
                                int out_count, int *out_dims, tnr_fault *fault) {
  (void)call, (void)out, (void)out_count, (void)fault;
  out_dims[0] = in_dims[0];
  return TNR_OK;
}

static const tnr_op_def fragile_def = {.name = "fragile",
                                       .attrs_size = sizeof(fragile_attrs),
                                       .validate = fragile_validate,
                                       .infer = fragile_infer,
                                       .kernel = fragile_kernel,
                                       .shard = fragile_shard};

/* A kernel that fails while it runs: where there are several pieces, on the first. */
static tnr_value fail_in_kernel(graph *g, graph_node *x) {
  tnr_value in = graph_input(g, x);
  const numbers *right = &x->values[0].right;
  numbers first = {.desc = {.shape = TNR_SCALAR, .dtype = right->desc.dtype}, .at = right->at};
  fragile_attrs attrs = {0};
  numbers_store(&first, &attrs.first);
  return tnr_call(&fragile_def, graph_site(g), &in, 1, &attrs);
}

/* A kernel that fails on each piece. */
static tnr_value divide_by_zero(graph *g, graph_node *x) {
  tnr_value difference =
      tnr_call(&tnr_op_sub, graph_site(g), (tnr_value[]){x->handle, x->handle}, 2, NULL);
  return tnr_call(&tnr_op_div, graph_site(g), (tnr_value[]){x->handle, difference}, 2, NULL);
}

/* Shapes that are found not to fit once they are known. */
static tnr_value fail_validation(graph *g, graph_node *x) {
  int64_t rows = x->values[0].right.desc.shape.dims[0];
  return tnr_call(&tnr_op_split, graph_site(g), &x->handle, 1,
                  TNR_ATTRS(tnr_split_attrs, .dim = 0, .parts = rows + 1));
}

static tnr_value fail_for_devices(graph *g, graph_node *x) {
  tnr_value copy = tnr_call_to_device(graph_site(g), x->handle, tnr_mesh_device(g->places[6], 0));
  return tnr_call(&tnr_op_add, graph_site(g), (tnr_value[]){x->handle, copy}, 2, NULL);
}

static tnr_value miss_element(graph *g, graph_node *x) {
  tnr_value tuple = tnr_call(&tnr_op_split, graph_site(g), &x->handle, 1,
                             TNR_ATTRS(tnr_split_attrs, .dim = 0, .parts = 1));
  return tnr_at_value(tuple, 1, graph_site(g));
}

/* A failure is injected where nothing has failed yet, so that it is known to be the root. */
bool graph_inject(graph *g) {
  static tnr_value (*const kinds[])(graph *, graph_node *) = {
      fail_in_kernel, divide_by_zero, fail_validation, fail_for_devices, miss_element};
  graph_node *x = graph_tensor(g);
  if (!x || graph_roots(x) || g->root_count == GRAPH_INJECTIONS_MAX ||
      x->values[0].place == GRAPH_HOST)
    return false;
  int kind = graph_is_async(x) ? graph_below(g, 5) : graph_below(g, 2);
  bool integer = x->values[0].right.desc.dtype != TNR_F32;
  if ((kind <= 1 && !integer) || (kind == 4 && x->values[0].shard_dim == 0))
    return false;
  graph_value value = x->values[0];
  value.right = numbers_copy(&value.right);
  value.roots = (uint64_t)1 << g->root_count;
  g->roots[g->root_count++] = g->count;
  if (kind > 0)
    g->used[g->used_count++] = (int)(x - g->nodes);
  tnr_value made = kinds[kind](g, x);
  bool tuple = made.kind == TNR_VALUE_FUTURE_TUPLE;
  graph_add(g, "injected failure", made, &value, 1, tuple);
  g->nodes[g->count - 1].root = true;
  return true;
}
