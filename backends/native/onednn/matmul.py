"""Matrix products, with bias and activation where the op has them.

A product with one matrix for the whole batch is an inner product whose weights are laid out anew, which takes little time and
makes it up to twice as fast as a general product (large matrices whose width is a power of two suffer most). The others are
batches of general products, which take transposed operands as they are.
"""

import math
from ctypes import c_int

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.activation import RESIDUAL, post_ops
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.memory import anyhow, dense, strided
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import FLOATS, Row, dense_rows, element_strides

FEW_ROWS = 16  # so many rows make it worth while to lay out the other matrix anew
SMALL = 1 << 18  # multiplications: below, NumPy is done before a primitive is found


@or_none
def inner_product(m, k, n, bias, residual, act, dtype, result):
    """The primitive of (m, k) x (n, k), the second in any layout -> (m, n). bias, residual: whether there is one; dtype,
    result: dtypes of the operands and of what comes out."""
    b = dense((n,), dtype) if bias else None
    descs = dense((m, k), dtype), anyhow((n, k), dtype), b, dense((m, n), result)
    creator = "dnnl_inner_product_forward_primitive_desc_create"
    added = ((m, n), (n, 1), dtype) if residual else None
    return Primitive(creator, c_int(c.INFERENCE), *descs, post_ops=post_ops(act, added))


@or_none
def product(a, b, y, result, bias, residual, act):
    """The primitive of a batch of matrix products. a, b, residual: (shape, strides, dtype); y: shape; result: its dtype; bias:
    whether there is one."""
    descs = strided(*a), strided(*b), _row_vector(y, a[2]) if bias else None, dense(y, result)
    return Primitive("dnnl_matmul_primitive_desc_create", *descs, post_ops=post_ops(act, residual))


def _row_vector(y, dtype):
    """The bias of a batch of products."""
    return dense((1,) * (len(y) - 1) + y[-1:], dtype)


class MatMul(Row):
    """(..., m, k) x (..., k, n) -> (..., m, n)."""

    exact = FLOATS

    def __init__(self, name):
        self.name = name

    def is_quick(self, a, b, *_, **__):
        return math.prod(a.shape) * b.shape[-1] < SMALL

    def build(self, operands, outs, act=None):
        a, b, bias, residual = (*operands, None, None)[:4]
        if any(x is not None and not is_dense(x) for x in (bias, residual)):
            return None
        if b.ndim == 2:
            rows = math.prod(a.shape[:-1])
            if rows >= FEW_ROWS or b.steady:
                return _one_matrix(operands, outs, rows, bias, residual, act)
        return _batch(operands, outs, bias, residual, act)


def _one_matrix(operands, outs, rows, bias, residual, act):
    a, b = operands[:2]
    (k, n), dtype, result = b.shape, a.dtype, outs[0].dtype
    ad, bd = dense_rows(a, (rows, k)), element_strides(b)
    primitive = inner_product(rows, k, n, bias is not None, residual is not None, act, dtype, result)
    if None in (ad, bd, primitive):
        return None
    kernel = Kernel(operands, outs)
    places = {
        c.SRC: kernel.converted(0, strided((rows, k), ad, dtype), dense((rows, k), dtype)),
        c.WEIGHTS: kernel.converted(1, strided((n, k), bd[::-1], dtype), primitive.desc(c.WEIGHTS_MD)),
        c.DST: kernel.result(0, dense((rows, n), result)),
    }
    if bias is not None:
        places[c.BIAS] = kernel.argument(2, dense((n,), dtype))
    if residual is not None:
        places[RESIDUAL] = kernel.argument(3, dense((rows, n), dtype))
    return kernel.run(primitive, places)


def _batch(operands, outs, bias, residual, act):
    y, result = outs[0].shape, outs[0].dtype
    a, b = (_matrices(x, len(y)) for x in operands[:2])
    added = residual and (y, element_strides(residual), residual.dtype)
    primitive = a and b and product(a, b, y, result, bias is not None, added, act)
    if not primitive:
        return None
    kernel = Kernel(operands, outs)
    places = {
        c.SRC: kernel.argument(0, strided(*a)),
        c.WEIGHTS: kernel.argument(1, strided(*b)),
        c.DST: kernel.result(0, dense(y, result)),
    }
    if bias is not None:
        places[c.BIAS] = kernel.argument(2, _row_vector(y, bias.dtype))
    if residual is not None:
        places[RESIDUAL] = kernel.argument(3, dense(y, residual.dtype))
    return kernel.run(primitive, places)


def _matrices(operand, rank):
    """(shape, strides, dtype) with leading axes of size 1 up to `rank`, and of size 1 where matrices repeat; None for strides
    that are not taken: of each matrix the rows or the columns must be dense."""
    missing = rank - operand.ndim
    shape = (1,) * missing + tuple(
        1 if s == 0 and i < operand.ndim - 2 else n for i, (n, s) in enumerate(zip(operand.shape, operand.strides))
    )
    strides = element_strides(operand, repeated=operand.ndim - 2)
    if strides is None or 1 not in strides[-2:]:
        return None
    return shape, (math.prod(operand.shape),) * missing + strides, operand.dtype


ROWS = [MatMul("matmul"), MatMul("matmul_bias_act"), MatMul("matmul_wide")]
