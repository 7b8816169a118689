"""A cuBLAS that is not there, called as ctypes calls it: reads and writes the memory that it is told of, column by column."""

import ctypes

import numpy as np

from mlkit.core import dtypes
from tests.cuda import fake_cupy
from tests.cuda.fake_cuda import memory_at, submit

TYPES = {0: "float32", 1: "float64", 2: "float16", 14: "bfloat16"}


class Library:
    """What `ctypes.CDLL` of cuBLAS would be. calls: (name, what matters of the arguments); fails: name of a function -> its status."""

    def __init__(self):
        self.calls, self.fails = [], {}

    def __getattr__(self, name):
        def call(*args):
            values = [getattr(a, "value", a) for a in args]
            self.calls.append((name, values))
            if name in self.fails:
                return self.fails[name]
            if name in _PRODUCTS:
                fake_cupy.counts.launches += 1
                _PRODUCTS[name](*args)
            return 0

        if not name.startswith("cublas"):
            raise AttributeError(name)
        return call

    def arguments(self, name):
        """Those of all calls of a function."""
        return [args for n, args in self.calls if n == name]


def _at(pointer, elements, dtype):
    kind = dtypes.as_numpy(dtype)
    return np.frombuffer(memory_at(pointer, elements * kind.itemsize), kind)


def _columns(pointer, code, rows, width, line):
    """A matrix that lies column by column."""
    assert line >= max(rows, 1), "the leading dimension is smaller than a column"
    flat = _at(pointer, line * (width - 1) + rows, TYPES[code])
    return np.lib.stride_tricks.as_strided(flat, (rows, width), (flat.itemsize, line * flat.itemsize))


def _multiply(turns, sizes, one, zero, way, operands, out):
    """operands, out: (addresses of the matrices, dtype's code, leading dimension)"""
    kind = np.float64 if way == 70 else np.float32
    scalar = ctypes.c_double if way == 70 else ctypes.c_float
    assert (type(one._obj), one._obj.value, zero._obj.value) == (scalar, 1, 0)
    (m, n, k), (turn_a, turn_b) = sizes, turns
    outs = [_columns(p, out[1], m, n, out[2]) for p in out[0]()]

    def compute():
        (at_a, code_a, ld_a), (at_b, code_b, ld_b) = operands
        for a, b, c in zip(at_a(), at_b(), out[0]()):
            x = _columns(a, code_a, *((k, m) if turn_a else (m, k)), ld_a)
            y = _columns(b, code_b, *((n, k) if turn_b else (k, n)), ld_b)
            product = (x.T if turn_a else x).astype(kind) @ (y.T if turn_b else y).astype(kind)
            target = _columns(c, out[1], m, n, out[2])
            target[...] = product.astype(target.dtype)

    submit(compute, outs)


def _strided(
    handle, turn_a, turn_b, m, n, k, one, a, type_a, ld_a, step_a, b, type_b, ld_b, step_b, zero, c, type_c, ld_c, step_c, *rest
):
    count, way, _algorithm = (r.value for r in rest)

    def addresses(p, code, step):
        return lambda: [p.value + i * step.value * dtypes.itemsize(TYPES[code.value]) for i in range(count)]

    operands = [
        (addresses(p, t, s), t.value, ld.value) for p, t, ld, s in ((a, type_a, ld_a, step_a), (b, type_b, ld_b, step_b))
    ]
    out = addresses(c, type_c, step_c), type_c.value, ld_c.value
    _multiply((turn_a.value, turn_b.value), (m.value, n.value, k.value), one, zero, way, operands, out)


def _by_tables(handle, turn_a, turn_b, m, n, k, one, a, type_a, ld_a, b, type_b, ld_b, zero, c, type_c, ld_c, *rest):
    count, way, _algorithm = (r.value for r in rest)

    def addresses(p):
        return lambda: [int(x) for x in np.frombuffer((ctypes.c_char * (8 * count)).from_address(p.value), "uint64")]

    operands = [(addresses(p), t.value, ld.value) for p, t, ld in ((a, type_a, ld_a), (b, type_b, ld_b))]
    out = addresses(c), type_c.value, ld_c.value
    _multiply((turn_a.value, turn_b.value), (m.value, n.value, k.value), one, zero, way, operands, out)


_PRODUCTS = {"cublasGemmStridedBatchedEx": _strided, "cublasGemmBatchedEx": _by_tables}
