"""Rows that put elements in order along an axis, find the largest, or places in a line that is in order.

Ordering is one launch for axes of up to 1024 elements, and one more for each doubling.
"""

import math

import numpy as np

from mlkit.backends.native.cuda.expressions import STORED
from mlkit.backends.native.cuda.row import FLOATS, KernelRow, number
from mlkit.core import dtypes

_INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_KINDS = {
    **{name: STORED[name] for name in (*FLOATS, *_INTEGERS)},
    "complex64": "complex_of_floats",
    "complex128": "complex_of_doubles",
}
_AT_ONCE = 1024  # elements that a block has


def rows(device):
    return [Sort(device), ArgSort(device), TopKIndices(device), SearchSorted(device)]


def _stored(array):
    """C's type of the elements of an array."""
    return _KINDS[dtypes.name_of(array.dtype)]


class _Ordering(KernelRow):
    """Of an axis the elements or, where `values` is false, their places."""

    parts, dtypes = ("sorting",), tuple(_KINDS)
    values = descending = False

    def fits(self, x, **params):
        return max(x.shape) < 2**31

    def axis_and_kept(self, x, axis):
        """(the axis, how many of its elements are wanted)"""
        return axis, x.shape[axis]

    def runs(self, x, params):
        """(rows, elements of a run, runs of a row, elements that are kept of a row)"""
        axis, kept = self.axis_and_kept(x, **params)
        size = x.shape[axis]
        width = min(_AT_ONCE, 2 ** (size - 1).bit_length())
        return math.prod(x.shape) // size, width, -(-size // width), kept

    def launches_for(self, x, **params):
        return 1 + (self.runs(x, params)[2] - 1).bit_length()

    def scratch(self, x, **params):
        rows, width, runs, kept = self.runs(x, params)
        return 0 if runs == 1 else 2 * (_key(x).itemsize + 4) * _room(rows, width, runs, kept)

    def launch(self, args, outs, params):
        (x,), y = args, outs[0]
        rows, width, runs, kept = self.runs(x, params)
        axis, _ = self.axis_and_kept(x, **params)
        keys, inner = _key(x), math.prod(x.shape[axis + 1 :])
        kinds = [_stored(x), {4: "unsigned", 8: "unsigned long long", 16: "wide_key"}[keys.itemsize], _stored(y)]
        now, then = self.buffers(outs[1], keys, _room(rows, width, runs, kept)) if runs > 1 else ((None, None),) * 2
        values, common = "true" if self.values else "false", dict(rows=rows, size=x.shape[axis], inner=inner, kept=kept)
        arguments = [
            *self.pointers(kinds, x, y, now),
            *_sizes(common),
            ("int", "width", np.int32(width)),
            *_sizes(dict(runs=runs)),
        ]
        self.over(
            -(-rows * runs * width // _AT_ONCE),
            "order_runs",
            ["true" if self.descending else "false", values, *kinds],
            arguments,
        )
        span = width
        while runs > 1:
            sizes = _sizes(dict(common, span=span, runs=runs))
            arguments = [*self.pointers(kinds, x, y, now), *self.pointers(kinds, None, None, then, "new_")[2:], *sizes]
            self.over(-(-rows * runs * min(kept, span) // 256), "merge_runs", [values, *kinds], arguments)
            now, then, span, runs = then, now, 2 * span, -(-runs // 2)

    def over(self, blocks, template, types, arguments):
        self.start(template, types, arguments, max(1, min(blocks, self.device.most_blocks)))

    @staticmethod
    def buffers(scratch, keys, room):
        """Twice (keys, places) in the temporary memory."""
        places = [scratch[2 * room * keys.itemsize :].view("int32")[k * room : (k + 1) * room] for k in range(2)]
        return [(scratch[k * room * keys.itemsize : (k + 1) * room * keys.itemsize].view(keys), places[k]) for k in range(2)]

    @staticmethod
    def pointers(kinds, x, y, buffer, prefix=""):
        of_x, of_key, of_y = kinds
        return [
            (f"{of_x}*", "x", x),
            (f"{of_y}*", "y", y),
            (f"{of_key}*", f"{prefix}keys", buffer[0]),
            ("int*", f"{prefix}places", buffer[1]),
        ]


class Sort(_Ordering):
    name, values = "sort", True


class ArgSort(_Ordering):
    name = "argsort"


class TopKIndices(_Ordering):
    name, descending = "top_k_indices", True

    def axis_and_kept(self, x, k):
        return len(x.shape) - 1, k

    def fits(self, x, k):
        return k > 0 and super().fits(x)


class SearchSorted(KernelRow):
    name, parts, dtypes = "searchsorted", ("sorting",), tuple(_KINDS)

    def fits(self, line, values, side):
        return line.dtype == values.dtype and line.shape[0] < 2**31

    def launch(self, args, outs, params):
        (line, values), (y,) = args, outs
        kind, n = _stored(line), values.size
        arguments = [(f"{kind}*", "line", line), (f"{kind}*", "values", values), ("int*", "y", y)]
        arguments += [*_sizes(dict(size=line.size, n=n)), ("int", "after", np.int32(params["side"] == "right"))]
        self.start("search_sorted", [kind], arguments, max(1, min(-(-n // 256), self.device.most_blocks)))


def _key(x):
    """A dtype of NumPy that is as wide as what elements are compared in."""
    wide = {8: "uint64", 16: "complex128"}
    return np.dtype(wide.get(dtypes.itemsize(dtypes.name_of(x.dtype)), "uint32"))


def _room(rows, width, runs, kept):
    """Elements that the runs of all rows have after any pass: a multiple of two, so that what follows begins where eight bytes do."""
    most, span = 0, width
    while runs > 1:
        most, span, runs = max(most, runs * min(span, kept)), 2 * span, -(-runs // 2)
    return -(-rows * most // 2) * 2


def _sizes(sizes):
    return [("long long", name, number(size)) for name, size in sizes.items()]
