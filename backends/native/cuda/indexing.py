"""Rows that take elements by indices and combine rows with updates by indices, which are checked where they are used; nothing is waited
for."""

import math

import numpy as np

from mlkit.backends.native.cuda.row import FLOATS, KernelRow, computed, number, numbering, stored, unit
from mlkit.core import dtypes

_INDICES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_HOW = (("scatter_add", "Added"), ("scatter_mul", "Multiplied"), ("scatter_max", "LargerOf"), ("scatter_min", "SmallerOf"))
_MOST_AXES = 4  # of coordinates
_MOST_UPDATES = 2**29  # that have a number with the row in 32 bits
_MOST_TURNS = 2**24  # of blocks through the indices, 1024 at once: beyond that sorting them takes less


def rows(device):
    return [
        Take(device),
        TakeAlongAxis(device),
        SumRows(device),
        *(Scatter(device, *of) for of in _HOW),
        ScatterSet(device, "scatter_set", None),
    ]


class _Indexing(KernelRow):
    parts = ("units", "indexing")

    def accepts(self, *args, **params):
        return not any(0 in a.shape for a in args) and self.fits(*args, **params)

    def flags(self, args, params):
        """Where the kernel notes for each of the checks that an index is out of range."""
        return [self.device.fine(message) for *_, message in self.checks(*args, **params)]


def _sizes(**sizes):
    return [("long long", name, number(size)) for name, size in sizes.items()]


# ---- taking ----------------------------------------------------------------------------------------------------------


class _Taking(_Indexing):
    def checks(self, x, index, axis):
        n = x.shape[axis]
        return [(index, 0, n, f"{self.name}: an index is out of range for size {n}.")]

    def take(self, args, y, axis, inner, arrays):
        """Launch; `inner` elements lie together that are moved as they are. arrays: those that they lie in."""
        x, index = args
        size, kind = unit([inner * x.itemsize], arrays)
        inner_bytes = math.prod(x.shape[axis + 1 :]) * x.itemsize
        n, outer = x.shape[axis], math.prod(x.shape[:axis])
        count = y.nbytes // (outer * inner_bytes)
        (fine,) = self.flags(args, dict(axis=axis))
        arguments = [
            (f"{kind}*", "x", x),
            (f"{stored(index)[0]}*", "index", index),
            (f"{kind}*", "y", y),
            ("bool*", "fine", fine),
        ]
        arguments += _sizes(outer=outer, n=n, count=count, inner=inner_bytes // size)
        blocks = max(1, min(-(-y.nbytes // size // 256), self.device.most_blocks))
        self.start(self.name, [kind, stored(index)[0], numbering(y.nbytes // size)], arguments, blocks)


class Take(_Taking):
    name = "take"

    def launch(self, args, outs, params):
        x, axis = args[0], params["axis"]
        self.take(args, outs[0], axis, math.prod(x.shape[axis + 1 :]), (x, outs[0]))


class TakeAlongAxis(_Taking):
    name = "take_along_axis"

    def fits(self, x, index, axis):
        return all(a == b for i, (a, b) in enumerate(zip(x.shape, index.shape)) if i != axis)

    def launch(self, args, outs, params):
        self.take(args, outs[0], params["axis"], 1, ())


# ---- combining -------------------------------------------------------------------------------------------------------


class _Combining(_Indexing):
    """Updates combined with rows. how: a struct of `indexing.cu`."""

    how = "Added"

    def can_combine(self, updates, count, size):
        """Whether so many updates come to so many rows."""
        known = dtypes.name_of(updates.dtype) in (*FLOATS, *_INDICES)
        return known and count <= _MOST_UPDATES and _turns(count, size) <= _MOST_TURNS

    def combine(self, start, index, updates, y, fine, size):
        """Launch. The rows are those of y as a matrix of `size` rows. fine: where indices out of range are noted, or None."""
        kind = stored(y)[0]
        arguments = [(f"{kind}*", "start", start), (f"{stored(index)[0]}*", "index", index), (f"{kind}*", "updates", updates)]
        arguments += [(f"{kind}*", "y", y), ("bool*", "fine", fine), *_sizes(size=size, count=index.size, width=y.size // size)]
        self.start("combine_rows", [self.how, kind, computed(y), stored(index)[0]], arguments, -(-size // 8))


def _turns(count, size):
    """Of all blocks through the indices, 1024 at once."""
    return -(-size // 8) * -(-count // 1024)


def _coordinate(index, axis, size):
    return index, 0, size, f"scatter: an index along axis {axis} is out of range for size {size}."


class SumRows(_Combining):
    name = "sum_rows"

    def checks(self, index, updates, size):
        return [_coordinate(index, 0, size)]

    def fits(self, index, updates, size):
        return size > 0 and self.can_combine(updates, index.shape[0], size)

    def launch(self, args, outs, params):
        (index, updates), (y,), size = args, outs, params["size"]
        self.combine(None, index, updates, y, *self.flags(args, params), size)


class Scatter(_Combining):
    launches = 2
    inplace = ((0, 0),)  # a row is written by those who have read it

    def __init__(self, device, name, how):
        super().__init__(device)
        self.name, self.how = name, how

    def checks(self, x, index, updates):
        return [_coordinate(index[..., i], i, x.shape[i]) for i in range(index.shape[-1])]

    def fits(self, x, index, updates):
        axes, count = index.shape[-1], math.prod(index.shape[:-1])
        return axes <= _MOST_AXES and self.can_combine(updates, count, math.prod(x.shape[:axes]))

    def scratch(self, x, index, updates):
        return 8 * math.prod(index.shape[:-1])

    def launch(self, args, outs, params):
        (x, index, updates), (y, scratch) = args, outs
        axes, row = index.shape[-1], scratch.view("int64")
        more = _MOST_AXES - axes
        sizes, flags = [*x.shape[:axes], *[1] * more], [*self.flags(args, params), *[None] * more]
        arguments = [(f"{stored(index)[0]}*", "index", index), ("long long*", "row", row)]
        arguments += [("bool*", f"fine{i}", flag) for i, flag in enumerate(flags)]
        arguments += [
            *_sizes(count=row.size),
            ("int", "axes", np.int32(axes)),
            *_sizes(**{f"n{i}": n for i, n in enumerate(sizes)}),
        ]
        self.start("rows_at", stored(index), arguments, max(1, min(-(-row.size // 256), self.device.most_blocks)))
        self.combine(x, row, updates, y, None, math.prod(x.shape[:axes]))


class ScatterSet(Scatter):
    """Of equal coordinates the last stays, as where one is written after the other."""

    def can_combine(self, updates, count, size):
        return count <= _MOST_UPDATES and _turns(count, size) <= _MOST_TURNS

    def combine(self, start, index, updates, y, fine, size):
        unit_bytes, kind = unit([y.nbytes // size], (start, updates, y))
        arguments = [(f"{kind}*", "start", start), ("long long*", "index", index), (f"{kind}*", "updates", updates)]
        arguments += [(f"{kind}*", "y", y), *_sizes(size=size, count=index.size, width=y.nbytes // size // unit_bytes)]
        self.start("set_rows", [kind, "long long"], arguments, -(-size // 8))
