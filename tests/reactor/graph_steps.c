/* The calls that a random graph is made of. */
#include "graph.h"

/* ---- what calls share ---- */

/* One input's handle and what it must be. */
typedef struct operands {
  graph_node *nodes[GRAPH_INPUTS_MAX];
  int count;
  uint64_t roots;
  int place;
} operands;

static operands operands_of(graph_node *a, graph_node *b, graph_node *c) {
  operands in = {.nodes = {a, b, c}, .count = c ? 3 : b ? 2 : 1, .place = a->values[0].place};
  for (int i = 0; i < in.count; i++)
    in.roots |= graph_roots(in.nodes[i]);
  return in;
}

/* The dims along which outputs are split, by the op's own rule; false when it refuses. */
static bool shard_rule(const tnr_op_def *def, const void *attrs, const operands *in,
                       const numbers *out, int out_count, int *dims) {
  tnr_desc in_descs[GRAPH_INPUTS_MAX], out_descs[GRAPH_TUPLE_MAX];
  int in_dims[GRAPH_INPUTS_MAX], split = 0;
  for (int i = 0; i < in->count; i++) {
    in_descs[i] = in->nodes[i]->values[0].right.desc;
    in_dims[i] = in->nodes[i]->values[0].shard_dim;
    split += in_dims[i] >= 0;
  }
  for (int i = 0; i < out_count; i++) {
    out_descs[i] = out[i].desc;
    dims[i] = -1;
  }
  tnr_op_call call = {attrs, in->count, in_descs};
  if (split && !def->shard)
    return false;
  if (split && def->shard(&call, in_dims, out_descs, out_count, dims, NULL) != TNR_OK)
    return false;
  for (int i = 0; i < out_count; i++)
    if (dims[i] >= 0 && out_descs[i].shape.dims[dims[i]] % 2 != 0)
      return false;
  return true;
}

static bool give_up(numbers *out, int count) {
  for (int i = 0; i < count; i++)
    numbers_free(&out[i]);
  return false;
}

static void inputs_of(graph *g, const operands *in, tnr_value *values) {
  for (int i = 0; i < in->count; i++)
    values[i] = graph_input(g, in->nodes[i]);
}

/* Calls an op whose results must be `out`; takes them over. */
static bool call(graph *g, const tnr_op_def *def, const void *attrs, const operands *in,
                 numbers *out, int out_count) {
  int dims[GRAPH_TUPLE_MAX];
  tnr_value inputs[GRAPH_INPUTS_MAX];
  graph_value values[GRAPH_TUPLE_MAX];
  for (int i = 0; i < out_count; i++)
    if (!graph_is_usable(&out[i]))
      return give_up(out, out_count);
  if (in->place == GRAPH_HOST || !shard_rule(def, attrs, in, out, out_count, dims))
    return give_up(out, out_count);
  for (int i = 0; i < out_count; i++)
    values[i] = (graph_value){out[i], in->roots, in->place, dims[i]};
  inputs_of(g, in, inputs);
  tnr_value made = tnr_call(def, graph_site(g), inputs, in->count, attrs);
  graph_add(g, def->name, made, values, out_count, def->result == TNR_OP_TUPLE);
  g->nodes[g->count - 1].cancelable = graph_is_async(&g->nodes[g->count - 1]);
  return true;
}

static const tnr_shape *shape_of(const graph_node *node) {
  return &node->values[0].right.desc.shape;
}

/* ---- sources ---- */

static tnr_shape random_shape(graph *g) {
  const tnr_shape shapes[] = {TNR_SHAPE(4, 6), TNR_SHAPE(6),    TNR_SHAPE(4, 4),    TNR_SHAPE(2, 6),
                              TNR_SHAPE(6, 4), TNR_SHAPE(1, 6), TNR_SHAPE(2, 2, 6), TNR_SHAPE(4)};
  return shapes[graph_below(g, (int)(sizeof shapes / sizeof shapes[0]))];
}

static numbers random_numbers(graph *g, tnr_dtype dtype) {
  numbers array = numbers_new(dtype, random_shape(g));
  for (int64_t i = 0; i < tnr_shape_elements(&array.desc.shape); i++)
    array.at[i] = dtype == TNR_F32 ? graph_below(g, 9) - 4 : (int64_t)graph_random(g) >> 33;
  return array;
}

bool graph_new_tensor(graph *g) {
  static const tnr_dtype dtypes[] = {TNR_I32, TNR_I64, TNR_F32};
  char stored[8 * GRAPH_ELEMENTS_MAX];
  int place = graph_below(g, GRAPH_SINGLES);
  numbers array = random_numbers(g, dtypes[graph_below(g, 3)]);
  numbers_store(&array, stored);
  tnr_tensor *made = tnr_tensor_create(tnr_mesh_device(g->places[place], 0), array.desc.dtype,
                                       array.desc.shape, stored);
  graph_value value = {array, 0, place, -1};
  graph_add(g, "tensor_create", TNR_VALUE(made), &value, 1, false);
  return true;
}

/* ---- arithmetic ---- */

bool graph_binary(graph *g) {
  const tnr_op_def *defs[] = {&tnr_op_add, &tnr_op_sub, &tnr_op_mul, &tnr_op_div};
  const tnr_op_def *def = defs[graph_below(g, 4)];
  graph_node *a = graph_tensor(g), *b = a ? graph_partner(g, a) : NULL;
  if (!a || (def == &tnr_op_div && a->values[0].right.desc.dtype == TNR_F32))
    return false;
  operands in = operands_of(a, b, NULL);
  numbers out = numbers_binary(def, &a->values[0].right, &b->values[0].right);
  return call(g, def, NULL, &in, &out, 1);
}

bool graph_relu(graph *g) {
  graph_node *x = graph_tensor(g);
  if (!x)
    return false;
  operands in = operands_of(x, NULL, NULL);
  numbers out = numbers_relu(&x->values[0].right);
  return call(g, &tnr_op_relu, NULL, &in, &out, 1);
}

bool graph_cast(graph *g) {
  static const tnr_dtype dtypes[] = {TNR_I32, TNR_I64, TNR_F32};
  graph_node *x = graph_tensor(g);
  if (!x)
    return false;
  tnr_dtype dtype = dtypes[graph_below(g, 3)];
  operands in = operands_of(x, NULL, NULL);
  numbers out = numbers_cast(&x->values[0].right, dtype);
  return call(g, &tnr_op_cast, TNR_ATTRS(tnr_cast_attrs, .dtype = dtype), &in, &out, 1);
}

bool graph_matmul(graph *g) {
  graph_node *a = graph_tensor(g), *b = a ? graph_partner(g, a) : NULL;
  if (!a)
    return false;
  operands in = operands_of(a, b, NULL);
  numbers out = numbers_matmul(&a->values[0].right, &b->values[0].right);
  return call(g, &tnr_op_matmul, TNR_ATTRS(tnr_matmul_attrs, .transpose_a = false), &in, &out, 1);
}

/* ---- shapes ---- */

bool graph_split(graph *g) {
  graph_node *x = graph_tensor(g);
  if (!x)
    return false;
  int parts = 1 + graph_below(g, 3), dim = graph_below(g, (int)shape_of(x)->rank);
  if (shape_of(x)->dims[dim] % parts != 0)
    return false;
  numbers out[GRAPH_TUPLE_MAX];
  for (int i = 0; i < parts; i++)
    out[i] = numbers_slice(&x->values[0].right, dim, parts, i);
  operands in = operands_of(x, NULL, NULL);
  const void *attrs = TNR_ATTRS(tnr_split_attrs, .dim = dim, .parts = parts);
  return call(g, &tnr_op_split, attrs, &in, out, parts);
}

/* Whole tuples count as their elements. */
static bool concat_tuple(graph *g, graph_node *tuple) {
  const numbers *pieces[GRAPH_TUPLE_MAX];
  const graph_value *first = &tuple->values[0];
  int dim = graph_below(g, (int)shape_of(tuple)->rank);
  for (int i = 0; i < tuple->count; i++) {
    const graph_value *value = &tuple->values[i];
    if (value->place != first->place || value->place == GRAPH_HOST || value->shard_dim >= 0)
      return false;
    pieces[i] = &value->right;
  }
  numbers out = numbers_concat(pieces, tuple->count, dim);
  if (!graph_is_usable(&out))
    return give_up(&out, 1);
  tnr_value in = graph_input(g, tuple);
  graph_value value = {out, graph_roots(tuple), first->place, -1};
  tnr_value made =
      tnr_call(&tnr_op_concat, graph_site(g), &in, 1, TNR_ATTRS(tnr_concat_attrs, .dim = dim));
  graph_add(g, "concat of a tuple", made, &value, 1, false);
  return true;
}

bool graph_concat(graph *g) {
  graph_node *a = graph_pick(g);
  if (a && a->tuple)
    return concat_tuple(g, a);
  a = graph_tensor(g);
  if (!a)
    return false;
  graph_node *b = graph_partner(g, a);
  int dim = graph_below(g, (int)shape_of(a)->rank);
  const numbers *pieces[] = {&a->values[0].right, &b->values[0].right};
  operands in = operands_of(a, b, NULL);
  numbers out = numbers_concat(pieces, 2, dim);
  return call(g, &tnr_op_concat, TNR_ATTRS(tnr_concat_attrs, .dim = dim), &in, &out, 1);
}

bool graph_reshape(graph *g) {
  graph_node *x = graph_tensor(g);
  tnr_shape shape = random_shape(g);
  if (!x || tnr_shape_elements(&shape) != tnr_shape_elements(shape_of(x)))
    return false;
  operands in = operands_of(x, NULL, NULL);
  numbers out = numbers_reshape(&x->values[0].right, shape);
  return call(g, &tnr_op_reshape, TNR_ATTRS(tnr_reshape_attrs, .shape = shape), &in, &out, 1);
}

bool graph_transpose(graph *g) {
  graph_node *x = graph_tensor(g);
  if (!x)
    return false;
  operands in = operands_of(x, NULL, NULL);
  numbers out = numbers_transpose(&x->values[0].right);
  return call(g, &tnr_op_transpose, TNR_ATTRS(tnr_transpose_attrs, .permuted = 0), &in, &out, 1);
}

/* ---- tuples and choices ---- */

bool graph_at(graph *g) {
  graph_node *tuple = graph_pick(g);
  if (!tuple || !tuple->tuple)
    return false;
  int index = graph_below(g, tuple->count);
  graph_value value = tuple->values[index];
  value.right = numbers_copy(&value.right);
  tnr_value made = tnr_at_value(graph_input(g, tuple), index, graph_site(g));
  graph_add(g, "at", made, &value, 1, false);
  return true;
}

bool graph_all(graph *g) {
  int count = 1 + graph_below(g, GRAPH_INPUTS_MAX);
  tnr_value in[GRAPH_INPUTS_MAX];
  graph_value values[GRAPH_INPUTS_MAX];
  graph_node *nodes[GRAPH_INPUTS_MAX];
  for (int i = 0; i < count; i++)
    if (!(nodes[i] = graph_tensor(g)))
      return false;
  for (int i = 0; i < count; i++) {
    in[i] = graph_input(g, nodes[i]);
    values[i] = nodes[i]->values[0];
    values[i].right = numbers_copy(&values[i].right);
  }
  graph_add(g, "all", tnr_all(in, count, graph_site(g)), values, count, true);
  return true;
}

/* One that succeeds, among others that fail: it is known which will be the first. */
bool graph_any(graph *g) {
  graph_node *winner = graph_tensor(g), *others[2] = {graph_pick(g), graph_pick(g)};
  if (!winner || !graph_is_async(winner) || graph_roots(winner))
    return false;
  tnr_future *futures[3];
  int count = 0;
  for (int i = 0; i < 2; i++)
    if (others[i] && others[i]->handle.kind == TNR_VALUE_FUTURE && graph_roots(others[i])) {
      futures[count++] = others[i]->handle.handle;
      g->used[g->used_count++] = (int)(others[i] - g->nodes);
    }
  futures[count++] = winner->handle.handle;
  g->used[g->used_count++] = (int)(winner - g->nodes);
  graph_value value = winner->values[0];
  value.right = numbers_copy(&value.right);
  tnr_future *made = tnr_any(futures, count, graph_site(g));
  graph_add(g, "any", TNR_VALUE(made), &value, 1, false);
  return true;
}

/* ---- movements ---- */

static bool is_mesh(int place) {
  return place >= GRAPH_SINGLES && place < GRAPH_MESHES;
}

static void spread(graph *g, graph_node *x, graph_value *value) {
  const tnr_mesh *mesh = g->places[value->place];
  tnr_value in = graph_input(g, x), made;
  int dim = graph_below(g, (int)shape_of(x)->rank);
  if (shape_of(x)->dims[dim] % 2 == 0 && graph_chance(g, 75)) {
    value->shard_dim = dim;
    made = tnr_call_shard(graph_site(g), in, mesh, &(tnr_shard_attrs){.dim = dim});
  } else {
    made = tnr_call_replicate(graph_site(g), in, mesh);
  }
  graph_add(g, value->shard_dim < 0 ? "replicate" : "shard", made, value, 1, false);
}

bool graph_move(graph *g) {
  graph_node *x = graph_tensor(g);
  if (!x)
    return false;
  graph_value value = x->values[0];
  int from = value.place;
  value.place = graph_below(g, GRAPH_PLACES);
  value.shard_dim = -1;
  if (is_mesh(from) && is_mesh(value.place))
    return false;
  value.right = numbers_copy(&value.right);
  if (is_mesh(value.place)) {
    spread(g, x, &value);
  } else if (is_mesh(from) && graph_chance(g, 30)) {
    value.place = from == GRAPH_SINGLES ? 0 : 2;
    graph_add(g, "gather", tnr_call_gather(graph_site(g), graph_input(g, x)), &value, 1, false);
  } else {
    tnr_device *device = tnr_mesh_device(g->places[value.place], 0);
    tnr_value made = tnr_call_to_device(graph_site(g), graph_input(g, x), device);
    graph_add(g, "to_device", made, &value, 1, false);
  }
  return true;
}
