/* Names in a model become the ids of values. */
#ifndef TENOR_TOOL_ONNX_LINK_H
#define TENOR_TOOL_ONNX_LINK_H

#include "onnx.h"
#include "onnx.pb-c.h"

/* Numbers the values of a graph whose inputs, constants, outputs and nodes are described but for
 * their ids, and fills in the ids. `proto` is the graph's own message. Fails with TNR_EINVAL for a
 * name that is used twice, that nothing gives, or that a later node gives; TNR_ENOMEM. */
tnr_status onnx_link(const Onnx__GraphProto *proto, struct onnx_graph *graph,
                     tnr_fault *fault) TNR_MUST_USE;

#endif
