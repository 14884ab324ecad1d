#include "onnx_link.h"

#include <stdlib.h>
#include <string.h>

#define NO_NODE SIZE_MAX

/* Who gives a value. */
struct giver {
  const char *name;
  size_t id;
  size_t node; /* its place in the graph, or NO_NODE for inputs and constants */
};

/* Sorted by name. */
struct table {
  struct giver *givers;
  size_t count;
};

static int by_name(const void *a, const void *b) {
  return strcmp(((const struct giver *)a)->name, ((const struct giver *)b)->name);
}

static const struct giver *find(const struct table *table, const char *name) {
  const struct giver key = {.name = name};
  return bsearch(&key, table->givers, table->count, sizeof(key), by_name);
}

static void add(struct table *table, const char *name, size_t node) {
  size_t id = table->count;
  table->givers[table->count++] = (struct giver){name, id, node};
}

static void add_all(struct table *table, const Onnx__GraphProto *proto,
                    const struct onnx_graph *graph) {
  for (size_t i = 0; i < graph->input_count; i++)
    add(table, graph->inputs[i].name, NO_NODE);
  for (size_t i = 0; i < graph->constant_count; i++)
    add(table, graph->constants[i].name, NO_NODE);
  for (size_t i = 0; i < proto->n_node; i++)
    for (size_t j = 0; j < proto->node[i]->n_output; j++)
      if (*proto->node[i]->output[j])
        add(table, proto->node[i]->output[j], i);
}

static tnr_status check_unique(const struct table *table, tnr_fault *fault) {
  for (size_t i = 1; i < table->count; i++)
    if (by_name(&table->givers[i - 1], &table->givers[i]) == 0)
      return tnr_fail(fault, TNR_EINVAL, "two values have the name '%.80s'", table->givers[i].name);
  return TNR_OK;
}

static tnr_status build_table(const Onnx__GraphProto *proto, const struct onnx_graph *graph,
                              struct table *out, tnr_fault *fault) {
  size_t most = graph->input_count + graph->constant_count + 1;
  for (size_t i = 0; i < proto->n_node; i++)
    most += proto->node[i]->n_output;
  *out = (struct table){.givers = calloc(most, sizeof(*out->givers))};
  if (!out->givers)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu values", most);
  add_all(out, proto, graph);
  qsort(out->givers, out->count, sizeof(*out->givers), by_name);
  return check_unique(out, fault);
}

static tnr_status fail_later(const struct onnx_graph *graph, size_t at, const struct giver *giver,
                             tnr_fault *fault) {
  const struct onnx_node *node = &graph->nodes[at], *later = &graph->nodes[giver->node];
  if (giver->node == at)
    return onnx_node_fail(fault, node, TNR_EINVAL, "its input '%.60s' is its own output",
                          giver->name);
  return onnx_node_fail(fault, node, TNR_EINVAL,
                        "its input '%.40s' comes from the later node '%.40s' (%.20s): a cycle, or "
                        "not in order",
                        giver->name, later->name, later->op);
}

static tnr_status link_input(const struct table *table, const struct onnx_graph *graph, size_t at,
                             const char *name, size_t *out, tnr_fault *fault) {
  *out = ONNX_ABSENT;
  if (!*name)
    return TNR_OK;
  const struct giver *giver = find(table, name);
  if (!giver)
    return onnx_node_fail(fault, &graph->nodes[at], TNR_EINVAL, "nothing gives its input '%.80s'",
                          name);
  if (giver->node != NO_NODE && giver->node >= at)
    return fail_later(graph, at, giver, fault);
  *out = giver->id;
  return TNR_OK;
}

static tnr_status link_node(const struct table *table, const Onnx__NodeProto *proto,
                            struct onnx_graph *graph, size_t at, size_t *ids, tnr_fault *fault) {
  struct onnx_node *node = &graph->nodes[at];
  node->inputs = ids;
  node->outputs = ids + proto->n_input;
  for (size_t i = 0; i < proto->n_input; i++) {
    tnr_status status = link_input(table, graph, at, proto->input[i], ids++, fault);
    if (status != TNR_OK)
      return status;
  }
  for (size_t i = 0; i < proto->n_output; i++)
    *ids++ = *proto->output[i] ? find(table, proto->output[i])->id : ONNX_ABSENT;
  return TNR_OK;
}

static tnr_status link_nodes(const struct table *table, const Onnx__GraphProto *proto,
                             struct onnx_graph *graph, tnr_fault *fault) {
  size_t count = 1, used = 0;
  for (size_t i = 0; i < proto->n_node; i++)
    count += proto->node[i]->n_input + proto->node[i]->n_output;
  graph->ids = calloc(count, sizeof(*graph->ids));
  if (!graph->ids)
    return tnr_fail(fault, TNR_ENOMEM, "no memory for %zu names", count);
  for (size_t i = 0; i < proto->n_node; i++) {
    tnr_status status = link_node(table, proto->node[i], graph, i, graph->ids + used, fault);
    if (status != TNR_OK)
      return status;
    used += proto->node[i]->n_input + proto->node[i]->n_output;
  }
  return TNR_OK;
}

static tnr_status link_ends(const struct table *table, struct onnx_graph *graph, tnr_fault *fault) {
  for (size_t i = 0; i < graph->input_count; i++)
    graph->inputs[i].id = i;
  for (size_t i = 0; i < graph->output_count; i++) {
    const struct giver *giver = find(table, graph->outputs[i].name);
    if (!giver)
      return tnr_fail(fault, TNR_EINVAL, "nothing gives the output '%.80s'",
                      graph->outputs[i].name);
    graph->outputs[i].id = giver->id;
  }
  return TNR_OK;
}

tnr_status onnx_link(const Onnx__GraphProto *proto, struct onnx_graph *graph, tnr_fault *fault) {
  struct table table;
  tnr_status status = build_table(proto, graph, &table, fault);
  if (status == TNR_OK)
    status = link_nodes(&table, proto, graph, fault);
  if (status == TNR_OK)
    status = link_ends(&table, graph, fault);
  graph->value_count = table.count;
  free(table.givers);
  return status;
}
