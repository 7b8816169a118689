"""Whose memory is it? Whether it may be overwritten, which CPython's reference counts tell; copies of what belongs to others."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlkit.core import tree


def _counts(objects: list[Any], numbers: Sequence[int]) -> list[int]:
    count = sys.getrefcount
    return [count(objects[i]) for i in numbers]


_COUNTED = hasattr(sys, "getrefcount")  # other interpreters than CPython may have none: then everything counts as held
# The count when nothing but a list holds an object. How many references a call itself takes depends on Python's version.
_ALONE = _counts([object()], [0])[0] if _COUNTED else 0


def held_among(objects: list[Any], numbers: Sequence[int], owners: int = 1) -> list[int]:
    """Those of the numbers whose objects anything besides the list and so many owners holds."""
    if not _COUNTED:
        return list(numbers)
    return [i for i, count in zip(numbers, _counts(objects, numbers)) if count > _ALONE + owners]


def held_elsewhere(objects: list[Any], i: int, owners: int = 1) -> bool:
    """Whether that is so of ``objects[i]``."""
    return bool(held_among(objects, (i,), owners))


def own_arrays(structure: Any) -> Any:
    """The structure with copies of the NumPy arrays in it, which whoever gave them may write into later."""
    return tree.map_structure(lambda x: x.copy() if isinstance(x, np.ndarray) else x, structure)
