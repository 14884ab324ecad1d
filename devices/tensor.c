#include "storage.h"

#include <string.h>

/* ---- storage ---- */

static void set_error(tnr_storage *storage, tnr_object *error) {
  tnr_object *none = NULL;
  tnr_object_retain(error);
  /* acquire-release: the error's contents go to whoever reads it */
  if (!atomic_compare_exchange_strong_explicit(&storage->error, &none, error, memory_order_acq_rel,
                                               memory_order_relaxed))
    tnr_object_release(error);
}

void tnr_storage_finish(tnr_storage *storage, tnr_object *error) {
  if (error)
    set_error(storage, error);
  /* release: pairs with the acquire in tnr_storage_get_state */
  atomic_store_explicit(&storage->state, error ? TNR_STORAGE_FAILED : TNR_STORAGE_COMPLETE,
                        memory_order_release);
}

static void storage_init(tnr_storage *storage, tnr_device *device, size_t bytes, bool in_tensor) {
  *storage = (tnr_storage){.refs = 1, .device = device, .bytes = bytes, .in_tensor = in_tensor};
}

static void give_data_back(const tnr_storage *storage) {
  const tnr_device *device = storage->device;
  tnr_lender *lender = tnr_storage_lender(storage);
  if (!lender) {
    tnr_pool_free((tnr_pool *)&device->pool, storage->memory, storage->bytes);
    return;
  }
  lender->release(lender->user);
  tnr_pool_free(&device->machine->objects, lender, sizeof *lender);
}

void tnr_storage_empty(tnr_storage *storage) {
  /* acquire: pairs with the releases of those who had references; what they did is done */
  if (tnr_storage_lender(storage) ||
      atomic_load_explicit(&storage->refs, memory_order_acquire) != 1)
    return;
  tnr_derived_finish(&storage->derived);
  give_data_back(storage);
  storage->memory = NULL;
}

static void storage_destroy(tnr_storage *storage) {
  tnr_pool *objects = &storage->device->machine->objects;
  tnr_derived_finish(&storage->derived);
  give_data_back(storage);
  /* relaxed: the last reference is gone */
  tnr_object *error = atomic_load_explicit(&storage->error, memory_order_relaxed);
  if (error)
    tnr_object_release(error);
  if (storage->in_tensor)
    tnr_pool_free(objects, (char *)storage - offsetof(tnr_tensor, own), sizeof(tnr_tensor));
  else
    tnr_pool_free(objects, storage, sizeof *storage);
}

static void storage_release(tnr_storage *storage) {
  if (tnr_refs_drop(&storage->refs, 1))
    storage_destroy(storage);
}

/* ---- tensors ---- */

tnr_desc tnr_desc_piece(const tnr_desc *desc, int shard_dim, int pieces) {
  tnr_desc piece = *desc;
  if (shard_dim >= 0)
    piece.shape.dims[shard_dim] /= pieces;
  return piece;
}

static void tensor_destroy(tnr_object *object) {
  tnr_tensor *tensor = (tnr_tensor *)object;
  const tnr_mesh *mesh = tensor->mesh;
  tnr_pool *objects = &tnr_mesh_machine(mesh)->objects;
  tnr_storage **parts = tensor->parts, *part = tensor->part;
  bool inside = mesh->count == 1 && part == &tensor->own;
  if (mesh->count == 1) {
    storage_release(part); /* when it is inside, the memory goes with it, now or later */
  } else {
    for (int i = 0; i < mesh->count && parts[i]; i++)
      storage_release(parts[i]);
    tnr_pool_free(objects, parts, (size_t)mesh->count * sizeof *parts);
  }
  if (!inside)
    tnr_pool_free(objects, tensor, sizeof *tensor);
}

const tnr_class tnr_tensor_class = {
    .name = "tensor", .destroy = tensor_destroy, .number_at = offsetof(tnr_tensor, number)};

static tnr_status no_memory(const tnr_device *device, size_t bytes, tnr_fault *fault) {
  return tnr_fail(fault, TNR_ENOMEM, "out of memory on %s for a tensor of %zu bytes", device->name,
                  bytes);
}

/* A tensor without parts; with one device `parts` points into it. */
static tnr_tensor *tensor_shell(const tnr_mesh *mesh, int shard_dim, const tnr_desc *desc) {
  tnr_pool *objects = &tnr_mesh_machine(mesh)->objects;
  tnr_tensor *tensor = tnr_pool_alloc(objects, sizeof *tensor);
  if (!tensor)
    return NULL;
  tnr_object_init(&tensor->object, &tnr_tensor_class, 1);
  tensor->desc = *desc;
  tensor->shard_dim = shard_dim;
  tensor->number = 0;
  tensor->mesh = mesh;
  tensor->part = NULL;
  tensor->parts = &tensor->part;
  if (mesh->count == 1)
    return tensor;
  size_t bytes = (size_t)mesh->count * sizeof *tensor->parts;
  tensor->parts = tnr_pool_alloc(objects, bytes);
  if (!tensor->parts) {
    tnr_pool_free(objects, tensor, sizeof *tensor);
    return NULL;
  }
  memset(tensor->parts, 0, bytes);
  return tensor;
}

static void shell_destroy(tnr_tensor *tensor) {
  tnr_pool_free(&tnr_mesh_machine(tensor->mesh)->objects, tensor, sizeof *tensor);
}

static tnr_status new_single(const tnr_mesh *mesh, const tnr_desc *desc, size_t bytes,
                             tnr_tensor **out, tnr_fault *fault) {
  tnr_device *device = tnr_mesh_first(mesh);
  tnr_tensor *tensor = tensor_shell(mesh, -1, desc);
  if (!tensor)
    return no_memory(device, bytes, fault);
  storage_init(&tensor->own, device, bytes, true);
  tensor->own.memory = tnr_pool_alloc(&device->pool, bytes);
  if (!tensor->own.memory) {
    shell_destroy(tensor);
    return no_memory(device, bytes, fault);
  }
  tensor->part = &tensor->own;
  *out = tensor;
  return TNR_OK;
}

static tnr_storage *part_new(tnr_device *device, size_t bytes) {
  tnr_pool *objects = &device->machine->objects;
  tnr_storage *storage = tnr_pool_alloc(objects, sizeof *storage);
  if (!storage)
    return NULL;
  storage_init(storage, device, bytes, false);
  storage->memory = tnr_pool_alloc(&device->pool, bytes);
  if (!storage->memory) {
    tnr_pool_free(objects, storage, sizeof *storage);
    return NULL;
  }
  return storage;
}

static tnr_status new_parts(const tnr_mesh *mesh, int shard_dim, const tnr_desc *desc, size_t bytes,
                            tnr_tensor **out, tnr_fault *fault) {
  tnr_tensor *tensor = tensor_shell(mesh, shard_dim, desc);
  if (!tensor)
    return no_memory(tnr_mesh_first(mesh), bytes, fault);
  for (int i = 0; i < mesh->count; i++) {
    tensor->parts[i] = part_new(mesh->devices[i], bytes);
    if (!tensor->parts[i]) {
      tnr_object_release(&tensor->object);
      return no_memory(mesh->devices[i], bytes, fault);
    }
  }
  *out = tensor;
  return TNR_OK;
}

tnr_status tnr_tensor_new_sized(const tnr_mesh *mesh, int shard_dim, const tnr_desc *desc,
                                size_t piece_bytes, tnr_tensor **out, tnr_fault *fault) {
  if (mesh->count == 1)
    return new_single(mesh, desc, piece_bytes, out, fault);
  return new_parts(mesh, shard_dim, desc, piece_bytes, out, fault);
}

tnr_status tnr_tensor_new(const tnr_mesh *mesh, int shard_dim, const tnr_desc *desc,
                          tnr_tensor **out, tnr_fault *fault) {
  if (shard_dim >= 0 && desc->shape.dims[shard_dim] % mesh->count != 0)
    return tnr_fail(fault, TNR_EDEVICE, "dimension %d of size %lld does not divide into %d pieces",
                    shard_dim, (long long)desc->shape.dims[shard_dim], mesh->count);
  tnr_desc piece = tnr_desc_piece(desc, shard_dim, mesh->count);
  size_t bytes;
  tnr_status status = tnr_desc_bytes(desc, &bytes, fault);
  if (status == TNR_OK)
    status = tnr_desc_bytes(&piece, &bytes, fault);
  return status == TNR_OK ? tnr_tensor_new_sized(mesh, shard_dim, desc, bytes, out, fault) : status;
}

tnr_status tnr_tensor_wrap(tnr_device *device, const tnr_desc *desc, void *data,
                           void (*release)(void *user), void *user, tnr_tensor **out,
                           tnr_fault *fault) {
  size_t bytes;
  tnr_status status = tnr_desc_bytes(desc, &bytes, fault);
  if (status != TNR_OK)
    return status;
  tnr_tensor *tensor = tensor_shell(device->self, -1, desc);
  if (!tensor)
    return no_memory(device, bytes, fault);
  tnr_lender *lender = tnr_pool_alloc(&device->machine->objects, sizeof *lender);
  if (!lender) {
    shell_destroy(tensor);
    return no_memory(device, bytes, fault);
  }
  *lender = (tnr_lender){release, user};
  storage_init(&tensor->own, device, bytes, true);
  tensor->own.memory = data;
  tensor->own.kind = TNR_STORAGE_LENT;
  tensor->own.lender = lender;
  tensor->part = &tensor->own;
  tnr_storage_finish(&tensor->own, NULL);
  *out = tensor;
  return TNR_OK;
}

tnr_status tnr_tensor_alias(const tnr_tensor *of, int shard_dim, const tnr_desc *desc,
                            tnr_tensor **out, tnr_fault *fault) {
  tnr_tensor *tensor = tensor_shell(of->mesh, shard_dim, desc);
  if (!tensor)
    return no_memory(tnr_mesh_first(of->mesh), sizeof *tensor, fault);
  for (int i = 0; i < of->mesh->count; i++) {
    tensor->parts[i] = of->parts[i];
    /* relaxed: as in tnr_object_retain */
    atomic_fetch_add_explicit(&of->parts[i]->refs, 1, memory_order_relaxed);
  }
  *out = tensor;
  return TNR_OK;
}

tnr_shape tnr_tensor_shape(const tnr_tensor *tensor) {
  return tensor ? tensor->desc.shape : (tnr_shape){0};
}

int tnr_tensor_rank(const tnr_tensor *tensor) {
  return tensor ? (int)tensor->desc.shape.rank : 0;
}

int64_t tnr_tensor_dim(const tnr_tensor *tensor, int dim) {
  int rank = tnr_tensor_rank(tensor);
  int at = dim < 0 ? dim + rank : dim;
  return at >= 0 && at < rank ? tensor->desc.shape.dims[at] : 0;
}

tnr_dtype tnr_tensor_dtype(const tnr_tensor *tensor) {
  return tensor ? tensor->desc.dtype : TNR_DTYPE_COUNT;
}

size_t tnr_tensor_bytes(const tnr_tensor *tensor) {
  size_t bytes = 0;
  return tensor && tnr_desc_bytes(&tensor->desc, &bytes, NULL) == TNR_OK ? bytes : 0;
}

const tnr_mesh *tnr_tensor_mesh(const tnr_tensor *tensor) {
  return tensor ? tensor->mesh : NULL;
}

int tnr_tensor_shard_dim(const tnr_tensor *tensor) {
  return tensor ? tensor->shard_dim : -1;
}

/* ---- tuples ---- */

static size_t tuple_bytes(int count) {
  return sizeof(tnr_tuple) + (size_t)count * sizeof(tnr_tensor *);
}

static void tuple_destroy(tnr_object *object) {
  tnr_tuple *tuple = (tnr_tuple *)object;
  for (int i = 0; i < tuple->count; i++)
    tnr_object_release(&tuple->tensors[i]->object);
  tnr_pool_free(&tuple->machine->objects, tuple, tuple_bytes(tuple->count));
}

const tnr_class tnr_tuple_class = {
    .name = "tuple", .destroy = tuple_destroy, .number_at = offsetof(tnr_tuple, number)};

tnr_tuple *tnr_tuple_new(tnr_machine *machine, tnr_tensor *const *tensors, int count) {
  tnr_tuple *tuple = tnr_pool_alloc(&machine->objects, tuple_bytes(count));
  if (!tuple)
    return NULL;
  tnr_object_init(&tuple->object, &tnr_tuple_class, 1);
  tuple->machine = machine;
  tuple->count = count;
  tuple->number = 0;
  memcpy(tuple->tensors, tensors, (size_t)count * sizeof *tensors);
  return tuple;
}

int tnr_tuple_count(const tnr_tuple *tuple) {
  return tuple ? tuple->count : 0;
}
