#include "chain.h"

#include <stdint.h>
#include <stdlib.h>

#include "packed.h"

enum { ALIGNMENT = 64 };

tnr_status tnr_chain_create(tnr_onednn *onednn, int in_count, int out_count, tnr_chain **out) {
  tnr_chain *chain = calloc(1, sizeof *chain);
  if (chain == NULL)
    return TNR_ENOMEM;
  chain->onednn = tnr_onednn_retain(onednn);
  chain->in_count = in_count;
  chain->out_count = out_count;
  chain->packing.input = -1;
  dnnl_status_t status =
      dnnl_stream_create(&chain->stream, onednn->engine, dnnl_stream_default_flags);
  if (status != dnnl_success) {
    tnr_chain_destroy(chain);
    return tnr_onednn_status(status);
  }
  *out = chain;
  return TNR_OK;
}

void tnr_chain_destroy(tnr_chain *chain) {
  if (chain == NULL)
    return;
  for (int i = 0; i < chain->step_count; i++)
    dnnl_primitive_destroy(chain->steps[i].primitive);
  for (int i = 0; i < chain->memory_count; i++)
    dnnl_memory_destroy(chain->memories[i].memory);
  dnnl_stream_destroy(chain->stream);
  tnr_onednn_release(chain->onednn);
  free(chain->arena);
  free(chain);
}

int tnr_chain_reserve(tnr_chain *chain, size_t bytes) {
  int index = chain->temporary_count;
  if (index == TNR_CHAIN_TEMPORARIES || bytes > SIZE_MAX / 4 - chain->arena_bytes) {
    chain->arena_bytes = SIZE_MAX / 2;
    return chain->in_count + chain->out_count;
  }
  chain->offsets[index] = chain->arena_bytes;
  chain->arena_bytes += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  chain->temporary_count++;
  return chain->in_count + chain->out_count + index;
}

tnr_view tnr_chain_temporary(tnr_chain *chain, const tnr_view *like) {
  tnr_view view = tnr_view_dense(0, like->dtype, like->rank, like->dims);
  view.buffer = tnr_chain_reserve(chain, tnr_view_bytes(&view));
  return view;
}

dnnl_memory_t tnr_chain_memory_of(tnr_chain *chain, const dnnl_memory_desc_t *layout, int buffer) {
  if (chain->memory_count == TNR_CHAIN_MEMORIES)
    return NULL;
  tnr_chain_memory *slot = &chain->memories[chain->memory_count];
  if (dnnl_memory_create(&slot->memory, layout, chain->onednn->engine, DNNL_MEMORY_NONE) !=
      dnnl_success)
    return NULL;
  slot->buffer = buffer;
  chain->memory_count++;
  return slot->memory;
}

tnr_chain_step *tnr_chain_step_add(tnr_chain *chain) {
  return chain->step_count < TNR_CHAIN_STEPS ? &chain->steps[chain->step_count++] : NULL;
}

tnr_status tnr_chain_add_expand(tnr_chain *chain, const tnr_view *from, const tnr_view *to) {
  tnr_chain_step *step = tnr_chain_step_add(chain);
  if (step == NULL)
    return TNR_EUNSUPPORTED;
  step->from = *from;
  step->to = *to;
  return TNR_OK;
}

static bool bound_at_run(const tnr_chain *chain, int buffer) {
  return buffer < chain->in_count + chain->out_count;
}

static dnnl_status_t point_to(tnr_chain_memory *memory, void *handle) {
  memory->handle = handle;
  return dnnl_memory_set_data_handle(memory->memory, handle);
}

static char *temporary(const tnr_chain *chain, int buffer) {
  return chain->arena + chain->offsets[buffer - chain->in_count - chain->out_count];
}

tnr_status tnr_chain_finish(tnr_chain *chain) {
  if (chain->arena_bytes > SIZE_MAX / 4)
    return TNR_EUNSUPPORTED;
  if (chain->arena_bytes > 0) {
    chain->arena = aligned_alloc(ALIGNMENT, chain->arena_bytes);
    if (chain->arena == NULL)
      return TNR_ENOMEM;
  }
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < chain->memory_count && status == dnnl_success; i++) {
    tnr_chain_memory *memory = &chain->memories[i];
    if (!bound_at_run(chain, memory->buffer))
      status = point_to(memory, temporary(chain, memory->buffer));
  }
  return tnr_onednn_status(status);
}

int tnr_chain_packable_input(const tnr_chain *chain) {
  return chain->packing.input;
}

const tnr_own_layout *tnr_chain_result(const tnr_chain *chain) {
  return chain->result;
}

void tnr_chain_free_result(tnr_chain *chain) {
  chain->result_is_free = true;
}

void tnr_chain_keep_layout(tnr_chain *chain, const tnr_own_layout *layout) {
  chain->result = layout;
}

/* The contract gives inputs as const; oneDNN's memory objects know no const but do not write to
 * sources. */
static void *address_of(const tnr_chain *chain, const void *const *in, void *const *out,
                        int buffer) {
  if (buffer < chain->in_count)
    return (void *)(uintptr_t)in[buffer];
  if (bound_at_run(chain, buffer))
    return out[buffer - chain->in_count];
  return temporary(chain, buffer);
}

static dnnl_status_t bind_buffers(tnr_chain *chain, const void *const *in, void *const *out) {
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < chain->memory_count && status == dnnl_success; i++) {
    tnr_chain_memory *memory = &chain->memories[i];
    if (!bound_at_run(chain, memory->buffer))
      continue;
    void *address = address_of(chain, in, out, memory->buffer);
    if (memory->handle != address)
      status = point_to(memory, address);
  }
  return status;
}

/* Returns the step that need not run, since its result has been kept; -1 when there is none. */
static int choose_weights(tnr_chain *chain, tnr_derived_list *weights) {
  tnr_chain_packing *packing = &chain->packing;
  if (packing->input < 0)
    return -1;
  dnnl_memory_t kept = weights == NULL ? NULL : tnr_packed_weights(chain, weights);
  chain->steps[packing->user_step].args[packing->user_arg].memory =
      kept != NULL ? kept : packing->on_each_run;
  return kept != NULL ? packing->step : -1;
}

static dnnl_status_t run_step(const tnr_chain *chain, const tnr_chain_step *step,
                              const void *const *in, void *const *out) {
  if (step->primitive != NULL)
    return dnnl_primitive_execute(step->primitive, chain->stream, step->arg_count, step->args);
  tnr_view_expand(&step->from, address_of(chain, in, out, step->from.buffer), &step->to,
                  address_of(chain, in, out, step->to.buffer));
  return dnnl_success;
}

tnr_status tnr_chain_run(tnr_chain *chain, const void *const *in, void *const *out,
                         tnr_derived_list *weights, tnr_fault *fault) {
  dnnl_status_t status = bind_buffers(chain, in, out);
  int skipped = status == dnnl_success ? choose_weights(chain, weights) : -1;
  for (int i = 0; i < chain->step_count && status == dnnl_success; i++)
    if (i != skipped)
      status = run_step(chain, &chain->steps[i], in, out);
  if (status == dnnl_success)
    return TNR_OK;
  if (status == dnnl_out_of_memory)
    return tnr_fail(fault, TNR_ENOMEM, "oneDNN ran out of memory");
  return tnr_fail(fault, TNR_EKERNEL, "oneDNN failed while it ran (dnnl_status_t %d)", (int)status);
}
