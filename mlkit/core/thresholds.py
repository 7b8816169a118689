"""Sizes from which another way of computing pays. What follows from them is speed, never other results.

Each is declared once, beside the code that obeys it: ``SMALLEST = threshold("fuse_chains", 1 << 13, "elements: ...")``. With
MLKIT_THRESHOLDS=0 all are 0, so that tests, whose tensors are small, take the ways of large ones.
"""

from typing import NamedTuple

from mlkit.core import debug

THRESHOLDS = {}  # name -> Threshold, of the modules that have been imported


class Threshold(NamedTuple):
    """default: the size in use; why: its unit, and what is gained there."""

    default: int
    why: str


def threshold(name, default, why):
    """The size in force of a new threshold.

    >>> from mlkit.core.thresholds import THRESHOLDS
    >>> THRESHOLDS["fuse_chains"].why
    'elements: what fits in the first cache gains little'
    """
    if name in THRESHOLDS:
        raise ValueError(f"There is a threshold {name!r} already: {THRESHOLDS[name].why}.")
    THRESHOLDS[name] = Threshold(default, why)
    return default if debug.THRESHOLDS else 0
