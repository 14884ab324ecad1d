/* The dense form of contents that lie in a driver's own layout, kept among what is derived from
 * them. */
#include "storage.h"

typedef struct dense {
  tnr_derived base;
  tnr_device *device; /* immutable after create */
  void *data;         /* immutable after create */
  size_t bytes;       /* immutable after create */
} dense;

/* Its address is the mark of our own entries in a list. */
static const char owner_mark;

static void destroy(tnr_derived *derived) {
  dense *made = (dense *)derived;
  tnr_device *device = made->device;
  tnr_pool_free(&device->pool, made->data, made->bytes);
  tnr_pool_free(&device->machine->objects, made, sizeof *made);
}

static dense *create(tnr_device *device, size_t bytes) {
  dense *made = tnr_pool_alloc(&device->machine->objects, sizeof *made);
  if (!made)
    return NULL;
  *made = (dense){{.owner = &owner_mark, .destroy = destroy}, device, NULL, bytes};
  made->data = tnr_pool_alloc(&device->pool, bytes);
  if (made->data)
    return made;
  destroy(&made->base);
  return NULL;
}

static const dense *find(tnr_derived_list *list) {
  for (tnr_derived *derived = tnr_derived_first(list); derived; derived = derived->next)
    if (derived->owner == &owner_mark)
      return (const dense *)derived;
  return NULL;
}

/* When two threads come here at once each makes its own, and both stay. */
tnr_status tnr_storage_dense(tnr_storage *storage, const void **out, tnr_fault *fault) {
  const tnr_layout *layout = tnr_storage_layout(storage);
  if (!layout) {
    *out = storage->memory;
    return TNR_OK;
  }
  const dense *found = find(&storage->derived);
  if (found) {
    *out = found->data;
    return TNR_OK;
  }
  dense *made = create(storage->device, storage->bytes);
  if (!made)
    return tnr_fail(fault, TNR_ENOMEM, "out of memory on %s for a tensor of %zu bytes",
                    storage->device->name, storage->bytes);
  tnr_status status = layout->to_dense(layout, storage->memory, made->data, fault);
  if (status != TNR_OK) {
    destroy(&made->base);
    return status;
  }
  tnr_derived_add(&storage->derived, &made->base);
  *out = made->data;
  return TNR_OK;
}
