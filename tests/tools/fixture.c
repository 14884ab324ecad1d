#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fixture.h"

struct bytes slurp(const char *path) {
  enum { LIMIT = 1 << 20 };
  struct bytes bytes;
  tnr_fault fault;
  if (bytes_read(path, LIMIT, &bytes, &fault) != TNR_OK)
    fail_msg("%s: %s", path, fault.message);
  return bytes;
}

struct bytes changed_tiny(change_fn *change) {
  struct bytes file = slurp(DATA("tiny.onnx"));
  Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, file.size, file.data);
  assert_non_null(model);
  bytes_finish(&file);
  if (change)
    change(model);
  file.size = onnx__model_proto__get_packed_size(model);
  file.data = malloc(file.size);
  assert_non_null(file.data);
  onnx__model_proto__pack(model, file.data);
  onnx__model_proto__free_unpacked(model, NULL);
  return file;
}

void set_text(char **text, const char *to) {
  if (*text != (const char *)protobuf_c_empty_string)
    free(*text);
  *text = strdup(to);
  assert_non_null(*text);
}

static Onnx__AttributeProto *add_attribute(Onnx__NodeProto *node, const char *name, int32_t type) {
  size_t count = node->n_attribute + 1;
  node->attribute = realloc(node->attribute, count * sizeof(*node->attribute));
  assert_non_null(node->attribute);
  Onnx__AttributeProto *attribute = malloc(sizeof(*attribute));
  assert_non_null(attribute);
  onnx__attribute_proto__init(attribute);
  set_text(&attribute->name, name);
  attribute->has_type = 1;
  attribute->type = type;
  node->attribute[node->n_attribute++] = attribute;
  return attribute;
}

void add_int(Onnx__NodeProto *node, const char *name, int64_t value) {
  Onnx__AttributeProto *attribute = add_attribute(node, name, 2);
  attribute->has_i = 1;
  attribute->i = value;
}

void add_float(Onnx__NodeProto *node, const char *name, float value) {
  Onnx__AttributeProto *attribute = add_attribute(node, name, 1);
  attribute->has_f = 1;
  attribute->f = value;
}

void add_text(Onnx__NodeProto *node, const char *name, const char *value) {
  set_text(&add_attribute(node, name, 3)->s, value);
}

void drop_attributes(Onnx__NodeProto *node, size_t from) {
  while (node->n_attribute > from)
    onnx__attribute_proto__free_unpacked(node->attribute[--node->n_attribute], NULL);
}
