/* Random graphs of ops, on devices and meshes, plain and async, with tuples, copies, composites and
 * injected failures: every result equals the serial reference bit for bit, and exactly the
 * descendants of the failures fail, each with the error of one of them.
 *
 * TENOR_SEED=17 replays the graph of one seed, TENOR_OPS=500 sets how many ops it has. */
#include "graph.h"

#include "devices/mirror.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SMALL_GRAPHS = 100, SMALL_OPS = 300, LARGE_GRAPHS = 4, LARGE_OPS = 10000 };
#else
enum { SMALL_GRAPHS = 200, SMALL_OPS = 300, LARGE_GRAPHS = 200, LARGE_OPS = 10000 };
#endif

/* The graph that is being checked, for messages. */
static uint64_t seed_now;
static int ops_now;

/* The node and what it was made from, some generations back. */
static void print_origin(const graph *g, const graph_node *node, int depth) {
  const graph_value *value = &node->values[0];
  char shape[TNR_SHAPE_TEXT_MAX];
  print_error("%*s%d: %s%s %s %s on place %d, split along %d, roots %jx\n", 2 * depth, "",
              (int)(node - g->nodes), graph_is_async(node) ? "async " : "", node->what,
              tnr_dtype_name(value->right.desc.dtype),
              tnr_shape_format(&value->right.desc.shape, shape, sizeof shape), value->place,
              value->shard_dim, (uintmax_t)graph_roots(node));
  for (int i = 0; i < GRAPH_INPUTS_MAX && node->inputs[i] >= 0 && depth < 6; i++)
    print_origin(g, &g->nodes[node->inputs[i]], depth + 1);
}

static void complain(const graph *g, const graph_node *node, const char *what) {
  print_error("TENOR_SEED=%ju TENOR_OPS=%d: node %d, %s, %s\n", (uintmax_t)seed_now, ops_now,
              (int)(node - g->nodes), node->what, what);
  print_origin(g, node, 1);
  fail();
}

/* ---- checking ---- */

static void check_failed(const graph *g, const graph_node *node, tnr_status status) {
  const tnr_error *error = tnr_value_error(node->handle);
  uint64_t root = graph_root_of(g, error);
  if (status == TNR_OK || !error)
    complain(g, node, "did not fail");
  if (!(root & graph_roots(node)))
    complain(g, node, tnr_error_message(error));
  if (error != tnr_error() || status != tnr_error_code(error))
    complain(g, node, "was waited for and gave another error");
  const graph_node *origin = &g->nodes[tnr_error_line(error)];
  if (origin->handle.kind != TNR_VALUE_NONE && tnr_value_error(origin->handle) != error)
    complain(g, node, "has a copy of its root's error");
}

static void check_place(const graph *g, const graph_node *node, const graph_value *value,
                        const tnr_tensor *tensor) {
  tnr_shape shape = tnr_tensor_shape(tensor);
  if (!tnr_shape_equal(&shape, &value->right.desc.shape) ||
      tnr_tensor_dtype(tensor) != value->right.desc.dtype)
    complain(g, node, "has another shape or dtype");
  if (tnr_tensor_mesh(tensor) != g->places[value->place])
    complain(g, node, "lives elsewhere");
  if (tnr_tensor_shard_dim(tensor) != value->shard_dim)
    complain(g, node, "is split along another dim");
}

static void check_value(const graph *g, const graph_node *node, int index, tnr_value created) {
  const graph_value *value = &node->values[index];
  tnr_tensor *tensor =
      node->tuple ? tnr_at(tnr_value_tuple(created), index) : tnr_value_tensor(created);
  assert_made(tensor);
  check_place(g, node, value, tensor);
  char stored[8 * GRAPH_ELEMENTS_MAX];
  assert_ok(tnr_tensor_read(tensor, stored, tnr_tensor_bytes(tensor)));
  if (!numbers_are(&value->right, stored))
    complain(g, node, "holds other numbers");
}

static void check_node(const graph *g, const graph_node *node) {
  if (node->handle.kind == TNR_VALUE_NONE)
    return;
  tnr_status status = tnr_wait(node->handle, TNR_COMPLETE, 60000000000);
  if (graph_roots(node)) {
    check_failed(g, node, status);
    return;
  }
  if (status != TNR_OK)
    complain(g, node, check_reason());
  assert_ok(tnr_scope_open());
  tnr_value created = tnr_get(node->handle);
  assert_made(created.handle);
  for (int i = 0; i < node->count; i++)
    check_value(g, node, i, created);
  assert_ok(tnr_scope_close());
}

/* In an order of its own. */
static void check_all(graph *g) {
  int *order = malloc((size_t)g->count * sizeof *order);
  for (int i = 0; i < g->count; i++) {
    int k = graph_below(g, i + 1);
    order[i] = order[k];
    order[k] = i;
  }
  for (int i = 0; i < g->count; i++)
    check_node(g, &g->nodes[order[i]]);
  free(order);
}

/* ---- a graph's life ---- */

static void find_places(graph *g) {
  tnr_device *devices[GRAPH_SINGLES];
  for (int i = 0; i < GRAPH_SINGLES; i++) {
    devices[i] = tnr_runtime_device_at(g->runtime, i);
    g->places[i] = tnr_mesh_of(&devices[i], 1);
  }
  tnr_device *host = tnr_runtime_device(g->runtime, "host");
  g->places[4] = tnr_mesh_of(&devices[0], 2);
  g->places[5] = tnr_mesh_of(&devices[2], 2);
  g->places[GRAPH_HOST] = tnr_mesh_of(&host, 1);
}

static tnr_runtime *runtime_for(graph *g) {
  static const tnr_sim_config instant = {.launch_ns = 0};
  const tnr_device_config devices[] = {
      {.driver = graph_chance(g, 50) ? tnr_cpu_driver() : mirror_driver(), .count = 2},
      {.driver = tnr_sim_driver(), .count = 2, .config = &instant}};
  return tnr_runtime_create(&(tnr_runtime_options){.devices = devices,
                                                   .device_configs = 2,
                                                   .program_cache = 1 + graph_below(g, 200),
                                                   .spin_ns = graph_chance(g, 50) ? -1 : 0});
}

static void release_all(graph *g) {
  for (int i = 0; i < g->count; i++) {
    tnr_release(g->nodes[i].handle.handle);
    for (int k = 0; k < g->nodes[i].count; k++)
      numbers_free(&g->nodes[i].values[k].right);
  }
  free(g->nodes);
}

static void run_graph(uint64_t seed, int ops) {
  _Atomic int called = 0;
  graph g = {.random = seed, .capacity = ops, .called = &called};
  seed_now = seed;
  ops_now = ops;
  g.nodes = calloc((size_t)ops, sizeof *g.nodes);
  assert_made(g.runtime = runtime_for(&g));
  find_places(&g);
  graph_grow(&g, ops);
  check_all(&g);
  release_all(&g);
  tnr_error_clear();
  assert_nothing_left(g.runtime);
  assert_int_equal(called, g.callbacks);
}

/* ---- tests ---- */

static int number_from(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

static void run_graphs(uint64_t first_seed, int graphs, int ops) {
  int seed = number_from("TENOR_SEED", 0);
  if (seed) {
    run_graph((uint64_t)seed, number_from("TENOR_OPS", ops));
    return;
  }
  for (int i = 0; i < graphs; i++)
    run_graph(first_seed + (uint64_t)i, ops);
}

static void hundreds_of_graphs_equal_the_serial_reference(void **state) {
  (void)state;
  run_graphs(1, SMALL_GRAPHS, SMALL_OPS);
}

static void graphs_of_ten_thousand_ops_equal_the_serial_reference(void **state) {
  (void)state;
  run_graphs(100001, LARGE_GRAPHS, LARGE_OPS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hundreds_of_graphs_equal_the_serial_reference),
      cmocka_unit_test(graphs_of_ten_thousand_ops_equal_the_serial_reference),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
