"""Copies of arrays in the layout that a primitive wants: made once, shared by all kernels, dropped with the array."""

import weakref

from mlkit.backends.native import memory_pages
from mlkit.backends.native.onednn import constants as c
from mlkit.backends.native.onednn.handover import Memory, address_of, execution

_copies = {}  # id of an array -> list of Copy


class Copy:
    """An array in another layout. stamp: the array's when it was copied; address: where the copy lies."""

    __slots__ = ("array", "offset", "desc", "wanted", "stamp", "address", "_memory", "_source", "_run")

    def __init__(self, array, offset, desc, wanted, conversion):
        self.array, self.offset, self.desc, self.wanted = weakref.ref(array), offset, desc, wanted
        self._memory = memory_pages.block(wanted.nbytes)
        self.address, self.stamp = address_of(self._memory), None
        self._source = Memory(desc)
        self._run = execution(conversion, {c.FROM: self._source, c.TO: Memory(wanted, self.address)})

    def renew(self, array, stamp):
        """Copy again."""
        self._source.point(address_of(array) + self.offset)
        self._run()
        self.stamp = stamp  # now only: other threads may be about to use it. Those that copy as well write the same


def of(array, offset, desc, wanted, conversion):
    """The Copy of the part of an array that begins at `offset` and lies as `desc` says; it is filled when it is renewed."""
    key = id(array)
    found = _copies.get(key)
    if found is None or any(x.array() is not array for x in found):
        found = _copies[key] = []
        weakref.finalize(array, _copies.pop, key, None)
    for x in found:
        if x.offset == offset and x.desc == desc and x.wanted == wanted:
            return x
    copy = Copy(array, offset, desc, wanted, conversion)
    found.append(copy)
    return copy
