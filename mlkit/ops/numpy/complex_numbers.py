"""Complex numbers: their parts, conjugates and angles. Real tensors are taken as numbers without imaginary part."""

import math

from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, to_float

__all__ = ["angle", "conj", "conjugate", "imag", "isreal", "real"]


def real(x: TensorLike) -> Tensor:
    """The real part."""
    x = as_tensor(x)
    return el.real(x) if x.dtype in dtypes.COMPLEX else x


def imag(x: TensorLike) -> Tensor:
    """The imaginary part, zero for real tensors."""
    x = as_tensor(x)
    return el.imag(x) if x.dtype in dtypes.COMPLEX else el.stop_gradient(el.xor(x, x) if x.dtype == "bool" else el.mul(x, 0))


def conjugate(x: TensorLike) -> Tensor:
    """The number with its imaginary part negated."""
    x = as_tensor(x)
    return el.conj(x) if x.dtype in dtypes.COMPLEX else x


def conj(x: TensorLike) -> Tensor:
    """`conjugate`."""
    return conjugate(x)


def angle(x: TensorLike) -> Tensor:
    """The angle of the number in the complex plane: of real tensors 0, or pi where negative.

    >>> angle([1 + 1j, -1j]).numpy().round(4)
    array([ 0.7854, -1.5708], dtype=float32)
    """
    x = to_float(x)
    if x.dtype in dtypes.COMPLEX:
        return el.atan2(el.imag(x), el.real(x))
    flat = el.mul(x, 0)  # NaN where x is
    return el.where(el.less(x, 0), math.pi, flat)


def isreal(x: TensorLike) -> Tensor:
    """Whether the imaginary part is zero."""
    x = as_tensor(x)
    return el.equal(el.imag(x), 0) if x.dtype in dtypes.COMPLEX else el.equal(el.isnan(x), el.isnan(x))
