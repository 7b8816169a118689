"""Where elements lie that native code reads and writes: a buffer, an offset and strides, which are all known before it is written."""

import math
from typing import NamedTuple

from mlkit.core import dtypes, layout
from mlkit.core.machine import CACHE_LINE

DTYPES = ("float32", "float64", "int32", "int64", "bool")  # others stay in Python


class Declined(Exception):
    """There is no native code for something. The message says for what."""


class Buffer:
    """A piece of memory that the code is given the address of. It overlaps no other one.

    kind: "operand" or "result" of the loop, "constant" or "temporary".
    """

    __slots__ = ("kind",)

    def __init__(self, kind):
        self.kind = kind


class Place(NamedTuple):
    """Elements in a buffer. offset, strides: in bytes; turn: bytes from the elements of one turn to those of the next."""

    buffer: Buffer
    shape: tuple
    dtype: str
    strides: tuple
    offset: int = 0
    turn: int = 0

    @property
    def size(self):
        return math.prod(self.shape)

    @property
    def is_dense(self):
        return layout.is_contiguous(self.shape, self.strides, dtypes.itemsize(self.dtype))

    def seen(self, shape, offset, strides):
        """The same memory looked at in another way."""
        return self._replace(shape=tuple(shape), offset=offset, strides=tuple(strides))

    def broadcast(self, shape):
        return self._replace(shape=tuple(shape), strides=layout.broadcast(self.shape, self.strides, shape))


def place_of(buffer, shape, dtype, strides=None, offset=0, turn=0):
    """A place in row-major order, unless strides are given."""
    if dtype not in DTYPES:
        raise Declined(f"numbers of {dtype}")
    if not all(type(n) is int for n in shape):
        raise Declined("sizes that only a run knows")
    item = dtypes.itemsize(dtype)
    strides = layout.contiguous(shape, item) if strides is None else tuple(strides)
    if any(s % item for n, s in zip(shape, strides) if n != 1) or offset % item or turn % item:
        raise Declined("elements that lie askew in memory")
    return Place(buffer, tuple(shape), dtype, strides, offset, turn)


def folded(shape, strides):
    """Shape and strides without axes of one element, and with those joined that follow on one another in all places."""
    axes = [a for a, n in enumerate(shape) if n != 1]
    sizes, steps = [], [[] for _ in strides]
    for a in axes:
        if sizes and all(s[-1] == own[a] * shape[a] for s, own in zip(steps, strides)):
            sizes[-1] *= shape[a]
            for s, own in zip(steps, strides):
                s[-1] = own[a]
        else:
            sizes.append(shape[a])
            for s, own in zip(steps, strides):
                s.append(own[a])
    return sizes, steps


class Memory:
    """The buffers of a loop, besides those of its operands and results.

    constants: pairs (buffer, array); temporaries: pairs (buffer, bytes from the start of the workspace); nbytes: of the workspace.
    """

    def __init__(self):
        self.constants, self.temporaries, self.nbytes = [], [], 0

    def constant(self, array):
        """The place of an array that the graph holds."""
        buffer = Buffer("constant")
        place = place_of(buffer, array.shape, dtypes.name_of(array.dtype), array.strides)
        self.constants.append((buffer, array))
        return place

    def temporary(self, shape, dtype):
        """A place in the workspace, which nothing else has."""
        buffer = Buffer("temporary")
        self.temporaries.append((buffer, self.nbytes))
        self.nbytes += -(-layout.nbytes(shape, dtypes.itemsize(dtype)) // CACHE_LINE) * CACHE_LINE
        return place_of(buffer, shape, dtype)
