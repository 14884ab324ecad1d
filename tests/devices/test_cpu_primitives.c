/* Every primitive of the cpu device against naive code, called through the driver as a worker
 * would. */
#include "devices/cpu_problem.h"

#include <stdlib.h>
#include <string.h>

static void binary_ops_broadcast_either_side(void **state) {
  const struct {
    tnr_shape a, b, out;
  } cases[] = {
      {TNR_SCALAR, TNR_SCALAR, TNR_SCALAR},
      {TNR_SHAPE(1), TNR_SHAPE(1), TNR_SHAPE(1)},
      {TNR_SHAPE(7, 13), TNR_SHAPE(7, 13), TNR_SHAPE(7, 13)},
      {TNR_SHAPE(7, 13), TNR_SHAPE(13), TNR_SHAPE(7, 13)},
      {TNR_SHAPE(13), TNR_SHAPE(7, 13), TNR_SHAPE(7, 13)},
      {TNR_SHAPE(7, 13), TNR_SHAPE(7, 1), TNR_SHAPE(7, 13)},
      {TNR_SHAPE(7, 1), TNR_SHAPE(7, 13), TNR_SHAPE(7, 13)},
      {TNR_SHAPE(7, 1), TNR_SHAPE(1, 13), TNR_SHAPE(7, 13)},
      {TNR_SCALAR, TNR_SHAPE(5, 33), TNR_SHAPE(5, 33)},
      {TNR_SHAPE(5, 33), TNR_SHAPE(1, 1), TNR_SHAPE(5, 33)},
      {TNR_SHAPE(3, 17, 5, 3), TNR_SHAPE(17, 1, 1), TNR_SHAPE(3, 17, 5, 3)},
      {TNR_SHAPE(1, 17, 1, 1), TNR_SHAPE(3, 17, 5, 3), TNR_SHAPE(3, 17, 5, 3)},
      {TNR_SHAPE(3, 4, 5, 6), TNR_SHAPE(3, 1, 5, 1), TNR_SHAPE(3, 4, 5, 6)},
      {TNR_SHAPE(1, 4, 1, 6), TNR_SHAPE(3, 4, 5, 6), TNR_SHAPE(3, 4, 5, 6)},
      {TNR_SHAPE(3, 1, 5, 1), TNR_SHAPE(1, 4, 1, 6), TNR_SHAPE(3, 4, 5, 6)},
      {TNR_SHAPE(2, 1, 2, 1, 2, 1, 2, 1), TNR_SHAPE(3, 1, 3, 1, 3, 1, 3),
       TNR_SHAPE(2, 3, 2, 3, 2, 3, 2, 3)},
  };
  for (int kind = TNR_PRIMITIVE_ADD; kind <= TNR_PRIMITIVE_DIV; kind++)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
      check(*state, binary((tnr_primitive){.kind = (tnr_primitive_kind)kind}, cases[i].a,
                           cases[i].b, cases[i].out));
}

static void relu_and_cast_take_any_shape(void **state) {
  const tnr_shape shapes[] = {TNR_SCALAR, TNR_SHAPE(1), TNR_SHAPE(1031),
                              TNR_SHAPE(3, 1, 5, 7, 1, 2, 2, 3)};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    check(*state, unary((tnr_primitive){.kind = TNR_PRIMITIVE_RELU}, shapes[i], shapes[i]));
    check(*state, unary((tnr_primitive){.kind = TNR_PRIMITIVE_CAST}, shapes[i], shapes[i]));
  }
}

static void softmax_goes_over_any_axis(void **state) {
  const tnr_shape shapes[] = {TNR_SHAPE(1), TNR_SHAPE(5, 10), TNR_SHAPE(3, 1, 17, 2),
                              TNR_SHAPE(2, 33, 5), TNR_SHAPE(1000)};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int64_t axis = 0; axis < shapes[i].rank; axis++)
      check(*state, unary((tnr_primitive){.kind = TNR_PRIMITIVE_SOFTMAX, .axis = axis}, shapes[i],
                          shapes[i]));
}

static void transpose_permutes(void **state) {
  const struct {
    int permutation[5];
    tnr_shape in, out;
  } cases[] = {
      {{0}, TNR_SHAPE(7), TNR_SHAPE(7)},
      {{1, 0}, TNR_SHAPE(7, 13), TNR_SHAPE(13, 7)},
      {{1, 0}, TNR_SHAPE(1, 13), TNR_SHAPE(13, 1)},
      {{0, 1}, TNR_SHAPE(7, 13), TNR_SHAPE(7, 13)},
      {{0, 2, 3, 1}, TNR_SHAPE(2, 3, 5, 7), TNR_SHAPE(2, 5, 7, 3)},
      {{2, 0, 3, 1}, TNR_SHAPE(2, 3, 5, 7), TNR_SHAPE(5, 2, 7, 3)},
      {{4, 3, 2, 1, 0}, TNR_SHAPE(2, 3, 4, 5, 6), TNR_SHAPE(6, 5, 4, 3, 2)},
  };
  check(*state, unary((tnr_primitive){.kind = TNR_PRIMITIVE_TRANSPOSE}, TNR_SCALAR, TNR_SCALAR));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tnr_primitive primitive = {.kind = TNR_PRIMITIVE_TRANSPOSE};
    memcpy(primitive.permutation, cases[i].permutation, sizeof cases[i].permutation);
    check(*state, unary(primitive, cases[i].in, cases[i].out));
  }
}

static void swap_last(tnr_shape *shape) {
  int64_t kept = shape->dims[shape->rank - 1];
  shape->dims[shape->rank - 1] = shape->dims[shape->rank - 2];
  shape->dims[shape->rank - 2] = kept;
}

static problem matmul(tnr_shape a, tnr_shape b, tnr_shape out, bool transpose_a, bool transpose_b) {
  if (transpose_a)
    swap_last(&a);
  if (transpose_b)
    swap_last(&b);
  tnr_primitive primitive = {
      .kind = TNR_PRIMITIVE_MATMUL, .transpose_a = transpose_a, .transpose_b = transpose_b};
  return binary(primitive, a, b, out);
}

static problem with_bias_and_relu(problem p) {
  p.in[2] = of(TNR_SHAPE(p.out.shape.dims[p.out.shape.rank - 1]));
  p.in_count = 3;
  p.primitive.relu = true;
  return p;
}

static void matmul_broadcasts_and_transposes(void **state) {
  const struct {
    tnr_shape a, b, out;
  } cases[] = {
      {TNR_SHAPE(1, 1), TNR_SHAPE(1, 1), TNR_SHAPE(1, 1)},
      {TNR_SHAPE(5, 7), TNR_SHAPE(7, 3), TNR_SHAPE(5, 3)},
      {TNR_SHAPE(1, 65), TNR_SHAPE(65, 33), TNR_SHAPE(1, 33)},
      {TNR_SHAPE(33, 65), TNR_SHAPE(65, 1), TNR_SHAPE(33, 1)},
      {TNR_SHAPE(17, 1), TNR_SHAPE(1, 19), TNR_SHAPE(17, 19)},
      {TNR_SHAPE(64, 96), TNR_SHAPE(96, 80), TNR_SHAPE(64, 80)},
      {TNR_SHAPE(4, 5, 7), TNR_SHAPE(7, 3), TNR_SHAPE(4, 5, 3)},
      {TNR_SHAPE(5, 7), TNR_SHAPE(4, 7, 3), TNR_SHAPE(4, 5, 3)},
      {TNR_SHAPE(4, 5, 7), TNR_SHAPE(1, 7, 3), TNR_SHAPE(4, 5, 3)},
      {TNR_SHAPE(3, 1, 5, 7), TNR_SHAPE(1, 4, 7, 3), TNR_SHAPE(3, 4, 5, 3)},
      {TNR_SHAPE(2, 3, 5, 7), TNR_SHAPE(3, 7, 9), TNR_SHAPE(2, 3, 5, 9)},
      {TNR_SHAPE(2, 1, 3, 1, 2, 1, 5, 7), TNR_SHAPE(1, 2, 1, 3, 1, 2, 7, 3),
       TNR_SHAPE(2, 2, 3, 3, 2, 2, 5, 3)},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int turn = 0; turn < 4; turn++) {
      problem p = matmul(cases[i].a, cases[i].b, cases[i].out, turn & 1, turn & 2);
      check(*state, p);
      check(*state, with_bias_and_relu(p));
    }
}

/* Window sizes are given as height, width. */
static tnr_primitive window(tnr_primitive_kind kind) {
  return (tnr_primitive){
      .kind = kind, .kernel = {2, 2}, .stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
}

/* The size that a dimension of an image has after a window has gone over it. */
static int64_t slid(const tnr_primitive *w, int side, int64_t size, int64_t kernel) {
  int64_t reach = (kernel - 1) * w->dilation[side] + 1;
  return (size + w->pad_before[side] + w->pad_after[side] - reach) / w->stride[side] + 1;
}

static problem convolution(tnr_primitive p, tnr_shape in, tnr_shape weights, bool bias) {
  tnr_shape out = TNR_SHAPE(in.dims[0], weights.dims[0], slid(&p, 0, in.dims[2], weights.dims[2]),
                            slid(&p, 1, in.dims[3], weights.dims[3]));
  problem made = binary(p, in, weights, out);
  made.in[2] = of(TNR_SHAPE(weights.dims[0]));
  made.in_count = bias ? 3 : 2;
  return made;
}

static void convolution_takes_any_channels(void **state) {
  tnr_primitive plain = window(TNR_PRIMITIVE_CONV2D);
  static const int64_t channels[] = {1, 3, 4, 5, 16, 32};
  for (int i = 0; i < 6; i++)
    for (int o = 0; o < 6; o++) {
      plain.relu = (i + o) % 3 == 0;
      check(*state, convolution(plain, TNR_SHAPE(2, channels[i], 6, 7),
                                TNR_SHAPE(channels[o], channels[i], 3, 2), (i + o) % 2 == 0));
    }
  check(*state, convolution(plain, TNR_SHAPE(1, 1, 1, 1), TNR_SHAPE(1, 1, 1, 1), true));
}

static void convolution_strides_dilates_and_pads(void **state) {
  tnr_primitive p = window(TNR_PRIMITIVE_CONV2D);
  p.stride[0] = 2, p.stride[1] = 3;
  check(*state, convolution(p, TNR_SHAPE(2, 16, 9, 11), TNR_SHAPE(16, 16, 3, 3), true));
  p.pad_before[0] = 1, p.pad_after[1] = 2;
  check(*state, convolution(p, TNR_SHAPE(2, 3, 9, 11), TNR_SHAPE(16, 3, 3, 3), true));
  p.dilation[0] = 2;
  check(*state, convolution(p, TNR_SHAPE(2, 5, 9, 11), TNR_SHAPE(7, 5, 3, 3), false));
  p.pad_before[0] = 8, p.pad_after[0] = 9;
  check(*state, convolution(p, TNR_SHAPE(2, 16, 9, 11), TNR_SHAPE(16, 16, 3, 3), false));
  p.dilation[1] = 3, p.pad_before[1] = 1;
  check(*state, convolution(p, TNR_SHAPE(2, 16, 9, 11), TNR_SHAPE(32, 16, 3, 3), true));
}

static void convolution_groups(void **state) {
  tnr_primitive p = window(TNR_PRIMITIVE_CONV2D);
  p.pad_before[0] = p.pad_before[1] = 1;
  p.groups = 2;
  check(*state, convolution(p, TNR_SHAPE(2, 6, 5, 7), TNR_SHAPE(4, 3, 3, 3), true));
  p.groups = 4;
  check(*state, convolution(p, TNR_SHAPE(1, 64, 5, 7), TNR_SHAPE(64, 16, 3, 3), true));
  p.groups = 32;
  check(*state, convolution(p, TNR_SHAPE(2, 32, 5, 7), TNR_SHAPE(32, 1, 3, 3), true));
  check(*state, convolution(p, TNR_SHAPE(2, 32, 5, 7), TNR_SHAPE(64, 1, 3, 3), false));
  p.groups = 5;
  check(*state, convolution(p, TNR_SHAPE(2, 5, 5, 7), TNR_SHAPE(5, 1, 3, 3), true));
}

static problem max_pool(tnr_primitive p, tnr_shape in) {
  return unary(p, in,
               TNR_SHAPE(in.dims[0], in.dims[1], slid(&p, 0, in.dims[2], p.kernel[0]),
                         slid(&p, 1, in.dims[3], p.kernel[1])));
}

static void max_pool_strides_and_pads(void **state) {
  tnr_primitive p = window(TNR_PRIMITIVE_MAX_POOL2D);
  check(*state, max_pool(p, TNR_SHAPE(1, 1, 2, 2)));
  check(*state, max_pool(p, TNR_SHAPE(3, 5, 9, 7)));
  p.stride[0] = p.stride[1] = 2;
  check(*state, max_pool(p, TNR_SHAPE(3, 16, 8, 8)));
  p.kernel[0] = 3, p.pad_before[0] = 1, p.pad_after[1] = 1;
  check(*state, max_pool(p, TNR_SHAPE(2, 17, 9, 7)));
}

static void kept_weights_give_the_same_results(void **state) {
  tnr_derived_list list = {NULL};
  tnr_derived_list *derived[MAX_INPUTS] = {NULL, &list, NULL};
  for (int turn = 0; turn < 4; turn++) {
    problem p = matmul(TNR_SHAPE(16, 96), TNR_SHAPE(96, 80), TNR_SHAPE(16, 80), turn & 1, turn & 2);
    check_derived(*state, p, derived);
    check_derived(*state, with_bias_and_relu(p), derived);
  }
  check_derived(*state,
                matmul(TNR_SHAPE(4, 5, 7), TNR_SHAPE(7, 3), TNR_SHAPE(4, 5, 3), false, false),
                derived);
  check_derived(*state,
                matmul(TNR_SHAPE(4, 5, 7), TNR_SHAPE(4, 7, 3), TNR_SHAPE(4, 5, 3), false, false),
                derived);
  check_derived(*state,
                convolution(window(TNR_PRIMITIVE_CONV2D), TNR_SHAPE(2, 16, 6, 7),
                            TNR_SHAPE(32, 16, 3, 3), true),
                derived);
}

/* The same bytes may be read as they are and transposed, or under two shapes: other weights. */
static void the_same_bytes_read_in_two_ways_are_packed_twice(void **state) {
  fixture *f = *state;
  tnr_derived_list list = {NULL}, *derived[MAX_INPUTS] = {NULL, &list, NULL};
  problem ways[2];
  for (int i = 0; i < 2; i++)
    ways[i] = matmul(TNR_SHAPE(16, 96), TNR_SHAPE(96, 96), TNR_SHAPE(16, 96), false, i);
  ways[0].data[0] = ways[1].data[0] = random_data(f, &ways[0].in[0]);
  ways[0].data[1] = ways[1].data[1] = random_data(f, &ways[0].in[1]);
  for (int i = 0; i < 4; i++) {
    const problem *p = &ways[i % 2];
    tnr_program_spec spec;
    tnr_program *program = program_for(f, p, &spec);
    const laid_out in[] = {{p->data[0], NULL}, {p->data[1], NULL}};
    laid_out out = run_kept(program, p, in, derived);
    compare(p, out.data);
    free(out.data);
    program->destroy(program);
  }
  tnr_derived_finish(&list);
  free(ways[0].data[0]);
  free(ways[0].data[1]);
}

/* Weights that outlive the device that packed them, as a tensor of the user's may. */
static void kept_weights_are_packed_once_and_outlive_the_device(void **state) {
  fixture other = {.random = 1};
  const tnr_device_info info = {.name = "cpu:1", .index = 1, .threads = 1};
  tnr_derived_list list = {NULL}, *derived[MAX_INPUTS] = {NULL, &list, NULL};
  problem p = matmul(TNR_SHAPE(16, 96), TNR_SHAPE(96, 80), TNR_SHAPE(16, 80), false, false);
  tnr_derived *first = NULL;
  assert_int_equal(tnr_cpu_driver()->open(&info, &other.device, NULL), TNR_OK);
  fixture *devices[2] = {&other, *state};
  for (int i = 0; i < 2; i++)
    p.data[i] = random_data(&other, &p.in[i]);
  for (int i = 0; i < 2; i++) {
    tnr_program_spec spec;
    tnr_program *program = program_for(devices[i], &p, &spec);
    const laid_out in[] = {{p.data[0], NULL}, {p.data[1], NULL}};
    laid_out out = run_kept(program, &p, in, derived);
    compare(&p, out.data);
    if (i == 0)
      first = tnr_derived_first(&list);
    assert_ptr_equal(tnr_derived_first(&list), first);
    free(out.data);
    program->destroy(program);
    if (i == 0)
      tnr_cpu_driver()->close(other.device);
  }
  tnr_derived_finish(&list);
  free(p.data[0]);
  free(p.data[1]);
}

static void falls_back(fixture *f, problem p) {
  tnr_program_spec spec;
  tnr_program *program = program_for(f, &p, &spec);
  const void *in[MAX_INPUTS] = {NULL};
  void *out[1] = {NULL};
  int before = fallbacks;
  assert_int_equal(program->run(program, in, out, NULL), TNR_OK);
  assert_int_equal(fallbacks, before + 1);
  program->destroy(program);
}

static void what_onednn_lacks_falls_back_on_the_kernel(void **state) {
  tnr_primitive add = {.kind = TNR_PRIMITIVE_ADD}, pool = window(TNR_PRIMITIVE_MAX_POOL2D);
  problem integers = binary(add, TNR_SHAPE(3), TNR_SHAPE(3), TNR_SHAPE(3));
  integers.in[0].dtype = integers.in[1].dtype = integers.out.dtype = TNR_I64;
  falls_back(*state, integers);
  falls_back(*state, unary((tnr_primitive){0}, TNR_SHAPE(3), TNR_SHAPE(3)));
  falls_back(*state, binary(add, TNR_SHAPE(0, 3), TNR_SHAPE(3), TNR_SHAPE(0, 3)));
  falls_back(*state, matmul(TNR_SHAPE(2, 0), TNR_SHAPE(0, 3), TNR_SHAPE(2, 3), false, false));
  pool.pad_before[0] = 3;
  falls_back(*state, max_pool(pool, TNR_SHAPE(1, 1, 2, 2)));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)
  const struct CMUnitTest tests[] = {
      TEST(binary_ops_broadcast_either_side),
      TEST(relu_and_cast_take_any_shape),
      TEST(softmax_goes_over_any_axis),
      TEST(transpose_permutes),
      TEST(matmul_broadcasts_and_transposes),
      TEST(convolution_takes_any_channels),
      TEST(convolution_strides_dilates_and_pads),
      TEST(convolution_groups),
      TEST(max_pool_strides_and_pads),
      TEST(kept_weights_give_the_same_results),
      TEST(the_same_bytes_read_in_two_ways_are_packed_twice),
      TEST(kept_weights_are_packed_once_and_outlive_the_device),
      TEST(what_onednn_lacks_falls_back_on_the_kernel),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
