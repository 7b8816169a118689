"""Sums over the first axes of bfloat16 tensors, as biases' gradients are: products with a row of ones, exact until they are
rounded. (oneDNN's own reductions are for the last axes only.)"""

import math

import numpy as np

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.matmul import product
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.parts import rows_dense
from mlkit.backends.native.onednn.row import Row, is_dense
from mlkit.core.dtypes import as_numpy


class Sum(Row):
    """x -> y"""

    exact = ("bfloat16",)

    def __init__(self, name):
        self.name = name

    def fits(self, x, axes, keepdims):
        return 0 < len(axes) < len(x.shape) and sorted(axes) == list(range(len(axes)))

    def build(self, operands, outs, axes, keepdims):
        (x,), result = operands, outs[0].dtype
        shape = math.prod(x.shape[: len(axes)]), math.prod(x.shape[len(axes) :])
        ones = np.ones((1, shape[0]), as_numpy(x.dtype))
        a, b = rows_dense(ones.shape, x.dtype), rows_dense(shape, x.dtype)
        primitive = product(a, b, (1, shape[1]), result, False, None, None) if is_dense(x) else None
        if primitive is None:
            return None
        kernel = Kernel(operands, outs)
        places = {c.SRC: kernel.constant(ones), c.WEIGHTS: kernel.argument(0, dense(shape, x.dtype))}
        return kernel.run(primitive, {**places, c.DST: kernel.result(0, dense((1, shape[1]), result))})


ROWS = [Sum("sum"), Sum("sum_wide")]
