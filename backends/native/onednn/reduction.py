"""Sums over the first axes, as products with a row of ones. (oneDNN's own reduction of these has no generated code: a hundred times
slower.)"""

import functools
import math

import numpy as np

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.building_blocks import Declined, product, rows_dense
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.row import FLOATS, Row
from mlkit.core.dtypes import as_numpy
from mlkit.core.machine import threshold

SMALL = threshold("onednn_sum")
BLOCK = 256, 2048  # rows added one after the other: few enough to be exact, many enough to be fast


@functools.lru_cache(64)
def ones(n, dtype):
    return np.ones((1, 1, n), as_numpy(dtype))


def blocks(rows):
    """(number, size) of blocks of rows of equal size; a single one where the number has no fitting divisor."""
    fitting = (n for n in range(-(-rows // BLOCK[1]), rows // BLOCK[0] + 1) if rows % n == 0)
    number = next(fitting, 1)
    return number, rows // number


class Sum(Row):
    """x -> sum over the first axes"""

    exact = FLOATS

    def __init__(self, name):
        self.name = name

    def fits(self, x, axes, keepdims):
        is_first = sorted(axes) == list(range(len(axes))) and 0 < len(axes) < len(x.shape)
        return is_first and math.prod(x.shape) >= SMALL

    def build(self, operands, outs, axes, keepdims):
        x = operands[0]
        if not is_dense(x):
            return None
        columns = math.prod(x.shape[len(axes) :])
        number, size = blocks(math.prod(x.shape[: len(axes)]))
        kernel = Kernel(operands, outs)
        source, y = kernel.argument(0, dense((number, size, columns), x.dtype)), (1, 1, columns)
        total = kernel.converted_back(0, dense(y, outs[0].dtype), dense(y))
        try:
            if number == 1:
                _add_rows(kernel, source, total, 1, size, columns, x.dtype)
            else:
                sums = kernel.temporary(dense((number, 1, columns)))
                _add_rows(kernel, source, sums, number, size, columns, x.dtype)
                _add_rows(kernel, sums.part(dense((1, number, columns)), 0), total, 1, number, columns)
        except Declined:
            return None
        return kernel


def _add_rows(kernel, x, y, number, size, columns, dtype="float32"):
    """(number, size, columns) of a dtype -> (number, 1, columns) of float32"""
    factors = rows_dense((1, 1, size), dtype), rows_dense((number, size, columns), dtype)
    primitive = product(*factors, rows_dense((number, 1, columns)))
    kernel.run(primitive, {c.SRC: kernel.constant(ones(size, dtype)), c.WEIGHTS: x, c.DST: y})


ROWS = [Sum("sum"), Sum("sum_wide")]
