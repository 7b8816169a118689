"""Reductions that leave NaN out. Of tensors that cannot hold NaN they are the plain reductions."""

import math

from mlkit.core import dtypes
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, DType, TensorLike
from mlkit.ops.numpy import reductions as plain
from mlkit.ops.numpy.statistics import order_statistic
from mlkit.primitives import elementwise as el
from mlkit.primitives.convert import as_tensor, cast, to_float, to_single

__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod",
    "nanquantile", "nanstd", "nansum", "nanvar",
]  # fmt: skip


def _replaced(x: Tensor, value: float) -> Tensor:
    """x with NaN replaced by a number."""
    x = as_tensor(x)
    return el.where(el.isnan(x), value, x) if x.dtype in el.FLOATING else x


def nansum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over axes, NaN counting as 0."""
    return plain.sum(_replaced(x, 0.0), axis, keepdims)


def nanprod(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product over axes, NaN counting as 1."""
    return plain.prod(_replaced(x, 1.0), axis, keepdims)


def nancumsum(x: TensorLike, axis: Axis = None, dtype: DType | None = None) -> Tensor:
    """Running sums along an axis, NaN counting as 0."""
    return plain.cumsum(_replaced(x, 0.0), axis, dtype)


def nancumprod(x: TensorLike, axis: Axis = None, dtype: DType | None = None) -> Tensor:
    """Running products along an axis, NaN counting as 1."""
    return plain.cumprod(_replaced(x, 1.0), axis, dtype)


def nanmax(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over axes that is not NaN; NaN where all are.

    >>> float(nanmax([1.0, math.nan]))
    1.0
    """
    return _or_nan(x, plain.max(_replaced(x, -math.inf), axis, keepdims), axis, keepdims)


def nanmin(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over axes that is not NaN; NaN where all are."""
    return _or_nan(x, plain.min(_replaced(x, math.inf), axis, keepdims), axis, keepdims)


def _or_nan(x: Tensor, out: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    return el.where(plain.all(el.isnan(x), axis, keepdims), math.nan, out) if x.dtype in dtypes.FLOATS else out


def nanargmax(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Where the largest element that is not NaN lies, as `argmax` says; -1 where all are NaN."""
    return _place(x, plain.argmax(_replaced(x, -math.inf), axis, keepdims), axis, keepdims)


def nanargmin(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element that is not NaN lies, as `argmin` says; -1 where all are NaN."""
    return _place(x, plain.argmin(_replaced(x, math.inf), axis, keepdims), axis, keepdims)


def _place(x: Tensor, out: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    return el.where(plain.all(el.isnan(x), axis, keepdims), -1, out) if x.dtype in dtypes.FLOATS else out


def nanmean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over axes of what is not NaN; NaN where all is.

    >>> float(nanmean([1.0, math.nan, 3.0]))
    2.0
    """
    x = as_tensor(x)
    if x.dtype not in el.FLOATING:
        return plain.mean(x, axis, keepdims)
    return _mean(cast(x, dtypes.result_type(x.dtype, "float32")), el.isnan(x), axis, keepdims, x.dtype)


def _mean(x: Tensor, bad: Tensor, axis: Axis, keepdims: bool, dtype: str) -> Tensor:
    total = plain.sum(el.where(bad, 0.0, x), axis, keepdims)
    return cast(el.div(total, plain.sum(el.cast(el.not_(bad), dtype=x.dtype), axis, keepdims)), dtype)


def nanvar(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The variance over axes of what is not NaN; NaN where all is."""
    x = to_float(x)
    wide = cast(x, dtypes.result_type(x.dtype, "float32"))
    bad = el.isnan(x)
    away = el.abs_(el.sub(wide, _mean(wide, bad, axis, True, wide.dtype)))
    return _mean(el.mul(away, away), bad, axis, keepdims, x.dtype if x.dtype in dtypes.FLOATS else away.dtype)


def nanstd(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The square root of `nanvar`."""
    return el.sqrt(nanvar(x, axis, keepdims))


def nanmedian(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The median over axes of what is not NaN; NaN where all is."""
    return order_statistic("nanmedian", x, 0.5, axis, "linear", keepdims, skip_nan=True)


def nanquantile(x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`quantile` of what is not NaN; NaN where all is.

    Args:
        q: a number from 0 to 1, or a vector, whose axis comes first in the result.
        method: as in `quantile`.
    """
    return order_statistic("nanquantile", x, q, axis, method, keepdims, skip_nan=True)


def nanpercentile(x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`percentile` of what is not NaN; NaN where all is.

    Args:
        q: a number from 0 to 100, or a vector, whose axis comes first in the result.
        method: as in `quantile`.
    """
    return order_statistic("nanpercentile", x, el.div(to_single(q), 100.0), axis, method, keepdims, skip_nan=True)
