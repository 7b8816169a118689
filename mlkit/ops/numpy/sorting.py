"""Order: sorting, searching in sorted tensors, counting in bins, distinct elements."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.op import Op
from mlkit.core.spec import Dim, Spec, is_known, normalize_axis, show, size_of, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, TensorLike
from mlkit.objects.keras_tensor import symbolic
from mlkit.ops.numpy.comparison import comparable
from mlkit.ops.numpy.creation import linspace
from mlkit.ops.numpy.shaping import expand_dims, ravel, reshape
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mov
from mlkit.primitives import reduction as red
from mlkit.primitives import sorting
from mlkit.primitives.convert import as_tensor, cast, promote_tensors, to_single

__all__ = ["argpartition", "argsort", "bincount", "digitize", "histogram", "isin", "searchsorted", "sort", "unique"]


def sort(x: TensorLike, axis: Axis = -1) -> Tensor:
    """The elements along an axis in ascending order, NaN last; axis=None sorts the flat tensor.

    >>> sort([3, 1, 2]).numpy()
    array([1, 2, 3], dtype=int32)
    """
    return _ordered(sorting.sort, as_tensor(x), axis)


def argsort(x: TensorLike, axis: Axis = -1) -> Tensor:
    """The indices (int32) that would sort along an axis; equal elements keep their order.

    >>> argsort([3, 1, 2]).numpy()
    array([1, 2, 0], dtype=int32)
    """
    return _ordered(sorting.argsort, as_tensor(x), axis)


def _ordered(op: Op, x: TensorLike, axis: Axis) -> Tensor:
    if axis is None or not x.shape:
        x, axis = ravel(x), 0
    return op(x, axis=normalize_axis(op.name, axis, len(x.shape)))


def _any_partition(x: TensorLike, kth: int, axis: Axis = -1) -> Tensor:
    if not isinstance(kth, (int, np.integer)):
        raise ValueError(f"argpartition: `kth` must be an int, but is {kth!r}.")
    return argsort(x, axis)  # sorting keeps the promise for every kth


@symbolic(_any_partition)  # Keras asks whether there is a kth element when there are values
def argpartition(x: TensorLike, kth: int, axis: Axis = -1) -> Tensor:
    """Indices (int32) along an axis that put the kth smallest element in its sorted place, none larger before it.

    Args:
        kth: position in the sorted order, from 0; negative ones count from the end.
    """
    x = as_tensor(x)
    found = _any_partition(x, kth, axis)
    n = size_of(x.shape) if axis is None else x.shape[normalize_axis("argpartition", axis, x.ndim)]
    if is_known(n) and not -n <= kth < n:
        raise ValueError(f"argpartition: kth={kth} is out of range for axis {axis} of shape {show(x.shape)}.")
    return found


def searchsorted(sorted_sequence: TensorLike, values: TensorLike, side: str = "left") -> Tensor:
    """Where values would go in a sorted vector (int32): before equal elements with side="left", after them with "right".

    Args:
        sorted_sequence: vector in ascending order.
        values: tensor of any shape, which the result has too.
        side: "left" or "right".

    >>> searchsorted([1, 3, 5], [3, 4]).numpy()
    array([1, 2], dtype=int32)
    """
    line, values = promote_tensors(*comparable(sorted_sequence, values))
    if len(line.shape) != 1:
        raise ValueError(f"searchsorted: the sorted sequence must be a vector, but has shape {show(line.shape)}.")
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: `side` must be 'left' or 'right', but is {side!r}.")
    return sorting.searchsorted(line, values, side=side)


def digitize(x: TensorLike, bins: TensorLike) -> Tensor:
    """The number (int32) of the bin that each element falls in: i where bins[i-1] <= x < bins[i]; bins may descend too.

    Args:
        bins: vector of edges in order.

    >>> digitize([0.5, 1.0, 9.0], [0.0, 1.0, 2.0]).numpy()
    array([1, 2, 3], dtype=int32)
    """
    x, bins = promote_tensors(x, bins)
    if len(bins.shape) != 1:
        raise ValueError(f"digitize: `bins` must be a vector, but has shape {show(bins.shape)}.")
    rising = sorting.searchsorted(bins, x, side="right")
    n = bins.shape[0]
    if n == 0:
        return rising
    falling = el.sub(n, sorting.searchsorted(mov.flip(bins, axes=(0,)), x, side="right"))
    ends = mov.slice_along(bins, 0, 0, 1), mov.slice_along(bins, 0, n - 1, n)
    ascending = reshape(el.less_equal(*ends), ())
    return el.where(ascending, rising, falling)


def isin(x1: TensorLike, x2: TensorLike, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element of x1 is (with `invert`: is not) among the elements of x2.

    Args:
        assume_unique: promises that neither has equal elements; the result is the same.
        invert: whether the opposite is returned.
    """
    x1, x2 = promote_tensors(*comparable(x1, x2))
    line = sorting.sort(ravel(x2), axis=0)
    n = line.shape[0]
    if n == 0:
        found = el.not_equal(x1, x1)
    else:
        place = el.minimum(sorting.searchsorted(line, x1, side="left"), n - 1)
        found = el.equal(mov.take(line, place, axis=0), x1)
    return el.not_(found) if invert else found


# ---- counting: the size of the result depends on values --------------------------------------------------------------


def bincount(x: TensorLike, weights: TensorLike | None = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each non-negative integer occurs in x, or the sum of the `weights` at its places; rows of a matrix one by one.

    The result has as many bins as the largest integer needs, at least `minlength`; so it is eager only.

    Args:
        weights: of the shape of x, or None.
        minlength: the least number of bins.

    >>> bincount([1, 1, 3]).numpy()
    array([0, 2, 0, 1], dtype=int32)
    """
    if sparse:
        raise NotImplementedError("bincount: `sparse` tensors are not supported.")
    x = as_tensor(x)
    if not dtypes.is_int(x.dtype) and x.dtype != "bool":
        raise TypeError(f"bincount: the tensor must be integer, but is {x.dtype}.")
    if len(x.shape) not in (1, 2):
        raise ValueError(f"bincount: the tensor must have 1 or 2 axes, but has shape {show(x.shape)}.")
    weights = mov.full(shape=x.shape, value=1, dtype="int32") if weights is None else as_tensor(weights)
    if type(x.data) is Spec:
        return Tensor(Spec((*x.shape[:-1], Dim()), weights.dtype))
    host = x.numpy()
    if host.size and host.min() < 0:
        raise ValueError(f"bincount: the integers must not be negative, but one is {host.min()}.")
    bins = max(whole("bincount", "`minlength`", minlength, least=0), int(host.max()) + 1 if host.size else 0)
    rows = x.shape[0] if len(x.shape) == 2 else 1
    index = reshape(cast(x, "int32"), (rows, x.shape[-1]))
    index = ravel(el.add(index, expand_dims(el.mul(mov.iota(size=rows, dtype="int32"), bins), 1)))
    zeros = mov.full(shape=(rows * bins,), value=0, dtype=weights.dtype)
    counts = mov.scatter_add(zeros, expand_dims(index, 1), ravel(weights))
    return reshape(counts, (*x.shape[:-1], bins))


def histogram(x: TensorLike, bins: TensorLike = 10, range: tuple[float, float] | None = None) -> tuple[Tensor, Tensor]:
    """How many elements fall into each of equally wide bins, and the edges of the bins: (counts, edges), both floats.

    Args:
        bins: a number of bins, or the increasing edges.
        range: (lowest, highest) edge, by default the extremes of x.

    The last bin includes its upper edge.

    >>> counts, edges = histogram([1.0, 2.0, 4.0], bins=3)
    >>> counts.tolist(), edges.tolist()
    ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0])
    """

    x = as_tensor(x)
    if len(x.shape) != 1:
        raise ValueError(f"histogram: the tensor must be a vector, but has shape {show(x.shape)}. Use ops.ravel first.")
    x = x if x.dtype in dtypes.FLOATS else cast(x, dtypes.floatx())
    if isinstance(bins, int):
        if bins < 1:
            raise ValueError(f"histogram: `bins` must be positive, but is {bins}.")
        edges = linspace(*_range(x, range), bins + 1, dtype=x.dtype)
    else:
        edges = cast(bins, x.dtype)
    n = edges.shape[0]
    inner, last = mov.slice_along(edges, 0, 0, n - 1), mov.slice_along(edges, 0, n - 1, n)
    line = sorting.sort(x, axis=0)
    below = mov.concat(sorting.searchsorted(line, inner, side="left"), sorting.searchsorted(line, last, side="right"), axis=0)
    counts = el.sub(mov.slice_along(below, 0, 1, n), mov.slice_along(below, 0, 0, n - 1))
    return cast(counts, x.dtype), edges


def _range(x: Tensor, given: tuple[float, float] | None) -> tuple[Tensor, Tensor]:
    """The outer edges of a histogram, apart from one another."""

    if given is not None:
        if not isinstance(given, (list, tuple)) or len(given) != 2:
            raise ValueError(f"histogram: `range` must be a pair (lowest, highest), but is {given!r}.")
        low, high = given
        if low > high:
            raise ValueError(f"histogram: `range` must be a pair (lowest, highest), but {given} descends.")
        return (low, high) if low < high else (low - 0.5, high + 0.5)
    if x.shape[0] == 0:
        return 0.0, 1.0
    low, high = (op(x, axes=(0,), keepdims=False) for op in (red.min_, red.max_))
    half = el.mul(cast(el.equal(low, high), x.dtype), 0.5)
    return el.sub(low, half), el.add(high, half)


def unique(
    x: TensorLike,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Axis = None,
    size: int | None = None,
    fill_value: TensorLike | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """The distinct elements (slices along `axis`) in ascending order. Eager only: their number depends on values.

    Args:
        sorted: False permits any order; the result is sorted all the same.
        size: cut or fill up (with `fill_value`, by default the first distinct element) to so many.
        return_index: whether to return the index of each element's first occurrence.
        return_inverse: whether to return the place of every input element in the result.
        return_counts: whether to return how often each occurs.
        fill_value: with which the result is filled up to `size`.

    The other flags add to the result, in this order: the index of each element's first occurrence, the place of every input
    element in the result, and how often each occurs (int32).

    >>> [t.tolist() for t in unique([3, 1, 3], return_counts=True)]
    [[1, 3], [1, 2]]
    """
    x = as_tensor(x)
    flags = (return_index, return_inverse, return_counts)
    if type(x.data) is Spec:
        return _unique_specs(x, axis, size, flags)
    wide = to_single(x) if x.dtype in dtypes.HALF else x  # NumPy does not know where a NaN of bfloat16 belongs
    found = np.unique(wide.numpy(), *flags, axis=axis, equal_nan=False)
    found = list(found) if isinstance(found, tuple) else [found]
    found[0] = found[0].astype(dtypes.as_numpy(x.dtype), copy=False)
    names = ["values"] + [name for name, wanted in zip(("index", "inverse", "counts"), flags) if wanted]
    found = dict(zip(names, found))
    if return_inverse:
        found["inverse"] = found["inverse"].reshape(x.shape if axis is None else -1)
    if size is not None:
        found.update({name: _sized(name, a, size, fill_value, axis or 0) for name, a in found.items() if name != "inverse"})
    out = tuple(as_tensor(a if name == "values" else a.astype("int32")) for name, a in found.items())
    return out if len(out) > 1 else out[0]


def _unique_specs(x: Tensor, axis: Axis, size: int | None, flags: Sequence[bool]) -> Any:
    """What `unique` gives for a symbolic tensor."""
    n = Dim() if size is None else size
    if axis is None:
        shape, inverse = (n,), x.shape
    else:
        axis = normalize_axis("unique", axis, len(x.shape))
        shape, inverse = (*x.shape[:axis], n, *x.shape[axis + 1 :]), (x.shape[axis],)
    specs = [Spec(s, "int32") for s, wanted in zip(((n,), inverse, (n,)), flags) if wanted]
    out = tuple(map(Tensor, (Spec(shape, x.dtype), *specs)))
    return out if len(out) > 1 else out[0]


def _sized(name: str, a: np.ndarray, size: int, fill_value: Any, axis: Any) -> np.ndarray:
    """A result of `unique` cut or filled up to `size` elements: values with `fill_value`, counts with 0."""
    axis = axis if name == "values" else 0
    kept = a.take(range(min(size, a.shape[axis])), axis)
    first = a.take([0], axis)
    fill = (
        first * 0 if name == "counts" else first if name == "index" or fill_value is None else np.full_like(first, fill_value)
    )
    return np.concatenate([kept, np.repeat(fill, size - kept.shape[axis], axis)], axis)
