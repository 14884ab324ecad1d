#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "onnx.h"

static void assert_shape(const tnr_shape *shape, tnr_shape expected) {
  assert_true(tnr_shape_equal(shape, &expected));
}

static void read_tiny(struct onnx_graph *out) {
  tnr_fault fault;
  assert_int_equal(onnx_read(DATA("tiny.onnx"), out, &fault), TNR_OK);
}

static void inputs_and_outputs_are_described(void **state) {
  (void)state;
  struct onnx_graph graph;
  read_tiny(&graph);
  assert_int_equal(graph.opset, 13);
  assert_int_equal(graph.input_count, 1);
  assert_string_equal(graph.inputs[0].name, "image");
  assert_int_equal(graph.inputs[0].dtype, TNR_F32);
  assert_shape(&graph.inputs[0].shape, TNR_SHAPE(-1, 1, 4, 4));
  assert_int_equal(graph.output_count, 1);
  assert_string_equal(graph.outputs[0].name, "logits");
  assert_shape(&graph.outputs[0].shape, TNR_SHAPE(-1, 3));
  onnx_finish(&graph);
}

static void constants_are_copied_out(void **state) {
  (void)state;
  struct onnx_graph graph;
  read_tiny(&graph);
  assert_int_equal(graph.constant_count, 4);
  const struct onnx_constant *bias = &graph.constants[1];
  assert_string_equal(bias->name, "conv.bias");
  assert_shape(&bias->array.desc.shape, TNR_SHAPE(2));
  assert_true(((const float *)bias->array.data)[0] == -0.75F);
  assert_true(((const float *)bias->array.data)[1] == -0.5F);
  onnx_finish(&graph);
}

static void nodes_are_linked_by_the_ids_of_values(void **state) {
  (void)state;
  struct onnx_graph graph;
  read_tiny(&graph);
  assert_int_equal(graph.node_count, NODES);
  assert_int_equal(graph.value_count, 1 + 4 + NODES);
  const struct onnx_node *conv = &graph.nodes[CONV];
  assert_string_equal(conv->op, "Conv");
  assert_string_equal(conv->name, "conv");
  assert_int_equal(conv->inputs[0], graph.inputs[0].id);
  assert_int_equal(conv->inputs[1], 1);
  assert_int_equal(conv->inputs[2], 2);
  for (size_t i = RELU; i < NODES; i++)
    assert_int_equal(graph.nodes[i].inputs[0], graph.nodes[i - 1].outputs[0]);
  assert_int_equal(graph.outputs[0].id, graph.nodes[GEMM].outputs[0]);
  onnx_finish(&graph);
}

static void attributes_are_given_or_defaulted(void **state) {
  (void)state;
  struct onnx_graph graph;
  tnr_fault fault;
  const int64_t *pads;
  const char *pad;
  int64_t flag;
  float factor;
  size_t count;
  read_tiny(&graph);
  const struct onnx_node *conv = &graph.nodes[CONV], *gemm = &graph.nodes[GEMM];
  assert_int_equal(onnx_ints(conv, "pads", &pads, &count, &fault), TNR_OK);
  assert_int_equal(count, 4);
  assert_int_equal(pads[3], 1);
  assert_int_equal(onnx_ints(conv, "dilations", &pads, &count, &fault), TNR_OK);
  assert_int_equal(count, 0);
  assert_int_equal(onnx_int(gemm, "transB", 0, &flag, &fault), TNR_OK);
  assert_int_equal(flag, 1);
  assert_int_equal(onnx_int(gemm, "transA", 7, &flag, &fault), TNR_OK);
  assert_int_equal(flag, 7);
  assert_int_equal(onnx_float(gemm, "alpha", 5, &factor, &fault), TNR_OK);
  assert_true(factor == 1);
  assert_int_equal(onnx_string(conv, "auto_pad", "NOTSET", &pad, &fault), TNR_OK);
  assert_string_equal(pad, "NOTSET");
  onnx_finish(&graph);
}

static void attributes_of_another_kind_are_refused(void **state) {
  (void)state;
  struct onnx_graph graph;
  tnr_fault fault;
  int64_t flag;
  struct array tensor;
  read_tiny(&graph);
  assert_int_equal(onnx_int(&graph.nodes[CONV], "pads", 0, &flag, &fault), TNR_EINVAL);
  assert_string_equal(fault.message,
                      "node 'conv' (Conv): attribute 'pads' is a list of ints and not an int");
  assert_int_equal(onnx_tensor(&graph.nodes[CONV], "value", &tensor, &fault), TNR_EINVAL);
  assert_string_equal(fault.message, "node 'conv' (Conv): the tensor 'value' is missing");
  onnx_finish(&graph);
}

static void files_that_are_no_models_are_named(void **state) {
  (void)state;
  struct onnx_graph graph;
  tnr_fault fault;
  assert_int_equal(onnx_read("/nowhere.onnx", &graph, &fault), TNR_EINVAL);
  assert_string_equal(fault.message, "/nowhere.onnx: No such file or directory");
  assert_int_equal(onnx_read(DATA("f32_2x3.npy"), &graph, &fault), TNR_EINVAL);
  assert_non_null(strstr(fault.message, "f32_2x3.npy: this is no ONNX model"));
  assert_int_equal(onnx_read(DATA("broken.onnx"), &graph, &fault), TNR_EINVAL);
  assert_non_null(strstr(fault.message, "broken.onnx: this is no ONNX model"));
}

/* Returns the sentence that reading the changed model gives. */
static tnr_fault fault_of_changed(change_fn *change, tnr_status status) {
  struct bytes file = changed_tiny(change);
  struct onnx_graph graph;
  tnr_fault fault = {0};
  assert_int_equal(onnx_parse(file.data, file.size, &graph, &fault), status);
  assert_null(graph.model);
  bytes_finish(&file);
  return fault;
}

static void assert_changed_fails(change_fn *change, tnr_status status, const char *sentence) {
  tnr_fault fault = fault_of_changed(change, status);
  assert_string_equal(fault.message, sentence);
}

static void drop_opset(Onnx__ModelProto *model) {
  model->opset_import[0]->version = 0;
}

static void name_two_outputs_alike(Onnx__ModelProto *model) {
  set_text(&model->graph->node[POOL]->output[0], "r");
}

static void name_a_constant_like_an_output(Onnx__ModelProto *model) {
  set_text(&model->graph->initializer[0]->name, "f");
}

static void use_a_name_that_is_not_there(Onnx__ModelProto *model) {
  set_text(&model->graph->node[RELU]->input[0], "nobody");
}

static void use_an_own_output(Onnx__ModelProto *model) {
  set_text(&model->graph->node[RELU]->input[0], "r");
}

static void close_a_cycle(Onnx__ModelProto *model) {
  set_text(&model->graph->node[RELU]->input[0], "f");
}

static void want_an_output_that_is_not_there(Onnx__ModelProto *model) {
  set_text(&model->graph->output[0]->name, "nobody");
}

static void names_must_fit_together(void **state) {
  (void)state;
  assert_changed_fails(drop_opset, TNR_EINVAL,
                       "the model does not say which operator set it is of");
  assert_changed_fails(name_two_outputs_alike, TNR_EINVAL, "two values have the name 'r'");
  assert_changed_fails(name_a_constant_like_an_output, TNR_EINVAL, "two values have the name 'f'");
  assert_changed_fails(use_a_name_that_is_not_there, TNR_EINVAL,
                       "node 'relu' (Relu): nothing gives its input 'nobody'");
  assert_changed_fails(use_an_own_output, TNR_EINVAL,
                       "node 'relu' (Relu): its input 'r' is its own output");
  assert_changed_fails(close_a_cycle, TNR_EINVAL,
                       "node 'relu' (Relu): its input 'f' comes from the later node 'flatten' "
                       "(Flatten): a cycle, or not in order");
  assert_changed_fails(want_an_output_that_is_not_there, TNR_EINVAL,
                       "nothing gives the output 'nobody'");
}

static void give_a_negative_dim(Onnx__ModelProto *model) {
  model->graph->initializer[0]->dims[1] = -5;
}

static void give_huge_dims(Onnx__ModelProto *model) {
  model->graph->initializer[0]->dims[0] = INT64_MAX;
}

static void give_a_larger_dim(Onnx__ModelProto *model) {
  model->graph->initializer[1]->dims[0] = 3;
}

static void give_an_unknown_dtype(Onnx__ModelProto *model) {
  model->graph->initializer[1]->data_type = 99;
}

static void give_strings(Onnx__ModelProto *model) {
  model->graph->initializer[1]->data_type = 8;
}

static void put_data_elsewhere(Onnx__ModelProto *model) {
  model->graph->initializer[1]->has_data_location = 1;
  model->graph->initializer[1]->data_location = 1;
}

static void drop_the_data(Onnx__ModelProto *model) {
  model->graph->initializer[1]->raw_data.len = 0;
}

static void drop_a_constant_name(Onnx__ModelProto *model) {
  set_text(&model->graph->initializer[1]->name, "");
}

static void constants_must_be_whole(void **state) {
  (void)state;
  assert_changed_fails(give_a_negative_dim, TNR_ESHAPE,
                       "constant 'conv.weight': dimension 1 is -5");
  assert_changed_fails(give_a_larger_dim, TNR_EINVAL,
                       "constant 'conv.bias': f32 [3] takes 12 bytes of data, but there are 8");
  assert_changed_fails(give_an_unknown_dtype, TNR_EDTYPE,
                       "constant 'conv.bias': element type 99 is not known");
  assert_changed_fails(give_strings, TNR_EDTYPE,
                       "constant 'conv.bias': elements of type string are not supported");
  assert_changed_fails(put_data_elsewhere, TNR_EINVAL,
                       "constant 'conv.bias': the data is in another file; save the model with the "
                       "data inside");
  assert_changed_fails(drop_the_data, TNR_EINVAL,
                       "constant 'conv.bias': f32 [2] takes 8 bytes of data, but there are 0");
  assert_changed_fails(drop_a_constant_name, TNR_EINVAL, "constant 1 has no name");
}

static void constants_of_huge_dims_are_refused(void **state) {
  (void)state;
  fault_of_changed(give_huge_dims, TNR_EOVERFLOW);
}

static void give_an_input_negative_dims(Onnx__ModelProto *model) {
  model->graph->input[0]->type->tensor_type->shape->dim[1]->dim_value = -2;
}

static void drop_the_input_type(Onnx__ModelProto *model) {
  onnx__type_proto__free_unpacked(model->graph->input[0]->type, NULL);
  model->graph->input[0]->type = NULL;
}

static void make_the_input_double(Onnx__ModelProto *model) {
  model->graph->input[0]->type->tensor_type->elem_type = 11;
}

static void inputs_must_be_tensors(void **state) {
  (void)state;
  assert_changed_fails(give_an_input_negative_dims, TNR_ESHAPE, "input 'image': dimension 1 is -2");
  assert_changed_fails(drop_the_input_type, TNR_EDTYPE,
                       "input 'image' is not declared to be a tensor");
  assert_changed_fails(make_the_input_double, TNR_EDTYPE,
                       "input 'image': elements of type double are not supported");
}

static void drop_the_operator(Onnx__ModelProto *model) {
  set_text(&model->graph->node[POOL]->op_type, "");
}

static void name_two_attributes_alike(Onnx__ModelProto *model) {
  set_text(&model->graph->node[CONV]->attribute[1]->name, "kernel_shape");
}

static void nodes_must_be_whole(void **state) {
  (void)state;
  assert_changed_fails(drop_the_operator, TNR_EINVAL, "node 'pool' (): the operator is missing");
  assert_changed_fails(name_two_attributes_alike, TNR_EINVAL,
                       "node 'conv' (Conv): attribute 'kernel_shape' is there twice");
}

/* A graph, or a sentence. */
static void try_parse(const void *data, size_t size) {
  struct onnx_graph graph;
  tnr_fault fault = {0};
  tnr_status status = onnx_parse(data, size, &graph, &fault);
  if (status == TNR_OK) {
    onnx_finish(&graph);
    return;
  }
  assert_int_equal(fault.code, status);
  assert_true(fault.message[0] != '\0');
  assert_null(graph.model);
}

/* A copy of its exact size, so that a sanitizer sees a read beyond it. */
static void try_copy(const uint8_t *data, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  assert_non_null(copy);
  memcpy(copy, data, size);
  try_parse(copy, size);
  free(copy);
}

static void models_cut_anywhere_do_no_harm(void **state) {
  (void)state;
  struct bytes file = slurp(DATA("tiny.onnx"));
  for (size_t size = 0; size < file.size; size++)
    try_copy(file.data, size);
  bytes_finish(&file);
}

static void models_with_flipped_bits_do_no_harm(void **state) {
  (void)state;
  struct bytes file = slurp(DATA("tiny.onnx"));
  unsigned seed = 1;
  for (int round = 0; round < 20000; round++) {
    size_t at = (size_t)rand_r(&seed) % file.size;
    uint8_t kept = file.data[at];
    file.data[at] ^= (uint8_t)(1 + rand_r(&seed) % 255);
    try_parse(file.data, file.size);
    file.data[at] = kept;
  }
  bytes_finish(&file);
}

static void garbage_does_no_harm(void **state) {
  (void)state;
  unsigned seed = 1;
  for (int round = 0; round < 20000; round++) {
    uint8_t data[100];
    for (size_t i = 0; i < sizeof(data); i++)
      data[i] = (uint8_t)rand_r(&seed);
    try_parse(data, (size_t)rand_r(&seed) % sizeof(data));
  }
}

/* Messages inside messages: model, graph, node, attribute, and in it a graph (field 6) and so on,
 * ten thousand deep. */
static void deep_nesting_does_not_use_up_the_stack(void **state) {
  (void)state;
  enum { DEPTH = 10000, ROOM = DEPTH * 6 };
  static const uint8_t fields[] = {0x3a, 0x0a, 0x2a}; /* graph, node, attribute */
  uint8_t *data = calloc(1, ROOM);
  assert_non_null(data);
  size_t at = ROOM;
  for (int i = DEPTH - 1; i >= 0; i--) {
    size_t inside = ROOM - at;
    data[--at] = (uint8_t)(inside >> 14);
    data[--at] = (uint8_t)((inside >> 7 & 0x7f) | 0x80);
    data[--at] = (uint8_t)((inside & 0x7f) | 0x80);
    data[--at] = i < 3 ? fields[i] : (uint8_t[]){0x32, 0x0a, 0x2a}[i % 3];
  }
  try_copy(data + at, ROOM - at);
  free(data);
}

static void use_domains(Onnx__ModelProto *model) {
  set_text(&model->graph->node[CONV]->name, "");
  model->graph->node[CONV]->domain = strdup("ai.onnx");
  model->graph->node[RELU]->domain = strdup("com.example");
}

static void names_and_domains_have_one_spelling(void **state) {
  (void)state;
  struct bytes file = changed_tiny(use_domains);
  struct onnx_graph graph;
  tnr_fault fault;
  assert_int_equal(onnx_parse(file.data, file.size, &graph, &fault), TNR_OK);
  bytes_finish(&file);
  assert_string_equal(graph.nodes[CONV].name, "c");
  assert_string_equal(graph.nodes[CONV].domain, "");
  assert_string_equal(graph.nodes[RELU].domain, "com.example");
  onnx_finish(&graph);
}

/* As before IR version 4. */
static void list_a_constant_as_input(Onnx__ModelProto *model) {
  Onnx__GraphProto *graph = model->graph;
  graph->input = realloc(graph->input, 2 * sizeof(*graph->input));
  graph->input[1] = malloc(sizeof(*graph->input[1]));
  onnx__value_info_proto__init(graph->input[1]);
  graph->input[1]->name = strdup("conv.bias");
  graph->n_input = 2;
}

static void a_constant_that_is_listed_as_input_is_a_constant(void **state) {
  (void)state;
  struct bytes file = changed_tiny(list_a_constant_as_input);
  struct onnx_graph graph;
  tnr_fault fault;
  assert_int_equal(onnx_parse(file.data, file.size, &graph, &fault), TNR_OK);
  bytes_finish(&file);
  assert_int_equal(graph.input_count, 1);
  assert_int_equal(graph.constant_count, 4);
  onnx_finish(&graph);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(inputs_and_outputs_are_described),
      cmocka_unit_test(constants_are_copied_out),
      cmocka_unit_test(nodes_are_linked_by_the_ids_of_values),
      cmocka_unit_test(attributes_are_given_or_defaulted),
      cmocka_unit_test(attributes_of_another_kind_are_refused),
      cmocka_unit_test(files_that_are_no_models_are_named),
      cmocka_unit_test(names_must_fit_together),
      cmocka_unit_test(constants_must_be_whole),
      cmocka_unit_test(constants_of_huge_dims_are_refused),
      cmocka_unit_test(inputs_must_be_tensors),
      cmocka_unit_test(nodes_must_be_whole),
      cmocka_unit_test(models_cut_anywhere_do_no_harm),
      cmocka_unit_test(models_with_flipped_bits_do_no_harm),
      cmocka_unit_test(garbage_does_no_harm),
      cmocka_unit_test(deep_nesting_does_not_use_up_the_stack),
      cmocka_unit_test(names_and_domains_have_one_spelling),
      cmocka_unit_test(a_constant_that_is_listed_as_input_is_a_constant),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
