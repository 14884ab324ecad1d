#include "device_list.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"

enum { KINDS = 3 };

bool device_kind_at(int index, struct device_kind *out) {
  const struct device_kind kinds[KINDS] = {
      {tnr_cpu_driver(), "oneDNN kernels, and plain C ones where oneDNN has none"},
      {tnr_sim_driver(), "a simulated accelerator: takes its time, computes the right numbers"},
      {tnr_null_driver(), "computes nothing: shows what the runtime alone costs"},
  };
  if (index < 0 || index >= KINDS)
    return false;
  *out = kinds[index];
  return true;
}

static int find_kind(const char *name, size_t length) {
  struct device_kind kind;
  for (int i = 0; device_kind_at(i, &kind); i++)
    if (strlen(kind.driver->kind) == length && strncmp(kind.driver->kind, name, length) == 0)
      return i;
  return -1;
}

/* Reads what stands before the next comma, of that length. */
static tnr_status parse_name(const char *text, int length, struct device_name *out,
                             tnr_fault *fault) {
  const char *colon = memchr(text, ':', (size_t)length);
  size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
  if (!colon || digits == 0 || colon + 1 + digits != text + length)
    return tnr_fail(fault, TNR_EINVAL, "'%.*s' is no device: devices are written as in cpu:0,cpu:1",
                    length, text);
  out->kind = find_kind(text, (size_t)(colon - text));
  if (out->kind < 0)
    return tnr_fail(fault, TNR_EINVAL, "there is no device '%.*s': the kinds are cpu, sim and null",
                    length, text);
  long index = strtol(colon + 1, NULL, 10);
  if (index >= DEVICE_LIST_MAX)
    return tnr_fail(fault, TNR_EINVAL, "there is no device '%.*s': the last of its kind is %.*s:%d",
                    length, text, (int)(colon - text), text, DEVICE_LIST_MAX - 1);
  out->index = (int)index;
  return TNR_OK;
}

static tnr_status add(struct device_list *list, const struct device_name *name, tnr_fault *fault) {
  if (list->count == DEVICE_LIST_MAX)
    return tnr_fail(fault, TNR_EINVAL, "more than %d devices", DEVICE_LIST_MAX);
  for (int i = 0; i < list->count; i++)
    if (list->names[i].kind == name->kind && list->names[i].index == name->index) {
      struct device_kind kind = {0};
      device_kind_at(name->kind, &kind);
      return tnr_fail(fault, TNR_EINVAL, "device %s:%d is listed twice", kind.driver->kind,
                      name->index);
    }
  list->names[list->count++] = *name;
  return TNR_OK;
}

tnr_status device_list_parse(const char *text, struct device_list *out, tnr_fault *fault) {
  tnr_status status = TNR_OK;
  out->count = 0;
  while (status == TNR_OK) {
    struct device_name name;
    size_t length = strcspn(text, ",");
    status = parse_name(text, (int)length, &name, fault);
    if (status == TNR_OK)
      status = add(out, &name, fault);
    if (text[length] == '\0')
      break;
    text += length + 1;
  }
  return status;
}

bool device_list_computes(const struct device_list *list, int index) {
  struct device_kind kind = {0};
  return device_kind_at(list->names[index].kind, &kind) && !kind.driver->no_compute;
}

static int count_of_kind(const struct device_list *list, int kind) {
  int count = 0;
  for (int i = 0; i < list->count; i++)
    if (list->names[i].kind == kind && list->names[i].index >= count)
      count = list->names[i].index + 1;
  return count;
}

static int fill_configs(const struct device_list *list, tnr_device_config *configs,
                        int *first_of_kind) {
  int used = 0, devices = 0;
  struct device_kind kind;
  for (int i = 0; device_kind_at(i, &kind); i++) {
    int count = count_of_kind(list, i);
    first_of_kind[i] = devices;
    devices += count;
    if (count > 0)
      configs[used++] = (tnr_device_config){.driver = kind.driver, .count = count};
  }
  return used;
}

tnr_status device_list_open(const struct device_list *list, int threads_per_device,
                            tnr_runtime **out_runtime, tnr_device **out_devices, tnr_fault *fault) {
  tnr_device_config configs[KINDS];
  int first_of_kind[KINDS];
  const tnr_runtime_options options = {.devices = configs,
                                       .device_configs = fill_configs(list, configs, first_of_kind),
                                       .threads_per_device = threads_per_device};
  *out_runtime = tnr_runtime_create(&options);
  if (!*out_runtime)
    return command_take_error(fault);
  for (int i = 0; i < list->count; i++)
    out_devices[i] = tnr_runtime_device_at(*out_runtime, first_of_kind[list->names[i].kind] +
                                                             list->names[i].index);
  return TNR_OK;
}
