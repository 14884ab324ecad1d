#!/usr/bin/python3
"""NumPy arrays go to tenor, and its results come back, without a copy, through DLPack.

Usage: numpy_dlpack.py [PATH-OF-LIBTENOR]
"""
import ctypes
import sys
from ctypes import c_char_p, c_int, c_void_p, py_object

import numpy

DLTENSOR, USED = b"dltensor", b"used_dltensor"  # the names of capsules that own, and that did
CPU = (1, 0)
DELETER = 56  # where it stands in a DLManagedTensor, in bytes

new_capsule = ctypes.PYFUNCTYPE(py_object, c_void_p, c_char_p, c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi))
pointer_in = ctypes.PYFUNCTYPE(c_void_p, py_object, c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi))
rename = ctypes.PYFUNCTYPE(c_int, py_object, c_char_p)(("PyCapsule_SetName", ctypes.pythonapi))
# The same for a capsule that is being destroyed, and so is no object any more.
still_named = ctypes.PYFUNCTYPE(c_int, c_void_p, c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi))
pointer_left = ctypes.PYFUNCTYPE(c_void_p, c_void_p, c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi))


@ctypes.PYFUNCTYPE(None, c_void_p)
def drop_capsule(capsule):
    """Nobody took what was in it."""
    if still_named(capsule, DLTENSOR):
        managed = pointer_left(capsule, DLTENSOR)
        ctypes.CFUNCTYPE(None, c_void_p)(c_void_p.from_address(managed + DELETER).value)(managed)


class Value(ctypes.Structure):  # tnr_value; kind 1 is a tensor
    _fields_ = [("kind", c_int), ("handle", c_void_p)]


class Site(ctypes.Structure):  # tnr_site
    _fields_ = [("file", c_char_p), ("line", c_int)]


# A CDLL gives up Python's lock while it is in a call, as calls that wait must: tenor's own threads
# need the lock to let go of an array.
tenor = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libtenor.so.0")
tenor.tnr_from_dlpack.restype = tenor.tnr_to_dlpack.restype = c_void_p
tenor.tnr_from_dlpack.argtypes = [c_void_p, c_void_p]
tenor.tnr_to_dlpack.argtypes = tenor.tnr_release.argtypes = [c_void_p]
tenor.tnr_call.restype = Value
tenor.tnr_call.argtypes = [c_void_p, Site, ctypes.POINTER(Value), c_int, c_void_p]
tenor.tnr_last_error.restype = c_void_p
tenor.tnr_error_message.restype = c_char_p
tenor.tnr_error_message.argtypes = [c_void_p]


def made(pointer):
    if not pointer:
        raise ValueError(tenor.tnr_error_message(tenor.tnr_last_error()).decode())
    return pointer


class Tensor:
    """Owns one handle."""

    def __init__(self, handle):
        self.handle = made(handle)

    def __del__(self):
        tenor.tnr_release(getattr(self, "handle", None))

    @classmethod
    def of(cls, array):
        """Uses the array's memory, and keeps the array alive."""
        capsule = array.__dlpack__()
        tensor = cls(tenor.tnr_from_dlpack(None, pointer_in(capsule, DLTENSOR)))
        rename(capsule, USED)  # it is tenor's now
        return tensor

    def __dlpack__(self, stream=None):
        """Waits for the data. What takes it keeps it alive."""
        return new_capsule(made(tenor.tnr_to_dlpack(self.handle)), DLTENSOR, drop_capsule)

    def __dlpack_device__(self):
        return CPU

    def call(self, op, *others):
        """The op of this name, with all attributes zero."""
        inputs = (Value * (1 + len(others)))(*((1, x.handle) for x in (self, *others)))
        definition = ctypes.addressof(ctypes.c_char.in_dll(tenor, "tnr_op_" + op))
        here = Site(b"numpy_dlpack.py", sys._getframe(1).f_lineno)
        return Tensor(tenor.tnr_call(definition, here, inputs, len(inputs), None).handle)


if __name__ == "__main__":
    x = numpy.arange(6, dtype=numpy.float32).reshape(2, 3) - 2
    weights = numpy.ones((3, 2), dtype=numpy.float32)
    y = Tensor.of(x).call("matmul", Tensor.of(weights)).call("relu")
    print(numpy.from_dlpack(y))
    del y
    tenor.tnr_default_runtime_destroy(0)
