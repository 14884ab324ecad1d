#include "packed.h"

#include <stdlib.h>

typedef struct packed {
  tnr_derived base;
  uint64_t number;         /* immutable after create: no others of `onednn` ever have it */
  tnr_onednn *onednn;      /* immutable after create */
  dnnl_memory_desc_t from; /* immutable after create: how the tensor was read; the same bytes under
                            * another shape, or transposed, are other weights */
  dnnl_memory_t memory;    /* immutable after create */
  char *data;              /* immutable once in the list */
} packed;

/* Its address is the mark of our own entries in a list. */
static const char owner_mark;

static void destroy(tnr_derived *derived) {
  packed *weights = (packed *)derived;
  dnnl_memory_destroy(weights->memory);
  tnr_onednn_release(weights->onednn);
  free(weights->data);
  free(weights);
}

static bool is_packed(const tnr_derived *derived, const dnnl_memory_desc_t *from,
                      const dnnl_memory_desc_t *layout) {
  const dnnl_memory_desc_t *own = NULL;
  if (derived->owner != &owner_mark)
    return false;
  const packed *weights = (const packed *)derived;
  return dnnl_memory_get_memory_desc(weights->memory, &own) == dnnl_success &&
         dnnl_memory_desc_equal(own, layout) && dnnl_memory_desc_equal(&weights->from, from);
}

static packed *create(tnr_onednn *onednn, const dnnl_memory_desc_t *from,
                      const dnnl_memory_desc_t *layout) {
  packed *weights = calloc(1, sizeof *weights);
  if (weights == NULL)
    return NULL;
  weights->base = (tnr_derived){.owner = &owner_mark, .destroy = destroy};
  /* relaxed: they only have to differ */
  weights->number = 1 + atomic_fetch_add_explicit(&onednn->packed, 1, memory_order_relaxed);
  weights->onednn = tnr_onednn_retain(onednn);
  weights->from = *from;
  size_t bytes = (dnnl_memory_desc_get_size(layout) + 63) / 64 * 64;
  weights->data = aligned_alloc(64, bytes);
  if (weights->data == NULL ||
      dnnl_memory_create(&weights->memory, layout, onednn->engine, weights->data) != dnnl_success) {
    destroy(&weights->base);
    return NULL;
  }
  return weights;
}

static dnnl_status_t fill(const tnr_chain *chain, dnnl_memory_t target) {
  const tnr_chain_step *step = &chain->steps[chain->packing.step];
  dnnl_exec_arg_t args[TNR_CHAIN_ARGS];
  for (int i = 0; i < step->arg_count; i++) {
    args[i] = step->args[i];
    if (args[i].arg == DNNL_ARG_TO)
      args[i].memory = target;
  }
  return dnnl_primitive_execute(step->primitive, chain->stream, step->arg_count, args);
}

static const dnnl_memory_desc_t *source_of(const tnr_chain_step *step) {
  const dnnl_memory_desc_t *from = NULL;
  for (int i = 0; i < step->arg_count; i++)
    if (step->args[i].arg == DNNL_ARG_FROM &&
        dnnl_memory_get_memory_desc(step->args[i].memory, &from) != dnnl_success)
      return NULL;
  return from;
}

static packed *find_equal(tnr_derived_list *list, const dnnl_memory_desc_t *from,
                          const dnnl_memory_desc_t *layout) {
  for (tnr_derived *derived = tnr_derived_first(list); derived != NULL; derived = derived->next)
    if (is_packed(derived, from, layout))
      return (packed *)derived;
  return NULL;
}

static packed *pack(const tnr_chain *chain, tnr_derived_list *list, const dnnl_memory_desc_t *from,
                    const dnnl_memory_desc_t *layout) {
  packed *weights = create(chain->onednn, from, layout);
  if (weights == NULL)
    return NULL;
  if (fill(chain, weights->memory) != dnnl_success) {
    destroy(&weights->base);
    return NULL;
  }
  tnr_derived_add(list, &weights->base);
  return weights;
}

static packed *find_or_pack(const tnr_chain *chain, tnr_derived_list *list) {
  const dnnl_memory_desc_t *layout = NULL;
  const dnnl_memory_desc_t *from = source_of(&chain->steps[chain->packing.step]);
  if (!from || dnnl_memory_get_memory_desc(chain->packing.on_each_run, &layout) != dnnl_success)
    return NULL;
  packed *weights = find_equal(list, from, layout);
  return weights != NULL ? weights : pack(chain, list, from, layout);
}

/* Most programs run with the same weights again and again. */
static packed *find_last_used(const tnr_chain *chain, tnr_derived_list *list) {
  for (tnr_derived *derived = tnr_derived_first(list); derived != NULL; derived = derived->next) {
    packed *weights = (packed *)derived;
    if (derived->owner == &owner_mark && weights->onednn == chain->onednn &&
        weights->number == chain->packing.last_used)
      return weights;
  }
  return NULL;
}

dnnl_memory_t tnr_packed_weights(tnr_chain *chain, tnr_derived_list *list) {
  packed *weights = find_last_used(chain, list);
  if (weights == NULL)
    weights = find_or_pack(chain, list);
  if (weights == NULL)
    return NULL;
  chain->packing.last_used = weights->number;
  return weights->memory;
}
