"""Matrix products, with bias and activation where the op has them.

General products take transposed operands as they are. With AVX-512 they are the fastest unless the second matrix stays the same
from run to run: then that is laid out anew once, for an inner product. Before AVX-512 laying it out in each run pays as well, since
general products of large matrices whose width is a power of two take up to twice the time.
"""

import math
from ctypes import c_int

from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.activation import RESIDUAL, is_known, post_ops
from mlkit.backends.native.onednn.densify import is_dense
from mlkit.backends.native.onednn.kernel import Kernel
from mlkit.backends.native.onednn.library import library
from mlkit.backends.native.onednn.memory import anyhow, dense, strided
from mlkit.backends.native.onednn.primitive import Primitive, or_none
from mlkit.backends.native.onednn.row import FLOATS, Row, dense_rows, element_strides
from mlkit.core.layout import contiguous
from mlkit.core.machine import threshold

FEW_ROWS = threshold("matmul_laid_out")
SMALL = threshold("matmul_quick")


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
        if not is_known(act) or any(x is not None and not is_dense(x) for x in (bias, residual)):
            return None
        call = _Call(operands, outs, bias, residual, act)
        if b.ndim > 2:
            y = outs[0].shape
            return call.general(_matrices(a, len(y)), _matrices(b, len(y)), y)
        rows, (k, n) = math.prod(a.shape[:-1]), b.shape
        ad, bd = dense_rows(a, (rows, k)), element_strides(b)
        if ad is None or bd is None:
            return None
        a, b = ((rows, k), ad, a.dtype), ((k, n), bd, b.dtype)
        if operands[1].steady or (rows >= FEW_ROWS and not library().has_avx512):
            return call.laid_out(a, b)
        return call.general(a, b, (rows, n))


class _Call:
    """One call, run by one of two primitives. a, b: (shape, strides, dtype) of the matrices; None where that is not taken."""

    def __init__(self, operands, outs, bias, residual, act):
        self.operands, self.outs, self.bias, self.residual, self.act = operands, outs, bias, residual, act

    def general(self, a, b, y):
        """The product of matrices as they lie; of each the rows or the columns are dense. y: the result's shape."""
        if not (a and b and 1 in a[1][-2:] and 1 in b[1][-2:]):
            return None
        added = self.residual and (y, contiguous(y, 1), self.residual.dtype)
        primitive = product(a, b, y, self.outs[0].dtype, self.bias is not None, added, self.act)
        if primitive is None:
            return None
        kernel = Kernel(self.operands, self.outs)
        places = {c.SRC: kernel.argument(0, strided(*a)), c.WEIGHTS: kernel.argument(1, strided(*b))}
        return self._run(kernel, primitive, places, y, self.bias and _row_vector(y, self.bias.dtype))

    def laid_out(self, a, b):
        """The product of rows with a matrix that is laid out anew."""
        (rows, k), n, dtype = a[0], b[0][1], a[2]
        has_bias, has_residual = self.bias is not None, self.residual is not None
        primitive = inner_product(rows, k, n, has_bias, has_residual, self.act, dtype, self.outs[0].dtype)
        if primitive is None:
            return None
        kernel = Kernel(self.operands, self.outs)
        places = {
            c.SRC: kernel.converted(0, strided(*a), dense((rows, k), dtype)),
            c.WEIGHTS: kernel.converted(1, _turned(b), primitive.desc(c.WEIGHTS_MD)),
        }
        return self._run(kernel, primitive, places, (rows, n), dense((n,), dtype))

    def _run(self, kernel, primitive, places, y, bias):
        """places: those of the two matrices; bias: the descriptor of the bias, if there is one."""
        places[c.DST] = kernel.result(0, dense(y, self.outs[0].dtype))
        if self.bias is not None:
            places[c.BIAS] = kernel.argument(2, bias)
        if self.residual is not None:
            places[RESIDUAL] = kernel.argument(3, dense(y, self.residual.dtype))
        return kernel.run(primitive, places)


def _turned(matrix):
    """The descriptor of the transposed matrix in the same memory."""
    shape, strides, dtype = matrix
    return strided(shape[::-1], strides[::-1], dtype)


def _matrices(operand, rank):
    """(shape, strides, dtype) with leading axes of size 1 up to `rank`, and of size 1 where matrices repeat; None for strides
    that are not taken."""
    missing = rank - operand.ndim
    shape = (1,) * missing + tuple(
        1 if s == 0 and i < operand.ndim - 2 else n for i, (n, s) in enumerate(zip(operand.shape, operand.strides))
    )
    strides = element_strides(operand, repeated=operand.ndim - 2)
    return strides and (shape, (math.prod(operand.shape),) * missing + strides, operand.dtype)


ROWS = [MatMul("matmul"), MatMul("matmul_bias_act"), MatMul("matmul_wide")]
