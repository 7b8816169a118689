"""cuBLAS through ctypes: products of matrices in any layout, one or a batch of them.

CuPy's binding sets the stream at each call, which takes the workspace away that was given; without one of its own every captured graph
would keep another. So there is a handle of ours for each device, which has both from the beginning.
"""

import ctypes
import functools
import importlib

from mlkit.core import dtypes

WORKSPACE = 32 << 20  # bytes: what NVIDIA recommends for Hopper; smaller cards take less of it
_TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}  # cudaDataType
_IN_SINGLE, _IN_DOUBLE, _IN_TF32 = 68, 70, 77  # cublasComputeType
_DEFAULT = -1  # the algorithm: cuBLAS chooses
_FORBIDS_REDUCED = 16  # cublasMath: sums of halves stay in float32 in all stages
_ERRORS = {
    1: "NOT_INITIALIZED", 3: "ALLOC_FAILED", 7: "INVALID_VALUE", 8: "ARCH_MISMATCH", 11: "MAPPING_ERROR", 13: "EXECUTION_FAILED",
    14: "INTERNAL_ERROR", 15: "NOT_SUPPORTED",
}  # fmt: skip


@functools.cache
def library():
    """The cuBLAS that lies beside CuPy, which loads the same."""
    found = importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("cublas")
    return ctypes.CDLL(found.abs_path)


class Matrix:
    """Where a matrix, or a batch of them, lies: address, dtype, rows and columns as they are multiplied, elements from one line in memory
    to the next, whether the lines are its columns, and elements from one matrix to the next."""

    __slots__ = ("pointer", "dtype", "rows", "columns", "line", "is_turned", "step")

    def __init__(self, pointer, dtype, rows, columns, line, is_turned=False, step=0):
        self.pointer, self.dtype, self.rows, self.columns = pointer, dtype, rows, columns
        self.line, self.is_turned, self.step = line, is_turned, step


class Blas:
    """Products on one GPU.

    Args:
        device: The GPU.
        lib: The library; the one of this environment unless given.
    """

    def __init__(self, device, lib=None):
        self.device, self._lib = device, lib or library()
        self._handle, self._stream = ctypes.c_void_p(), None
        self._check("cublasCreate_v2", self._lib.cublasCreate_v2(ctypes.byref(self._handle)))
        self._check("cublasSetMathMode", self._lib.cublasSetMathMode(self._handle, _FORBIDS_REDUCED))
        with device.outliving_graphs():
            self._workspace = device.xp.empty(WORKSPACE, "uint8")

    def product(self, a, b, out, count=1):
        """Write the products of `count` matrices a and b, three `Matrix`, into `out`. All have the same dtype but `out`, which may be
        wider."""
        self._follow()
        computed, number = self._way(a.dtype)
        one, zero = number(1), number(0)
        # What lies by rows is, read by columns as cuBLAS does, the turned matrix: out' = b' a'.
        status = self._lib.cublasGemmStridedBatchedEx(
            self._handle, ctypes.c_int(b.is_turned), ctypes.c_int(a.is_turned),
            ctypes.c_int(b.columns), ctypes.c_int(a.rows), ctypes.c_int(a.columns), ctypes.byref(one),
            ctypes.c_void_p(b.pointer), ctypes.c_int(_TYPES[b.dtype]), ctypes.c_int(b.line), ctypes.c_longlong(b.step),
            ctypes.c_void_p(a.pointer), ctypes.c_int(_TYPES[a.dtype]), ctypes.c_int(a.line), ctypes.c_longlong(a.step),
            ctypes.byref(zero), ctypes.c_void_p(out.pointer), ctypes.c_int(_TYPES[out.dtype]), ctypes.c_int(out.line),
            ctypes.c_longlong(out.step), ctypes.c_int(count), ctypes.c_int(computed), ctypes.c_int(_DEFAULT),
        )  # fmt: skip
        self._check("cublasGemmStridedBatchedEx", status)

    def products(self, a, b, out, count):
        """The same of matrices that lie anywhere: what a `Matrix` points to is a table of their addresses on the device."""
        self._follow()
        computed, number = self._way(a.dtype)
        one, zero = number(1), number(0)
        status = self._lib.cublasGemmBatchedEx(
            self._handle, ctypes.c_int(b.is_turned), ctypes.c_int(a.is_turned),
            ctypes.c_int(b.columns), ctypes.c_int(a.rows), ctypes.c_int(a.columns), ctypes.byref(one),
            ctypes.c_void_p(b.pointer), ctypes.c_int(_TYPES[b.dtype]), ctypes.c_int(b.line),
            ctypes.c_void_p(a.pointer), ctypes.c_int(_TYPES[a.dtype]), ctypes.c_int(a.line),
            ctypes.byref(zero), ctypes.c_void_p(out.pointer), ctypes.c_int(_TYPES[out.dtype]), ctypes.c_int(out.line),
            ctypes.c_int(count), ctypes.c_int(computed), ctypes.c_int(_DEFAULT),
        )  # fmt: skip
        self._check("cublasGemmBatchedEx", status)

    def _way(self, dtype):
        if dtype == "float64":
            return _IN_DOUBLE, ctypes.c_double
        return (_IN_TF32 if dtype == "float32" and self.device.uses_tf32 else _IN_SINGLE), ctypes.c_float

    def _follow(self):
        """Compute in the stream that is current, with our workspace, which a change of the stream takes away."""
        stream = self.device.xp.cuda.get_current_stream().ptr
        if stream != self._stream:
            self._check("cublasSetStream_v2", self._lib.cublasSetStream_v2(self._handle, ctypes.c_void_p(stream)))
            place = ctypes.c_void_p(self._workspace.data.ptr)
            status = self._lib.cublasSetWorkspace_v2(self._handle, place, ctypes.c_size_t(WORKSPACE))
            self._check("cublasSetWorkspace_v2", status)
            self._stream = stream

    def _check(self, function, status):
        if status:
            raise RuntimeError(
                f"{self.device.name}: {function} of cuBLAS failed with CUBLAS_STATUS_{_ERRORS.get(status, status)}. "
                "(MLKIT_DEVICE=cpu does without the GPU.)"
            )


def knows(dtype):
    """Whether there are products of a dtype of ours."""
    return dtypes.name_of(dtype) in _TYPES
