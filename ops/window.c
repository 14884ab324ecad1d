#include "window.h"

#include <inttypes.h>

static const char *const axis_names[2] = {"height", "width"};

static tnr_status check_range(const char *what, const int64_t values[2], int64_t least,
                              tnr_fault *fault) {
  for (int axis = 0; axis < 2; axis++)
    if (values[axis] < least || values[axis] > INT32_MAX)
      return tnr_fail(fault, TNR_EINVAL, "%s along the %s is %" PRId64 ", not %" PRId64 " to %d",
                      what, axis_names[axis], values[axis], least, INT32_MAX);
  return TNR_OK;
}

static int64_t extent_of(const tnr_window *window, int axis) {
  return (window->kernel[axis] - 1) * window->dilation[axis] + 1;
}

static tnr_status check_fits(const tnr_window *window, int axis, int64_t size, tnr_fault *fault) {
  int64_t padded, extent = extent_of(window, axis);
  if (__builtin_add_overflow(size, window->pad_before[axis] + window->pad_after[axis], &padded))
    return tnr_fail(fault, TNR_EOVERFLOW, "the padded %s does not fit into 63 bits",
                    axis_names[axis]);
  if (extent > padded)
    return tnr_fail(fault, TNR_ESHAPE,
                    "a window of %s %" PRId64 " does not fit into the padded %s %" PRId64,
                    axis_names[axis], extent, axis_names[axis], padded);
  return TNR_OK;
}

tnr_status tnr_window_check(const tnr_window *window, const int64_t sizes[2], tnr_fault *fault) {
  const struct {
    const char *what;
    const int64_t *values;
    int64_t least;
  } ranges[] = {{"kernel", window->kernel, 1},
                {"stride", window->stride, 1},
                {"dilation", window->dilation, 1},
                {"padding before", window->pad_before, 0},
                {"padding after", window->pad_after, 0}};
  tnr_status status = TNR_OK;
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0] && status == TNR_OK; i++)
    status = check_range(ranges[i].what, ranges[i].values, ranges[i].least, fault);
  for (int axis = 0; axis < 2 && status == TNR_OK; axis++)
    status = check_fits(window, axis, sizes[axis], fault);
  return status;
}

int64_t tnr_window_count(const tnr_window *window, int axis, int64_t size) {
  int64_t padded = size + window->pad_before[axis] + window->pad_after[axis];
  return (padded - extent_of(window, axis)) / window->stride[axis] + 1;
}

static int64_t divide_up(int64_t x, int64_t y) {
  return x / y + (x % y != 0);
}

tnr_window_taps tnr_window_taps_at(const tnr_window *window, int axis, int64_t index,
                                   int64_t size) {
  int64_t dilation = window->dilation[axis];
  tnr_window_taps taps = {.start = index * window->stride[axis] - window->pad_before[axis],
                          .end = window->kernel[axis]};
  if (taps.start < 0)
    taps.first = divide_up(-taps.start, dilation);
  int64_t in_image = taps.start >= size ? 0 : divide_up(size - taps.start, dilation);
  if (taps.end > in_image)
    taps.end = in_image;
  if (taps.first > taps.end)
    taps.first = taps.end;
  return taps;
}
