#include "op.h"

#include <string.h>

#include "bounds.h"
#include "dispatcher.h"
#include "error.h"
#include "operands.h"
#include "record.h"
#include "runtime.h"
#include "thread.h"

/* ---- life ---- */

static size_t op_bytes(uint32_t in_count, size_t attrs_size, bool has_extra, bool has_terms) {
  return tnr_op_bytes_of_attrs(in_count, attrs_size) + (has_extra ? sizeof(tnr_op_extra) : 0) +
         (has_terms ? sizeof(tnr_held_terms) : 0);
}

/* Before the op is written to: what counts a reference waits until all that was written before has
 * reached the CPU's cache, and the op's memory was last in another one's. */
static void *retain_and_alloc(tnr_pool *objects, tnr_object *const *handles, int count,
                              size_t bytes) {
  for (int i = 0; i < count; i++)
    tnr_object_retain(handles[i]);
  void *taken = tnr_pool_alloc_kind(objects, TNR_POOL_SUBMITTED, bytes);
  for (int i = 0; i < count && !taken; i++)
    tnr_object_release(handles[i]);
  return taken;
}

static void free_op(tnr_pool *objects, tnr_op *op) {
  size_t bytes =
      op_bytes(op->in_count, op->def->attrs_size, op->future.has_extra, op->future.has_terms);
  tnr_pool_free_kind(objects, TNR_POOL_SUBMITTED, op, bytes);
}

static void release_inputs(const tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++)
    tnr_object_release(op->in[i].handle);
}

static void op_destroy(tnr_object *object) {
  tnr_op *op = tnr_op_of((tnr_future *)object);
  tnr_pool *objects = &op->future.runtime->machine.objects;
  if (!op->future.drained)
    release_inputs(op);
  if (op->future.has_terms)
    tnr_terms_finish(tnr_op_terms(op));
  tnr_future_finish(&op->future);
  free_op(objects, op);
}

static void cancel(tnr_future *future, tnr_error *error) {
  tnr_op_withdraw(tnr_op_of(future), error);
}

static uint32_t own_refs(const tnr_future *future) {
  (void)future;
  return 1;
}

static void describe(tnr_future *future, tnr_description *out) {
  tnr_op *op = tnr_op_of(future);
  out->context = (tnr_error_context){
      .composite = tnr_op_composite(op),
      .op = op->def->name,
      .site = tnr_op_site(op),
      .inputs = out->inputs,
      .input_count = tnr_operands_descs(op, out->inputs, TNR_DESCRIBED_MAX),
  };
}

static const tnr_manners op_manners = {cancel, own_refs, describe};
const tnr_class tnr_op_class = {
    .name = "future",
    .destroy = op_destroy,
    .manners = &op_manners,
    .number_at = offsetof(tnr_op, in[0].waiter.number) - offsetof(tnr_op, future),
};

const tnr_mesh *tnr_op_known_mesh(const tnr_op *op) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    const tnr_mesh *mesh = tnr_handle_mesh(op->in[i].handle);
    if (mesh && !tnr_device_is_host(tnr_mesh_first(mesh)))
      return mesh;
  }
  return NULL;
}

static void set_inputs(tnr_op *op, tnr_object *const *handles) {
  for (uint32_t i = 0; i < op->in_count; i++) {
    op->in[i].handle = handles[i];
    op->in[i].waiter.input = i;
    op->in[i].waiter.tensor = handles[i]->class == &tnr_tensor_class;
  }
}

static void set_extra(tnr_op *op, const tnr_frame *frame) {
  op->future.has_extra = true;
  *tnr_op_extra_of(op) = (tnr_op_extra){.composite = frame ? frame->name : NULL};
}

static bool hold_terms(tnr_op *op) {
  op->future.has_terms = true;
  if (tnr_terms_hold(tnr_op_terms(op), &op->future, op->def->name, tnr_op_site(op)) == TNR_OK)
    return true;
  release_inputs(op);
  free_op(&op->future.runtime->machine.objects, op);
  return false;
}

tnr_op *tnr_op_new(tnr_runtime *runtime, const tnr_op_def *def, tnr_site site,
                   tnr_object *const *handles, int count, const void *attrs) {
  const tnr_thread *here = tnr_thread_here();
  bool has_terms = (here->terms || runtime->op_timeout_ns) && tnr_terms_bind(runtime);
  const tnr_frame *frame = here->frame;
  bool has_extra = frame || runtime->bounds.on;
  size_t bytes = op_bytes((uint32_t)count, def->attrs_size, has_extra, has_terms);
  tnr_op *op = retain_and_alloc(&runtime->machine.objects, handles, count, bytes);
  if (!op) {
    tnr_error_raise_at(def->name, site, TNR_ENOMEM, "out of memory for an op of %zu bytes", bytes);
    return NULL;
  }
  tnr_future_init(&op->future, &tnr_op_class, runtime, def->result == TNR_OP_TUPLE, 2);
  if (here->terms)
    op->future.level = tnr_terms_level(runtime);
  op->def = def;
  op->file = frame ? frame->site.file : site.file;
  op->line = frame ? frame->site.line : site.line;
  op->in_count = (uint32_t)count;
  if (has_extra)
    set_extra(op, frame);
  set_inputs(op, handles);
  tnr_future_set_mesh(&op->future, tnr_op_known_mesh(op));
  if (def->attrs_size)
    memcpy(tnr_op_attrs(op), attrs, def->attrs_size);
  return !has_terms || hold_terms(op) ? op : NULL;
}

void tnr_op_give_up(tnr_op *op) {
  if (op->future.runtime->bounds.on)
    tnr_bounds_leave(op);
  tnr_object_release(&op->future.object);
  tnr_object_release(&op->future.object);
}

tnr_status tnr_op_submit(tnr_op *op) {
  if (op->future.runtime->bounds.on)
    tnr_bounds_count(op);
  tnr_record_submit(op);
  tnr_status status = tnr_dispatcher_put_op(op->future.runtime, op);
  if (status == TNR_OK)
    return TNR_OK;
  tnr_error_raise_at(op->def->name, tnr_op_site(op), status, "%s", tnr_dispatcher_refusal(status));
  tnr_record_refused(op, status);
  tnr_op_give_up(op);
  return status;
}
/* ---- errors ---- */

void tnr_op_fail(tnr_op *op, const tnr_fault *fault) {
  tnr_error *error = tnr_future_error_new(&op->future, fault);
  tnr_record_failed(op, fault);
  tnr_future_set_error(&op->future, error);
  tnr_object_release(tnr_error_object(error));
}
