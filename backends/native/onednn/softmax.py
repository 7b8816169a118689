"""Softmax. Left to NumPy: its logarithm, which is wrong by some 1e-6 in oneDNN 3.2; the gradients and inner axes, which are
many times slower there."""

from ctypes import c_int

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import dense
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import Row, is_dense


@or_none
def forward(shape):
    """The primitive for the last axis."""
    x = dense(shape)
    creator = "dnnl_softmax_forward_primitive_desc_create"
    return Primitive(creator, c_int(c.INFERENCE), c_int(c.SOFTMAX), x, x, c_int(len(shape) - 1))


class Softmax(Row):
    """x -> y"""

    name = "softmax"

    def fits(self, x, axis):
        return axis == len(x.shape) - 1

    def build(self, operands, outs, axis):
        shape = operands[0].shape
        primitive = forward(shape) if is_dense(operands[0]) else None
        if primitive is None:
            return None
        kernel, x = Kernel(operands, outs, inplace=((0, 0),)), dense(shape)
        return kernel.run(primitive, {c.SRC: kernel.argument(0, x), c.DST: kernel.result(0, x)})


ROWS = [Softmax()]
