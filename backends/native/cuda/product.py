"""Rows for products of matrices: one call of cuBLAS, whatever their layout. Halves are summed in float32."""

import math
from itertools import pairwise

from mlkit.backends.native import epilogue
from mlkit.backends.native.cuda.blas import Matrix, knows
from mlkit.backends.native.cuda.row import KernelRow, is_dense
from mlkit.core import dtypes

_MOST = 2**31 - 1  # rows and columns that cuBLAS numbers


def rows(device):
    return [Product(device, "matmul"), Product(device, "matmul_wide"), FinishedProduct(device)]


class Product(KernelRow):
    """Operands may be views: what lies by columns is multiplied as it lies."""

    def __init__(self, device, name):
        super().__init__(device)
        self.name = name

    def fits(self, a, b):
        lead_a, lead_b = tuple(a.shape[:-2]), tuple(b.shape[:-2])
        alike = lead_a == lead_b or math.prod(lead_a) == 1 or math.prod(lead_b) == 1
        return knows(b.dtype) and alike and max(math.prod(a.shape[:-1]), *a.shape[-1:], b.shape[-1]) <= _MOST

    def into(self, a, b, out, scratch=None):
        place = out if is_dense(out) else self.device.xp.empty(out.shape, out.dtype)
        self.launch([a, b], [place], {})
        if place is not out:
            out[...] = place

    def launch(self, args, outs, params):
        (a, b), (out,) = args, outs
        many_a, many_b = math.prod(a.shape[:-2]), math.prod(b.shape[:-2])
        if many_b == 1 and (rows := _as_rows(a)) is not None:
            a, many_a = rows, 1
        a, b = (x if _lies(x) else self.device.dense(x) for x in (a, b))
        count = max(many_a, many_b)
        columns = b.shape[-1]
        rows = a.shape[-2]
        result = Matrix(out.data.ptr, dtypes.name_of(out.dtype), rows, columns, columns, step=rows * columns)
        self.device.blas.product(_matrix(a, many_a), _matrix(b, many_b), result, count)


class FinishedProduct(KernelRow):
    """A product with bias and activation behind it, in place."""

    name, launches = "matmul_bias_act", 2

    def __init__(self, device):
        super().__init__(device)
        self._product = Product(device, "matmul")
        self._finish = device.finish(epilogue.finish_over(device.xp))

    def fits(self, x, w, bias, residual=None, *, act):
        return self._product.fits(x, w)

    def into(self, x, w, bias, residual=None, *, act, out, scratch=None):
        self.launch([x, w, bias, residual], [out], dict(act=act))

    def launch(self, args, outs, params):
        (x, w, bias, residual), (out,) = args, outs
        self._product.into(x, w, out=out)
        y = self._finish(out, bias, residual, params["act"])
        if y is not out:  # an activation that cannot work in place
            out[...] = y


def _as_rows(a):
    """The batch as one matrix of all rows, without a copy; None where they do not lie so."""
    *_, rows, columns = a.shape
    stride = a.strides[-2]
    expected = stride * rows
    for size, step in reversed([*zip(a.shape[:-2], a.strides[:-2])]):
        if size != 1 and step != expected:
            return None
        expected = step * size if size != 1 else expected
    if a.strides[-1] != a.itemsize and columns != 1:
        return None
    return a.reshape(math.prod(a.shape[:-1]), columns)


def _lies(x):
    """Whether cuBLAS can take a batch of matrices as it lies: lines without gaps, equal steps from one matrix to the next."""
    *_, rows, columns = x.shape
    down, across = x.strides[-2:]
    item = x.itemsize
    by_rows = (across == item or columns == 1) and down >= columns * item and down % item == 0
    by_columns = (down == item or rows == 1) and across >= rows * item and across % item == 0
    steps = [(n, s) for n, s in zip(x.shape[:-2], x.strides[:-2]) if n != 1]
    even = all(s == n_next * s_next for (_, s), (n_next, s_next) in pairwise(steps))
    return (by_rows or by_columns) and even and all(s >= 0 and s % item == 0 for _, s in steps)


def _matrix(x, count):
    """The `Matrix` of an array that lies as `_lies` has it."""
    *_, rows, columns = x.shape
    item = x.itemsize
    down, across = (s // item for s in x.strides[-2:])
    step = next((s // item for n, s in reversed([*zip(x.shape[:-2], x.strides[:-2])]) if n != 1), 0) if count > 1 else 0
    by_rows = (across == 1 or columns == 1) and down >= columns
    line = down if by_rows else across
    return Matrix(x.data.ptr, dtypes.name_of(x.dtype), rows, columns, max(line, 1), not by_rows, step)
