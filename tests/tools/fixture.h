/* Files of tests/tools/data, and models that differ from them in one thing. */
#ifndef TENOR_TEST_FIXTURE_H
#define TENOR_TEST_FIXTURE_H

#include "file.h"
#include "onnx.pb-c.h"

/* TENOR_TEST_DATA is the folder tests/tools/data. */
#define DATA(name) TENOR_TEST_DATA "/" name

/* Nodes of tiny.onnx. */
enum { CONV, RELU, POOL, FLATTEN, GEMM, NODES };

/* A whole file; fails the test when it cannot be read. Finish it with bytes_finish. */
struct bytes slurp(const char *path);

typedef void change_fn(Onnx__ModelProto *model);

/* tiny.onnx as `change` leaves it (NULL: as it is). Finish it with bytes_finish. */
struct bytes changed_tiny(change_fn *change);

/* For changes: gives a string of a message another content, a node one more attribute, or
 * fewer: those before `from` stay. */
void set_text(char **text, const char *to);
void add_int(Onnx__NodeProto *node, const char *name, int64_t value);
void add_float(Onnx__NodeProto *node, const char *name, float value);
void drop_attributes(Onnx__NodeProto *node, size_t from);
void add_text(Onnx__NodeProto *node, const char *name, const char *value);

#endif
