"""Spread, order statistics and correlation; differences and integrals of samples."""

from mlkit.core import dtypes
from mlkit.core.spec import is_known, normalize_axis, require_elements, same_size, show, size_of, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, TensorLike
from mlkit.ops.numpy.matrices import diagonal
from mlkit.ops.numpy.products import matmul
from mlkit.ops.numpy.reductions import any as any_over
from mlkit.ops.numpy.reductions import mean, normalized
from mlkit.ops.numpy.reductions import sum as sum_over
from mlkit.ops.numpy.shaping import broadcast_to, expand_dims, permuted, ravel, reshape, transpose
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mov
from mlkit.primitives import sorting
from mlkit.primitives.convert import as_tensor, cast, promote_tensors, to_float, to_real, to_single
from mlkit.primitives.reduction import size_along, size_operand
from mlkit.primitives.shape import sum_

__all__ = ["average", "corrcoef", "diff", "median", "percentile", "quantile", "std", "trapezoid", "var"]


def var(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean squared distance from the mean, over axes. Half floats are computed in float32."""
    x = as_tensor(x)
    return cast(_var("var", x, axis, keepdims), dtypes.float_of(x.dtype))


def _var(name: str, x: TensorLike, axis: Axis, keepdims: bool) -> Tensor:
    """The variance in float32 or wider."""
    x = to_single(x)
    axes = normalized(name, axis, x)
    away = el.abs_(el.sub(x, mean(x, axes, keepdims=True)))
    return mean(el.mul(away, away), axes, keepdims)


def std(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The square root of `var`. Half floats are computed in float32.

    >>> float(std([1.0, 3.0]))
    1.0
    """
    x = as_tensor(x)
    return cast(el.sqrt(_var("std", x, axis, keepdims)), dtypes.float_of(x.dtype))


def average(x: TensorLike, axis: Axis = None, weights: TensorLike | None = None) -> Tensor:
    """The mean over axes in which each element counts as much as its weight.

    weights: of x's shape, or a vector along the one axis. Default: equal weights.

    Args:
        weights: of the shape of x, or a vector along the one axis; None: equal ones.

    >>> float(average([1.0, 4.0], weights=[2.0, 1.0]))
    2.0
    """
    if weights is None:
        return mean(x, axis)
    x, weights = promote_tensors(x, weights, floating=True)
    axes = normalized("average", axis, x)
    if len(weights.shape) != len(x.shape):
        if len(axes) != 1 or len(weights.shape) != 1 or not same_size(weights.shape[0], x.shape[axes[0]]):
            raise ValueError(
                f"average: weights of shape {show(weights.shape)} must have the shape of x, {show(x.shape)}, or be a vector "
                "along `axis`."
            )
        weights = reshape(weights, [n if i in axes else 1 for i, n in enumerate(x.shape)])
    weights = broadcast_to(weights, x.shape)
    wide, weights = to_single(x), to_single(weights)
    return cast(el.div(sum_over(el.mul(wide, weights), axes), sum_over(weights, axes)), x.dtype)


def median(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle element over axes, the mean of the two middle ones where their number is even."""
    return order_statistic("median", x, 0.5, axis, "linear", keepdims)


def quantile(x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """The number that a share q (0 to 1) of the elements over axes lie below. NaN if one is NaN.

    Args:
        q: a number or a vector, whose axis comes first in the result.
        method: "linear", "lower", "higher", "midpoint" or "nearest", what to take between two elements.

    >>> quantile([1.0, 2.0, 3.0, 4.0], [0.0, 0.5]).numpy()
    array([1. , 2.5], dtype=float32)
    """
    return order_statistic("quantile", x, q, axis, method, keepdims)


def percentile(x: TensorLike, q: TensorLike, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """`quantile` with q in percent, 0 to 100.

    Args:
        q: a number from 0 to 100, or a vector, whose axis comes first in the result.
        method: as in `quantile`.
    """
    return order_statistic("percentile", x, el.div(to_single(q), 100.0), axis, method, keepdims)


def order_statistic(
    name: str, x: TensorLike, q: TensorLike, axis: Axis, method: str, keepdims: bool, skip_nan: bool = False
) -> Tensor:
    """Quantiles by sorting; with `skip_nan` of what is not NaN."""
    x = to_real(name, x)
    axes = normalized(name, axis, x)
    require_elements(name, x.shape, axes)
    rest = [i for i in range(len(x.shape)) if i not in axes]
    sizes = tuple(x.shape[i] for i in rest)
    n = size_along(x, axes)
    if type(n) is int and n == 0:
        raise ValueError(f"{name}: shape {show(x.shape)} has no elements along axes {axes} to choose from.")
    line = sorting.sort(reshape(permuted(x, (*rest, *axes)), (*sizes, n)), axis=len(rest))
    q = as_tensor(q)
    if q.is_concrete and q.size and not 0 <= q.numpy().min() <= q.numpy().max() <= 1:
        raise ValueError(f"{name}: `q` must lie between 0 and 1 (percentiles: 100), but is {q.numpy()}.")
    wide = dtypes.result_type(x.dtype, "float32")  # half floats do not reach far enough to count
    bad = el.isnan(line)
    count = size_operand(n, wide)
    if skip_nan:
        count = el.sub(count, cast(sum_(el.cast(bad, dtype="int32"), axes=(len(rest),), keepdims=True), wide))
        count = el.maximum(count, 1.0)
    at = el.mul(ravel(cast(q, wide)), count - 1)
    at = broadcast_to(at, (*sizes, size_of(q.shape)))
    out = _between(line, at, len(rest), method)
    if not skip_nan:
        out = el.where(any_over(bad, len(rest), keepdims=True), float("nan"), out)
    out = permuted(out, (len(rest), *range(len(rest))))
    kept = tuple(1 if i in axes else s for i, s in enumerate(x.shape)) if keepdims else sizes
    return reshape(out, (*q.shape, *kept))


def _between(line: Tensor, at: Tensor, axis: int, method: str) -> Tensor:
    """Values of a sorted line at fractional places."""
    if method == "nearest":
        return mov.take_along_axis(line, el.cast(el.round_(at), dtype="int32"), axis=axis)
    if method not in ("linear", "lower", "higher", "midpoint"):
        raise ValueError(f"quantile: unknown method {method!r}. Expected 'linear', 'lower', 'higher', 'midpoint' or 'nearest'.")
    low, high = (mov.take_along_axis(line, el.cast(f(at), dtype="int32"), axis=axis) for f in (el.floor, el.ceil))
    if method in ("lower", "higher"):
        return low if method == "lower" else high
    if method == "midpoint":
        return el.mul(el.add(low, high), 0.5)
    share = el.sub(at, el.floor(at))
    out = el.add(el.mul(cast(low, at.dtype), el.sub(1, share)), el.mul(cast(high, at.dtype), share))
    return el.where(el.equal(share, 0), low, cast(out, line.dtype))  # an infinite neighbour is no matter then


def corrcoef(x: TensorLike) -> Tensor:
    """The correlation coefficients of the rows of x (variables) over its columns (observations): a matrix.

    >>> corrcoef([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]).numpy()
    array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    x = to_float(x)
    dtype, x = x.dtype, to_single(x)
    if len(x.shape) > 2:
        raise ValueError(f"corrcoef: the tensor must have at most two axes, but has shape {show(x.shape)}.")
    single = len(x.shape) < 2
    x = reshape(x, (1, size_of(x.shape))) if single else x
    away = el.sub(x, mean(x, 1, keepdims=True))
    covariance = matmul(away, transpose(el.conj(away) if x.dtype in dtypes.COMPLEX else away))
    own = el.real(diagonal(covariance))
    out = el.div(covariance, cast(el.sqrt(el.mul(expand_dims(own, 1), own)), x.dtype))
    if x.dtype not in dtypes.COMPLEX:
        out = el.minimum(el.maximum(out, -1.0), 1.0)
    out = cast(out, dtype)
    return reshape(out, ()) if single else out


def diff(a: TensorLike, n: int = 1, axis: Axis = -1) -> Tensor:
    """Differences of neighbours along an axis, taken n times; of truth values: whether they differ.

    Args:
        a: tensor of one axis or more.
        n: how often differences are taken; each time the axis is shorter by one.

    >>> diff([1, 4, 9]).numpy()
    array([3, 5], dtype=int32)
    """
    x, n = as_tensor(a), whole("diff", "`n`", n, least=0)
    if not x.shape:
        raise ValueError("diff: the tensor needs an axis, but is a scalar.")
    axis = normalize_axis("diff", axis, len(x.shape))
    size = x.shape[axis]
    for _ in range(min(n, size) if is_known(size) else n):  # then nothing is left
        size = x.shape[axis]
        later, earlier = (
            mov.slice_along(x, axis, 1 if size != 0 else 0, size),
            mov.slice_along(x, axis, 0, size - 1 if size != 0 else 0),
        )
        x = el.not_equal(later, earlier) if x.dtype == "bool" else el.sub(later, earlier)
    return x


def trapezoid(y: TensorLike, x: TensorLike | None = None, dx: float = 1.0, axis: Axis = -1) -> Tensor:
    """The integral of samples y along an axis by the trapezoidal rule.

    Args:
        x: the places of the samples (a vector, or of y's shape); without it they are `dx` apart.
        y: tensor of one axis or more.
        dx: distance of the samples.

    >>> float(trapezoid([1.0, 2.0, 3.0]))
    4.0
    """
    if x is None:
        y, step = promote_tensors(y, dx, floating=True)
    else:
        y, x = promote_tensors(y, x, floating=True)
    axis = normalize_axis("trapezoid", axis, len(y.shape))
    if x is not None:
        step = diff(x, axis=axis if len(x.shape) > 1 else 0)
        step = reshape(step, [-1 if i == axis else 1 for i in range(len(y.shape))]) if len(x.shape) == 1 else step
    n = y.shape[axis]
    if n == 0:  # no sample has a neighbour
        return sum_over(y, axis)
    pairs = el.add(mov.slice_along(y, axis, 1, n), mov.slice_along(y, axis, 0, n - 1))
    return sum_over(el.mul(el.mul(pairs, 0.5), step), axis)
