"""Joining tensors, cutting them up, repeating and padding them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core.spec import Size, Spec, is_known, normalize_axis, show, whole
from mlkit.core.tensor import Tensor
from mlkit.core.typing import Axis, IntOrSequence, Structure, TensorLike
from mlkit.ops.numpy.shaping import broadcast_to, expand_dims, ravel, reshape
from mlkit.primitives import movement as mov
from mlkit.primitives.convert import as_shape, as_tensor, promote_tensors

__all__ = [
    "append", "array_split", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "meshgrid", "repeat", "split", "stack",
    "tile", "vsplit", "vstack",
]  # fmt: skip


# ---- joining ---------------------------------------------------------------------------------------------------------


def concatenate(xs: Structure, axis: Axis = 0) -> Tensor:
    """Tensors one after the other along an axis.

    Args:
        xs: list of tensors whose shapes differ along the axis at most.

    >>> concatenate([[[1, 2]], [[3, 4]]], axis=1).numpy()
    array([[1, 2, 3, 4]], dtype=int32)
    """
    xs = list(xs)
    if not xs:
        raise ValueError("concatenate: there must be at least one tensor.")
    if axis is None:
        raise ValueError("concatenate: `axis` must be an int. To join flat tensors use ops.ravel first.")
    xs = promote_tensors(*xs)
    return mov.concat(*xs, axis=normalize_axis("concatenate", axis, len(xs[0].shape)))


def stack(x: TensorLike, axis: Axis = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis.

    >>> stack([[1, 2], [3, 4]], axis=1).numpy()
    array([[1, 3],
           [2, 4]], dtype=int32)
    """
    xs = list(x)
    if not xs:
        raise ValueError("stack: there must be at least one tensor.")
    xs = promote_tensors(*xs)
    if len({len(t.shape) for t in xs}) > 1:
        raise ValueError(f"stack: the tensors must have one shape, but have {', '.join(str(show(t.shape)) for t in xs)}.")
    axis = normalize_axis("stack", axis, len(xs[0].shape) + 1)
    return mov.concat(*(expand_dims(t, axis) for t in xs), axis=axis)


def append(x1: TensorLike, x2: TensorLike, axis: Axis = None) -> Tensor:
    """x2 after x1 along an axis; without axis both flat."""
    return concatenate([ravel(x1), ravel(x2)]) if axis is None else concatenate([x1, x2], axis)


def hstack(xs: Structure) -> Tensor:
    """Joined along the second axis (1-D tensors along their only one).

    Args:
        xs: list of tensors, or one whose rows are taken.
    """
    xs = [_at_least(1, x) for x in xs]
    return concatenate(xs, 0 if len(xs[0].shape) == 1 else 1)


def vstack(xs: Structure) -> Tensor:
    """Joined along the first axis; 1-D tensors count as rows.

    Args:
        xs: list of tensors, or one whose rows are taken.
    """
    return concatenate([_at_least(2, x) for x in xs], 0)


def dstack(xs: Structure) -> Tensor:
    """Joined along the third axis; lower ranks get axes of size 1 as NumPy's `atleast_3d` gives them.

    Args:
        xs: list of tensors, or one whose rows are taken.
    """
    return concatenate([_at_least(3, x) for x in xs], 2)


def _at_least(rank: int, x: Tensor) -> Tensor:
    """x with at least `rank` axes: rows are added in front of vectors, a third axis behind."""
    x = as_tensor(x)
    n = len(x.shape)
    if n >= rank:
        return x
    new = {1: {0: (0,)}, 2: {0: (0, 1), 1: (0,)}, 3: {0: (0, 1, 2), 1: (0, 2), 2: (2,)}}
    return expand_dims(x, new[rank][n])


def meshgrid(*x, indexing: str = "xy") -> list[Tensor]:
    """Coordinates of a grid from those along its axes: one tensor for each axis.

    Args:
        indexing: "xy" (the second axis of the results runs along the first argument) or "ij" (axes in the order of arguments).
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: `indexing` must be 'xy' or 'ij', but is {indexing!r}.")
    xs = [ravel(t) for t in x]
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[:2] = 1, 0
    shape = tuple(xs[i].shape[0] for i in order)
    return [
        broadcast_to(reshape(t, tuple(t.shape[0] if j == order[i] else 1 for j in range(len(xs)))), shape)
        for i, t in enumerate(xs)
    ]


# ---- cutting ---------------------------------------------------------------------------------------------------------


def split(x: TensorLike, indices_or_sections: IntOrSequence, axis: Axis = 0) -> list[Tensor]:
    """A list of parts of an axis: so many of equal size, or cut before the given indices.

    Args:
        indices_or_sections: an int of sections of equal size, or the list of places to cut at.

    >>> [part.shape for part in split([1, 2, 3, 4, 5, 6], 3)]
    [(2,), (2,), (2,)]
    """
    x = as_tensor(x)
    axis = normalize_axis("split", axis, len(x.shape))
    size = x.shape[axis]
    if _are_several(indices_or_sections):
        return _cut("split", x, indices_or_sections, axis)
    parts = _number_of_parts("split", indices_or_sections, size)
    if is_known(size) and size % parts:
        raise ValueError(
            f"split: axis {axis} of shape {show(x.shape)} cannot be divided into {parts} equal parts. "
            f"Choose a divisor of {show((size,))[0]}, give indices, or use array_split."
        )
    step = size // parts
    return [mov.slice_along(x, axis, i * step, (i + 1) * step) for i in range(parts)]


def array_split(x: TensorLike, indices_or_sections: IntOrSequence, axis: Axis = 0) -> list[Tensor]:
    """As `split`, but the first parts may be one element longer than the others.

    Args:
        indices_or_sections: number of sections, whose sizes differ by one at most, or the list of places to cut at.
    """
    x = as_tensor(x)
    axis = normalize_axis("array_split", axis, len(x.shape))
    size = x.shape[axis]
    if _are_several(indices_or_sections):
        return _cut("array_split", x, indices_or_sections, axis)
    parts = _number_of_parts("array_split", indices_or_sections, size)
    if not is_known(size):
        sizes = [(size + (parts - 1 - i)) // parts for i in range(parts)]
        return [Tensor(Spec((*x.shape[:axis], s, *x.shape[axis + 1 :]), x.dtype)) for s in sizes]
    small, longer = divmod(size, parts)
    ends = [small * i + (i if i < longer else longer) for i in range(1, parts)]
    return _cut("array_split", x, ends, axis)


_MOST = 1 << 20  # parts, of which most are empty


def _are_several(indices_or_sections: object) -> bool:
    return isinstance(indices_or_sections, (list, tuple)) or getattr(indices_or_sections, "ndim", 0) > 0


def _number_of_parts(name: str, number: Any, size: Size) -> int:
    number = whole(name, "the number of parts", number, least=1)
    if number > _MOST and is_known(size) and number > size:
        raise ValueError(f"{name}: an axis of size {size} cannot be cut into {number} parts; there are at most {_MOST}.")
    return number


def _cut(name: str, x: Tensor, indices: Sequence[int], axis: int) -> list[Tensor]:
    """Parts before, between and after indices, which may be negative and out of range as in slices."""
    size = x.shape[axis]
    if is_known(size):
        places = [i if i >= 0 else i + size for i in as_shape(name, indices, least=None)]
        places = [size if i > size else 0 if i < 0 else i for i in places]
    else:
        places = [i if i >= 0 else size + i for i in as_shape(name, indices, least=None)]
    starts, stops = [0, *places], [*places, size]
    return [mov.slice_along(x, axis, a, a if is_known(a, b) and b < a else b) for a, b in zip(starts, stops)]


def vsplit(x: TensorLike, indices_or_sections: IntOrSequence) -> list[Tensor]:
    """`split` along the first axis.

    Args:
        indices_or_sections: an int of sections of equal size, or the list of places to cut at.
    """
    return split(x, indices_or_sections, 0)


def hsplit(x: TensorLike, indices_or_sections: IntOrSequence) -> list[Tensor]:
    """`split` along the second axis (the only one of 1-D tensors).

    Args:
        indices_or_sections: an int of sections of equal size, or the list of places to cut at.
    """
    x = as_tensor(x)
    return split(x, indices_or_sections, 0 if len(x.shape) == 1 else 1)


def dsplit(x: TensorLike, indices_or_sections: IntOrSequence) -> list[Tensor]:
    """`split` along the third axis.

    Args:
        indices_or_sections: an int of sections of equal size, or the list of places to cut at.
    """
    x = as_tensor(x)
    if len(x.shape) < 3:
        raise ValueError(f"dsplit: the tensor needs three axes or more, but has shape {show(x.shape)}.")
    return split(x, indices_or_sections, 2)


# ---- repeating -------------------------------------------------------------------------------------------------------


def repeat(x: TensorLike, repeats: TensorLike, axis: Axis = None) -> Tensor:
    """Each element several times in a row, along an axis (of the flat tensor without axis).

    Args:
        repeats: an int, or one for each element of the axis.

    >>> repeat([1, 2], 2).numpy()
    array([1, 1, 2, 2], dtype=int32)
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis("repeat", axis, len(x.shape))
    size = x.shape[axis]
    counts = as_shape("repeat", repeats)
    if len(counts) == 1:
        times = counts[0]
        wide = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
        return reshape(broadcast_to(expand_dims(x, axis + 1), wide), (*x.shape[:axis], size * times, *x.shape[axis + 1 :]))
    if is_known(size) and len(counts) != size:
        raise ValueError(
            f"repeat: {len(counts)} repeats for axis {axis} of shape {show(x.shape)}; there must be one, or {size}."
        )
    index = np.repeat(np.arange(len(counts), dtype="int32"), counts)
    return mov.take(x, as_tensor(index), axis=axis)


def tile(x: TensorLike, repeats: TensorLike) -> Tensor:
    """The whole tensor several times along each axis; `repeats` counts for the last axes.

    Args:
        repeats: how often along each axis, the last ones if there are fewer.

    >>> tile([[1, 2]], (2, 2)).numpy()
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]], dtype=int32)
    """
    x = as_tensor(x)
    times = as_shape("tile", repeats)
    rank = len(times) if len(times) > len(x.shape) else len(x.shape)
    times = (1,) * (rank - len(times)) + times
    sizes = (1,) * (rank - len(x.shape)) + tuple(x.shape)
    lone = tuple(n for s in sizes for n in (1, s))
    wide = tuple(n for t, s in zip(times, sizes) for n in (t, s))
    return reshape(broadcast_to(reshape(x, lone), wide), tuple(t * s for t, s in zip(times, sizes)))
