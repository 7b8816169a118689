"""Activations as calls of their own, and their gradients: one pass over memory each."""

import math
from ctypes import c_float, c_int

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.activation import ELTWISE
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import FLOATS, Row
from mlkit.primitives.fused.epilogue import activation


def flat(operands):
    """The descriptor of tensors of one shape as vectors; None unless all are dense."""
    return dense((math.prod(operands[0].shape),), operands[0].dtype) if all(map(is_dense, operands)) else None


def eltwise(name):
    """(algorithm, alpha, beta) as ctypes values."""
    algorithm, alpha, beta = ELTWISE[name].step
    return c_int(algorithm), c_float(alpha), c_float(beta)


@or_none
def forward(name, size, dtype):
    """The primitive of an activation of so many elements."""
    algorithm, *numbers = eltwise(name)
    x = dense((size,), dtype)
    return Primitive("dnnl_eltwise_forward_primitive_desc_create", c_int(c.TRAINING), algorithm, x, x, *numbers)


@or_none
def backward(name, size, dtype):
    """The primitive of its gradient, of the input."""
    hint, x = forward(name, size, dtype), dense((size,), dtype)
    algorithm, *numbers = eltwise(name)
    return Primitive("dnnl_eltwise_backward_primitive_desc_create", algorithm, x, x, x, *numbers, hint.pd)


class Activation(Row):
    """y = f(x)"""

    exact = FLOATS

    def __init__(self, op):
        self.name, self.functions = op.name, (op.base or op).traits.epilogues

    def function(self, **params):
        """The name among oneDNN's functions."""
        return next(name for name, options in self.functions.items() if options == params)

    def build(self, operands, outs, **params):
        x = flat([*operands, *outs])
        if x is None:
            return None
        kernel = Kernel(operands, outs, inplace=((0, 0),))
        primitive = forward(self.function(**params), math.prod(outs[0].shape), outs[0].dtype)
        return kernel.run(primitive, {c.SRC: kernel.argument(0, x), c.DST: kernel.result(0, x)})


class ActivationGrad(Activation):
    """(g, x) -> g f'(x)"""

    def build(self, operands, outs, **params):
        x = flat([*operands, *outs])
        if x is None:
            return None
        kernel = Kernel(operands, outs, inplace=((0, 0),))
        primitive = backward(self.function(**params), math.prod(outs[0].shape), outs[0].dtype)
        places = {c.DIFF_DST: kernel.argument(0, x), c.SRC: kernel.argument(1, x), c.DIFF_SRC: kernel.result(0, x)}
        return kernel.run(primitive, places)


_ALONE = dict.fromkeys(activation(name)[0] for name, function in ELTWISE.items() if function.alone)
ROWS = [row for op in _ALONE for row in (Activation(op), ActivationGrad(op.variants["grad"]))]
