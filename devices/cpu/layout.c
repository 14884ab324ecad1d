#include "layout.h"

#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "exit_gate.h"

/* Declared here because not every compiler brings omp.h; oneDNN brings the functions. */
int omp_get_max_threads(void);
void omp_set_num_threads(int count);

static dnnl_status_t move(const tnr_own_layout *layout, dnnl_memory_t from, dnnl_memory_t to) {
  dnnl_stream_t stream;
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
  dnnl_status_t status = dnnl_stream_create(&stream, layout->engine, dnnl_stream_default_flags);
  if (status != dnnl_success)
    return status;
  status = dnnl_primitive_execute(layout->to_dense, stream, 2, args);
  dnnl_stream_destroy(stream);
  return status;
}

/* The calling thread may be the user's, which must not come to have kernel threads. */
static dnnl_status_t move_alone(const tnr_own_layout *layout, dnnl_memory_t from,
                                dnnl_memory_t to) {
  int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  dnnl_status_t status = move(layout, from, to);
  omp_set_num_threads(threads);
  return status;
}

/* oneDNN's memory objects know no const, but it does not write to sources. */
static dnnl_status_t move_data(const tnr_own_layout *layout, const void *from, void *to) {
  dnnl_memory_t source = NULL, target = NULL;
  dnnl_status_t status =
      dnnl_memory_create(&source, &layout->desc, layout->engine, (void *)(uintptr_t)from);
  if (status == dnnl_success)
    status = dnnl_memory_create(&target, &layout->dense, layout->engine, to);
  if (status == dnnl_success)
    status = move_alone(layout, source, target);
  dnnl_memory_destroy(source);
  dnnl_memory_destroy(target);
  return status;
}

static tnr_status to_dense(const tnr_layout *base, const void *from, void *to, tnr_fault *fault) {
  if (!tnr_exit_gate_enter())
    return tnr_fail(fault, TNR_ECANCELED, "the process ends, and oneDNN with it");
  dnnl_status_t status = move_data((const tnr_own_layout *)base, from, to);
  tnr_exit_gate_did(TNR_EXIT_GATE_RUN, TNR_EXIT_GATE_KINDS - 1);
  tnr_exit_gate_leave();
  if (status == dnnl_success)
    return TNR_OK;
  return tnr_fail(fault, status == dnnl_out_of_memory ? TNR_ENOMEM : TNR_EKERNEL,
                  "oneDNN could not bring a tensor into rows (dnnl_status_t %d)", (int)status);
}

static dnnl_status_t describe_dense(tnr_own_layout *layout) {
  dnnl_dims_t strides;
  dnnl_dim_t stride = 1;
  for (int i = layout->desc.ndims - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= layout->desc.dims[i];
  }
  return dnnl_memory_desc_init_by_strides(&layout->dense, layout->desc.ndims, layout->desc.dims,
                                          layout->desc.data_type, strides);
}

static dnnl_status_t create_reorder(tnr_own_layout *layout, const_dnnl_primitive_attr_t attr) {
  dnnl_primitive_desc_t reorder;
  dnnl_status_t status = dnnl_reorder_primitive_desc_create(&reorder, &layout->desc, layout->engine,
                                                            &layout->dense, layout->engine, attr);
  if (status != dnnl_success)
    return status;
  const dnnl_memory_desc_t *scratch =
      dnnl_primitive_desc_query_md(reorder, dnnl_query_scratchpad_md, 0);
  if (scratch != NULL && dnnl_memory_desc_get_size(scratch) > 0)
    status = dnnl_unimplemented;
  else
    status = dnnl_primitive_create(&layout->to_dense, reorder);
  dnnl_primitive_desc_destroy(reorder);
  return status;
}

static tnr_own_layout *create(const tnr_onednn *onednn, const dnnl_memory_desc_t *desc) {
  tnr_own_layout *made = calloc(1, sizeof *made);
  if (made == NULL)
    return NULL;
  made->base.to_dense = to_dense;
  made->engine = onednn->engine;
  made->desc = *desc;
  if (describe_dense(made) == dnnl_success && create_reorder(made, onednn->attr) == dnnl_success &&
      dnnl_memory_desc_get_size(&made->desc) == dnnl_memory_desc_get_size(&made->dense))
    return made;
  tnr_own_layouts_destroy(made);
  return NULL;
}

const tnr_own_layout *tnr_own_layout_of(tnr_onednn *onednn, const dnnl_memory_desc_t *desc) {
  for (tnr_own_layout *layout = onednn->layouts; layout != NULL; layout = layout->next)
    if (dnnl_memory_desc_equal(&layout->desc, desc))
      return layout;
  tnr_own_layout *made = create(onednn, desc);
  if (made == NULL)
    return NULL;
  made->next = onednn->layouts;
  onednn->layouts = made;
  return made;
}

bool tnr_own_layout_has_dims(const tnr_own_layout *layout, const int64_t *dims, int rank) {
  return layout->desc.ndims == rank &&
         memcmp(layout->desc.dims, dims, (size_t)rank * sizeof *dims) == 0;
}

void tnr_own_layouts_destroy(tnr_own_layout *first) {
  for (tnr_own_layout *layout = first, *next; layout != NULL; layout = next) {
    next = layout->next;
    dnnl_primitive_destroy(layout->to_dense);
    free(layout);
  }
}
