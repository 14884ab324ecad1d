/* Devices as users write them: "cpu:0,cpu:1,sim:0". */
#ifndef TENOR_TOOL_DEVICE_LIST_H
#define TENOR_TOOL_DEVICE_LIST_H

#include <tenor/runtime.h>

/* One kind of device that the command knows. */
struct device_kind {
  const tnr_driver *driver;
  const char *summary;
};

/* The kind of that index; false beyond the last one. */
bool device_kind_at(int index, struct device_kind *out);

enum { DEVICE_LIST_MAX = 64 };

struct device_list {
  int count;
  struct device_name {
    int kind; /* for device_kind_at */
    int index;
  } names[DEVICE_LIST_MAX];
};

/* Reads a list of different devices. Fails with TNR_EINVAL and a sentence that shows how devices
 * are written, or which kinds there are. */
tnr_status device_list_parse(const char *text, struct device_list *out,
                             tnr_fault *fault) TNR_MUST_USE;

/* False for a device of the list whose results mean nothing. */
bool device_list_computes(const struct device_list *list, int index);

/* Creates a runtime with as many devices of each kind as the list needs ("cpu:1" alone needs two),
 * and fills out_devices[0..count) in the list's order. The caller destroys the runtime. Fails as
 * tnr_runtime_create does. */
tnr_status device_list_open(const struct device_list *list, int threads_per_device,
                            tnr_runtime **out_runtime, tnr_device **out_devices,
                            tnr_fault *fault) TNR_MUST_USE;

#endif
