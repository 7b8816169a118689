"""Choosing elements: by index, by condition, by place."""

from collections.abc import Sequence

import numpy as np

from mlkit.core import dtypes
from mlkit.core.spec import Dim, Spec, is_known, normalize_axis, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, ShapeLike, TensorLike
from mlkit.ops.numpy.indexing import positions
from mlkit.ops.numpy.shaping import ravel
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement as mov
from mlkit.primitives.convert import as_shape, as_tensor, cast, promote_tensors, to_bool, to_integer
from mlkit.primitives.reduction import size_operand

__all__ = ["nonzero", "select", "take", "take_along_axis", "unravel_index", "where"]


def where(condition: TensorLike, x1: TensorLike | None = None, x2: TensorLike | None = None) -> Tensor:
    """x1 where the condition is true (not zero), else x2. With the condition alone: `nonzero`.

    Args:
        condition: booleans that broadcast with both.

    >>> where([True, False], 1.0, 0.0).numpy()
    array([1., 0.], dtype=float32)
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("where: give both x1 and x2, or neither.")
    condition = to_bool(condition)
    x1, x2 = promote_tensors(x1, x2)
    return el.where(condition, x1, x2)


def select(condlist: Sequence[TensorLike], choicelist: Sequence[TensorLike], default: TensorLike = 0) -> Tensor:
    """Of several choices the one whose condition is the first that is true, element by element; `default` where none is.

    Args:
        condlist: list of bool tensors.
        choicelist: list of as many tensors; all shapes broadcast.
        default: number or tensor.

    >>> select([[True, False], [True, True]], [[1, 1], [2, 2]]).numpy()
    array([1, 2], dtype=int32)
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(
            f"select: {len(condlist)} conditions and {len(choicelist)} choices; there must be as many, and at least one."
        )
    *choices, out = promote_tensors(*choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices)):
        out = el.where(to_bool(condition), choice, out)
    return out


def nonzero(x: TensorLike) -> tuple[Tensor, ...]:
    """Where the elements are not zero: one int32 tensor of coordinates for each axis.

    Eager only: their number depends on values.

    >>> [i.tolist() for i in nonzero([[0, 3], [4, 0]])]
    [[0, 1], [1, 0]]
    """
    x = to_bool(x)
    if type(x.data) is Spec:
        count = Dim()
        return tuple(Tensor(Spec((count,), "int32")) for _ in x.shape)
    return tuple(as_tensor(i.astype("int32")) for i in np.nonzero(np.atleast_1d(x.numpy())))


def take(x: TensorLike, indices: TensorLike, axis: Axis = None) -> Tensor:
    """The slices at `indices` along an axis (elements of the flat tensor without axis). Negative indices count from the end.

    Args:
        indices: tensor of integers; negative ones count from the end.

    >>> take([[1, 2, 3], [4, 5, 6]], [0, -1], axis=1).numpy()
    array([[1, 3],
           [4, 6]], dtype=int32)
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis("take", axis, len(x.shape))
    return mov.take(x, positions("take", to_integer("take", indices), x.shape[axis]), axis=axis)


def take_along_axis(x: TensorLike, indices: TensorLike, axis: Axis = None) -> Tensor:
    """Elements of x at `indices` along an axis, which has x's shape but for that axis (other axes may have size 1).

    Without axis: from the flat tensor.

    Args:
        indices: integers, of x's shape but along the axis.
    """
    x, indices = as_tensor(x), to_integer("take_along_axis", indices)
    if axis is None:
        x, indices, axis = ravel(x), ravel(indices), 0
    axis = normalize_axis("take_along_axis", axis, len(x.shape))
    return mov.take_along_axis(x, positions("take_along_axis", indices, x.shape[axis]), axis=axis)


def unravel_index(indices: TensorLike, shape: ShapeLike) -> tuple[Tensor, ...]:
    """Places in a flat tensor -> coordinates in a tensor of `shape`, one tensor for each axis.

    Args:
        indices: integers of any shape, from 0 up to, but without, the number of elements.
        shape: tuple of ints.

    >>> [i.tolist() for i in unravel_index([1, 5], (2, 3))]
    [[0, 1], [1, 2]]
    """
    shape = as_shape("unravel_index", shape)
    given, total = to_integer("unravel_index", indices), size_of(shape)
    rest = el.cast(given, dtype="int32") if given.dtype in dtypes.NARROW else given
    if rest.is_concrete and is_known(total) and rest.size:
        low, high = int(rest.numpy().min()), int(rest.numpy().max())
        if high >= total or low < -total:
            raise ValueError(
                f"unravel_index: a tensor of shape {show(shape)} has the places 0 to {total - 1}, but got indices from "
                f"{low} to {high}."
            )
    found = []
    for n in shape[::-1]:
        n = size_operand(n, rest.dtype)
        found.append(cast(el.mod(rest, n), given.dtype))
        rest = el.floor_div(rest, n)
    return tuple(found[::-1])
