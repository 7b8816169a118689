"""New shapes and orders of axes for the same elements."""

import math
import operator
from collections.abc import Sequence
from typing import Any

from mlkit.core.spec import Dim, Size, Spec, is_known, normalize_axes, normalize_axis, show, size_of, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axes, Axis, IntOrSequence, Shape, ShapeLike, TensorLike
from mlkit.objects.keras_tensor import symbolic
from mlkit.primitives import movement as mov
from mlkit.primitives import shape as sh
from mlkit.primitives.convert import as_shape, as_tensor

__all__ = [
    "broadcast_to", "expand_dims", "flip", "fliplr", "flipud", "moveaxis", "ndim", "ravel", "reshape", "roll", "rot90", "size",
    "squeeze", "swapaxes", "transpose",
]  # fmt: skip


def ndim(x: TensorLike) -> int:
    """The number of axes."""
    return len(as_tensor(x).shape)


def _number(x: Tensor) -> Tensor:
    return Tensor(Spec((), "int32"))


@symbolic(_number)  # as in Keras an operation of the model, whether all sizes are known or not
def size(x: TensorLike) -> int:
    """The number of elements."""
    return size_of(as_tensor(x).shape)


def reshape(x: TensorLike, newshape: Shape) -> Tensor:
    """The elements in the same order under a new shape; one size may be -1, which means what is left.

    Args:
        newshape: of the result; one size may be -1 and follows from the others.

    >>> reshape([[1, 2, 3], [4, 5, 6]], (3, -1)).shape
    (3, 2)
    """
    x = as_tensor(x)
    shape = as_shape("reshape", newshape, least=-1)
    if -1 in shape:
        shape = _fill_in(x.shape, shape)
    return x if shape == x.shape else sh.reshape(x, shape=shape)


def _fill_in(old: Sequence[Size], new: Sequence[Size]) -> tuple[Any, ...]:
    """The new shape with its -1 computed. Unknown sizes that stand in both shapes cancel."""
    place = new.index(-1)
    rest = list(new[:place] + new[place + 1 :])
    if -1 in rest:
        raise ValueError(f"reshape: only one size can be -1, but the new shape is {show(new)}.")
    kept = list(old)
    for s in [s for s in rest if type(s) is Dim and s in kept]:
        kept.remove(s)
        rest.remove(s)
    have, taken = (math.prod(s for s in sizes if is_known(s)) for sizes in (kept, rest))
    if taken and have % taken == 0:
        have, taken = have // taken, 1
    left = size_of([have, *(s for s in kept if not is_known(s))])
    by = size_of([taken, *(s for s in rest if not is_known(s))])
    if is_known(left, by) and (by == 0 or left % by):
        raise ValueError(f"reshape: {size_of(old)} elements of shape {show(old)} do not fill the shape {show(new)}.")
    return new[:place] + (left // by,) + new[place + 1 :]


def ravel(x: TensorLike) -> Tensor:
    """All elements along one axis."""
    return reshape(x, (-1,))


def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in another order; without `axes` reversed.

    Args:
        axes: the axes in their new order; reversed by default.

    >>> transpose([[1, 2, 3], [4, 5, 6]]).shape
    (3, 2)
    """
    x = as_tensor(x)
    n = len(x.shape)
    if axes is None:
        return permuted(x, tuple(range(n))[::-1])
    return permuted(x, tuple(normalize_axis("transpose", operator.index(a), n) for a in axes))


def permuted(x: Tensor, perm: tuple[int, ...]) -> Tensor:
    """x with its axes in the order `perm` of non-negative ints; x itself where that is the order they have."""
    return x if perm == tuple(range(len(x.shape))) else sh.transpose(x, perm=perm)


def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged.

    Args:
        axis1, axis2: the two axes.
    """
    x = as_tensor(x)
    n = len(x.shape)
    a, b = (normalize_axis("swapaxes", i, n) for i in (axis1, axis2))
    order = list(range(n))
    order[a], order[b] = b, a
    return permuted(x, tuple(order))


def moveaxis(x: TensorLike, source: Axes, destination: Axes) -> Tensor:
    """Axes moved to new places, the others in their order.

    Args:
        source, destination: an axis or several, and where they go.

    >>> moveaxis([[[1, 2, 3]]], -1, 0).shape
    (3, 1, 1)
    """
    x = as_tensor(x)
    n = len(x.shape)
    source, destination = (
        [normalize_axis("moveaxis", i, n) for i in (axes if isinstance(axes, (list, tuple)) else (axes,))]
        for axes in (source, destination)
    )
    if len(source) != len(destination) or len(set(source)) < len(source) or len(set(destination)) < len(destination):
        raise ValueError(f"moveaxis: source {source} and destination {destination} must be equally many different axes.")
    order = [i for i in range(n) if i not in source]
    for place, axis in sorted(zip(destination, source)):
        order.insert(place, axis)
    return permuted(x, tuple(order))


def expand_dims(x: TensorLike, axis: Axes) -> Tensor:
    """New axes of size 1 at the places `axis` (an int or several) of the result.

    >>> expand_dims([1, 2], -1).shape
    (2, 1)
    """
    x = as_tensor(x)
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    axes = normalize_axes("expand_dims", axes, len(x.shape) + len(axes))
    shape = list(x.shape)
    for a in axes:
        shape.insert(a, 1)
    return sh.reshape(x, shape=tuple(shape))


def squeeze(x: TensorLike, axis: Axis = None) -> Tensor:
    """Without axes of size 1: all of them, or those named.

    >>> squeeze([[[1], [2]]]).shape
    (2,)
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(x, tuple(s for s in x.shape if s != 1))
    axes = normalize_axes("squeeze", axis, len(x.shape))
    wrong = [a for a in axes if is_known(x.shape[a]) and x.shape[a] != 1]
    if wrong:
        raise ValueError(
            f"squeeze: axis {wrong[0]} of shape {show(x.shape)} has size {x.shape[wrong[0]]}; only size 1 can be left out."
        )
    return sh.reshape(x, shape=tuple(s for i, s in enumerate(x.shape) if i not in axes))


def broadcast_to(x: TensorLike, shape: ShapeLike) -> Tensor:
    """x repeated along axes of size 1, and new leading ones, until it has the shape.

    Args:
        shape: of the result.
    """
    x = as_tensor(x)
    shape = as_shape("broadcast_to", shape)
    return x if shape == x.shape else sh.broadcast_to(x, shape=shape)


def flip(x: TensorLike, axis: Axis = None) -> Tensor:
    """The elements of axes (default: all) in reverse order."""
    x = as_tensor(x)
    axes = normalize_axes("flip", axis, len(x.shape))
    return mov.flip(x, axes=axes) if axes else x


def flipud(x: TensorLike) -> Tensor:
    """The first axis (rows) in reverse order."""
    return flip(x, 0)


def fliplr(x: TensorLike) -> Tensor:
    """The second axis (columns) in reverse order."""
    return flip(x, 1)


def rot90(array: TensorLike, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turned k times by 90 degrees in the plane of two axes, from the first towards the second.

    Args:
        array: tensor of two axes or more.
        k: quarter turns; negative ones the other way.
        axes: two different axes.

    >>> rot90([[1, 2], [3, 4]]).numpy()
    array([[2, 4],
           [1, 3]], dtype=int32)
    """
    x = as_tensor(array)
    n = len(x.shape)
    if n < 2:
        raise ValueError(f"rot90: the tensor needs two axes or more, but has shape {show(x.shape)}.")
    if len(axes) != 2 or axes[0] % n == axes[1] % n:
        raise ValueError(f"rot90: `axes` must be two different axes, but is {axes}.")
    a, b = (normalize_axis("rot90", i, n) for i in axes)
    turns = whole("rot90", "`k`", k) % 4
    if turns == 2:
        return flip(x, (a, b))
    if turns == 1:
        return swapaxes(flip(x, b), a, b)
    return flip(swapaxes(x, a, b), b) if turns else x


def roll(x: TensorLike, shift: IntOrSequence, axis: Axis = None) -> Tensor:
    """Elements moved along axes by `shift` places; what leaves at one end enters at the other.

    Without axis: in the flat tensor.

    Args:
        shift: places, an int or one for each axis.

    >>> roll([1, 2, 3, 4], 1).numpy()
    array([4, 1, 2, 3], dtype=int32)
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    shifts = tuple(shift) if isinstance(shift, (tuple, list)) else (whole("roll", "`shift`", shift),) * len(axes)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: {len(shifts)} shifts {shifts} for {len(axes)} axes {axes}; there must be as many.")
    out = x
    for a, s in zip(axes, shifts):
        a = normalize_axis("roll", a, len(x.shape))
        n = x.shape[a]
        if n == 0:
            continue
        cut = -s % n
        out = mov.concat(mov.slice_along(out, a, cut, n), mov.slice_along(out, a, 0, cut), axis=a)
    return reshape(out, x.shape)
