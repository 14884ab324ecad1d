#include "graph.h"

#include <stdatomic.h>

/* splitmix64. Source: Sebastiano Vigna, https://prng.di.unimi.it/splitmix64.c */
uint64_t graph_random(graph *g) {
  uint64_t bits = g->random += 0x9e3779b97f4a7c15u;
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111ebu;
  return bits ^ bits >> 31;
}

static uint64_t cancellation_of(const graph *g, const tnr_error *error) {
  if (tnr_error_code(error) != TNR_ECANCELED)
    return 0;
  for (int i = 0; i < g->canceled_count; i++)
    if (tnr_error_line(error) == g->canceled[i])
      return (uint64_t)1 << i;
  return 0;
}

bool graph_may_fail_with(const graph *g, const graph_node *node, const tnr_error *error) {
  uint64_t roots = graph_roots(node) | (node->canceled ? node->tolerated : 0);
  return (cancellation_of(g, error) & node->canceled) || (graph_root_of(g, error) & roots);
}

uint64_t graph_root_of(const graph *g, const tnr_error *error) {
  if (!error || tnr_error_code(error) == TNR_ECANCELED)
    return 0;
  for (int i = 0; i < g->root_count; i++)
    if (tnr_error_line(error) == g->roots[i])
      return (uint64_t)1 << i;
  return 0;
}

/* ---- nodes ---- */

static void count_call(tnr_value future, void *user) {
  (void)future;
  atomic_fetch_add((_Atomic int *)user, 1);
}

static void listen(graph *g, tnr_value made) {
  tnr_moment moment = graph_chance(g, 50) ? TNR_CREATED : TNR_COMPLETE;
  assert_ok(tnr_on(made, moment, count_call, g->called));
  g->callbacks++;
}

/* What will fail gives its tensor as long as it has not failed, and then its error. */
static void get_meanwhile(graph *g, graph_node *node) {
  tnr_error_clear();
  tnr_value created = tnr_get(node->handle);
  if (!created.handle && !graph_may_fail_with(g, node, tnr_error()))
    fail_msg("node %d, %s, is not to be had: %s", g->count, node->what, check_reason());
}

void graph_add(graph *g, const char *what, tnr_value made, const graph_value *values, int count,
               bool tuple) {
  graph_node *node = &g->nodes[g->count];
  *node = (graph_node){.what = what, .tuple = tuple, .count = count, .handle = made};
  for (int i = 0; i < GRAPH_INPUTS_MAX; i++)
    node->inputs[i] = i < g->used_count ? g->used[i] : -1;
  for (int i = 0; i < count; i++)
    node->values[i] = values[i];
  for (int i = 0; i < g->used_count; i++) {
    node->canceled |= g->nodes[g->used[i]].canceled;
    node->tolerated |= g->nodes[g->used[i]].tolerated | graph_roots(&g->nodes[g->used[i]]);
  }
  if (made.kind == TNR_VALUE_NONE) {
    if (!graph_may_fail_with(g, node, tnr_error()))
      fail_msg("node %d, %s, failed: %s", g->count, what, check_reason());
    tnr_error_clear();
  } else if (graph_chance(g, 10)) {
    listen(g, made);
  } else if (graph_roots(node) && graph_chance(g, 10)) {
    get_meanwhile(g, node);
  }
  g->count++;
}

static void drop_one(graph *g) {
  graph_node *node = graph_pick(g);
  if (!node || node->root)
    return;
  tnr_release(node->handle.handle);
  node->handle = (tnr_value){TNR_VALUE_NONE, NULL};
}

/* What descends from it may fail from now on, if it is not complete. */
static void spread_cancellation(graph *g, int from, uint64_t bit) {
  g->nodes[from].canceled |= bit;
  for (int i = from + 1; i < g->count; i++)
    for (int k = 0; k < GRAPH_INPUTS_MAX && g->nodes[i].inputs[k] >= 0; k++)
      g->nodes[i].canceled |= g->nodes[g->nodes[i].inputs[k]].canceled & bit;
}

static void cancel_one(graph *g) {
  graph_node *node = graph_pick(g);
  if (!node || !node->cancelable || g->canceled_count == GRAPH_INJECTIONS_MAX)
    return;
  int index = (int)(node - g->nodes);
  g->canceled[g->canceled_count] = index;
  spread_cancellation(g, index, (uint64_t)1 << g->canceled_count++);
  assert_ok(tnr_cancel(node->handle));
}

static graph_step *choose(graph *g) {
  static graph_step *const steps[] = {
      graph_new_tensor, graph_new_tensor, graph_binary, graph_binary,    graph_binary,
      graph_binary,     graph_relu,       graph_cast,   graph_matmul,    graph_matmul,
      graph_split,      graph_split,      graph_at,     graph_at,        graph_at,
      graph_concat,     graph_reshape,    graph_all,    graph_transpose, graph_move,
      graph_move,       graph_move,       graph_linear, graph_halves,    graph_any,
  };
  if (graph_below(g, 100) == 0)
    return graph_inject;
  return steps[graph_below(g, (int)(sizeof steps / sizeof steps[0]))];
}

void graph_grow(graph *g, int ops) {
  while (g->count < ops) {
    assert_ok(tnr_scope_open());
    g->used_count = 0;
    assert_ok(tnr_terms_open(.priority = (tnr_priority)graph_below(g, 4)));
    bool grown = choose(g)(g);
    assert_ok(tnr_terms_close());
    if (grown)
      tnr_keep(g->nodes[g->count - 1].handle);
    assert_ok(tnr_scope_close());
    if (grown && graph_chance(g, 20))
      drop_one(g);
    if (grown && g->cancels && graph_chance(g, 2))
      cancel_one(g);
  }
}

/* ---- choosing inputs ---- */

graph_node *graph_pick(graph *g) {
  enum { YOUNG = 60 };
  if (g->count == 0)
    return NULL;
  int from = g->count > YOUNG && graph_chance(g, 80) ? g->count - YOUNG : 0;
  graph_node *node = &g->nodes[from + graph_below(g, g->count - from)];
  return node->handle.kind == TNR_VALUE_NONE ? NULL : node;
}

graph_node *graph_tensor(graph *g) {
  for (int tries = 0; tries < 8; tries++) {
    graph_node *node = graph_pick(g);
    if (node && !node->tuple)
      return node;
  }
  return NULL;
}

graph_node *graph_partner(graph *g, graph_node *like) {
  const graph_value *one = &like->values[0];
  for (int tries = 0; tries < 12; tries++) {
    graph_node *node = graph_tensor(g);
    if (node && node->values[0].place == one->place &&
        node->values[0].right.desc.dtype == one->right.desc.dtype)
      return node;
  }
  return like;
}

tnr_value graph_input(graph *g, const graph_node *node) {
  if (g->used_count < GRAPH_INPUTS_MAX)
    g->used[g->used_count++] = (int)(node - g->nodes);
  if (!graph_is_async(node) && graph_chance(g, 40)) {
    tnr_value async = tnr_to_async(node->handle);
    assert_made(async.handle);
    return async;
  }
  if (graph_is_async(node) && graph_chance(g, 1) && graph_roots(node) == 0 && !node->canceled) {
    tnr_value plain = tnr_get(node->handle);
    assert_made(plain.handle);
    return plain;
  }
  return node->handle;
}
