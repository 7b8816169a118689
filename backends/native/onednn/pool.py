"""Pooling of channels-last images, and its gradients."""

from ctypes import c_int

from mlkit.backends.native.geometry import Geometry
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.conv import image
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dims, strided
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import FLOATS, Row

_ALGORITHM = {"max_pool": c_int(c.POOLING_MAX), "avg_pool": c_int(c.POOLING_AVG_EXCLUDE_PADDING)}


def steps(shape, window, strides, padding):
    """(strides, window, dilations, padding before, padding after) as oneDNN takes them; None where a window may lie in the
    padding alone, which oneDNN does not know."""
    geo = Geometry(shape, window, strides, padding, (1,) * len(window))
    if any(a >= k or b >= k for (a, b), k in zip(geo.pads, window)):
        return None
    before, after = zip(*geo.pads)
    return tuple(strides), tuple(window), (0,) * len(window), before, after


@or_none
def forward(name, x, y, how, prop=c.INFERENCE):
    """x, y: (shape, strides, dtype); prop: TRAINING to find out as well which elements are the largest."""
    creator = "dnnl_pooling_forward_primitive_desc_create"
    return Primitive(creator, c_int(prop), _ALGORITHM[name], strided(*x), strided(*y), *map(dims, how))


@or_none
def backward(name, x, y, how):
    hint = forward(name, x, y, how, c.TRAINING)
    creator = "dnnl_pooling_backward_primitive_desc_create"
    return Primitive(creator, _ALGORITHM[name], strided(*x), strided(*y), *map(dims, how), hint.pd)


class Pool(Row):
    """x -> y"""

    exact = FLOATS

    def __init__(self, name):
        self.name = name

    def fits(self, x, window, strides, padding):
        return 1 <= len(window) <= 3 and steps(x.shape, window, strides, padding) is not None

    def build(self, operands, outs, window, strides, padding):
        x, y = image(operands[0]), image(outs[0])
        primitive = x and y and forward(self.name, x, y, steps(operands[0].shape, window, strides, padding))
        if not primitive:
            return None
        kernel = Kernel(operands, outs)
        places = {c.SRC: kernel.argument(0, strided(*x)), c.DST: kernel.result(0, strided(*y))}
        return kernel.run(primitive, places)


class MaxPoolGrad(Row):
    """(x, y, g) -> dx. The gradient needs to know which element was the largest; that is found again."""

    name = "max_pool_grad"
    exact = FLOATS

    def fits(self, x, y, g, window, strides, padding):
        return ROWS[0].fits(x, window, strides, padding)

    def build(self, operands, outs, window, strides, padding):
        if not all(map(is_dense, operands)):
            return None  # both primitives must see the same layouts, or they do not understand each other
        x, y, _ = map(image, operands)
        how = steps(operands[0].shape, window, strides, padding)
        again, primitive = forward("max_pool", x, y, how, c.TRAINING), backward("max_pool", x, y, how)
        if again is None or primitive is None:
            return None
        kernel, image_desc, pooled = Kernel(operands, outs), strided(*x), strided(*y)
        found = kernel.temporary(again.desc(c.WORKSPACE_MD))
        maxima = kernel.temporary(pooled)
        kernel.run(again, {c.SRC: kernel.argument(0, image_desc), c.DST: maxima, c.WORKSPACE: found})
        places = {c.DIFF_DST: kernel.argument(2, pooled), c.WORKSPACE: found, c.DIFF_SRC: kernel.result(0, image_desc)}
        return kernel.run(primitive, places)


class AvgPoolGrad(Row):
    """g -> dx"""

    name = "avg_pool_grad"
    exact = FLOATS

    def fits(self, g, shape, window, strides, padding):
        return 1 <= len(window) <= 3 and steps(shape, window, strides, padding) is not None

    def build(self, operands, outs, shape, window, strides, padding):
        g, dx = image(operands[0]), image(outs[0])
        primitive = g and backward("avg_pool", dx, g, steps(shape, window, strides, padding))
        if not primitive:
            return None
        kernel = Kernel(operands, outs)
        return kernel.run(primitive, {c.DIFF_DST: kernel.argument(0, strided(*g)), c.DIFF_SRC: kernel.result(0, strided(*dx))})


ROWS = [Pool("max_pool"), Pool("avg_pool"), MaxPoolGrad(), AvgPoolGrad()]
