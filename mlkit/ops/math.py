"""Special functions, reductions by segment, the largest elements, distances."""

import math
from collections.abc import Callable
from typing import Any

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Dim, Size, Spec, is_known, normalize_axes, reduced, same_size, show, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, TensorLike
from mlkit.ops.linalg import slogdet
from mlkit.ops.numpy.indexing import require_within
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mov
from mlkit.primitives import shape as sh
from mlkit.primitives.convert import as_tensor, cast, promote_tensors, require_real, to_float, to_real, to_single
from mlkit.primitives.reduction import max_, size_operand
from mlkit.primitives.shape import sum_
from mlkit.primitives.sorting import top_k_indices

__all__ = [
    "cdist", "digamma", "erf", "erfc", "erfinv", "extract_sequences", "in_top_k", "lgamma", "logdet", "logsumexp", "rsqrt",
    "segment_max", "segment_min", "segment_prod", "segment_sum", "top_k", "view_as_complex", "view_as_real",
]  # fmt: skip

# ---- elementwise -----------------------------------------------------------------------------------------------------


def rsqrt(x: TensorLike) -> Tensor:
    """1 / sqrt(x).

    >>> rsqrt([4.0]).numpy()
    array([0.5], dtype=float32)
    """
    return el.rsqrt(to_float(x))


def erf(x: TensorLike) -> Tensor:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return el.erf(to_float(x))


def erfc(x: TensorLike) -> Tensor:
    """1 - erf(x), exact for large x too."""
    return el.erfc(to_real("erfc", x))


def erfinv(x: TensorLike) -> Tensor:
    """The inverse of `erf`, for x in [-1, 1]."""
    return el.erfinv(to_float(x))


def lgamma(x: TensorLike) -> Tensor:
    """The logarithm of the gamma function's magnitude; log((x - 1)!) for whole numbers.

    >>> lgamma([1.0, 5.0]).numpy().round(4)
    array([0.    , 3.1781], dtype=float32)
    """
    return el.lgamma(to_real("lgamma", x))


def digamma(x: TensorLike) -> Tensor:
    """The derivative of `lgamma`.

    >>> digamma([1.0]).numpy().round(4)
    array([-0.5772], dtype=float32)
    """
    return el.digamma(to_real("digamma", x))


def view_as_complex(x: TensorLike) -> Tensor:
    """Pairs (real, imaginary) in the last axis as complex numbers.

    >>> view_as_complex([3.0, 4.0]).numpy() == 3 + 4j
    np.True_
    """
    x = to_single(to_real("view_as_complex", x))
    if not x.ndim or (is_known(x.shape[-1]) and x.shape[-1] != 2):
        raise ValueError(f"view_as_complex: the last axis must hold (real, imaginary), but the shape is {show(x.shape)}.")
    real, imag = (sh.reshape(mov.slice_along(x, x.ndim - 1, i, i + 1), shape=x.shape[:-1]) for i in range(2))
    return el.complex_(real, imag)


def view_as_real(x: TensorLike) -> Tensor:
    """Complex numbers as pairs (real, imaginary) in a new last axis: the inverse of `view_as_complex`."""
    x = as_tensor(x)
    if x.dtype not in dtypes.COMPLEX:
        raise TypeError(f"view_as_real: expected a complex tensor, but got {x.dtype}.")
    parts = (sh.reshape(part, shape=(*x.shape, 1)) for part in (el.real(x), el.imag(x)))
    return mov.concat(*parts, axis=x.ndim)


# ---- reductions ------------------------------------------------------------------------------------------------------


def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over axes (None: all), without overflow.

    >>> round(float(logsumexp([1000.0, 1000.0])), 3)
    1000.693
    """
    x = to_float(x)
    axes = normalize_axes("logsumexp", axis, x.ndim)
    peak = el.stop_gradient(max_(x, axes=axes, keepdims=True))
    peak = el.where(el.isfinite(peak), peak, 0.0)  # a row of -inf is -inf, not NaN
    total = el.log(sum_(el.exp(x - peak), axes=axes, keepdims=True)) + peak
    return total if keepdims else sh.reshape(total, shape=reduced(x.shape, axes, False))


def logdet(x: TensorLike) -> Tensor:
    """Logarithm of the absolute value of the determinant of matrices (..., n, n)."""

    return slogdet(x)[1]


def _segments(name: str, combine: Op, start: Callable[[str], Any]) -> Callable[..., Tensor]:
    """A reduction by segment: `combine` is a scatter, `start` the value of an empty segment (a function of the dtype)."""

    def reduce(data: TensorLike, segment_ids: TensorLike, num_segments: int | None = None, sorted: bool = False) -> Tensor:
        data, ids = as_tensor(data), as_tensor(segment_ids)
        if ids.ndim != 1 or not data.ndim or not same_size(ids.shape[0], data.shape[0]):
            raise ValueError(
                f"{name}: `segment_ids` must be a vector with one number for each row of `data`, but the shapes are "
                f"{show(ids.shape)} "
                f"and {show(data.shape)}."
            )
        ids = cast(ids, "int32") if ids.dtype in dtypes.FLOATS else ids
        count = _count_segments(name, ids) if num_segments is None else whole(name, "`num_segments`", num_segments, 0)
        first = mov.full(shape=(count + 1, *data.shape[1:]), value=start(data.dtype), dtype=data.dtype)
        n = size_operand(count, ids.dtype)
        ids = el.where(el.and_(ids >= 0, ids < n), ids, n)  # one more segment for those that are left out
        return mov.slice_along(combine(first, sh.reshape(ids, shape=(*ids.shape, 1)), data), 0, 0, count)

    return reduce


def _count_segments(name: str, ids: Tensor) -> Size:
    if type(ids.data) is Spec:
        return Dim()  # only the rank of the result is known
    if not ids.is_concrete:
        raise ValueError(
            f"{name}: `num_segments` must be given in a compiled function, where the segment numbers are not known."
        )
    return int(max_(ids, axes=(0,), keepdims=False)) + 1 if ids.shape[0] else 0


_sum = _segments("segment_sum", mov.scatter_add, lambda dtype: 0)
_prod = _segments("segment_prod", mov.scatter_mul, lambda dtype: 1)
_max = _segments("segment_max", mov.scatter_max, lambda dtype: -math.inf if dtype in dtypes.FLOATS else dtypes.limits(dtype)[0])
_min = _segments("segment_min", mov.scatter_min, lambda dtype: math.inf if dtype in dtypes.FLOATS else dtypes.limits(dtype)[1])


def segment_sum(data: TensorLike, segment_ids: TensorLike, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """Sums of the rows that have the same segment number.

    Args:
        data: (rows, ...).
        segment_ids: (rows,); rows whose number is not in 0 ... num_segments - 1 are left out.
        num_segments: by default the largest number + 1, which needs values, so it must be given in a compiled function.
        sorted: a promise that the numbers ascend; nothing depends on it.

    Returns (num_segments, ...).

    >>> segment_sum([1.0, 2.0, 3.0], [0, 0, 1]).numpy()
    array([3., 3.], dtype=float32)
    """
    return _sum(data, segment_ids, num_segments, sorted)


def segment_prod(data: TensorLike, segment_ids: TensorLike, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """Products of the rows that have the same segment number; see `segment_sum`. An empty segment gives 1.

    Args:
        data: (rows, ...).
        segment_ids: (rows,), the segment of each row.
        num_segments: by default the largest number + 1, which needs values, so it must be given in a compiled function.
        sorted: a promise that the numbers ascend; nothing depends on it.
    """
    return _prod(data, segment_ids, num_segments, sorted)


def segment_max(data: TensorLike, segment_ids: TensorLike, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """Largest elements of the rows that have the same segment number; see `segment_sum`. An empty segment gives the smallest
    value.

    Args:
        data: (rows, ...).
        segment_ids: (rows,), the segment of each row.
        num_segments: by default the largest number + 1, which needs values, so it must be given in a compiled function.
        sorted: a promise that the numbers ascend; nothing depends on it.
    """
    data = as_tensor(data)
    require_real("segment_max", data)
    return _max(data, segment_ids, num_segments, sorted)


def segment_min(data: TensorLike, segment_ids: TensorLike, num_segments: int | None = None, sorted: bool = False) -> Tensor:
    """Smallest elements of the rows that have the same segment number; see `segment_sum`. An empty segment gives the largest
    value.

    Args:
        data: (rows, ...).
        segment_ids: (rows,), the segment of each row.
        num_segments: by default the largest number + 1, which needs values, so it must be given in a compiled function.
        sorted: a promise that the numbers ascend; nothing depends on it.
    """
    data = as_tensor(data)
    require_real("segment_min", data)
    return _min(data, segment_ids, num_segments, sorted)


# ---- the largest -----------------------------------------------------------------------------------------------------


def top_k(x: TensorLike, k: int, sorted: bool = True) -> tuple[Tensor, ...]:
    """The k largest elements along the last axis, largest first, and their indices (int32); of equal ones the first.

    Args:
        sorted: False allows any order; the order is the same.
        k: how many.

    >>> values, indices = top_k([1.0, 3.0, 2.0], 2)
    >>> values.numpy(), indices.numpy()
    (array([3., 2.], dtype=float32), array([1, 2], dtype=int32))
    """
    x = as_tensor(x)
    if not x.ndim:
        raise ValueError("top_k: expected a tensor of one dimension or more, but got a scalar.")
    indices = top_k_indices(x, k=whole("top_k", "`k`", k))
    return mov.take_along_axis(x, indices, axis=x.ndim - 1), indices


def in_top_k(targets: TensorLike, predictions: TensorLike, k: int) -> Tensor:
    """Whether fewer than k classes are predicted higher than the target class.

    Args:
        targets: class numbers (batch,), negative ones counted from the end.
        predictions: (batch, classes).
        k: how many of the highest classes count.

    Returns bool (batch,).

    >>> in_top_k([1, 0], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]], k=1).numpy()
    array([ True, False])
    """
    targets, predictions, k = as_tensor(targets), to_real("in_top_k", predictions), whole("in_top_k", "`k`", k)
    targets = cast(targets, "int32") if targets.dtype in dtypes.FLOATS else targets
    if targets.ndim != 1 or predictions.ndim != 2 or not same_size(targets.shape[0], predictions.shape[0]):
        raise ValueError(
            "in_top_k: expected `targets` of shape (batch,) and `predictions` of shape (batch, classes), but got "
            f"{show(targets.shape)} and {show(predictions.shape)}."
        )
    classes = predictions.shape[1]
    require_within(f"in_top_k: `targets` for {show((classes,))[0]} classes", targets, -classes, classes)
    index = sh.reshape(targets, shape=(*targets.shape, 1))
    own = mov.take_along_axis(predictions, index, axis=predictions.ndim - 1)
    own = el.where(el.isnan(own), -math.inf, own)
    higher = sum_(cast(predictions > own, "int32"), axes=(predictions.ndim - 1,), keepdims=False)
    return higher < k


# ---- others ----------------------------------------------------------------------------------------------------------


def cdist(x: TensorLike, y: TensorLike) -> Tensor:
    """Euclidean distances between the rows of x (..., m, d) and of y (..., n, d): (..., m, n).

    Args:
        y: (..., n, d).

    >>> cdist([[0.0, 0.0]], [[3.0, 4.0]]).numpy()
    array([[5.]], dtype=float32)
    """
    x, y = promote_tensors(x, y, floating=True)
    if x.ndim < 2 or y.ndim < 2 or not same_size(x.shape[-1], y.shape[-1]):
        raise ValueError(
            f"cdist: expected shapes (..., m, d) and (..., n, d) with equal d, but got {show(x.shape)} and {show(y.shape)}."
        )
    d = sh.reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1])) - sh.reshape(y, shape=(*y.shape[:-2], 1, *y.shape[-2:]))
    return el.sqrt(sum_(d * d, axes=(d.ndim - 1,), keepdims=False))


def extract_sequences(x: TensorLike, sequence_length: int, sequence_stride: int) -> Tensor:
    """Windows of the last axis: (..., n) -> (..., windows, sequence_length), one every sequence_stride elements.

    Args:
        sequence_length: elements of a window.
        sequence_stride: elements from the beginning of one window to the next.

    >>> extract_sequences([1, 2, 3, 4], 2, 1).numpy()
    array([[1, 2],
           [2, 3],
           [3, 4]], dtype=int32)
    """
    x = as_tensor(x)
    sequence_length = whole("extract_sequences", "`sequence_length`", sequence_length, least=1)
    sequence_stride = whole("extract_sequences", "`sequence_stride`", sequence_stride, least=1)
    windows = (x.shape[-1] - sequence_length) // sequence_stride + 1
    if type(windows) is int:
        windows = max(windows, 0)  # where x is shorter than a window
    return mov.take(x, window_positions(windows, sequence_length, sequence_stride), axis=x.ndim - 1)


def window_positions(windows: Size, length: Size, stride: int) -> Tensor:
    """Where each element of each window lies: (windows, length)."""
    start = mov.iota(size=windows, dtype="int32") * stride
    return sh.reshape(start, shape=(windows, 1)) + mov.iota(size=length, dtype="int32")
