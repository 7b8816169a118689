"""MLKIT_GUARD=1: primitives work on copies of their buffers, each of which lies between guard bytes that are checked after the call.

What a primitive writes beyond its descriptor raises, and so does a descriptor that reaches beyond the array it was pointed to. What
it reads beyond is NaN.
"""

import collections
import ctypes
import threading

import numpy as np

from mlkit.backends.native.onednn import memory, primitive
from mlkit.backends.native.onednn.library import library
from mlkit.core.machine import CACHE_LINE

GUARD, FILL = 256, 0xFF  # bytes on each side, and their value: in floats of any size a NaN
handed = collections.Counter()  # name of an implementation -> how many buffers it was given
_alone = threading.Lock()  # branches that run side by side share memory objects


class GuardError(AssertionError):
    """A primitive was given, or touched, memory beyond a buffer."""


class Address(int):
    """An address that knows where its array ends."""

    def __new__(cls, start, end):
        self = super().__new__(cls, start)
        self.end = end
        return self

    def __add__(self, offset):
        return Address(int(self) + offset, self.end)


def address_of(array):
    """See `memory.address_of`."""
    start = array.ctypes.data
    if not array.size:
        return Address(start, start)
    return Address(start, start + sum((n - 1) * s for n, s in zip(array.shape, array.strides)) + array.itemsize)


class Memory(memory.Memory):
    """See `memory.Memory`. It points to its place only while a primitive runs, and then to a copy."""

    __slots__ = ("address",)

    def __init__(self, desc, address=0, array=None):
        super().__init__(desc, 0, array)
        self.address = address

    def point(self, address):
        self.address = address


class _Guarded:
    """A copy of what lies at an address, between guard bytes."""

    def __init__(self, address, size):
        self.place = np.ndarray(size, "uint8", (ctypes.c_uint8 * size).from_address(address))
        whole = np.full(GUARD + CACHE_LINE + size + GUARD, FILL, "uint8")
        before = (
            GUARD + (address - whole.ctypes.data - GUARD) % CACHE_LINE
        )  # kernels may choose by alignment: the copy has the same
        self.front, self.copy, self.back = whole[:before], whole[before : before + size], whole[before + size :]
        self.copy[:] = self.before = np.array(self.place)

    def is_intact(self):
        return bool((self.front == FILL).all() and (self.back == FILL).all())

    def write_back(self):
        """Only what has changed: other buffers may lie there too."""
        changed = self.copy != self.before
        self.place[changed] = self.copy[changed]


def execution(what, memories):
    """See `primitive.execution`."""
    run = primitive.execution(what, memories)

    def guarded():
        with _alone:
            copies = {name: _copy(what, name, m) for name, m in memories.items() if m.desc.span}
            for name, copy in copies.items():
                library().set_handle(memories[name].handle, copy.copy.ctypes.data)
            status = run()
            for name, copy in copies.items():
                if not copy.is_intact():
                    raise GuardError(f"oneDNN: {what.implementation} wrote beyond the buffer of its argument {name}.")
                copy.write_back()
            return status

    guarded.alive = run
    return guarded


def _copy(what, name, m):
    size, room = m.desc.span, m.address.end - m.address
    if size > room:
        raise GuardError(
            f"oneDNN: argument {name} of {what.implementation} takes {size} bytes, but the array behind it has {room} from there."
        )
    handed[what.implementation] += 1
    return _Guarded(int(m.address), size)
