#include "devices/cpu_problem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int fallbacks;

static tnr_status count_fallback(const tnr_kernel_call *call, tnr_fault *fault) {
  (void)call, (void)fault;
  fallbacks++;
  return TNR_OK;
}

int open_device(void **state) {
  fixture *f = calloc(1, sizeof *f);
  const tnr_device_info info = {.name = "cpu:0", .threads = 1};
  assert_non_null(f);
  f->random = 1;
  assert_int_equal(tnr_cpu_driver()->open(&info, &f->device, NULL), TNR_OK);
  tnr_cpu_driver()->worker_start(f->device);
  *state = f;
  return 0;
}

int close_device(void **state) {
  fixture *f = *state;
  tnr_cpu_driver()->close(f->device);
  free(f);
  return 0;
}

/* --- Values --- */

static double load(tnr_dtype dtype, const void *data, int64_t i) {
  return dtype == TNR_BF16 ? tnr_bf16_to_f32(((const uint16_t *)data)[i])
                           : ((const float *)data)[i];
}

static void store(tnr_dtype dtype, void *data, int64_t i, float value) {
  if (dtype == TNR_BF16)
    ((uint16_t *)data)[i] = tnr_f32_to_bf16(value);
  else
    ((float *)data)[i] = value;
}

/* From -2 to 2, never near zero, so that results can be divided by. */
void *random_data(fixture *f, const tnr_desc *desc) {
  int64_t elements = tnr_shape_elements(&desc->shape);
  void *data = malloc((size_t)elements * tnr_dtype_size(desc->dtype) + 1);
  assert_non_null(data);
  for (int64_t i = 0; i < elements; i++) {
    f->random = f->random * 1664525U + 1013904223U;
    float value = 0.25F + (float)(f->random >> 8) / (float)(1U << 24) * 1.75F;
    store(desc->dtype, data, i, f->random >> 31 ? value : -value);
  }
  return data;
}

/* --- The oracle: one output element at a time, in double. `magnitude` is the sum of what was added
 * up without its signs, by which rounding errors are judged. --- */

typedef struct expected {
  double value, magnitude;
} expected;

static double input(const problem *p, int i, int64_t element) {
  return load(p->in[i].dtype, p->data[i], element);
}

static void unravel(const tnr_shape *shape, int64_t element, int64_t *index) {
  for (int64_t i = shape->rank - 1; i >= 0; i--) {
    index[i] = element % shape->dims[i];
    element /= shape->dims[i];
  }
}

/* The element of `shape` at an index of a tensor of rank `rank` that it is broadcast to. */
static int64_t ravel_broadcast(const tnr_shape *shape, const int64_t *index, int64_t rank) {
  int64_t element = 0;
  for (int64_t i = 0; i < shape->rank; i++)
    element = element * shape->dims[i] + (shape->dims[i] == 1 ? 0 : index[rank - shape->rank + i]);
  return element;
}

static expected expect_binary(const problem *p, const int64_t *index) {
  double a = input(p, 0, ravel_broadcast(&p->in[0].shape, index, p->out.shape.rank));
  double b = input(p, 1, ravel_broadcast(&p->in[1].shape, index, p->out.shape.rank));
  double value = p->primitive.kind == TNR_PRIMITIVE_ADD   ? a + b
                 : p->primitive.kind == TNR_PRIMITIVE_SUB ? a - b
                 : p->primitive.kind == TNR_PRIMITIVE_MUL ? a * b
                                                          : a / b;
  return (expected){value, fabs(value) + fabs(a) + fabs(b)};
}

/* The element of a matmul operand at (batch of index, row, column); changes the rest of index. */
static int64_t matrix_element(const tnr_shape *shape, int64_t *index, int64_t rank, bool transposed,
                              int64_t row, int64_t column) {
  index[rank - 2] = transposed ? column : row;
  index[rank - 1] = transposed ? row : column;
  return ravel_broadcast(shape, index, rank);
}

static expected expect_matmul(const problem *p, const int64_t *index) {
  const tnr_shape *a = &p->in[0].shape, *b = &p->in[1].shape;
  int64_t rank = p->out.shape.rank;
  int64_t depth = a->dims[a->rank - (p->primitive.transpose_a ? 2 : 1)], own[TNR_MAX_RANK];
  expected sum = {0, 0};
  if (p->in_count > 2)
    sum.value = input(p, 2, index[rank - 1]);
  sum.magnitude = fabs(sum.value);
  memcpy(own, index, sizeof own);
  for (int64_t k = 0; k < depth; k++) {
    int64_t at_a = matrix_element(a, own, rank, p->primitive.transpose_a, index[rank - 2], k);
    int64_t at_b = matrix_element(b, own, rank, p->primitive.transpose_b, k, index[rank - 1]);
    double term = input(p, 0, at_a) * input(p, 1, at_b);
    sum.value += term;
    sum.magnitude += fabs(term);
  }
  return sum;
}

static expected expect_softmax(const problem *p, const int64_t *index) {
  const tnr_shape *shape = &p->in[0].shape;
  int64_t own[TNR_MAX_RANK], axis = p->primitive.axis;
  double sum = 0;
  memcpy(own, index, sizeof own);
  for (own[axis] = 0; own[axis] < shape->dims[axis]; own[axis]++)
    sum += exp(input(p, 0, ravel_broadcast(shape, own, shape->rank)));
  double value = exp(input(p, 0, ravel_broadcast(shape, index, shape->rank))) / sum;
  return (expected){value, value};
}

/* Where in the image a window's element lies; -1 in the padding. */
static int64_t window_position(const tnr_primitive *w, int side, int64_t out, int64_t in_window,
                               int64_t size) {
  int64_t at = out * w->stride[side] - w->pad_before[side] + in_window * w->dilation[side];
  return at >= 0 && at < size ? at : -1;
}

static int64_t pixel(const problem *p, const int64_t *index, int64_t channel, int64_t kh,
                     int64_t kw) {
  const int64_t *dims = p->in[0].shape.dims;
  int64_t y = window_position(&p->primitive, 0, index[2], kh, dims[2]);
  int64_t x = window_position(&p->primitive, 1, index[3], kw, dims[3]);
  return y < 0 || x < 0 ? -1 : ((index[0] * dims[1] + channel) * dims[2] + y) * dims[3] + x;
}

static expected expect_convolution(const problem *p, const int64_t *index) {
  const int64_t *w = p->in[1].shape.dims;
  int64_t group = index[1] / (w[0] / p->primitive.groups);
  expected sum = {0, 0};
  if (p->in_count > 2)
    sum.value = input(p, 2, index[1]);
  sum.magnitude = fabs(sum.value);
  for (int64_t i = 0; i < w[1] * w[2] * w[3]; i++) {
    int64_t at = pixel(p, index, group * w[1] + i / (w[2] * w[3]), i / w[3] % w[2], i % w[3]);
    if (at < 0)
      continue;
    double term = input(p, 0, at) * input(p, 1, index[1] * w[1] * w[2] * w[3] + i);
    sum.value += term;
    sum.magnitude += fabs(term);
  }
  return sum;
}

static expected expect_max_pool(const problem *p, const int64_t *index) {
  double best = -INFINITY;
  for (int64_t i = 0; i < p->primitive.kernel[0] * p->primitive.kernel[1]; i++) {
    int64_t at = pixel(p, index, index[1], i / p->primitive.kernel[1], i % p->primitive.kernel[1]);
    if (at >= 0 && input(p, 0, at) > best)
      best = input(p, 0, at);
  }
  return (expected){best, 0};
}

static expected expect_transpose(const problem *p, const int64_t *index) {
  int64_t own[TNR_MAX_RANK];
  for (int64_t i = 0; i < p->out.shape.rank; i++)
    own[p->primitive.permutation[i]] = index[i];
  double value = input(p, 0, ravel_broadcast(&p->in[0].shape, own, p->out.shape.rank));
  return (expected){value, 0};
}

static expected expect_plain(const problem *p, int64_t element) {
  int64_t index[TNR_MAX_RANK] = {0};
  unravel(&p->out.shape, element, index);
  switch (p->primitive.kind) {
  case TNR_PRIMITIVE_MATMUL:
    return expect_matmul(p, index);
  case TNR_PRIMITIVE_RELU:
    return (expected){fmax(input(p, 0, element), 0), 0};
  case TNR_PRIMITIVE_SOFTMAX:
    return expect_softmax(p, index);
  case TNR_PRIMITIVE_CONV2D:
    return expect_convolution(p, index);
  case TNR_PRIMITIVE_MAX_POOL2D:
    return expect_max_pool(p, index);
  case TNR_PRIMITIVE_CAST:
    return (expected){input(p, 0, element), 0};
  case TNR_PRIMITIVE_TRANSPOSE:
    return expect_transpose(p, index);
  default:
    return expect_binary(p, index);
  }
}

static expected expect(const problem *p, int64_t element) {
  expected e = expect_plain(p, element);
  if (p->primitive.relu)
    e.value = fmax(e.value, 0);
  return e;
}

/* --- Running --- */

void compare(const problem *p, const void *got) {
  tnr_dtype dtype = p->out.dtype;
  int64_t elements = tnr_shape_elements(&p->out.shape);
  for (int64_t i = 0; i < elements; i++) {
    expected e = expect(p, i);
    double rounding = dtype == TNR_BF16 ? 1.0 / 256 : 1e-6;
    double allowed = fabs(e.value) * rounding + e.magnitude * 1e-5;
    double error = fabs(load(dtype, got, i) - e.value);
    if (!(error <= allowed))
      fail_msg("element %lld is %g, not %g (kind %d, %s)", (long long)i, load(dtype, got, i),
               e.value, (int)p->primitive.kind, tnr_dtype_name(dtype));
  }
}

tnr_program *program_for(fixture *f, const problem *p, tnr_program_spec *spec) {
  tnr_program *program;
  *spec = (tnr_program_spec){.name = "test",
                             .in_count = p->in_count,
                             .out_count = 1,
                             .in = p->in,
                             .out = &p->out,
                             .kernel = count_fallback,
                             .primitive = p->primitive};
  assert_int_equal(tnr_cpu_driver()->program_create(f->device, spec, &program, NULL), TNR_OK);
  return program;
}

static size_t bytes_of(const tnr_desc *desc) {
  size_t bytes;
  assert_int_equal(tnr_desc_bytes(desc, &bytes, NULL), TNR_OK);
  return bytes;
}

static void *random_block(size_t bytes) {
  unsigned char *block = aligned_alloc(64, (bytes + 64) / 64 * 64);
  assert_non_null(block);
  memset(block, 0x5a, bytes);
  return block;
}

void make_dense(const tnr_desc *desc, laid_out *data) {
  if (!data->layout)
    return;
  void *dense = random_block(bytes_of(desc));
  assert_int_equal(data->layout->to_dense(data->layout, data->data, dense, NULL), TNR_OK);
  free(data->data);
  *data = (laid_out){dense, NULL};
}

/* What a runtime would keep with the tensor. */
static const void *never_needed(const tnr_program_run *run, int i, tnr_fault *fault) {
  (void)run, (void)i, (void)fault;
  fail_msg("the cpu device takes all its layouts");
  return NULL;
}

laid_out run_kept(tnr_program *program, const problem *p, const laid_out *in,
                  tnr_derived_list *const *derived) {
  static tnr_derived_list *const nowhere[MAX_INPUTS];
  laid_out result = {random_block(bytes_of(&p->out)), NULL};
  const void *data[MAX_INPUTS];
  const tnr_layout *layouts[MAX_INPUTS];
  for (int i = 0; i < p->in_count; i++) {
    data[i] = in[i].data;
    layouts[i] = in[i].layout;
  }
  tnr_program_run run = {data,    &result.data,   derived ? derived : nowhere,
                         layouts, &result.layout, never_needed};
  if (program->run_keeping)
    assert_int_equal(program->run_keeping(program, &run, NULL), TNR_OK);
  else
    assert_int_equal(program->run(program, data, &result.data, NULL), TNR_OK);
  return result;
}

static void run_and_compare(tnr_program *program, const problem *p,
                            tnr_derived_list *const *derived) {
  laid_out in[MAX_INPUTS];
  int before = fallbacks;
  for (int i = 0; i < p->in_count; i++)
    in[i] = (laid_out){p->data[i], NULL};
  laid_out kept = run_kept(program, p, in, derived);
  make_dense(&p->out, &kept);
  if (fallbacks == before)
    compare(p, kept.data);
  free(kept.data);
  void *out = random_block(bytes_of(&p->out));
  assert_int_equal(program->run(program, (const void *const *)p->data, &out, NULL), TNR_OK);
  if (fallbacks == before)
    compare(p, out);
  free(out);
}

static void run_twice(fixture *f, const problem *p, tnr_derived_list *const *derived) {
  tnr_program_spec spec;
  tnr_program *program = program_for(f, p, &spec);
  for (int i = 0; i < 2; i++)
    run_and_compare(program, p, derived);
  program->destroy(program);
}

/* Where the machine has no instructions for bf16, oneDNN may have nothing for it either. */
static bool has_bf16(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bw");
#else
  return false;
#endif
}

void check_derived(fixture *f, problem p, tnr_derived_list *const *derived) {
  static const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16};
  for (int d = 0; d < 2; d++) {
    for (int i = 0; i < p.in_count; i++) {
      p.in[i].dtype = dtypes[d];
      p.data[i] = random_data(f, &p.in[i]);
    }
    p.out.dtype = p.primitive.kind == TNR_PRIMITIVE_CAST ? dtypes[1 - d] : dtypes[d];
    int before = fallbacks;
    run_twice(f, &p, derived);
    if ((dtypes[d] == TNR_F32 && p.primitive.kind != TNR_PRIMITIVE_CAST) || has_bf16())
      assert_int_equal(fallbacks, before);
    for (int i = 0; i < p.in_count; i++)
      free(p.data[i]);
    if (derived != NULL)
      for (int i = 0; i < p.in_count; i++)
        if (derived[i] != NULL)
          tnr_derived_finish(derived[i]);
  }
}

void check(fixture *f, problem p) {
  check_derived(f, p, NULL);
}

tnr_desc of(tnr_shape shape) {
  return (tnr_desc){shape, TNR_F32};
}

problem unary(tnr_primitive primitive, tnr_shape in, tnr_shape out) {
  return (problem){.primitive = primitive, .in = {of(in)}, .out = of(out), .in_count = 1};
}

problem binary(tnr_primitive primitive, tnr_shape a, tnr_shape b, tnr_shape out) {
  return (problem){.primitive = primitive, .in = {of(a), of(b)}, .out = of(out), .in_count = 2};
}
