/* Windows that slide over the height and width of images [n, c, h, w]. Source of the output sizes:
 * https://onnx.ai/onnx/operators/onnx__Conv.html */
#ifndef TENOR_OPS_WINDOW_H
#define TENOR_OPS_WINDOW_H

#include <tenor/shape.h>

/* Of two elements: height, width. */
typedef struct tnr_window {
  int64_t kernel[2];                   /* taps */
  int64_t stride[2], dilation[2];      /* elements */
  int64_t pad_before[2], pad_after[2]; /* elements */
} tnr_window;

/* TNR_EINVAL for numbers that make no sense or are past 31 bits, TNR_ESHAPE when the window does
 * not fit into the padded image. `sizes`: height and width of the image. */
tnr_status tnr_window_check(const tnr_window *window, const int64_t sizes[2],
                            tnr_fault *fault) TNR_MUST_USE;

/* How many windows fit along an axis (0: height, 1: width) of an image of that size; the window was
 * checked. */
int64_t tnr_window_count(const tnr_window *window, int axis, int64_t size);

/* The taps first … end - 1 of the window at `index` that lie in the image; `start`: where tap 0
 * lies. None when first == end. */
typedef struct tnr_window_taps {
  int64_t start, first, end;
} tnr_window_taps;
tnr_window_taps tnr_window_taps_at(const tnr_window *window, int axis, int64_t index, int64_t size);

#endif
