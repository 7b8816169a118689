"""rearrange: axes split, reordered and joined by a readable pattern.

A. Rogozhnikov, Einops: Clear and Reliable Tensor Manipulations with Einstein-like Notation, ICLR 2022.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlkit.core.spec import Size, is_known, same_size, show, size_of
from mlkit.core.tensor import Tensor
from mlkit.core.typing import TensorLike
from mlkit.ops.numpy.shaping import permuted, reshape
from mlkit.primitives.convert import as_tensor

__all__ = ["rearrange"]


def rearrange(tensor: TensorLike, pattern: str, **axes_lengths) -> Tensor:
    """The elements with their axes split, reordered and joined as the pattern says.

    Rogozhnikov, "Einops: Clear and Reliable Tensor Manipulations with Einstein-like Notation", ICLR 2022.

    Args:
        pattern: names of the axes, "->", the same names in a new order. Names in brackets are one axis: split on the left (all
            but one of their sizes given as `axes_lengths`), joined on the right.
        tensor: with as many axes as the left side of the pattern names.

    >>> rearrange([[1, 2, 3, 4]], "b (h w) -> (b w) h", h=2).numpy()
    array([[1, 3],
           [2, 4]], dtype=int32)
    """
    x = as_tensor(tensor)
    left, arrow, right = pattern.partition("->")
    before, after = _groups(left, pattern), _groups(right, pattern)
    names, wanted = ([name for group in groups for name in group] for groups in (before, after))
    if not arrow or sorted(names) != sorted(set(wanted)) or len(wanted) != len(names):
        raise ValueError(f"rearrange: the pattern {pattern!r} must have the same names, each once, on both sides of '->'.")
    unknown = sorted(set(axes_lengths) - set(names))
    if unknown:
        raise ValueError(f"rearrange: the pattern {pattern!r} has no axis {unknown[0]!r}.")
    if len(before) != len(x.shape):
        raise ValueError(f"rearrange: {pattern!r} describes {len(before)} axes, but the tensor has shape {show(x.shape)}.")
    sizes = {}
    for group, size in zip(before, x.shape):
        sizes.update(_split(group, size, axes_lengths, pattern))
    x = reshape(x, [sizes[name] for name in names])
    x = permuted(x, tuple(map(names.index, wanted)))
    return reshape(x, [size_of([sizes[name] for name in group]) for group in after])


def _groups(side: str, pattern: str) -> list[list[str]]:
    """One list of names for each axis of one side of a pattern."""
    if not re.fullmatch(r"(\s*(\w+|\([\w\s]*\)))*\s*", side):
        raise ValueError(f"rearrange: {side.strip()!r} in the pattern {pattern!r} is not a list of names and bracketed names.")
    return [part.strip("()").split() for part in re.findall(r"\w+|\([\w\s]*\)", side)]


def _split(group: Sequence[str], size: Size, lengths: Mapping[str, int], pattern: str) -> dict[str, Any]:
    """The size of each name of a group: those given, and what is left for one other."""
    found = {name: lengths[name] for name in group if name in lengths}
    missing = [name for name in group if name not in lengths]
    if len(missing) > 1:
        raise ValueError(f"rearrange: in {pattern!r} give the sizes of all but one of {', '.join(group)}.")
    given = size_of(found.values())
    if missing:
        found[missing[0]] = size // given
    if not same_size(size_of(found.values()), size) and is_known(size):
        raise ValueError(f"rearrange: an axis of size {size} cannot be split into {found} as the pattern {pattern!r} says.")
    return found
