"""What one turn of native code consists of: passes over memory whose shapes and places are known."""

import math
from typing import NamedTuple

from mlkit.backends.native.jit.places import Place
from mlkit.primitives import elementwise as el
from mlkit.primitives import movement, reduction
from mlkit.primitives.linear import matmul
from mlkit.primitives.shape import sum_

COPY = el.stop_gradient  # the op that gives its argument
REDUCTIONS = (sum_, reduction.prod, reduction.max_, reduction.min_)
SCATTERS = {  # op -> what combines an update with what is there; None: the update takes its place
    movement.scatter_add: el.add,
    movement.scatter_mul: el.mul,
    movement.scatter_max: el.maximum,
    movement.scatter_min: el.minimum,
    movement.scatter_set: None,
}


class Map(NamedTuple):
    """One pass over elements. ops: (op, arguments, parameters, dtype of the arguments); an argument is the number of a load or, behind
    these, of an op before, or (number,). stores: (number of a load or an op, place)."""

    shape: tuple
    loads: list
    ops: list
    stores: list

    @property
    def work(self):
        return math.prod(self.shape) * (len(self.ops) + len(self.loads) + len(self.stores))


class Reduction(NamedTuple):
    """axes: of `source` that `out`, which is dense, has no more."""

    op: object
    source: Place
    out: Place
    axes: tuple

    @property
    def work(self):
        return self.source.size


class Product(NamedTuple):
    """Matrices, or batches of them of the shape of `out`; rows of `b` and of `out` are dense."""

    a: Place
    b: Place
    out: Place

    @property
    def work(self):
        return self.out.size * self.a.shape[-1]


class Extreme(NamedTuple):
    """Where along an axis the first of the largest (`argmax`) or smallest elements is; `out` is dense."""

    op: object
    source: Place
    out: Place
    axis: int

    @property
    def work(self):
        return self.source.size


class Taken(NamedTuple):
    """`take`: `out` has the shape of `index` in place of the axis. `take_along_axis`: all have the shape of `out`, but that the axis of
    `source` has its own length."""

    op: object
    source: Place
    index: Place
    out: Place
    axis: int

    @property
    def work(self):
        return self.out.size


class Scattered(NamedTuple):
    """Updates that are combined with the slices of `out` at the coordinates in the last axis of `index`."""

    op: object
    index: Place
    updates: Place
    out: Place

    @property
    def work(self):
        return self.updates.size


def copy(source, target):
    """The step that brings elements to another place."""
    return Map(target.shape, [source], [], [(0, target)])


def fill(target, value):
    return Map(target.shape, [], [(COPY, ((value,),), {}, target.dtype)], [(0, target)])


# ---- the steps of ops that are no part of a pass -----------------------------------------------------------------------


def _padded(op, places, target, value, low, high, interior):
    (source,) = places
    offset = target.offset + sum(n * s for n, s in zip(low, target.strides))
    strides = (s * (i + 1) for s, i in zip(target.strides, interior))
    return [fill(target, value), copy(source, target.seen(source.shape, offset, strides))]


def _concatenated(op, sources, target, axis):
    steps, start = [], 0
    for source in sources:
        offset = target.offset + start * target.strides[axis]
        steps.append(copy(source, target.seen(source.shape, offset, target.strides)))
        start += source.shape[axis]
    return steps


def _product(op, places, out):
    (a, b), lead = places, out.shape[:-2]
    return [Product(a.broadcast((*lead, *a.shape[-2:])), b.broadcast((*lead, *b.shape[-2:])), out)]


def _reduced(op, places, out, axes, keepdims):
    return [Reduction(op, *places, out, axes)]


def _extreme(op, places, out, axis):
    return [Extreme(op, *places, out, axis)]


def _taken(op, places, out, axis):
    return [Taken(op, *places, out, axis)]


def _taken_along(op, places, out, axis):
    source, index = places
    wide = out.shape[:axis] + source.shape[axis : axis + 1] + out.shape[axis + 1 :]
    return [Taken(op, source.broadcast(wide), index.broadcast(out.shape), out, axis)]


def _scattered(op, places, out):
    source, index, updates = places
    return [copy(source, out), Scattered(op, index, updates, out)]


WHOLE = {  # op -> function of it, the places of its arguments, that of its result and its parameters
    matmul: _product,
    movement.pad: _padded,
    movement.concat: _concatenated,
    movement.take: _taken,
    movement.take_along_axis: _taken_along,
    reduction.argmax: _extreme,
    reduction.argmin: _extreme,
    **dict.fromkeys(REDUCTIONS, _reduced),
    **dict.fromkeys(SCATTERS, _scattered),
}
