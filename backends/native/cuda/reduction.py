"""Rows for sums, products, extremes, their places, and running sums and products.

A reduction along neighbouring axes is one launch, where long axes are cut into parts too; other axes are as many as they have groups of
neighbours. Running sums of long axes are two: sums of parts, then each part from where those before it end.
"""

import itertools
import math

import numpy as np

from mlkit.backends.native.cuda.row import FLOATS, KernelRow, computed, number, stored, threads_for
from mlkit.core import dtypes

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_HOW = {"sum": "Sum", "sum_wide": "Sum", "prod": "Product", "max": "Most", "min": "Least"}
_LITTLE = 32  # elements that a thread takes alone
_FEWEST = 1024  # elements of a part
_MOST_PARTS = 512


def rows(device):
    return [
        *(Reduction(device, name) for name in _HOW),
        *(Place(device, name) for name in ("argmax", "argmin")),
        *(Scan(device, name) for name in ("cumsum", "cumprod")),
    ]


class _InParts(KernelRow):
    parts, dtypes = ("block", "reduce"), (*FLOATS, *_INTEGERS)

    def __init__(self, device, name):
        super().__init__(device)
        self.name = name

    def split(self, outer, size, inner):
        """(way, length of a part, parts)"""
        if size <= _LITTLE or (inner > 1 and outer * inner >= 256 * self.device.most_blocks):
            return "each", size, 1
        tiles = outer * (1 if inner == 1 else -(-inner // 32))
        wanted = max(1, min(-(-size // _FEWEST), _MOST_PARTS, self.device.most_blocks // tiles))
        length = -(-size // wanted)
        return "rows" if inner == 1 else "columns", length, -(-size // length)

    def over(self, template, types, pointers, sizes, blocks, threads=256):
        arguments = [*pointers, *(("long long", name, number(value)) for name, value in sizes.items())]
        self.start(template, types, arguments, max(1, min(blocks, self.device.most_blocks)), threads)


class Reduction(_InParts):
    def launches_for(self, x, axes, keepdims):
        return len(_stages(x.shape, axes))

    def scratch(self, x, axes, keepdims):
        return 8 * sum(map(sum, self.rooms(x, axes)))

    def rooms(self, x, axes):
        """(numbers that the parts of a stage find, numbers that it hands on) of each stage"""
        stages = _stages(x.shape, axes)
        for stage in stages:
            outer, _, inner = stage
            _, _, parts = self.split(*stage)
            yield outer * inner * parts * (parts > 1), outer * inner * (stage is not stages[-1])

    def launch(self, args, outs, params):
        (now,), (y, *scratch), axes = args, outs, params["axes"]
        left = scratch[0].view(_in_between(now)) if scratch else None
        stages, rooms = _stages(now.shape, axes), list(self.rooms(now, axes))
        for stage, (of_parts, handed_on) in zip(stages, rooms):
            found, left = (left[:of_parts], left[of_parts:]) if of_parts else (None, left)
            then, left = (left[:handed_on], left[handed_on:]) if handed_on else (y, left)
            self.reduce(now, found, then, *stage)
            now = then

    def reduce(self, x, found, y, outer, size, inner):
        """Launch one stage."""
        way, length, parts = self.split(outer, size, inner)
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
        self.over(f"reduce_{way}", types, pointers, sizes, blocks, threads)


class Scan(_InParts):
    """Running sums and products along an axis."""

    def fits(self, x, axis):
        return bool(x.shape)

    def parted(self, x, axis):
        """((outer, size, inner), length of a part, parts)"""
        shape = _fold(x.shape, (axis,))
        outer, size, inner = shape
        if inner > 1:  # a thread has a part of a column
            wanted = max(1, min(-(-size // _LITTLE), 256 * self.device.most_blocks // (outer * inner)))
        else:
            wanted = max(1, min(-(-size // _FEWEST), self.device.most_blocks // outer))
        length = -(-size // min(wanted, _MOST_PARTS))
        return shape, length, -(-size // length)

    def launches_for(self, x, axis):
        return 1 if self.parted(x, axis)[2] == 1 else 2

    def scratch(self, x, axis):
        (outer, _, inner), _, parts = self.parted(x, axis)
        return 0 if parts == 1 else 8 * outer * inner * parts

    def launch(self, args, outs, params):
        (x,), y = args, outs[0]
        (outer, size, inner), length, parts = self.parted(x, params["axis"])
        found = None if parts == 1 else outs[1].view(_in_between(x))
        how, wide = {"cumsum": "Sum", "cumprod": "Product"}[self.name], _computed(x)
        of_x, of_y = stored(x, y)
        pointers = [(f"{of_x}*", "x", x), (f"{wide}*", "found", found)]
        sizes = dict(outer=outer, size=size, inner=inner, length=length, parts=parts)
        blocks, way = -(-outer * parts * inner // 256), "columns"
        if inner == 1:
            blocks, way = outer * parts, "rows"
            del sizes["inner"]
        if parts > 1:
            self.over(f"parts_of_{way}", [how, of_x, wide], pointers, sizes, blocks)
        self.over(f"scan_{way}", [how, of_x, of_y, wide], [*pointers, (f"{of_y}*", "y", y)], sizes, blocks)


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


def _stages(shape, axes):
    """(outer, size, inner) of one reduction after another, along neighbouring axes each, the last ones first."""
    axes = {a % len(shape) for a in axes}
    groups = [[math.prod(n for _, n in group), is_reduced] for is_reduced, group in itertools.groupby(
        ((i, n) for i, n in enumerate(shape) if n != 1), key=lambda axis: axis[0] in axes
    )]  # fmt: skip
    stages = []
    for k in reversed(range(len(groups))):
        size, is_reduced = groups[k]
        if is_reduced:
            stages.append((math.prod(n for n, _ in groups[:k]), size, math.prod(n for n, _ in groups[k + 1 :])))
            del groups[k]
    return stages or [(math.prod(shape), 1, 1)]


def _fold(shape, axes):
    """(outer, size, inner) where the axes are neighbours."""
    (stage,) = _stages(shape, axes)
    return stage if stage[1] > 1 else (math.prod(shape), 1, 1)


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
