"""Rows for pooling, one launch each: a thread has an element of the result, in gradients too, where it asks all windows that it is in."""

import math

import numpy as np

from mlkit.backends.native.cuda.row import FLOATS, KernelRow, computed, number, stored
from mlkit.backends.native.geometry import Geometry
from mlkit.core import dtypes

_MOST_AXES = 3
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def rows(device):
    return [MaxPool(device), MaxPoolGradient(device), AvgPool(device), AvgPoolGradient(device)]


class _Pool(KernelRow):
    parts = ("pool",)

    def fits(self, x, *_, window, shape=None, **p):
        return len(window) <= _MOST_AXES

    def over(self, result, images, template, arguments, params):
        """Launch a template with a thread for each element of the result. images: the shape of what windows lie in."""
        geometry = Geometry(images, **params, dilation=(1,) * len(params["window"]))
        axes = [*zip(images[1:-1], geometry.out, geometry.window, geometry.strides, (a for a, _ in geometry.pads))]
        axes = [(1, 1, 1, 1, 0)] * (_MOST_AXES - len(axes)) + axes
        arguments += [("long long", "all", number(result.size)), ("long long", "channels", number(images[-1]))]
        arguments += [("int", f"{name}{i}", np.int32(n)) for i, axis in enumerate(axes) for name, n in zip("nmksa", axis)]
        is_small = max(math.prod(images), result.size, images[0] * math.prod(geometry.out) * images[-1]) < 2**31
        types = [stored(result)[0], computed(result), "unsigned" if is_small else "long long"]
        self.start(template, types, arguments, max(1, min(-(-result.size // 256), self.device.most_blocks)))


def _pointers(**arrays):
    return [(f"{stored(array)[0]}*", name, array) for name, array in arrays.items()]


def _lowest(x):
    name = dtypes.name_of(x.dtype)
    if not dtypes.is_float(name):
        return computed(x), "lowest", x.dtype.type(dtypes.limits(name)[0])
    return computed(x), "lowest", (np.float64 if name == "float64" else np.float32)(-math.inf)


class MaxPool(_Pool):
    name, dtypes = "max_pool", (*FLOATS, *_INTEGERS)

    def launch(self, args, outs, params):
        (x,), (y,) = args, outs
        self.over(y, x.shape, "max_pool", [*_pointers(x=x, y=y), _lowest(x)], params)


class MaxPoolGradient(_Pool):
    name = "max_pool_grad"

    def launch(self, args, outs, params):
        (x, y, g), (dx,) = args, outs
        self.over(dx, x.shape, "max_pool_gradient", [*_pointers(x=x, y=y, g=g, dx=dx), _lowest(x)], params)


class AvgPool(_Pool):
    name = "avg_pool"

    def launch(self, args, outs, params):
        (x,), (y,) = args, outs
        self.over(y, x.shape, "avg_pool", _pointers(x=x, y=y), params)


class AvgPoolGradient(_Pool):
    name = "avg_pool_grad"

    def launch(self, args, outs, params):
        (g,), (dx,) = args, outs
        self.over(dx, dx.shape, "avg_pool_gradient", _pointers(g=g, dx=dx), {k: v for k, v in params.items() if k != "shape"})
