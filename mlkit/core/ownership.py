"""Whose memory is it? Whether it may be overwritten, which CPython's reference counts tell; copies of what belongs to others."""

import sys
from typing import Any

import numpy as np

from mlkit.core import tree


def _references(objects: list[Any], i: int) -> int:
    o = objects[i]
    return sys.getrefcount(o)


_COUNTED = hasattr(sys, "getrefcount")  # other interpreters than CPython may have none: then everything counts as held
# The count when nothing but a list holds an object. How many references a call itself takes depends on Python's version.
_ALONE = _references([object()], 0) if _COUNTED else 0


def held_elsewhere(objects: list[Any], i: int, owners: int = 1) -> bool:
    """Whether anything besides the list and so many owners holds ``objects[i]``."""
    return not _COUNTED or _references(objects, i) > _ALONE + owners


def own_arrays(structure: Any) -> Any:
    """The structure with copies of the NumPy arrays in it, which whoever gave them may write into later."""
    return tree.map_structure(lambda x: x.copy() if isinstance(x, np.ndarray) else x, structure)
