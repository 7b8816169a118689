"""Resampling of channels-last images between the centres of cells, and its gradient."""

import math
from ctypes import c_float, c_int

import numpy as np

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.conv import image
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import strided
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import FLOATS, Row
from mlkit.compiler.plan import Operand
from mlkit.core.dtypes import name_of
from mlkit.core.machine import threshold
from mlkit.primitives.nearest_neighbor import nearest_cells

# oneDNN writes a table of each axis when the primitive is made, without asking whether there is memory for it
LONGEST = 1 << 24
FEWEST = threshold("resample_gradient")
_ALGORITHM = {"nearest": c_int(c.RESAMPLING_NEAREST), "linear": c_int(c.RESAMPLING_LINEAR)}


def _factors(x, y):
    """How many times as large the spatial axes become. x, y: (shape, strides, dtype), here and below."""
    return (c_float * 12)(*(new / old for old, new in zip(x[0][2:], y[0][2:])))


@or_none
def forward(x, y, method, prop=c.INFERENCE):
    """The primitive, or None where oneDNN would take a hundred times as long, as it does for images that are parts of others."""
    creator = "dnnl_resampling_forward_primitive_desc_create"
    primitive = Primitive(creator, c_int(prop), _ALGORITHM[method], _factors(x, y), strided(*x), strided(*y))
    return None if primitive.implementation.startswith("ref") else primitive


@or_none
def backward(x, y, method):
    """The primitive of the gradient; of the linear one only generated code is faster than products with matrices."""
    hint = forward(x, y, method, c.TRAINING)
    creator = "dnnl_resampling_backward_primitive_desc_create"
    primitive = hint and Primitive(creator, _ALGORITHM[method], _factors(x, y), strided(*x), strided(*y), hint.pd)
    fast = ("jit",) if method == "linear" else ("jit", "simple")
    return primitive if primitive and primitive.implementation.startswith(fast) else None


class Resample(Row):
    """x -> y"""

    name = "resample"
    exact = FLOATS

    def fits(self, x, size, method):
        if not 1 <= len(size) <= 3 or max(size) > LONGEST:
            return False
        return method == "linear" or all(map(_rounds_alike, x.shape[1:-1], size))

    def build(self, operands, outs, size, method):
        return _kernel(operands, outs, lambda x, y: forward(x, y, method), c.SRC, c.DST)


class ResampleGrad(Row):
    """g -> dx"""

    name = "resample_grad"
    exact = FLOATS

    def fits(self, g, size, method):
        if not 1 <= len(size) <= 3 or (method == "linear" and g.shape[-1] < FEWEST):
            return False
        if method == "nearest" and any(map(_touches_an_edge, size, g.shape[1:-1])):
            return False
        dtype = name_of(g.dtype)
        images = Operand((g.shape[0], *size, g.shape[-1]), dtype), Operand(g.shape, dtype)
        return backward(*map(image, images), method) is not None

    def build(self, operands, outs, size, method):
        return _kernel(operands, outs, lambda g, dx: backward(dx, g, method), c.DIFF_DST, c.DIFF_SRC)


def _kernel(operands, outs, make, given_name, made_name):
    """The kernel of the primitive that `make` has for the images given and made, or None."""
    given, made = image(operands[0]), image(outs[0])
    primitive = given and make(given, made)
    if not primitive:
        return None
    kernel = Kernel(operands, outs)
    places = {given_name: kernel.argument(0, strided(*given)), made_name: kernel.result(0, strided(*made))}
    return kernel.run(primitive, places)


def _rounds_alike(size, new):
    """Whether the op takes no cell for that of a centre between two cells but the second, as oneDNN does."""
    return np.array_equal(nearest_cells(size, new), (2 * np.arange(new) + 1) * size // (2 * new))


def _touches_an_edge(size, new):
    """Whether a centre lies between two cells: (i + 1/2) size / new is a whole number for some i. oneDNN's gradient may give it to
    either."""
    return 2 * new // math.gcd(size, 2 * new) % 2 == 1


ROWS = [Resample(), ResampleGrad()]
