"""NumPy's indexing `x[key]`, written in slices, reshapes and takes, so that it is differentiable and can be traced."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import dtypes
from mlkit.core.messages import explained
from mlkit.core.spec import Dim, Size, broadcast, is_known, same_size, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.ops.numpy.shaping import broadcast_to, permuted, reshape, whole
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mov
from mlkit.primitives import shape as sh
from mlkit.primitives.convert import as_tensor
from mlkit.primitives.reduction import size_operand

__all__ = ["get_item"]


class BadIndex(IndexError, ValueError):
    """An index that does not fit: NumPy raises the one kind of error, Keras the other."""


def get_item(x: TensorLike, key: Any) -> Tensor:
    """x[key], with all that NumPy offers: integers, slices, None, Ellipsis, integer arrays, and truth values (eager only).

    Args:
        key: an index, or a tuple of one for each axis.

    >>> get_item([[1, 2, 3], [4, 5, 6]], (slice(None), -1)).numpy()
    array([3, 6], dtype=int32)
    """
    x = as_tensor(x)
    if type(key) is int and x.shape:  # the short way, for loops over the first axis
        start, stop, _ = _single(key, x.shape[0], 0, x)
        return sh.reshape(mov.slice_along(x, 0, start, stop), shape=x.shape[1:])
    keys, together = _expanded(x, key if type(key) is tuple else (key,))
    if any(type(k) is Tensor for k in keys):
        return _by_arrays(x, keys, together)
    return _basic(x, keys)


def _expanded(x: Tensor, keys: tuple[Any, ...]) -> tuple[list[Any], bool]:
    """One entry for each axis, None for new ones: int (or unknown size), slice, or integer Tensor.

    Also whether the arrays and integers stand side by side.
    """
    masks = {}  # the axes that truth arrays are for: id of an index made from one -> its size there
    keys = [k for key in keys for k in _standard(key, masks)]
    if sum(k is Ellipsis for k in keys) > 1:
        raise BadIndex("get_item: an index may contain only one Ellipsis (...).")
    used = sum(k is not None and k is not Ellipsis for k in keys)
    n = len(x.shape)
    if used > n:
        raise BadIndex(f"get_item: {used} indices for a tensor of {n} axes, shape {show(x.shape)}.")
    picks = [i for i, k in enumerate(keys) if _picks(k)]
    together = not picks or picks[-1] - picks[0] == len(picks) - 1
    place = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    keys[place : place + 1] = [slice(None)] * (n - used)
    for k, size in zip((k for k in keys if k is not None), x.shape):
        if not same_size(masks.get(id(k), size), size):
            raise BadIndex(f"get_item: a truth array of size {masks[id(k)]} for an axis of size {size}, shape {show(x.shape)}.")
    return keys, together


def _picks(key: Any) -> bool:
    return type(key) in (Tensor, int, Dim)


def _standard(key: Any, masks: dict[int, int]) -> list[Any]:
    """The entries that one entry of a key stands for: a truth array becomes the places where it is true."""
    if key is None or key is Ellipsis or type(key) in (int, slice, Dim):
        return [key]
    if isinstance(key, (bool, np.bool_)):
        raise TypeError("get_item: a single truth value is no index. Use ops.where.")
    if not hasattr(key, "dtype") and not isinstance(key, (list, tuple)):
        return [whole("[...]", "an index", key)]
    if isinstance(key, (list, tuple)) and not len(key):
        key = np.zeros(len(key), "int32")
    t = as_tensor(key)
    if t.dtype == "bool":
        found = [as_tensor(i.astype("int32")) for i in np.nonzero(t.numpy())]
        masks.update(zip(map(id, found), t.shape))
        return found
    if not dtypes.is_int(t.dtype):
        raise BadIndex(f"get_item: an index must be integer or bool, but is {t.dtype}.")
    if isinstance(key, (np.ndarray, np.generic)) and not t.ndim:
        return [int(key)]
    return [t]


# ---- integers and slices -----------------------------------------------------------------------------------------------


def _basic(x: Tensor, keys: Sequence[Any]) -> Tensor:
    """Integers, slices and new axes: at most one slice, one flip and one reshape."""
    limits, flipped = [], []
    for axis, (k, n) in enumerate(zip((k for k in keys if k is not None), x.shape)):
        if type(k) is slice:
            low, high, step = _slice_of(k, n, axis, x)
            if step < 0:
                flipped.append(axis)
            limits.append((low, high, abs(step)))
        else:
            limits.append(_single(k, n, axis, x))
    if any(limit != (0, n, 1) for limit, n in zip(limits, x.shape)):
        starts, stops, strides = zip(*limits)
        x = mov.slice_(x, starts=starts, stops=stops, strides=strides)
    if flipped:
        x = mov.flip(x, axes=tuple(flipped))
    sizes = iter(x.shape)
    shape = [(1, True) if k is None else (next(sizes), type(k) is slice) for k in keys]
    return reshape(x, tuple(n for n, kept in shape if kept))


def _single(k: int, n: Size, axis: int, x: Tensor) -> tuple[Any, Any, int]:
    if is_known(k, n) and not -n <= k < n:
        raise BadIndex(f"get_item: index {k} is out of range for axis {axis} of shape {show(x.shape)}.")
    k = k + n if is_known(k) and k < 0 else k
    return k, k + 1, 1


def _slice_of(k: slice, n: Size, axis: int, x: Tensor) -> tuple[Any, Any, int]:
    """(low, high, step): the elements low, low + abs(step), ... below high, to be turned round if the step is negative."""
    step = 1 if k.step is None else operator.index(k.step)
    if step == 0:
        raise ValueError(f"get_item: the step of the slice for axis {axis} of shape {show(x.shape)} is 0.")
    start, stop = (a if a is None or type(a) is Dim else operator.index(a) for a in (k.start, k.stop))
    if is_known(n, start, stop):
        return *_bounds(start, stop, step, n), step
    if step in (1, -1) and (start is None or (start == 0 and step == 1)) and (stop is None or stop is n):
        return 0, n, step
    low, high = (Dim(made_by=(lambda *sizes, i=i: _bounds(*sizes)[i], (start, stop, step, n))) for i in (0, 1))
    return low, high, step


def _bounds(start: int | None, stop: int | None, step: int, n: int) -> tuple[int, int]:
    """The lowest element of a slice of n elements, and the one after its highest."""
    picked = range(*slice(start, stop, step).indices(n))
    if not picked:
        return 0, 0
    return min(picked[0], picked[-1]), max(picked[0], picked[-1]) + 1


# ---- integer arrays ----------------------------------------------------------------------------------------------------


def _by_arrays(x: Tensor, keys: Sequence[Any], together: bool) -> Tensor:
    """Integer arrays pick elements; integers beside them count as arrays of shape ().

    The picked axes come where the arrays stood if those stood side by side, else first.
    """
    picked = [i for i, k in enumerate(keys) if _picks(k)]
    x = _basic(x, [slice(None) if i in picked else k for i, k in enumerate(keys)])
    place = picked[0] if together else 0
    indices = [positions("get_item", as_tensor(keys[i]), x.shape[i]) for i in picked]
    if len(picked) == 1:
        return mov.take(x, indices[0], axis=picked[0])
    rest = [i for i in range(len(x.shape)) if i not in picked]
    sizes = [x.shape[i] for i in picked]
    x = permuted(x, (*picked, *rest))
    x = reshape(x, (size_of(sizes), *x.shape[len(picked) :]))
    index = flat_index(indices, sizes)
    out = mov.take(x, index, axis=0)
    k = len(index.shape)
    return permuted(out, (*range(k, k + place), *range(k), *range(k + place, len(out.shape))))


def flat_index(indices: Sequence[Tensor], sizes: Sequence[Size]) -> Tensor:
    """Coordinates along axes of the given sizes -> places in the flat tensor, broadcast."""
    try:
        shape = broadcast("get_item", *(i.shape for i in indices))
    except ValueError as error:
        raise BadIndex(*error.args) from None
    flat = None
    for index, n in zip(indices, sizes):
        index = index if index.dtype in ("int32", "int64") else el.cast(index, dtype="int32")
        flat = index if flat is None else _add(el.mul(flat, size_operand(n, flat.dtype)), index)
    return broadcast_to(flat, shape)


def _add(a: Tensor, b: Tensor) -> Tensor:
    if a.dtype != b.dtype:
        a, b = (el.cast(t, dtype="int64") for t in (a, b))
    return el.add(a, b)


def require_within(what: str, index: Tensor, low: Size, high: Size) -> None:
    """Raise unless all integers are in low ... high - 1, where they are at hand and the limits known. what: what they are, in words."""
    if index.is_concrete and index.node is None and is_known(low, high):
        host = index.numpy()
        if host.size and not (low <= host.min() and host.max() < high):
            wrong = host.min() if host.min() < low else host.max()
            raise BadIndex(f"{what} must be in {low} to {high - 1}, but one is {wrong}.")


def positions(name: str, index: Tensor, size: Size) -> Tensor:
    """Indices with negative ones counted from the end. Out of range is an error when values are at hand."""
    if index.dtype in dtypes.NARROW:
        index = el.cast(index, dtype="int32")
    if index.dtype in dtypes.UINTS:
        return index
    if index.is_concrete and index.node is None:
        host = index.numpy()
        if host.size and is_known(size) and not (-size <= host.min() and host.max() < size):
            wrong = host.min() if host.min() < -size else host.max()
            raise explained(
                BadIndex(f"{name}: index {wrong} is out of range for an axis of size {size}."),
                "take-index-is-out-of-range-for-an-axis-of-size",
            )
        if not host.size or host.min() >= 0:
            return index
    return el.where(el.less(index, 0), el.add(index, size_operand(size, index.dtype)), index)
