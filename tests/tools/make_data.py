#!/usr/bin/python3
"""Write the files in tests/tools/data, which test_array.c, test_onnx.c and the tests of the command
read. They are committed; the script is here to say what they are and to make them again
(Debian's python3-numpy and python3-onnx).

Unless said otherwise, an array holds 0, 1, 2, … in row-major order.
"""

import gzip
import os
import struct

import numpy
import onnx
from numpy.lib import format as npy
from onnx import TensorProto, helper, numpy_helper

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
NAMES = {"f2": "f16", "f4": "f32", "i1": "i8", "u1": "u8", "i4": "i32", "i8": "i64", "b1": "bool"}


def path(name):
    return os.path.join(DATA, name)


def counting(shape, dtype):
    return numpy.arange(numpy.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def write_npy():
    for dtype, name in NAMES.items():
        numpy.save(path(f"{name}_2x3.npy"), counting((2, 3), dtype))
    numpy.save(path("fortran_2x3x4.npy"), numpy.asfortranarray(counting((2, 3, 4), "f4")))
    numpy.save(path("scalar.npy"), numpy.float32(7))
    numpy.save(path("empty_0x3.npy"), counting((0, 3), "f4"))
    numpy.save(path("one_dim.npy"), counting((3,), "f4"))
    numpy.save(path("f64.npy"), counting((2, 3), "f8"))
    numpy.save(path("big_endian.npy"), counting((2, 3), ">f4"))
    for version in ((2, 0), (3, 0)):
        with open(path(f"version{version[0]}.npy"), "wb") as file:
            npy.write_array(file, counting((2, 3), "f4"), version)


def write_idx(name, code, array, opener=open):
    with opener(path(name), "wb") as file:
        file.write(struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape))
        file.write(array.astype(array.dtype.newbyteorder(">")).tobytes())


def write_idx_files():
    write_idx("u8_2x3.idx", 0x08, counting((2, 3), "u1"))
    write_idx("i8_2x3.idx", 0x09, counting((2, 3), "i1"))
    write_idx("i16.idx", 0x0B, counting((2, 3), "i2"))
    write_idx("i32_2x3.idx", 0x0C, counting((2, 3), "i4"))
    write_idx("f32_2x3.idx", 0x0D, counting((2, 3), "f4"))
    write_idx("f32_2x3.idx.gz", 0x0D, counting((2, 3), "f4"),
              lambda name, mode: gzip.GzipFile("", mode, fileobj=open(name, mode), mtime=0))


def write_tensors():
    for dtype, name in NAMES.items():
        array = counting((2, 3), dtype)
        with open(path(f"{name}_2x3_raw.pb"), "wb") as file:
            file.write(numpy_helper.from_array(array, "t").SerializeToString())
        kind = onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype]
        typed = helper.make_tensor("t", kind, (2, 3), array.flatten())
        with open(path(f"{name}_2x3_typed.pb"), "wb") as file:
            file.write(typed.SerializeToString())
    bf16 = helper.make_tensor("t", TensorProto.BFLOAT16, (2, 3), counting((6,), "f4"))
    with open(path("bf16_2x3_typed.pb"), "wb") as file:
        file.write(bf16.SerializeToString())
    with open(path("f64.pb"), "wb") as file:
        file.write(numpy_helper.from_array(counting((2, 3), "f8"), "t").SerializeToString())


def weights(name, shape):
    return numpy_helper.from_array((counting(shape, "f4") % 7 - 3) / 4, name)


def save(name, nodes, inputs, outputs, constants):
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    model = helper.make_model(graph, producer_name="tenor",
                              opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    with open(path(f"{name}.onnx"), "wb") as file:
        file.write(model.SerializeToString())
    return model


def tensor(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def write_models():
    """tiny: every operator of the demo's model once, on images of 4 x 4.
    unsupported: a Relu, then a Det, which tenor does not know.
    broken: the first half of tiny."""
    tiny = save(
        "tiny",
        [helper.make_node("Conv", ["image", "conv.weight", "conv.bias"], ["c"], "conv",
                          kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
         helper.make_node("Relu", ["c"], ["r"], "relu"),
         helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
         helper.make_node("Flatten", ["p"], ["f"], "flatten", axis=1),
         helper.make_node("Gemm", ["f", "gemm.weight", "gemm.bias"], ["logits"], "gemm",
                          alpha=1.0, transB=1)],
        [tensor("image", ["N", 1, 4, 4])], [tensor("logits", ["N", 3])],
        [weights("conv.weight", (2, 1, 3, 3)), weights("conv.bias", (2,)),
         weights("gemm.weight", (3, 8)), weights("gemm.bias", (3,))])
    onnx.checker.check_model(tiny)
    with open(path("broken.onnx"), "wb") as file:
        file.write(tiny.SerializeToString()[:tiny.ByteSize() // 2])
    save("unsupported",
         [helper.make_node("Relu", ["x"], ["r"], "first"),
          helper.make_node("Det", ["r"], ["y"], "second")],
         [tensor("x", ["N", 2, 2])], [tensor("y", ["N"])], [])


def pairs(array, size):
    """Windows of size x size at every place: [n, c, h', w', size, size]."""
    return numpy.lib.stride_tricks.sliding_window_view(array, (size, size), (2, 3))


def write_tiny_run(images=5):
    """What tiny gives: tiny_image.npy and tiny_logits.npy."""
    image = (counting((images, 1, 4, 4), "f4") % 11 - 5) / 4
    value = {t.name: numpy_helper.to_array(t) for t in onnx.load(path("tiny.onnx")).graph.initializer}
    padded = numpy.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    conv = numpy.einsum("nchwij,ocij->nohw", pairs(padded, 3), value["conv.weight"])
    conv += value["conv.bias"][:, None, None]
    pooled = pairs(numpy.maximum(conv, 0), 2)[:, :, ::2, ::2].max((4, 5))
    logits = pooled.reshape(images, -1) @ value["gemm.weight"].T + value["gemm.bias"]
    numpy.save(path("tiny_image.npy"), image)
    numpy.save(path("tiny_logits.npy"), logits.astype("f4"))


def write_operators():
    """operators: every operator that tiny lacks; two outputs."""
    constants = {"w": weights("w", (24, 4)), "v": weights("v", (4, 3)), "c": weights("c", (3,)),
                 "s": weights("s", (1, 3)),
                 "shape": numpy_helper.from_array(numpy.array([0, -1]), "shape")}
    four = numpy_helper.from_array(numpy.float32(4), "four")
    save(
        "operators",
        [helper.make_node("Reshape", ["x", "shape"], ["rows"]),
         helper.make_node("MatMul", ["rows", "w"], ["product"]),
         helper.make_node("Gemm", ["product", "v", "c"], ["mixed"], alpha=0.5, beta=2.0),
         helper.make_node("Transpose", ["mixed"], ["turned"], perm=[1, 0]),
         helper.make_node("Transpose", ["turned"], ["back"]),
         helper.make_node("Sub", ["back", "s"], ["less"]),
         helper.make_node("Mul", ["less", "less"], ["square"]),
         helper.make_node("Constant", [], ["four"], value=four),
         helper.make_node("Div", ["square", "four"], ["quarter"]),
         helper.make_node("Add", ["quarter", "c"], ["more"]),
         helper.make_node("Concat", ["more", "back"], ["both"], axis=1),
         helper.make_node("Identity", ["both"], ["same"]),
         helper.make_node("Softmax", ["same"], ["probabilities"]),
         helper.make_node("Flatten", ["x"], ["flat"], axis=-2),
         helper.make_node("Cast", ["flat"], ["whole"], to=TensorProto.INT32)],
        [tensor("x", ["N", 2, 3, 4])],
        [tensor("probabilities", ["N", 6]),
         helper.make_tensor_value_info("whole", TensorProto.INT32, ["M", 12])],
        list(constants.values()))
    write_operators_run({name: numpy_helper.to_array(t) for name, t in constants.items()})


def write_operators_run(value):
    """What it gives: operators_x.npy, operators_probabilities.npy, operators_whole.npy."""
    x = (counting((3, 2, 3, 4), "f4") % 13 - 6) / 4
    back = 0.5 * (x.reshape(3, 24) @ value["w"] @ value["v"]) + 2 * value["c"]
    both = numpy.concatenate(((back - value["s"]) ** 2 / 4 + value["c"], back), 1)
    powers = numpy.exp(both - both.max(1, keepdims=True))
    numpy.save(path("operators_x.npy"), x)
    numpy.save(path("operators_probabilities.npy"), powers / powers.sum(1, keepdims=True))
    numpy.save(path("operators_whole.npy"), x.reshape(6, 12).astype("i4"))


def main():
    os.makedirs(DATA, exist_ok=True)
    write_npy()
    write_idx_files()
    write_tensors()
    write_models()
    write_tiny_run()
    write_operators()


if __name__ == "__main__":
    main()
