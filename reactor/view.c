#include <tenor/view.h>

#include "../devices/storage.h"
#include "error.h"
#include "transfer.h"
#include "wait.h"

static tnr_status check_place(const char *call, const tnr_tensor *tensor) {
  const tnr_device *device = tnr_mesh_first(tensor->mesh);
  if (tensor->shard_dim >= 0 && tensor->mesh->count > 1)
    return tnr_error_raise(TNR_EDEVICE,
                           "%s: the tensor is split over %d devices; put it together with "
                           "tnr_gather, or copy it with tnr_tensor_read",
                           call, tensor->mesh->count);
  if (!device->driver->host_memory)
    return tnr_error_raise(TNR_EDEVICE,
                           "%s: the data is in the memory of %s; move it to the host with "
                           "tnr_to_device, or copy it with tnr_tensor_read",
                           call, tnr_device_name(device));
  return TNR_OK;
}

tnr_status tnr_tensor_view_as(const char *call, tnr_tensor *tensor, tnr_host_view *out,
                              int64_t timeout_ns) {
  *out = (tnr_host_view){0};
  tnr_status status = tnr_tensor_check(tensor, call);
  if (status == TNR_OK)
    status = check_place(call, tensor);
  if (status == TNR_OK)
    status = tnr_tensor_await(
        tensor, tnr_deadline_after(tnr_mesh_machine(tensor->mesh)->runtime, timeout_ns));
  if (status != TNR_OK)
    return status;
  tnr_object_retain(&tensor->object);
  *out = (tnr_host_view){tensor->parts[0]->data, tensor->parts[0]->bytes, tensor};
  return TNR_OK;
}

tnr_status tnr_tensor_view_for(tnr_tensor *tensor, tnr_host_view *out, int64_t timeout_ns) {
  if (!out)
    return tnr_error_raise(TNR_EINVAL, "tensor_view: the view is NULL");
  return tnr_tensor_view_as("tensor_view", tensor, out, timeout_ns);
}

tnr_status tnr_tensor_view(tnr_tensor *tensor, tnr_host_view *out) {
  return tnr_tensor_view_for(tensor, out, INT64_MAX);
}

void tnr_host_view_release(tnr_host_view *view) {
  if (!view || !view->tensor)
    return;
  tnr_tensor *tensor = view->tensor;
  *view = (tnr_host_view){0};
  tnr_object_release(&tensor->object);
}
