"""Rounding, and replacing what is not a number."""

import math

from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, promote_tensors, require_real, to_float

__all__ = ["ceil", "floor", "nan_to_num", "nextafter", "round", "trunc"]


def ceil(x: TensorLike) -> Tensor:
    """The smallest integer not below x, as a float."""
    return el.ceil(to_float(x))


def floor(x: TensorLike) -> Tensor:
    """The largest integer not above x, as a float."""
    return el.floor(to_float(x))


def trunc(x: TensorLike) -> Tensor:
    """x without its fraction; integers as they are."""
    x = as_tensor(x)
    return el.mul(el.sign(x), el.floor(el.abs_(x))) if x.dtype in dtypes.FLOATS else x


def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """x rounded to a number of decimals (negative: to tens, hundreds ...), halves to even. Integers stay integers.

    Args:
        decimals: digits after the point; negative ones before it.

    >>> round([0.5, 1.5, 2.345]).numpy()
    array([0., 2., 2.], dtype=float32)
    """
    x = as_tensor(x)
    require_real("round", x)
    if x.dtype in dtypes.FLOATS:
        if decimals == 0:
            return el.round_(x)
        factor = 10.0**decimals
        return el.div(el.round_(el.mul(x, factor)), factor)
    if x.dtype == "bool":
        x = el.cast(x, dtype="int32")
    if decimals >= 0:
        return x
    factor = 10.0**-decimals
    y = el.mul(el.round_(el.div(el.cast(x, dtype=dtypes.floatx()), factor)), factor)
    return el.cast(y, dtype=x.dtype)


def nan_to_num(x: TensorLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with NaN replaced by `nan` and infinities by `posinf` and `neginf` (default: the largest and smallest finite number).

    Args:
        nan, posinf, neginf: what stands for each; by default 0 and the limits of the dtype.

    >>> nan_to_num([1.0, math.nan, math.inf], posinf=9.0).numpy()
    array([1., 0., 9.], dtype=float32)
    """
    x = as_tensor(x)
    if x.dtype not in dtypes.FLOATS:
        return x
    low, high = dtypes.limits(x.dtype)
    x = el.where(el.isnan(x), nan, x)
    x = el.where(el.equal(x, math.inf), high if posinf is None else posinf, x)
    return el.where(el.equal(x, -math.inf), low if neginf is None else neginf, x)


def nextafter(x1: TensorLike, x2: TensorLike) -> Tensor:
    """The number next to x1 on the way to x2 that the float dtype can represent."""
    return el.nextafter(*promote_tensors(x1, x2, floating=True))
