"""What rows for normalizations share: sums of columns in two stages (`kernels/column_sums.cu`), and how their arguments are called.

How many parts of the rows there are depends on sizes and device alone, so that two runs add in the same order.
"""

import numpy as np

from mlkit.backends.native.cuda.row import computed, number, stored
from mlkit.core import dtypes

COLUMNS = 32  # that a block has
_FEWEST = 32  # rows of a part
_MOST_PARTS = 512  # more of them take the second stage longer than they save the first
_STORED = ("x", "y", "other", "g", "dx", "passed")


class ColumnSums:
    """Part of a row that sums columns."""

    def split(self, rows, columns):
        """(blocks over columns, rows of a part, parts)"""
        tiles = -(-columns // COLUMNS)
        wanted = max(1, min(-(-rows // _FEWEST), _MOST_PARTS, self.device.most_blocks // tiles))
        length = -(-rows // wanted)
        return tiles, length, -(-rows // length)

    def counters(self):
        return [("unsigned*", "counters", self.device.counters)]


def wide(x):
    """The dtype of NumPy that is computed in."""
    return np.dtype("float64" if dtypes.name_of(x.dtype) == "float64" else "float32")


def types(x):
    return [stored(x)[0], computed(x)]


def pointers(x, /, **arrays):
    """Arguments of a kernel: those of x's shape have the type in memory, all others that which is computed in."""
    return [(f"{stored(x)[0] if name in _STORED else computed(x)}*", name, array) for name, array in arrays.items()]


def sizes(**sizes):
    return [("long long", name, number(size)) for name, size in sizes.items()]


def epsilon_of(x, epsilon):
    return computed(x), "epsilon", wide(x).type(epsilon)
