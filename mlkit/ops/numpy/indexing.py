"""NumPy's indexing `x[key]`, written in slices, reshapes and takes, so that it is differentiable and can be traced."""

import operator

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Dim, broadcast, is_known, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.variable import Variable
from mlkit.ops import elementwise as el
from mlkit.ops import movement as mov
from mlkit.ops.convert import as_tensor
from mlkit.ops.numpy.shaping import broadcast_to, permuted, reshape
from mlkit.ops.reduction import size_operand

__all__ = ["get_item"]


class BadIndex(IndexError, ValueError):
    """An index that does not fit: NumPy raises the one kind of error, Keras the other."""


def get_item(x, key):
    """x[key], with all that NumPy offers: integers, slices, None, Ellipsis, integer arrays, and truth values (eager only).

    >>> get_item([[1, 2, 3], [4, 5, 6]], (slice(None), -1)).numpy()
    array([3, 6], dtype=int32)
    """
    x = as_tensor(x)
    keys = _expanded(x, key if type(key) is tuple else (key,))
    if any(type(k) is Tensor for k in keys):
        return _by_arrays(x, keys)
    return _basic(x, keys)


def _expanded(x, keys):
    """One entry for each axis, None for new ones: int (or unknown size), slice, or integer Tensor."""
    keys = [k for key in keys for k in _standard(key)]
    if sum(k is Ellipsis for k in keys) > 1:
        raise BadIndex("get_item: an index may contain only one Ellipsis (...).")
    used = sum(k is not None and k is not Ellipsis for k in keys)
    n = len(x.shape)
    if used > n:
        raise BadIndex(f"get_item: {used} indices for a tensor of {n} axes, shape {show(x.shape)}.")
    rest = [slice(None)] * (n - used)
    if Ellipsis not in [k if k is Ellipsis else 0 for k in keys]:
        return keys + rest
    i = next(i for i, k in enumerate(keys) if k is Ellipsis)
    return keys[:i] + rest + keys[i + 1 :]


def _standard(key):
    """The entries that one entry of a key stands for: a truth array becomes the places where it is true."""
    if key is None or key is Ellipsis or type(key) in (int, slice, Dim):
        return [key]
    if isinstance(key, (bool, np.bool_)):
        raise TypeError("get_item: a single truth value is no index. Use ops.where.")
    if not hasattr(key, "dtype") and not isinstance(key, (list, tuple)):
        return [operator.index(key)]
    if isinstance(key, (list, tuple)) and not len(key):
        key = np.zeros(len(key), "int32")
    t = as_tensor(key)
    if t.dtype == "bool":
        return [as_tensor(i.astype("int32")) for i in np.nonzero(t.numpy())]
    if not dtypes.is_int(t.dtype):
        raise BadIndex(f"get_item: an index must be integer or bool, but is {t.dtype}.")
    if isinstance(key, (np.ndarray, np.generic)) and not t.ndim:
        return [int(key)]
    return [t]


# ---- integers and slices -----------------------------------------------------------------------------------------------


def _basic(x, keys):
    """Integers, slices and new axes: at most one slice, one flip and one reshape."""
    limits, flipped = [], []
    for axis, (k, n) in enumerate(zip((k for k in keys if k is not None), x.shape)):
        start, stop, stride = _slice_of(k, n, axis, x) if type(k) is slice else _single(k, n, axis, x)
        if stride < 0:
            flipped.append(axis)
            start, stop, stride = _mirrored(start, stop, stride, n)
        limits.append((start, stop, stride))
    if any(limit != (0, n, 1) for limit, n in zip(limits, x.shape)):
        starts, stops, strides = zip(*limits)
        x = mov.slice_(x, starts=starts, stops=stops, strides=strides)
    if flipped:
        x = mov.flip(x, axes=tuple(flipped))
    sizes = iter(x.shape)
    shape = [(1, True) if k is None else (next(sizes), type(k) is slice) for k in keys]
    return reshape(x, tuple(n for n, kept in shape if kept))


def _single(k, n, axis, x):
    if is_known(k, n) and not -n <= k < n:
        raise BadIndex(f"get_item: index {k} is out of range for axis {axis} of shape {show(x.shape)}.")
    k = k + n if is_known(k) and k < 0 else k
    return k, k + 1, 1


def _slice_of(k, n, axis, x):
    """(start, stop, stride) within the axis, as Python's `slice.indices` says."""
    step = 1 if k.step is None else operator.index(k.step)
    if step == 0:
        raise ValueError(f"get_item: the step of the slice for axis {axis} of shape {show(x.shape)} is 0.")
    limits = [a if a is None or type(a) is Dim else operator.index(a) for a in (k.start, k.stop)]
    if is_known(n, *limits):
        return slice(*limits, step).indices(n)
    return _unknown_slice(*limits, step, n)


def _unknown_slice(start, stop, step, n):
    """The same where a size is unknown: what depends on it is an unknown size too."""
    forward = step > 0
    if not forward and start is None and stop is None and step == -1:
        return n, -1, step  # all of it, see _mirrored
    first, last = (0, n) if forward else (n - 1, -1)
    start = first if start is None or (start == 0 and forward) else _clamped(start, n, step)
    stop = last if stop is None or stop is n else _clamped(stop, n, step)
    return start, stop, step


def _clamped(i, n, step):
    def place(i, n):
        return slice(i, None, step).indices(n)[0]

    return Dim(made_by=(place, (i, n)))


def _mirrored(start, stop, stride, n):
    """The ascending slice that holds the elements of a descending one."""
    if not is_known(n) and stride == -1 and start is n and stop == -1:
        return 0, n, 1
    if is_known(start, stop):
        count = len(range(start, stop, stride))
        if count == 0:
            return 0, 0, 1
    else:
        count = (start - stop + (-stride - 1)) // -stride
    return start + (count - 1) * stride, start + 1, -stride


# ---- integer arrays ----------------------------------------------------------------------------------------------------


def _by_arrays(x, keys):
    """Integer arrays pick elements; integers beside them count as arrays of shape ().

    The picked axes come where the arrays stood if those stood side by side, else first.
    """
    picked = [i for i, k in enumerate(keys) if type(k) in (Tensor, int, Dim)]
    together = picked == list(range(picked[0], picked[-1] + 1))
    x = _basic(x, [slice(None) if i in picked else k for i, k in enumerate(keys)])
    place = picked[0] if together else 0
    indices = [positions(as_tensor(keys[i]), x.shape[i]) for i in picked]
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


def flat_index(indices, sizes):
    """Coordinates along axes of the given sizes -> places in the flat tensor, broadcast."""
    shape = broadcast("get_item", *(i.shape for i in indices))
    flat = None
    for index, n in zip(indices, sizes):
        index = index if index.dtype in ("int32", "int64") else el.cast(index, dtype="int32")
        flat = index if flat is None else _add(el.mul(flat, size_operand(n, flat.dtype)), index)
    return broadcast_to(flat, shape)


def _add(a, b):
    if a.dtype != b.dtype:
        a, b = (el.cast(t, dtype="int64") for t in (a, b))
    return el.add(a, b)


def positions(index, size):
    """Indices with negative ones counted from the end. Out of range is an error when values are at hand."""
    if index.dtype in dtypes.UINTS:
        return index
    if index.is_concrete and index.node is None:
        host = index.numpy()
        if host.size and is_known(size) and not (-size <= host.min() and host.max() < size):
            raise BadIndex(f"get_item: index {host.min() if host.min() < -size else host.max()} is out of range for size {size}.")
        if not host.size or host.min() >= 0:
            return index
    return el.where(el.less(index, 0), el.add(index, size_operand(size, index.dtype)), index)
