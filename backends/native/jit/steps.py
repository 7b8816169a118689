"""What one turn of native code consists of: passes over memory whose shapes and places are known."""

import math
from typing import NamedTuple

from mlkit.backends.native.jit.places import Place
from mlkit.primitives.elementwise import stop_gradient

COPY = stop_gradient  # the op that gives its argument


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


def copy(source, target):
    """The step that brings elements to another place."""
    return Map(target.shape, [source], [], [(0, target)])


def fill(target, value):
    return Map(target.shape, [], [(COPY, ((value,),), {}, target.dtype)], [(0, target)])


def padded(source, target, value, low, high, interior):
    """The steps of `pad`."""
    offset = target.offset + sum(n * s for n, s in zip(low, target.strides))
    strides = (s * (i + 1) for s, i in zip(target.strides, interior))
    return [fill(target, value), copy(source, target.seen(source.shape, offset, strides))]


def concatenated(sources, target, axis):
    """The steps of `concat`."""
    steps, start = [], 0
    for source in sources:
        offset = target.offset + start * target.strides[axis]
        steps.append(copy(source, target.seen(source.shape, offset, target.strides)))
        start += source.shape[axis]
    return steps


def product(a, b, out):
    """The step of `matmul`, whose leading axes broadcast."""
    lead = out.shape[:-2]
    return Product(a.broadcast((*lead, *a.shape[-2:])), b.broadcast((*lead, *b.shape[-2:])), out)
