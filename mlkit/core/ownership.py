"""Whose memory is it? Whether it may be overwritten, which CPython's reference counts tell; copies of what belongs to others."""

import sys

import numpy as np

from mlkit.core import tree


def _references(objects, i):
    o = objects[i]
    return sys.getrefcount(o)


_COUNTED = hasattr(sys, "getrefcount")  # other interpreters than CPython may have none: then everything counts as held
# The count when nothing but a list holds an object. How many references a call itself takes depends on Python's version.
_ALONE = _references([object()], 0) if _COUNTED else 0


def held_elsewhere(objects, i, owners=1):
    """Whether anything besides the list and so many owners holds ``objects[i]``."""
    return not _COUNTED or _references(objects, i) > _ALONE + owners


def own_arrays(structure):
    """The structure with copies of the NumPy arrays in it, which whoever gave them may write into later."""
    return tree.map_structure(lambda x: x.copy() if isinstance(x, np.ndarray) else x, structure)
