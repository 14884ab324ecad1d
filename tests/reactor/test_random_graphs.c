/* Random graphs of ops, on devices and meshes, plain and async, with tuples, copies, composites,
 * priorities and injected failures: every result equals the serial reference bit for bit, and
 * exactly the descendants of the failures fail, each with the error of one of them. Where ops are
 * cancelled, these and their descendants may fail with that, and nothing else.
 * With threads, and in thousands of orders without, each of which can be had again.
 *
 * TENOR_SEED=17 replays the graph of one seed, and in virtual time its order; TENOR_OPS=500 sets
 * how many ops it has, TENOR_TEST_MODE=deterministic leaves out the other modes. TENOR_GRAPHS=50000
 * runs so many graphs of each test. */
#include "graph.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SMALL_GRAPHS = 100, SMALL_OPS = 300, LARGE_GRAPHS = 4, LARGE_OPS = 10000 };
enum { ORDERS = 300, ORDERED_OPS = 100, REPLAYS = 20 };
#else
enum { SMALL_GRAPHS = 200, SMALL_OPS = 300, LARGE_GRAPHS = 200, LARGE_OPS = 10000 };
enum { ORDERS = 5000, ORDERED_OPS = 100, REPLAYS = 200 };
#endif

/* The graph that is being checked, for messages. */
static uint64_t seed_now;
static int ended_early; /* nodes that failed because something was cancelled, of all graphs */
static int ops_now;
static tnr_mode mode_now;
static bool runs_now;

static void print_how_to_replay(const char *what) {
  static const char *const modes[] = {"threads", "one_thread", "deterministic"};
  print_error("TENOR_TEST_MODE=%s TENOR_SEED=%ju TENOR_OPS=%d%s\n", modes[mode_now],
              (uintmax_t)seed_now, ops_now, what);
}

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
  print_how_to_replay(":");
  print_error("node %d, %s, %s\n", (int)(node - g->nodes), node->what, what);
  print_origin(g, node, 1);
  fail();
}

/* ---- checking ---- */

static void check_failed(const graph *g, const graph_node *node, tnr_status status) {
  const tnr_error *error = tnr_value_error(node->handle);
  if (status == TNR_OK || !error)
    complain(g, node, "did not fail");
  ended_early += status == TNR_ECANCELED;
  if (!graph_may_fail_with(g, node, error))
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
  if (graph_roots(node) || (status != TNR_OK && node->canceled)) {
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

/* How a graph's runtime gets on. */
typedef struct pace {
  tnr_mode mode;
  uint64_t seed; /* of the order */
  int64_t op_ns; /* what an op takes on the sims */
  tnr_timeline_fn *timeline;
  void *timeline_user;
} pace;

static tnr_runtime *runtime_for(graph *g, const pace *how) {
  const tnr_sim_config model = {.launch_ns = how->op_ns};
  const tnr_device_config devices[] = {{.driver = tnr_cpu_driver(), .count = 2},
                                       {.driver = tnr_sim_driver(), .count = 2, .config = &model}};
  return tnr_runtime_create(&(tnr_runtime_options){.devices = devices,
                                                   .device_configs = 2,
                                                   .program_cache = 1 + graph_below(g, 200),
                                                   .spin_ns = graph_chance(g, 50) ? -1 : 0,
                                                   .mode = how->mode,
                                                   .seed = how->seed,
                                                   .timeline = how->timeline,
                                                   .timeline_user = how->timeline_user});
}

static void release_all(graph *g) {
  for (int i = 0; i < g->count; i++) {
    tnr_release(g->nodes[i].handle.handle);
    for (int k = 0; k < g->nodes[i].count; k++)
      numbers_free(&g->nodes[i].values[k].right);
  }
  free(g->nodes);
}

/* In every other one nodes are cancelled. */
static void run_graph(uint64_t seed, int ops, const pace *how) {
  _Atomic int called = 0;
  graph g = {.random = seed, .capacity = ops, .called = &called, .cancels = seed % 2};
  seed_now = seed;
  ops_now = ops;
  mode_now = how->mode;
  runs_now = true;
  g.nodes = calloc((size_t)ops, sizeof *g.nodes);
  assert_made(g.runtime = runtime_for(&g, how));
  find_places(&g);
  graph_grow(&g, ops);
  check_all(&g);
  release_all(&g);
  tnr_error_clear();
  assert_nothing_left(g.runtime);
  assert_int_equal(called, g.callbacks);
  runs_now = false;
}

/* What went wrong elsewhere than in a check. */
static int name_the_seed(void **state) {
  (void)state;
  if (runs_now)
    print_how_to_replay(" it was");
  runs_now = false;
  return 0;
}

/* ---- tests ---- */

static int number_from(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

/* Every graph of a test, or the one to replay: run(seed, ops) for each. */
static void for_graphs(tnr_mode mode, uint64_t first_seed, int graphs, int ops,
                       void (*run)(uint64_t seed, int ops)) {
  if (getenv("TENOR_TEST_MODE") && check_mode() != mode)
    skip();
  int seed = number_from("TENOR_SEED", 0);
  if (seed) {
    run((uint64_t)seed, number_from("TENOR_OPS", ops));
    return;
  }
  graphs = number_from("TENOR_GRAPHS", graphs);
  for (int i = 0; i < graphs; i++)
    run(first_seed + (uint64_t)i, ops);
}

static void run_with_threads(uint64_t seed, int ops) {
  run_graph(seed, ops, &(pace){.mode = TNR_THREADS});
}

static void hundreds_of_graphs_equal_the_serial_reference(void **state) {
  (void)state;
  ended_early = 0;
  for_graphs(TNR_THREADS, 1, SMALL_GRAPHS, SMALL_OPS, run_with_threads);
  assert_true(ended_early > 0 || getenv("TENOR_SEED"));
}

static void graphs_of_ten_thousand_ops_equal_the_serial_reference(void **state) {
  (void)state;
  for_graphs(TNR_THREADS, 100001, LARGE_GRAPHS, LARGE_OPS, run_with_threads);
}

/* The sims take no time in every other one, so that everything may happen at the same moment. */
static pace in_order_of(uint64_t seed) {
  return (pace){.mode = TNR_DETERMINISTIC, .seed = seed, .op_ns = seed % 2 ? 0 : 1000};
}

static void run_in_an_order(uint64_t seed, int ops) {
  const pace how = in_order_of(seed);
  run_graph(seed, ops, &how);
}

static void graphs_in_thousands_of_orders_equal_the_serial_reference(void **state) {
  (void)state;
  for_graphs(TNR_DETERMINISTIC, 1, ORDERS, ORDERED_OPS, run_in_an_order);
}

static void run_on_one_thread(uint64_t seed, int ops) {
  run_graph(seed, ops, &(pace){.mode = TNR_ONE_THREAD});
}

static void graphs_on_one_thread_equal_the_serial_reference(void **state) {
  (void)state;
  for_graphs(TNR_ONE_THREAD, 1, SMALL_GRAPHS, SMALL_OPS, run_on_one_thread);
}

/* FNV-1a over the timeline's text. */
static void digest(const tnr_timeline_entry *entry, void *user) {
  uint64_t *hash = user;
  char line[300];
  int length = tnr_timeline_format(entry, line, sizeof line);
  for (int i = 0; i < length; i++)
    *hash = (*hash ^ (unsigned char)line[i]) * 0x100000001b3u;
}

static uint64_t timeline_of(uint64_t seed, int ops) {
  uint64_t hash = 0xcbf29ce484222325u;
  pace how = in_order_of(seed);
  how.timeline = digest;
  how.timeline_user = &hash;
  run_graph(seed, ops, &how);
  return hash;
}

static void run_twice(uint64_t seed, int ops) {
  uint64_t first = timeline_of(seed, ops), second = timeline_of(seed, ops);
  runs_now = true;
  assert_int_equal(first, second);
  runs_now = false;
}

static void an_order_can_be_had_again(void **state) {
  (void)state;
  for_graphs(TNR_DETERMINISTIC, 1, REPLAYS, SMALL_OPS, run_twice);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(hundreds_of_graphs_equal_the_serial_reference, name_the_seed),
      cmocka_unit_test_teardown(graphs_on_one_thread_equal_the_serial_reference, name_the_seed),
      cmocka_unit_test_teardown(graphs_in_thousands_of_orders_equal_the_serial_reference,
                                name_the_seed),
      cmocka_unit_test_teardown(an_order_can_be_had_again, name_the_seed),
      cmocka_unit_test_teardown(graphs_of_ten_thousand_ops_equal_the_serial_reference,
                                name_the_seed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
