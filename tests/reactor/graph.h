/* A random graph of ops, submitted as it grows, beside what each of its results must be. All of it
 * belongs to the test's main thread. */
#ifndef TENOR_TESTS_GRAPH_H
#define TENOR_TESTS_GRAPH_H

#include "check.h"

#include "numbers.h"

enum {
  GRAPH_TUPLE_MAX = 4,
  GRAPH_INJECTIONS_MAX = 64,
  GRAPH_INPUTS_MAX = 3,
  GRAPH_ELEMENTS_MAX = 48
};

/* cpu:0, cpu:1, sim:0, sim:1, both cpus, both sims, the host. */
enum { GRAPH_SINGLES = 4, GRAPH_MESHES = 6, GRAPH_HOST = 6, GRAPH_PLACES = 7 };

/* One tensor as it must come out. */
typedef struct graph_value {
  numbers right;  /* `at` may be NULL when it fails */
  uint64_t roots; /* the injected failures that it descends from, a bit each; 0: it must succeed */
  int place;      /* an index of places */
  int shard_dim;
} graph_value;

typedef struct graph_node {
  const char *what; /* the call that made it */
  bool tuple;
  bool root;                    /* its failure is injected here */
  bool cancelable;              /* no other node has the same future */
  uint64_t canceled;            /* the cancellations that it may fail by, a bit each */
  uint64_t tolerated;           /* the injected failures that it may fail by if it is cancelled */
  int inputs[GRAPH_INPUTS_MAX]; /* the nodes that it was made from; -1: none */
  int count;                    /* of values: 1 unless a tuple */
  graph_value values[GRAPH_TUPLE_MAX];
  tnr_value handle; /* NONE once it has been released, or when a plain call failed */
} graph_node;

typedef struct graph {
  uint64_t random;
  tnr_runtime *runtime;
  const tnr_mesh *places[GRAPH_PLACES];
  graph_node *nodes; /* [capacity] */
  int count, capacity;
  int roots[GRAPH_INJECTIONS_MAX]; /* nodes where failures were injected */
  int root_count;
  int canceled[GRAPH_INJECTIONS_MAX]; /* nodes that were cancelled */
  int canceled_count;
  int used[GRAPH_INPUTS_MAX], used_count; /* inputs of the node to come */
  int callbacks;                          /* registered */
  bool cancels;                           /* now and then a node is cancelled */
  _Atomic int *called;                    /* atomic: how many of them have run; of the test */
} graph;

/* Where each call of the graph stands, so that an error tells the node that it comes from. */
static inline tnr_site graph_site(const graph *g) {
  return (tnr_site){"graph", g->count};
}

uint64_t graph_random(graph *g);
static inline int graph_below(graph *g, int limit) {
  return (int)(graph_random(g) % (uint64_t)limit);
}
static inline bool graph_chance(graph *g, int percent) {
  return graph_below(g, 100) < percent;
}

/* The error's root, as a bit; 0 when it comes from none. */
uint64_t graph_root_of(const graph *g, const tnr_error *error);

/* Is this what a node may fail with? */
bool graph_may_fail_with(const graph *g, const graph_node *node, const tnr_error *error);

/* Grows the graph to `ops` nodes. */
void graph_grow(graph *g, int ops);

/* Adds what a call gave, with what must come of it; takes over the values. Failures that are known
 * at once (NULL, with tnr_error()) must be among those that the values descend from. */
void graph_add(graph *g, const char *what, tnr_value made, const graph_value *values, int count,
               bool tuple);

/* ---- choosing inputs ---- */

/* A node with a handle, rather a young one; NULL when the choice was bad. `graph_tensor`: of one
 * tensor. */
graph_node *graph_pick(graph *g);
graph_node *graph_tensor(graph *g);

/* A tensor that an op can combine with `like`: same place and dtype. Perhaps `like` itself. */
graph_node *graph_partner(graph *g, graph_node *like);

/* The node as input: now and then a plain one as future, a future as what it gives. In the
 * innermost scope. */
tnr_value graph_input(graph *g, const graph_node *node);

static inline bool graph_is_async(const graph_node *node) {
  return node->handle.kind == TNR_VALUE_FUTURE || node->handle.kind == TNR_VALUE_FUTURE_TUPLE;
}

/* Exact, and not so large that the graph grows out of hand. */
static inline bool graph_is_usable(const numbers *result) {
  return result->at && tnr_shape_elements(&result->desc.shape) <= GRAPH_ELEMENTS_MAX;
}

static inline uint64_t graph_roots(const graph_node *node) {
  uint64_t roots = 0;
  for (int i = 0; i < node->count; i++)
    roots |= node->values[i].roots;
  return roots;
}

/* ---- steps: each adds one node, or gives false ---- */

typedef bool graph_step(graph *g);
graph_step graph_new_tensor, graph_binary, graph_relu, graph_cast, graph_matmul, graph_split,
    graph_concat, graph_reshape, graph_transpose, graph_at, graph_all, graph_any, graph_move,
    graph_linear, graph_halves, graph_inject;

#endif
