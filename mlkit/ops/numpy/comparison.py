"""Comparisons and logic: results are truth values (dtype bool)."""

import math
from collections.abc import Sequence
from typing import Any

from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.ops.numpy import reductions
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, pair, promote_tensors, require_real, to_bool

__all__ = [
    "allclose", "equal", "greater", "greater_equal", "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "less",
    "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "not_equal", "signbit",
]  # fmt: skip


def comparable(x1: TensorLike, x2: TensorLike) -> Sequence[Any]:
    """The operands of a comparison as `pair` gives them. A number beyond an integer dtype lies above or below all it can hold."""
    if type(x2) is int and type(x1) is not int:
        x1 = as_tensor(x1)
        dtype = "int32" if x1.dtype == "bool" else x1.dtype
        if dtype not in el.FLOATING and not dtypes.holds(dtype, x2):
            return el.cast(el.not_equal(x1, x1), dtype="int32"), 1 if x2 > 0 else -1  # zeros, and what is on its side of them
    elif type(x1) is int and type(x2) is not int:
        return comparable(x2, x1)[::-1]
    return pair(x1, x2)


def equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 == x2, element by element."""
    return el.equal(*comparable(x1, x2))


def not_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 != x2, element by element."""
    return el.not_equal(*comparable(x1, x2))


def less(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 < x2, element by element."""
    return el.less(*comparable(x1, x2))


def less_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 <= x2, element by element."""
    return el.less_equal(*comparable(x1, x2))


def greater(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 > x2, element by element."""
    x1, x2 = comparable(x1, x2)
    return el.less(x2, x1)


def greater_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 >= x2, element by element."""
    x1, x2 = comparable(x1, x2)
    return el.less_equal(x2, x1)


def logical_and(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether both are true (not zero)."""
    return el.and_(to_bool(x1), to_bool(x2))


def logical_or(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether either is true (not zero)."""
    return el.or_(to_bool(x1), to_bool(x2))


def logical_xor(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Whether exactly one is true (not zero)."""
    return el.xor(to_bool(x1), to_bool(x2))


def logical_not(x: TensorLike) -> Tensor:
    """Whether x is false (zero)."""
    return el.not_(to_bool(x))


def isfinite(x: TensorLike) -> Tensor:
    """Whether x is neither infinite nor NaN."""
    return el.isfinite(as_tensor(x))


def isnan(x: TensorLike) -> Tensor:
    """Whether x is NaN."""
    return el.isnan(as_tensor(x))


def isinf(x: TensorLike) -> Tensor:
    """Whether x is infinite."""
    x = as_tensor(x)
    if x.dtype not in el.FLOATING:
        return _never(x)
    return el.not_(el.or_(el.isfinite(x), el.isnan(x)))


def isposinf(x: TensorLike) -> Tensor:
    """Whether x is plus infinity."""
    x = as_tensor(x)
    return el.equal(x, math.inf) if x.dtype in dtypes.FLOATS else _never(x)


def isneginf(x: TensorLike) -> Tensor:
    """Whether x is minus infinity."""
    x = as_tensor(x)
    return el.equal(x, -math.inf) if x.dtype in dtypes.FLOATS else _never(x)


def _never(x: Tensor) -> Tensor:
    return el.not_(el.isfinite(x))  # integers and truth values are always finite


def signbit(x: TensorLike) -> Tensor:
    """Whether the sign of x is negative, which -0.0's is too."""
    x = as_tensor(x)
    require_real("signbit", x)
    if x.dtype not in dtypes.FLOATS:
        return _never(x) if x.dtype == "bool" or x.dtype in dtypes.UINTS else el.less(x, 0)
    bits = {"float64": "int64", "float32": "int32"}.get(x.dtype, "int16")
    return el.less(el.bitcast(x, dtype=bits), 0)


def isclose(x1: TensorLike, x2: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether x1 and x2 differ by at most atol + rtol * abs(x2). Equal infinities are close; NaN to NaN only if `equal_nan`.

    Args:
        rtol, atol: what is allowed: ``atol + rtol * |x2|``.
        equal_nan: whether NaN is close to NaN.

    >>> isclose([1.0, 2.0], [1.000001, 2.1]).numpy()
    array([ True, False])
    """
    x1, x2 = promote_tensors(x1, x2, floating=True)
    near = el.less_equal(el.abs_(el.sub(x1, x2)), el.add(el.mul(el.abs_(x2), rtol), atol))
    out = el.or_(el.equal(x1, x2), el.and_(near, el.isfinite(x2)))
    return el.or_(out, el.and_(el.isnan(x1), el.isnan(x2))) if equal_nan else out


def allclose(x1: TensorLike, x2: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether `isclose` holds everywhere: one truth value.

    Args:
        rtol, atol: what is allowed: ``atol + rtol * |x2|``.
        equal_nan: whether NaN is close to NaN.
    """

    return reductions.all(isclose(x1, x2, rtol, atol, equal_nan))
