#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "recipe.h"

/* The steps of tiny.onnx: the convolution does the relu, the matmul adds Gemm's C. */
enum { CONV_STEP, POOL_STEP, FLATTEN_STEP, GEMM_STEP, STEPS };

static void read_changed(change_fn *change, struct onnx_graph *out) {
  struct bytes file = changed_tiny(change);
  tnr_fault fault;
  assert_int_equal(onnx_parse(file.data, file.size, out, &fault), TNR_OK);
  bytes_finish(&file);
}

static void lower(change_fn *change, struct onnx_graph *graph, struct recipe *recipe) {
  tnr_fault fault = {0};
  read_changed(change, graph);
  if (recipe_init(graph, recipe, &fault) != TNR_OK)
    fail_msg("%s", fault.message);
}

static void assert_lowers(change_fn *change) {
  struct onnx_graph graph;
  struct recipe recipe;
  lower(change, &graph, &recipe);
  recipe_finish(&recipe);
  onnx_finish(&graph);
}

static void assert_refused(change_fn *change, tnr_status status, const char *sentence) {
  struct onnx_graph graph;
  struct recipe recipe;
  tnr_fault fault = {0};
  read_changed(change, &graph);
  assert_int_equal(recipe_init(&graph, &recipe, &fault), status);
  assert_string_equal(fault.message, sentence);
  assert_null(recipe.steps);
  onnx_finish(&graph);
}

static void nodes_become_calls_in_order(void **state) {
  (void)state;
  struct onnx_graph graph;
  struct recipe recipe;
  lower(NULL, &graph, &recipe);
  static const tnr_op_def *const ops[STEPS] = {&tnr_op_conv2d, &tnr_op_max_pool2d, &tnr_op_flatten,
                                               &tnr_op_matmul};
  assert_int_equal(recipe.step_count, STEPS);
  for (size_t i = 0; i < recipe.step_count; i++)
    assert_ptr_equal(recipe.steps[i].op, ops[i]);
  for (size_t i = 1; i < recipe.step_count; i++)
    assert_int_equal(recipe.steps[i].inputs[0], recipe.steps[i - 1].output);
  assert_int_equal(recipe.outputs[0], recipe.steps[recipe.step_count - 1].output);
  recipe_finish(&recipe);
  onnx_finish(&graph);
}

static void attributes_are_carried_over(void **state) {
  (void)state;
  struct onnx_graph graph;
  struct recipe recipe;
  lower(NULL, &graph, &recipe);
  const tnr_conv2d_attrs *conv = &recipe.steps[CONV_STEP].attrs.conv2d;
  assert_int_equal(conv->pad_before[1], 1);
  assert_int_equal(conv->pad_after[0], 1);
  assert_int_equal(conv->groups, 1);
  assert_true(conv->relu);
  const tnr_max_pool2d_attrs *pool = &recipe.steps[POOL_STEP].attrs.max_pool2d;
  assert_int_equal(pool->kernel[0], 2);
  assert_int_equal(pool->stride[1], 2);
  assert_int_equal(pool->pad_after[1], 0);
  assert_int_equal(recipe.steps[FLATTEN_STEP].attrs.flatten.axis, 1);
  assert_true(recipe.steps[GEMM_STEP].attrs.matmul.transpose_b);
  assert_false(recipe.steps[GEMM_STEP].attrs.matmul.transpose_a);
  assert_false(recipe.steps[GEMM_STEP].attrs.matmul.relu);
  assert_int_equal(recipe.steps[GEMM_STEP].input_count, 3);
  recipe_finish(&recipe);
  onnx_finish(&graph);
}

/* ONNX's default stride of a pool is 1 and not, as tenor's, the kernel. */
static void drop_strides(Onnx__ModelProto *model) {
  set_text(&model->graph->node[POOL]->attribute[1]->name, "dilations");
  model->graph->node[POOL]->attribute[1]->ints[0] = 1;
  model->graph->node[POOL]->attribute[1]->ints[1] = 1;
}

static void a_pool_without_strides_steps_by_one(void **state) {
  (void)state;
  struct onnx_graph graph;
  struct recipe recipe;
  lower(drop_strides, &graph, &recipe);
  assert_int_equal(recipe.steps[POOL_STEP].attrs.max_pool2d.stride[0], 1);
  assert_int_equal(recipe.steps[POOL_STEP].attrs.max_pool2d.stride[1], 1);
  recipe_finish(&recipe);
  onnx_finish(&graph);
}

static void expect_steps(change_fn *change, const tnr_op_def *const *ops, size_t count) {
  struct onnx_graph graph;
  struct recipe recipe;
  lower(change, &graph, &recipe);
  assert_int_equal(recipe.step_count, count);
  for (size_t i = 0; i < count; i++)
    assert_ptr_equal(recipe.steps[i].op, ops[i]);
  recipe_finish(&recipe);
  onnx_finish(&graph);
}

static void see_the_convolution(Onnx__ModelProto *model) {
  set_text(&model->graph->output[0]->name, "c");
}

static void pool_the_convolution(Onnx__ModelProto *model) {
  set_text(&model->graph->node[POOL]->input[0], "c");
}

static void relu_twice(Onnx__ModelProto *model) {
  set_text(&model->graph->node[FLATTEN]->op_type, "Relu");
  drop_attributes(model->graph->node[FLATTEN], 0);
}

static void a_relu_joins_only_what_nobody_else_sees(void **state) {
  (void)state;
  static const tnr_op_def *const apart[] = {&tnr_op_conv2d, &tnr_op_relu, &tnr_op_max_pool2d,
                                            &tnr_op_flatten, &tnr_op_matmul};
  static const tnr_op_def *const after_pool[] = {&tnr_op_conv2d, &tnr_op_max_pool2d, &tnr_op_relu,
                                                 &tnr_op_matmul};
  expect_steps(see_the_convolution, apart, 5);
  expect_steps(pool_the_convolution, apart, 5);
  expect_steps(relu_twice, after_pool, 4);
}

static void clamp_the_logits(Onnx__ModelProto *model) {
  Onnx__NodeProto **node = model->graph->node, *relu = node[RELU];
  set_text(&node[POOL]->input[0], "c");
  set_text(&relu->input[0], "logits");
  set_text(&relu->output[0], "clamped");
  set_text(&model->graph->output[0]->name, "clamped");
  for (int i = RELU; i + 1 < NODES; i++)
    node[i] = node[i + 1];
  node[NODES - 1] = relu;
}

static void a_matmul_does_the_relu_behind_it(void **state) {
  (void)state;
  static const tnr_op_def *const ops[] = {&tnr_op_conv2d, &tnr_op_max_pool2d, &tnr_op_flatten,
                                          &tnr_op_matmul};
  expect_steps(clamp_the_logits, ops, 4);
}

static void double_c(Onnx__ModelProto *model) {
  Onnx__NodeProto *gemm = model->graph->node[GEMM];
  drop_attributes(gemm, 0);
  add_int(gemm, "transB", 1);
  add_float(gemm, "beta", 2);
}

static void compute_c(Onnx__ModelProto *model) {
  set_text(&model->graph->node[GEMM]->input[2], "f");
}

static void leave_out_c(Onnx__ModelProto *model) {
  set_text(&model->graph->node[GEMM]->input[2], "");
}

static void only_a_constant_row_is_a_bias(void **state) {
  (void)state;
  static const tnr_op_def *const scaled[] = {&tnr_op_conv2d, &tnr_op_max_pool2d, &tnr_op_flatten,
                                             &tnr_op_matmul, &tnr_op_mul,        &tnr_op_add};
  static const tnr_op_def *const apart[] = {&tnr_op_conv2d, &tnr_op_max_pool2d, &tnr_op_flatten,
                                            &tnr_op_matmul, &tnr_op_add};
  expect_steps(double_c, scaled, 6);
  expect_steps(compute_c, apart, 5);
  expect_steps(leave_out_c, apart, 4);
}

static void use_an_unknown_operator(Onnx__ModelProto *model) {
  set_text(&model->graph->node[RELU]->op_type, "Det");
}

static void use_another_domain(Onnx__ModelProto *model) {
  set_text(&model->graph->node[RELU]->domain, "com.example");
}

static void add_an_unknown_attribute(Onnx__ModelProto *model) {
  add_int(model->graph->node[RELU], "speed", 1);
}

static void what_is_not_supported_is_named(void **state) {
  (void)state;
  assert_refused(use_an_unknown_operator, TNR_EUNSUPPORTED,
                 "node 'relu' (Det): this operator is not supported");
  assert_refused(use_another_domain, TNR_EUNSUPPORTED,
                 "node 'relu' (Relu): this operator is not supported, of domain com.example");
  assert_refused(add_an_unknown_attribute, TNR_EUNSUPPORTED,
                 "node 'relu' (Relu): attribute 'speed' is not supported");
}

static void round_up(Onnx__ModelProto *model) {
  add_int(model->graph->node[POOL], "ceil_mode", 1);
}

static void round_down(Onnx__ModelProto *model) {
  add_int(model->graph->node[POOL], "ceil_mode", 0);
}

static void pad_automatically(Onnx__ModelProto *model) {
  add_text(model->graph->node[CONV], "auto_pad", "SAME_UPPER");
}

static void pad_never(Onnx__ModelProto *model) {
  add_text(model->graph->node[CONV], "auto_pad", "VALID");
}

static void shorten_strides(Onnx__ModelProto *model) {
  model->graph->node[POOL]->attribute[1]->n_ints = 1;
}

static void make_a_stride_zero(Onnx__ModelProto *model) {
  model->graph->node[POOL]->attribute[1]->ints[1] = 0;
}

static void drop_the_kernel(Onnx__ModelProto *model) {
  set_text(&model->graph->node[POOL]->attribute[0]->name, "dilations");
}

static void change_the_kernel(Onnx__ModelProto *model) {
  model->graph->node[CONV]->attribute[0]->ints[0] = 5;
}

static void divide_into_no_groups(Onnx__ModelProto *model) {
  add_int(model->graph->node[CONV], "group", 0);
}

static void windows_are_checked(void **state) {
  (void)state;
  assert_lowers(round_down);
  assert_lowers(pad_never);
  assert_refused(round_up, TNR_EUNSUPPORTED, "node 'pool' (MaxPool): ceil_mode 1 is not supported");
  assert_refused(pad_automatically, TNR_EUNSUPPORTED,
                 "node 'conv' (Conv): auto_pad 'SAME_UPPER' is not supported");
  assert_refused(shorten_strides, TNR_EUNSUPPORTED,
                 "node 'pool' (MaxPool): 'strides' has 1 elements and not 2: only images of two "
                 "dimensions are supported");
  assert_refused(make_a_stride_zero, TNR_EINVAL,
                 "node 'pool' (MaxPool): 'strides' has an element 0");
  assert_refused(drop_the_kernel, TNR_EINVAL,
                 "node 'pool' (MaxPool): the attribute 'kernel_shape' is missing");
  assert_refused(change_the_kernel, TNR_EUNSUPPORTED,
                 "node 'conv' (Conv): weights of shape [2, 1, 3, 3] are not supported: "
                 "'kernel_shape' differs");
  assert_refused(divide_into_no_groups, TNR_EINVAL, "node 'conv' (Conv): 'group' is 0");
}

static void drop_the_bias(Onnx__ModelProto *model) {
  set_text(&model->graph->node[CONV]->input[2], "");
}

static void a_missing_bias_is_a_constant_of_zeros(void **state) {
  (void)state;
  struct onnx_graph graph;
  struct recipe recipe;
  lower(drop_the_bias, &graph, &recipe);
  const struct array *bias = recipe.constants[recipe.steps[CONV_STEP].inputs[2]];
  assert_non_null(bias);
  assert_int_equal(bias->desc.shape.rank, 1);
  assert_int_equal(bias->desc.shape.dims[0], 2);
  assert_true(((const float *)bias->data)[0] == 0);
  assert_true(((const float *)bias->data)[1] == 0);
  recipe_finish(&recipe);
  onnx_finish(&graph);
}

static void drop_the_input(Onnx__ModelProto *model) {
  set_text(&model->graph->node[RELU]->input[0], "");
}

static void use_one_factor(Onnx__ModelProto *model) {
  set_text(&model->graph->node[GEMM]->op_type, "MatMul");
  drop_attributes(model->graph->node[GEMM], 0);
}

static void miss_one_of_many(Onnx__ModelProto *model) {
  set_text(&model->graph->node[GEMM]->op_type, "Concat");
  set_text(&model->graph->node[GEMM]->attribute[0]->name, "axis");
  model->graph->node[GEMM]->attribute[0]->type = 2;
  drop_attributes(model->graph->node[GEMM], 1);
  set_text(&model->graph->node[GEMM]->input[2], "");
}

static void inputs_are_counted(void **state) {
  (void)state;
  assert_refused(drop_the_input, TNR_EINVAL, "node 'relu' (Relu): its input 0 is missing");
  assert_refused(use_one_factor, TNR_EINVAL,
                 "node 'gemm' (MatMul): a number of inputs it does not take: 3");
  assert_refused(miss_one_of_many, TNR_EINVAL, "node 'gemm' (Concat): its input 2 is missing");
}

static void put_out_an_input(Onnx__ModelProto *model) {
  set_text(&model->graph->output[0]->name, "image");
}

static void outputs_have_to_be_computed(void **state) {
  (void)state;
  assert_refused(put_out_an_input, TNR_EUNSUPPORTED, "output 'image' is an input or a constant");
}

/* Lowers whatever is still a graph. */
static void try_lower(const struct bytes *file) {
  struct onnx_graph graph;
  struct recipe recipe;
  tnr_fault fault;
  if (onnx_parse(file->data, file->size, &graph, &fault) != TNR_OK)
    return;
  if (recipe_init(&graph, &recipe, &fault) == TNR_OK)
    recipe_finish(&recipe);
  onnx_finish(&graph);
}

static void try_flipped(const char *path, unsigned seed) {
  struct bytes file = slurp(path);
  for (int round = 0; round < 20000; round++) {
    size_t at = (size_t)rand_r(&seed) % file.size;
    uint8_t kept = file.data[at];
    file.data[at] ^= (uint8_t)(1 + rand_r(&seed) % 255);
    try_lower(&file);
    file.data[at] = kept;
  }
  bytes_finish(&file);
}

static void models_with_flipped_bits_do_no_harm(void **state) {
  (void)state;
  try_flipped(DATA("tiny.onnx"), 1);
  try_flipped(DATA("operators.onnx"), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_become_calls_in_order),
      cmocka_unit_test(attributes_are_carried_over),
      cmocka_unit_test(a_relu_joins_only_what_nobody_else_sees),
      cmocka_unit_test(a_matmul_does_the_relu_behind_it),
      cmocka_unit_test(only_a_constant_row_is_a_bias),
      cmocka_unit_test(a_pool_without_strides_steps_by_one),
      cmocka_unit_test(what_is_not_supported_is_named),
      cmocka_unit_test(windows_are_checked),
      cmocka_unit_test(a_missing_bias_is_a_constant_of_zeros),
      cmocka_unit_test(inputs_are_counted),
      cmocka_unit_test(outputs_have_to_be_computed),
      cmocka_unit_test(models_with_flipped_bits_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
