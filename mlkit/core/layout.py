"""Where a tensor's elements lie in a piece of memory: a byte offset and one stride in bytes per axis, as in NumPy."""

import math
from collections.abc import Sequence
from typing import Any


def contiguous(shape: Sequence[Any], itemsize: int) -> tuple[int, ...]:
    """The strides of a dense array in row-major order."""
    strides, step = [], itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def is_contiguous(shape: Sequence[int], strides: Sequence[int], itemsize: int) -> bool:
    """Whether elements lie densely in row-major order; the strides of axes of size 1 do not matter."""
    return 0 in shape or all(n == 1 or s == d for n, s, d in zip(shape, strides, contiguous(shape, itemsize)))


def reshape(old: Sequence[int], strides: Sequence[int], new: Sequence[int]) -> tuple[int, ...] | None:
    """Strides of the same memory seen in the shape `new`, or None where the elements must be moved."""
    if 0 in old:
        return contiguous(new, 1)
    axes = [(n, s) for n, s in zip(old, strides) if n != 1]
    out, i = [], 0
    rest = list(new)
    while rest:
        n = rest.pop(0)
        if n == 1:
            out.append(axes[i][1] if i < len(axes) else 1)
            continue
        sizes, group = n, [n]
        size, step, j = axes[i][0], axes[i][1], i + 1
        while size != sizes:  # take new and old axes until both groups hold the same number of elements
            if sizes < size:
                m = rest.pop(0)
                group.append(m)
                sizes *= m
            else:
                if axes[j - 1][1] != axes[j][0] * axes[j][1]:
                    return None
                size, step, j = size * axes[j][0], axes[j][1], j + 1
        out.extend(contiguous(group, step))
        i = j
    return tuple(out)


def transpose(strides: Sequence[int], perm: Sequence[int]) -> tuple[int, ...]:
    return tuple(strides[p] for p in perm)


def broadcast(old: Sequence[int], strides: Sequence[int], new: Sequence[int]) -> tuple[int, ...]:
    """Strides of an array repeated to the shape `new`: 0 along the axes that are repeated."""
    lead = len(new) - len(old)
    return (0,) * lead + tuple(0 if n != m else s for n, m, s in zip(old, new[lead:], strides))


def take_slice(strides: Sequence[int], starts: Sequence[int], steps: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """(bytes to add to the offset, strides) of a slice."""
    return sum(a * s for a, s in zip(starts, strides)), tuple(s * k for s, k in zip(strides, steps))


def nbytes(shape: Sequence[Any], itemsize: int) -> int:
    return math.prod(shape) * itemsize
