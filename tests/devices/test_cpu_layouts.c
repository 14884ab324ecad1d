/* What a convolution of the cpu device leaves in a layout of its own, every primitive takes. */
#include "devices/cpu_problem.h"

#include <stdlib.h>

enum { N = 2, C = 32, H = 6, W = 8 };

/* Contents of shape [N, C, H, W], or of what they are reshaped to. */
typedef struct image {
  laid_out own;
  void *dense;
  tnr_dtype dtype;
} image;

/* Runs one problem on data that is there. */
static laid_out run_once(fixture *f, const problem *p, const laid_out *in) {
  tnr_program_spec spec;
  tnr_program *program = program_for(f, p, &spec);
  int before = fallbacks;
  laid_out out = run_kept(program, p, in, NULL);
  assert_int_equal(fallbacks, before);
  program->destroy(program);
  return out;
}

static void dense_copy_of(const tnr_desc *desc, const laid_out *own, void **out) {
  size_t bytes;
  assert_int_equal(tnr_desc_bytes(desc, &bytes, NULL), TNR_OK);
  *out = malloc(bytes);
  assert_non_null(*out);
  assert_int_equal(own->layout->to_dense(own->layout, own->data, *out, NULL), TNR_OK);
}

static problem convolution_of(tnr_shape in, int64_t outputs) {
  const tnr_primitive p = {.kind = TNR_PRIMITIVE_CONV2D,
                           .stride = {1, 1},
                           .dilation = {1, 1},
                           .pad_before = {1, 1},
                           .pad_after = {1, 1},
                           .groups = 1,
                           .relu = true};
  return binary(p, in, TNR_SHAPE(outputs, in.dims[1], 3, 3),
                TNR_SHAPE(in.dims[0], outputs, in.dims[2], in.dims[3]));
}

/* What a convolution gave; on machines where it comes dense there is nothing to be tested. */
static bool make_image(fixture *f, tnr_dtype dtype, image *out) {
  problem p = convolution_of(TNR_SHAPE(N, 3, H, W), C);
  laid_out in[2];
  for (int i = 0; i < 2; i++) {
    p.in[i].dtype = dtype;
    in[i] = (laid_out){random_data(f, &p.in[i]), NULL};
  }
  p.out.dtype = dtype;
  *out = (image){.own = run_once(f, &p, in), .dtype = dtype};
  free(in[0].data);
  free(in[1].data);
  if (out->own.layout == NULL) {
    free(out->own.data);
    return false;
  }
  dense_copy_of(&p.out, &out->own, &out->dense);
  return true;
}

static void drop_image(image *image) {
  free(image->own.data);
  free(image->dense);
}

/* Runs a problem with the image as those of its inputs whose bit is set in `images`, in its own
 * layout, and the others made up, in rows. */
static void check_with(fixture *f, const image *image, problem p, unsigned images) {
  laid_out in[MAX_INPUTS];
  for (int i = 0; i < p.in_count; i++) {
    p.in[i].dtype = image->dtype;
    in[i] = images & 1u << i ? image->own : (laid_out){random_data(f, &p.in[i]), NULL};
    p.data[i] = images & 1u << i ? image->dense : in[i].data;
  }
  p.out.dtype = p.primitive.kind != TNR_PRIMITIVE_CAST ? image->dtype
                : image->dtype == TNR_F32              ? TNR_BF16
                                                       : TNR_F32;
  laid_out out = run_once(f, &p, in);
  make_dense(&p.out, &out);
  compare(&p, out.data);
  free(out.data);
  for (int i = 0; i < p.in_count; i++)
    if (!(images & 1u << i))
      free(in[i].data);
}

/* Where there are instructions for bf16 as well. */
static int dtypes_here(void) {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bw") ? 2 : 1;
#else
  return 1;
#endif
}

typedef void check_fn(fixture *f, const image *image);

static void on_images(void **state, check_fn *check) {
  static const tnr_dtype dtypes[] = {TNR_F32, TNR_BF16};
  for (int d = 0; d < dtypes_here(); d++) {
    image image;
    if (!make_image(*state, dtypes[d], &image))
      continue;
    check(*state, &image);
    drop_image(&image);
  }
}

#define IMAGE TNR_SHAPE(N, C, H, W)

static void convolve(fixture *f, const image *image) {
  check_with(f, image, convolution_of(IMAGE, 16), 1);
  check_with(f, image, convolution_of(IMAGE, 5), 1);
  problem grouped = convolution_of(IMAGE, C);
  grouped.primitive.groups = C;
  grouped.in[1].shape = TNR_SHAPE(C, 1, 3, 3);
  check_with(f, image, grouped, 1);
}

static void a_convolution_takes_it(void **state) {
  on_images(state, convolve);
}

static void pool(fixture *f, const image *image) {
  const tnr_primitive p = {
      .kind = TNR_PRIMITIVE_MAX_POOL2D, .kernel = {2, 2}, .stride = {2, 2}, .dilation = {1, 1}};
  check_with(f, image, unary(p, IMAGE, TNR_SHAPE(N, C, H / 2, W / 2)), 1);
  tnr_shape turned = TNR_SHAPE(C, N, W, H); /* the same bytes, reshaped */
  check_with(f, image, unary(p, turned, TNR_SHAPE(C, N, W / 2, H / 2)), 1);
}

static void a_pooling_takes_it(void **state) {
  on_images(state, pool);
}

static void clamp(fixture *f, const image *image) {
  const tnr_primitive p = {.kind = TNR_PRIMITIVE_RELU};
  check_with(f, image, unary(p, IMAGE, IMAGE), 1);
  check_with(f, image, unary(p, TNR_SHAPE(N * C, H * W), TNR_SHAPE(N * C, H * W)), 1);
}

static void a_relu_takes_it_under_any_shape(void **state) {
  on_images(state, clamp);
}

static void combine(fixture *f, const image *image) {
  for (int kind = TNR_PRIMITIVE_ADD; kind <= TNR_PRIMITIVE_MUL; kind++) {
    const tnr_primitive p = {.kind = (tnr_primitive_kind)kind};
    for (unsigned images = 1; images <= 3; images++)
      check_with(f, image, binary(p, IMAGE, IMAGE, IMAGE), images);
    check_with(f, image, binary(p, IMAGE, TNR_SHAPE(C, 1, 1), IMAGE), 1);
    check_with(f, image, binary(p, TNR_SHAPE(1, W), IMAGE, IMAGE), 2);
  }
}

static void sums_and_products_take_one_or_both(void **state) {
  on_images(state, combine);
}

static void use_rows(fixture *f, const image *image) {
  const tnr_primitive softmax = {.kind = TNR_PRIMITIVE_SOFTMAX, .axis = 1};
  const tnr_primitive matmul = {.kind = TNR_PRIMITIVE_MATMUL, .transpose_b = true, .relu = true};
  const tnr_primitive transpose = {.kind = TNR_PRIMITIVE_TRANSPOSE, .permutation = {3, 1, 0, 2}};
  check_with(f, image, unary(softmax, IMAGE, IMAGE), 1);
  check_with(f, image, unary(transpose, IMAGE, TNR_SHAPE(W, C, N, H)), 1);
  check_with(f, image, unary((tnr_primitive){.kind = TNR_PRIMITIVE_CAST}, IMAGE, IMAGE), 1);
  problem linear =
      binary(matmul, TNR_SHAPE(N, C * H * W), TNR_SHAPE(10, C * H * W), TNR_SHAPE(N, 10));
  linear.in[2] = of(TNR_SHAPE(10));
  linear.in_count = 3;
  check_with(f, image, linear, 1);
}

static void what_needs_rows_brings_it_into_rows(void **state) {
  on_images(state, use_rows);
}

static void use_as_weights(fixture *f, const image *image) {
  const tnr_primitive matmul = {.kind = TNR_PRIMITIVE_MATMUL};
  check_with(f, image,
             binary(matmul, TNR_SHAPE(7, N * C), TNR_SHAPE(N * C, H * W), TNR_SHAPE(7, H * W)), 2);
  problem p = convolution_of(TNR_SHAPE(1, C, H, W), N);
  p.in[1].shape = IMAGE;
  p.primitive.pad_before[0] = p.primitive.pad_after[0] = 3;
  p.primitive.pad_before[1] = p.primitive.pad_after[1] = 4;
  p.out.shape = TNR_SHAPE(1, N, 7, 9);
  check_with(f, image, p, 2);
}

static void it_may_be_weights(void **state) {
  on_images(state, use_as_weights);
}

/* That all of the above was about something. */
static void a_convolution_leaves_its_own_layout_here(void **state) {
  image image;
#if defined(__x86_64__)
  assert_true(make_image(*state, TNR_F32, &image));
#else
  if (!make_image(*state, TNR_F32, &image))
    skip();
#endif
  drop_image(&image);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)
  const struct CMUnitTest tests[] = {
      TEST(a_convolution_leaves_its_own_layout_here),
      TEST(a_convolution_takes_it),
      TEST(a_pooling_takes_it),
      TEST(a_relu_takes_it_under_any_shape),
      TEST(sums_and_products_take_one_or_both),
      TEST(what_needs_rows_brings_it_into_rows),
      TEST(it_may_be_weights),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
