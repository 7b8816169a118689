"""Rows for sums, products, extremes and their places along neighbouring axes: one launch, where long axes are cut into parts too."""

import math

import numpy as np

from mlkit.backends.native.cuda.row import FLOATS, KernelRow, computed, number, stored, threads_for
from mlkit.core import dtypes

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_HOW = {"sum": "Sum", "sum_wide": "Sum", "prod": "Product", "max": "Most", "min": "Least"}
_LITTLE = 32  # elements that a thread reduces alone
_FEWEST = 1024  # elements of a part
_MOST_PARTS = 512


def rows(device):
    return [*(Reduction(device, name) for name in _HOW), *(Place(device, name) for name in ("argmax", "argmin"))]


class Reduction(KernelRow):
    parts, dtypes = ("block", "reduce"), (*FLOATS, *_INTEGERS)

    def __init__(self, device, name):
        super().__init__(device)
        self.name = name

    def fits(self, x, axes, keepdims):
        return _fold(x.shape, axes) is not None

    def split(self, x, axes):
        """(outer, size, inner, way, length of a part, parts)"""
        outer, size, inner = _fold(x.shape, axes)
        if size <= _LITTLE or (inner > 1 and outer * inner >= 256 * self.device.most_blocks):
            return outer, size, inner, "each", size, 1
        tiles = outer * (1 if inner == 1 else -(-inner // 32))
        wanted = max(1, min(-(-size // _FEWEST), _MOST_PARTS, self.device.most_blocks // tiles))
        length = -(-size // wanted)
        return outer, size, inner, "rows" if inner == 1 else "columns", length, -(-size // length)

    def scratch(self, x, axes, keepdims):
        outer, _, inner, _, _, parts = self.split(x, axes)
        return 0 if parts == 1 else 8 * outer * inner * parts

    def launch(self, args, outs, params):
        (x,), y = args, outs[0]
        outer, size, inner, way, length, parts = self.split(x, params["axes"])
        found = None if parts == 1 else outs[1].view(_in_between(x))
        types = [_HOW[self.name], stored(x)[0], stored(y)[0], _computed(x)]
        pointers = [(f"{types[1]}*", "x", x), (f"{types[2]}*", "y", y)]
        blocks, threads, sizes = -(-outer * inner // 256), 256, dict(outer=outer, size=size, inner=inner)
        if way != "each":
            pointers[1:1] = [(f"{types[3]}*", "found", found), ("unsigned*", "counters", self.device.counters)]
            sizes.update(length=length, parts=parts)
            blocks = outer * parts * -(-inner // 32)
        if way == "rows":
            del sizes["inner"]
            threads = threads_for(length)
        arguments = [*pointers, *(("long long", name, number(value)) for name, value in sizes.items())]
        self.start(f"reduce_{way}", types, arguments, max(1, min(blocks, self.device.most_blocks)), threads)


class Place(KernelRow):
    """Of the largest or smallest element."""

    parts, dtypes = ("block", "reduce"), (*FLOATS, *_INTEGERS)

    def __init__(self, device, name):
        super().__init__(device)
        self.name = name

    def fits(self, x, axis):
        outer, size, inner = _fold(x.shape, (axis,))
        return size < 2**31 and outer * inner * 65536 >= size  # a row is searched by one block

    def launch(self, args, outs, params):
        (x,), (y,) = args, outs
        outer, size, inner = _fold(x.shape, (params["axis"],))
        types = ["true" if self.name == "argmax" else "false", stored(x)[0], _computed(x)]
        sizes, threads = dict(outer=outer, size=size), 256
        is_in_rows = inner == 1 and size > _LITTLE
        if is_in_rows:
            blocks, threads = outer, 2 ** (threads_for(size) - 1).bit_length()  # halves of them are compared
        else:
            blocks, sizes["inner"] = -(-outer * inner // 256), inner
        arguments = [(f"{types[1]}*", "x", x), ("int*", "y", y)]
        arguments += [("long long", name, number(value)) for name, value in sizes.items()]
        template = "place_in_rows" if is_in_rows else "place_of_each"
        self.start(template, types, arguments, min(blocks, self.device.most_blocks), threads)


def _fold(shape, axes):
    """(outer, size, inner) where the axes, but for those of size 1, are neighbours; else None."""
    axes = sorted(a % len(shape) for a in axes if shape[a] != 1)
    if not axes:
        return math.prod(shape), 1, 1
    first, last = axes[0], axes[-1] + 1
    if any(n != 1 and i not in axes for i, n in enumerate(shape[first:last], first)):
        return None
    return math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:])


def _computed(x):
    """C's type that is computed in: of small integers those that warps exchange."""
    kind = dtypes.name_of(x.dtype)
    return {"int8": "int", "int16": "int", "uint8": "unsigned", "uint16": "unsigned"}.get(kind) or computed(x)


def _in_between(x):
    """The dtype of NumPy of what the parts have found."""
    kind = dtypes.name_of(x.dtype)
    if dtypes.is_float(kind):
        return np.dtype("float64" if kind == "float64" else "float32")
    return np.dtype({"int": "int32", "unsigned": "uint32"}.get(_computed(x), kind))
