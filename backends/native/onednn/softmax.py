"""Softmax. Left to NumPy: its logarithm, which is wrong by some 1e-6 in oneDNN 3.2; the gradients and inner axes, which are
many times slower there."""

from ctypes import c_int

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import FLOATS, Row


@or_none
def forward(shape, dtype="float32", result="float32"):
    """The primitive for the last axis."""
    x, y = dense(shape, dtype), dense(shape, result)
    creator = "dnnl_softmax_forward_primitive_desc_create"
    return Primitive(creator, c_int(c.INFERENCE), c_int(c.SOFTMAX), x, y, c_int(len(shape) - 1))


@or_none
def backward(shape, dtype, result):
    """The primitive of its gradient. dtype: of the result of softmax and its gradient; result: of what comes out."""
    y, hint = dense(shape, dtype), forward(shape, dtype, dtype)
    creator = "dnnl_softmax_backward_primitive_desc_create"
    return Primitive(creator, c_int(c.SOFTMAX), dense(shape, result), y, y, c_int(len(shape) - 1), hint.pd)


class Softmax(Row):
    """x -> y"""

    name = "softmax"
    exact = FLOATS

    def fits(self, x, axis):
        return axis == len(x.shape) - 1

    def build(self, operands, outs, axis):
        shape, dtype = operands[0].shape, operands[0].dtype
        primitive = forward(shape, dtype, dtype) if is_dense(operands[0]) else None
        if primitive is None:
            return None
        kernel, x = Kernel(operands, outs, inplace=((0, 0),)), dense(shape, dtype)
        return kernel.run(primitive, {c.SRC: kernel.argument(0, x), c.DST: kernel.result(0, x)})


ROWS = [Softmax()]
