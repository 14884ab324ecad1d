#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "recipe.h"

static void read_changed(change_fn *change, struct onnx_graph *out) {
  struct bytes file = changed_tiny(change);
  tnr_fault fault;
  assert_int_equal(onnx_parse(file.data, file.size, out, &fault), TNR_OK);
  bytes_finish(&file);
}

static void assert_lowers(change_fn *change) {
  struct onnx_graph graph;
  struct recipe recipe;
  tnr_fault fault = {0};
  read_changed(change, &graph);
  tnr_status status = recipe_init(&graph, &recipe, &fault);
  if (status != TNR_OK)
    print_error("%s\n", fault.message);
  assert_int_equal(status, TNR_OK);
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
  tnr_fault fault;
  read_changed(NULL, &graph);
  assert_int_equal(recipe_init(&graph, &recipe, &fault), TNR_OK);
  static const tnr_op_def *const ops[] = {&tnr_op_conv2d,  &tnr_op_relu,   &tnr_op_max_pool2d,
                                          &tnr_op_flatten, &tnr_op_matmul, &tnr_op_add};
  assert_int_equal(recipe.step_count, sizeof(ops) / sizeof(ops[0]));
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
  tnr_fault fault;
  read_changed(NULL, &graph);
  assert_int_equal(recipe_init(&graph, &recipe, &fault), TNR_OK);
  const tnr_conv2d_attrs *conv = &recipe.steps[CONV].attrs.conv2d;
  assert_int_equal(conv->pad_before[1], 1);
  assert_int_equal(conv->pad_after[0], 1);
  assert_int_equal(conv->groups, 1);
  const tnr_max_pool2d_attrs *pool = &recipe.steps[POOL].attrs.max_pool2d;
  assert_int_equal(pool->kernel[0], 2);
  assert_int_equal(pool->stride[1], 2);
  assert_int_equal(pool->pad_after[1], 0);
  assert_int_equal(recipe.steps[FLATTEN].attrs.flatten.axis, 1);
  assert_true(recipe.steps[GEMM].attrs.matmul.transpose_b);
  assert_false(recipe.steps[GEMM].attrs.matmul.transpose_a);
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
  tnr_fault fault;
  read_changed(drop_strides, &graph);
  assert_int_equal(recipe_init(&graph, &recipe, &fault), TNR_OK);
  assert_int_equal(recipe.steps[POOL].attrs.max_pool2d.stride[0], 1);
  assert_int_equal(recipe.steps[POOL].attrs.max_pool2d.stride[1], 1);
  recipe_finish(&recipe);
  onnx_finish(&graph);
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
  tnr_fault fault;
  read_changed(drop_the_bias, &graph);
  assert_int_equal(recipe_init(&graph, &recipe, &fault), TNR_OK);
  const struct array *bias = recipe.constants[recipe.steps[CONV].inputs[2]];
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
