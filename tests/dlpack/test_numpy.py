"""DLPack against NumPy, over the hand-over in tools/examples/numpy_dlpack.py.

Usage: test_numpy.py PATH-OF-LIBTENOR
"""
import ctypes
import gc
import os
import sys
import time
import unittest
import weakref
from ctypes import c_char_p, c_size_t, c_uint64, c_void_p

import numpy

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../tools/examples"))
from numpy_dlpack import DLTENSOR, Tensor, pointer_in, tenor  # noqa: E402

KNOWN = [numpy.float32, numpy.float16, numpy.int8, numpy.uint8, numpy.int32, numpy.int64]
LACKING = [numpy.float64, numpy.complex64, numpy.int16, numpy.uint16, numpy.uint32, numpy.uint64]


class HostView(ctypes.Structure):  # tnr_host_view
    _fields_ = [("data", c_void_p), ("bytes", c_size_t), ("tensor", c_void_p)]


class Stats(ctypes.Structure):  # tnr_runtime_stats
    _fields_ = [(name, c_uint64) for name in ("submitted", "completed", "failed", "wakes", "live")]


tenor.tnr_tensor_view.argtypes = [c_void_p, ctypes.POINTER(HostView)]
tenor.tnr_host_view_release.argtypes = [ctypes.POINTER(HostView)]
tenor.tnr_tensor_read.argtypes = [c_void_p, c_void_p, c_size_t]
tenor.tnr_default_runtime.restype = c_void_p
tenor.tnr_runtime_get_stats.restype = Stats
tenor.tnr_runtime_get_stats.argtypes = [c_void_p]
tenor.tnr_runtime_device.restype = c_void_p
tenor.tnr_runtime_device.argtypes = [c_void_p, c_char_p]
tenor.tnr_device_name.argtypes = [c_void_p]


def address_in_tenor(tensor):
    view = HostView()
    assert tenor.tnr_tensor_view(tensor.handle, ctypes.byref(view)) == 0
    address = view.data
    tenor.tnr_host_view_release(ctypes.byref(view))
    return address


def address_in_numpy(array):
    return array.__array_interface__["data"][0]


def read(tensor, like):
    """A copy of the elements, as an array like another."""
    out = numpy.empty(like.shape, like.dtype)
    assert tenor.tnr_tensor_read(tensor.handle, out.ctypes.data, out.nbytes) == 0
    return out


def live_handles():
    return tenor.tnr_runtime_get_stats(tenor.tnr_default_runtime()).live


def soon(is_so):
    """Other threads have to come to it."""
    for _ in range(5000):
        if is_so():
            return True
        time.sleep(0.001)
    return False


class Watched(numpy.ndarray):
    """An array whose end can be seen."""


def watched(shape, dtype=numpy.float32):
    array = numpy.ones(shape, dtype).view(Watched)
    return array, weakref.ref(array)


class Dlpack(unittest.TestCase):
    def setUp(self):
        gc.collect()
        self.assertTrue(soon(lambda: live_handles() == 0))

    def tearDown(self):
        gc.collect()
        self.assertTrue(soon(lambda: live_handles() == 0), "handles are left")

    # ---- in ----

    def test_dense_arrays_come_in_without_a_copy(self):
        for dtype in KNOWN:
            array = numpy.arange(24).reshape(2, 3, 4).astype(dtype)
            tensor = Tensor.of(array)
            self.assertEqual(address_in_tenor(tensor), address_in_numpy(array), dtype)
            numpy.testing.assert_array_equal(read(tensor, array), array)

    def test_parts_that_lie_dense_come_in_without_a_copy(self):
        array = numpy.arange(24, dtype=numpy.int32).reshape(4, 6)
        tensor = Tensor.of(array[1:3])
        self.assertEqual(address_in_tenor(tensor), address_in_numpy(array) + 6 * 4)
        numpy.testing.assert_array_equal(read(tensor, array[1:3]), array[1:3])

    def test_arrays_with_gaps_are_copied_and_let_go(self):
        base = numpy.arange(120, dtype=numpy.int32).reshape(4, 5, 6)
        for array in (base[::2], base[:, ::-1], base[::-1, ::2, ::-3], base.T, base[:, 1:4, 2:3],
                      base.transpose(1, 0, 2)):
            count = sys.getrefcount(array)
            tensor = Tensor.of(array)
            self.assertEqual(sys.getrefcount(array), count)
            self.assertNotEqual(address_in_tenor(tensor), address_in_numpy(array))
            numpy.testing.assert_array_equal(read(tensor, array), array)

    def test_repeated_rows_are_written_out(self):
        row = numpy.arange(3, dtype=numpy.float32)
        array = numpy.lib.stride_tricks.as_strided(row, (4, 3), (0, 4))
        numpy.testing.assert_array_equal(read(Tensor.of(array), array), array)

    def test_scalars_and_empty_arrays_come_in(self):
        for array in (numpy.array(2.5, numpy.float32), numpy.zeros((3, 0, 2), numpy.int64),
                      numpy.zeros(0, numpy.uint8)):
            numpy.testing.assert_array_equal(read(Tensor.of(array), array), array)

    # ---- out ----

    def test_tensors_go_out_without_a_copy(self):
        for dtype in KNOWN:
            array = numpy.arange(24).reshape(2, 3, 4).astype(dtype)
            tensor = Tensor.of(array)
            back = numpy.from_dlpack(tensor)
            self.assertEqual(back.dtype, array.dtype)
            self.assertEqual(address_in_numpy(back), address_in_numpy(array))
            numpy.testing.assert_array_equal(back, array)

    def test_results_go_out_where_tenor_made_them(self):
        tensor = Tensor.of(numpy.eye(3, dtype=numpy.float32))
        product = tensor.call("matmul", tensor)
        array = numpy.from_dlpack(product)
        self.assertEqual(address_in_numpy(array), address_in_tenor(product))
        self.assertEqual(array.strides, (12, 4))
        numpy.testing.assert_array_equal(array, numpy.eye(3))

    def test_numpy_does_not_write_to_a_tensor(self):
        array = numpy.from_dlpack(Tensor.of(numpy.ones(4, numpy.float32)))
        self.assertFalse(array.flags.writeable)

    def test_scalars_and_empty_tensors_go_out(self):
        for array in (numpy.array(2.5, numpy.float32), numpy.zeros((3, 0, 2), numpy.int64)):
            back = numpy.from_dlpack(Tensor.of(array))
            self.assertEqual(back.shape, array.shape)
            numpy.testing.assert_array_equal(back, array)

    def test_tenor_computes_as_numpy_does(self):
        rng = numpy.random.default_rng(1)
        a = rng.integers(-9, 9, (5, 7)).astype(numpy.int32)
        b = rng.integers(-9, 9, (7, 3)).astype(numpy.int32)
        product = Tensor.of(a).call("matmul", Tensor.of(b))
        numpy.testing.assert_array_equal(numpy.from_dlpack(product), a @ b)
        total = Tensor.of(a).call("add", Tensor.of(numpy.ascontiguousarray(a[::-1])))
        numpy.testing.assert_array_equal(numpy.from_dlpack(total), a + a[::-1])

    # ---- lifetimes ----

    def test_an_array_lives_as_long_as_ops_need_it(self):
        array, alive = watched((300, 300))
        tensor = Tensor.of(array)
        del array
        result = tensor.call("matmul", tensor)
        for _ in range(20):
            result = result.call("matmul", tensor).call("softmax")
        del tensor
        gc.collect()
        self.assertIsNotNone(alive())
        shown = numpy.from_dlpack(result)
        self.assertTrue(numpy.isfinite(shown).all())
        del result
        self.assertTrue(soon(lambda: alive() is None))

    def test_an_array_is_let_go_when_its_tensor_is_released(self):
        array, alive = watched(1000)
        tensor = Tensor.of(array)
        del array
        self.assertIsNotNone(alive())
        del tensor
        self.assertTrue(soon(lambda: alive() is None))

    def test_a_tensor_lives_as_long_as_an_array_shows_it(self):
        result = Tensor.of(numpy.full(1000, 20, numpy.float32)).call("relu")
        array = numpy.from_dlpack(result)
        part = array[10:20]
        del result, array
        noise = [Tensor.of(numpy.zeros(1000, numpy.float32)).call("relu") for _ in range(50)]
        del noise
        self.assertGreater(live_handles(), 0)
        numpy.testing.assert_array_equal(part, numpy.full(10, 20))

    def test_an_array_outlives_the_runtime(self):
        array = numpy.from_dlpack(Tensor.of(numpy.full(5, 3, numpy.float32)).call("relu"))
        self.assertEqual(tenor.tnr_default_runtime_destroy(0), 0)
        numpy.testing.assert_array_equal(array, numpy.full(5, 3))

    def test_there_and_back_again_is_the_same_memory(self):
        array, alive = watched(64)
        address = address_in_numpy(array)
        shown = numpy.from_dlpack(Tensor.of(array))
        del array
        self.assertIsNotNone(alive())
        self.assertEqual(address_in_numpy(shown), address)
        del shown
        self.assertTrue(soon(lambda: alive() is None))

    def test_a_capsule_that_nobody_takes_is_let_go(self):
        tensor = Tensor.of(numpy.ones(3, numpy.float32))
        capsule = tensor.__dlpack__()
        del tensor
        self.assertGreater(live_handles(), 0)
        del capsule

    # ---- refusals ----

    def assert_refused(self, array, message):
        count = sys.getrefcount(array)
        capsule = array.__dlpack__()
        self.assertIsNone(tenor.tnr_from_dlpack(None, pointer_in(capsule, DLTENSOR)))
        said = tenor.tnr_error_message(tenor.tnr_last_error()).decode()
        self.assertEqual(said, "from_dlpack: " + message)
        del capsule  # it was still ours
        self.assertEqual(sys.getrefcount(array), count)

    def test_dtypes_that_tenor_lacks_are_refused(self):
        codes = {"i": ("int", 0), "u": ("uint", 1), "f": ("float", 2), "c": ("complex", 5)}
        for dtype in LACKING:
            array = numpy.ones(3, dtype)
            name, code = codes[array.dtype.kind]
            self.assert_refused(array, f"its elements are of {8 * array.itemsize} bits and type "
                                       f"{name} (DLPack's code {code}); tenor has no such dtype")

    def test_more_dims_than_tenor_has_are_refused(self):
        self.assert_refused(numpy.ones((1,) * 9, numpy.float32),
                            "it has 9 dims; tenor takes 0 to 8")

    def test_a_python_user_gets_the_sentence(self):
        with self.assertRaisesRegex(ValueError, "^from_dlpack: its elements are of 64 bits"):
            Tensor.of(numpy.ones(3))

    def test_bool_comes_and_goes_if_numpy_hands_it_out(self):
        array = numpy.array([True, False, True])
        try:
            array.__dlpack__()
        except BufferError:
            self.skipTest(f"NumPy {numpy.__version__} does not hand out bool")
        numpy.testing.assert_array_equal(numpy.from_dlpack(Tensor.of(array)), array)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
