#include "movement.h"

#include <string.h>

#include "operands.h"
#include "runtime.h"

typedef struct movement_attrs {
  const tnr_mesh *to; /* NULL: the first device of the input's mesh */
  int64_t dim;        /* shard only */
} movement_attrs;

const tnr_op_def tnr_movement_to_device = {.name = "to_device",
                                           .attrs_size = sizeof(movement_attrs)};
const tnr_op_def tnr_movement_gather = {.name = "gather", .attrs_size = sizeof(movement_attrs)};
const tnr_op_def tnr_movement_shard = {.name = "shard", .attrs_size = sizeof(movement_attrs)};
const tnr_op_def tnr_movement_replicate = {.name = "replicate",
                                           .attrs_size = sizeof(movement_attrs)};

tnr_op *tnr_movement_new(tnr_runtime *runtime, const tnr_op_def *def, tnr_site site,
                         tnr_object *input, const tnr_mesh *to, int64_t dim) {
  movement_attrs attrs = {to, dim};
  tnr_op *op = tnr_op_new(runtime, def, site, &input, 1, &attrs);
  if (!op)
    return NULL;
  op->future.moves = true;
  tnr_future_set_mesh(&op->future, to);
  return op;
}

static bool is_host(const tnr_mesh *mesh) {
  return tnr_device_is_host(tnr_mesh_first(mesh));
}

const tnr_mesh *tnr_movement_exec(tnr_op *op) {
  const movement_attrs *attrs = tnr_op_attrs(op);
  const tnr_mesh *from = tnr_handle_mesh(op->in[0].handle), *to = attrs->to;
  if (to && !is_host(to))
    return to;
  if (!from)
    return NULL;
  if (!is_host(from))
    return tnr_mesh_first(from)->self;
  return op->future.runtime->machine.devices[0]->self; /* from host to host: anybody can do it */
}

static tnr_status shard_dim(const tnr_op *op, const tnr_tensor *in, int64_t dim, int *out,
                            tnr_fault *fault) {
  *out = -1;
  if (op->def != &tnr_movement_shard)
    return TNR_OK;
  int64_t rank = in->desc.shape.rank;
  if (dim < -rank || dim >= rank)
    return tnr_fail(fault, TNR_EINVAL, "there is no dimension %lld to split along in %lld",
                    (long long)dim, (long long)rank);
  *out = (int)(dim < 0 ? dim + rank : dim);
  return TNR_OK;
}

const tnr_mesh *tnr_movement_mesh(tnr_op *op, const tnr_tensor *in) {
  const movement_attrs *attrs = tnr_op_attrs(op);
  return attrs->to ? attrs->to : tnr_mesh_first(in->mesh)->self;
}

size_t tnr_movement_piece_bytes(tnr_op *op, const tnr_tensor *in) {
  size_t pieces = op->def == &tnr_movement_shard ? (size_t)tnr_movement_mesh(op, in)->count : 1;
  return tnr_tensor_bytes(in) / pieces;
}

tnr_status tnr_movement_create(tnr_op *op, const tnr_tensor *in, tnr_tensor **out,
                               tnr_fault *fault) {
  const movement_attrs *attrs = tnr_op_attrs(op);
  const tnr_mesh *to = tnr_movement_mesh(op, in);
  if (to->count > 1 && in->mesh->count > 1)
    return tnr_fail(fault, TNR_EDEVICE, "the input is on %d devices already; gather it first",
                    in->mesh->count);
  int dim;
  tnr_status status = shard_dim(op, in, attrs->dim, &dim, fault);
  if (status == TNR_OK)
    status = tnr_tensor_new(to, to->count > 1 ? dim : -1, &in->desc, out, fault);
  for (int i = 0; status == TNR_OK && i < to->count; i++)
    (*out)->parts[i]->keeps = in->parts[0]->keeps;
  return status;
}

/* ---- copying ---- */

/* Rows of a tensor that is split along `dim`: `count` of them, `whole` bytes each in the whole
 * tensor, `part` bytes in a piece. */
typedef struct rows {
  size_t count, whole, part;
} rows;

static rows rows_of(const tnr_desc *desc, int dim, int pieces) {
  rows r = {1, tnr_dtype_size(desc->dtype), 0};
  for (int i = 0; i < dim; i++)
    r.count *= (size_t)desc->shape.dims[i];
  for (int i = dim < 0 ? 0 : dim; i < desc->shape.rank; i++)
    r.whole *= (size_t)desc->shape.dims[i];
  r.part = dim < 0 ? r.whole : r.whole / (size_t)pieces;
  return r;
}

static void copy_rows(const tnr_device *by, char *to, size_t to_stride, const char *from,
                      size_t from_stride, size_t bytes, size_t count) {
  if (to_stride == bytes && from_stride == bytes) {
    bytes *= count;
    count = 1;
  }
  if (by && by->driver->copy) {
    by->driver->copy(by->state, to, to_stride, from, from_stride, bytes, count);
    return;
  }
  for (size_t i = 0; i < count; i++)
    memcpy(to + i * to_stride, from + i * from_stride, bytes);
}

static tnr_status assemble(const tnr_device *by, const tnr_tensor *in, char *to, tnr_fault *fault) {
  int pieces = in->shard_dim < 0 ? 1 : in->mesh->count;
  rows r = rows_of(&in->desc, in->shard_dim, pieces);
  if (r.whole == 0 || r.count == 0)
    return TNR_OK;
  for (int i = 0; i < pieces; i++) {
    const void *from;
    tnr_status status = tnr_storage_dense(in->parts[i], &from, fault);
    if (status != TNR_OK)
      return status;
    copy_rows(by, to + (size_t)i * r.part, r.whole, from, r.part, r.part, r.count);
  }
  return TNR_OK;
}

tnr_status tnr_movement_assemble(const tnr_tensor *in, void *to, tnr_fault *fault) {
  return assemble(NULL, in, to, fault);
}

static tnr_status cut(const tnr_device *by, const tnr_tensor *in, tnr_tensor *out, int piece,
                      tnr_fault *fault) {
  rows r = rows_of(&out->desc, out->shard_dim, out->mesh->count);
  const void *from;
  if (r.whole == 0 || r.count == 0)
    return TNR_OK;
  tnr_status status = tnr_storage_dense(in->parts[0], &from, fault);
  if (status == TNR_OK)
    copy_rows(by, out->parts[piece]->memory, r.part, (const char *)from + (size_t)piece * r.part,
              r.whole, r.part, r.count);
  return status;
}

bool tnr_movement_is_quick(const tnr_device *device, const tnr_tensor *in) {
  enum { QUICK_BYTES = 4096 };
  return !device->driver->copy && tnr_tensor_bytes(in) <= QUICK_BYTES;
}

static void count_copy(tnr_device *device, const tnr_tensor *out, int piece) {
  uint64_t bytes = out->parts[piece < out->mesh->count ? piece : 0]->bytes;
  uint64_t before = atomic_load_explicit(&device->copied_bytes, memory_order_relaxed);
  atomic_store_explicit(&device->copied_bytes, before + bytes, memory_order_relaxed);
  tnr_count(&device->copies);
}

tnr_status tnr_movement_run(tnr_device *device, const tnr_tensor *in, tnr_tensor *out, int piece,
                            tnr_fault *fault) {
  count_copy(device, out, piece);
  return out->shard_dim >= 0 ? cut(device, in, out, piece, fault)
                             : assemble(device, in, out->parts[piece]->memory, fault);
}
